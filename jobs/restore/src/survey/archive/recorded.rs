//! What is known of an archive from when it was made and stored: its run recorded the digest.

use drover::cluster::ApiError;
use drover::digest::Sha256;
use drover::exit::{Chain, Exit, Failure, Fault};
use drover::ledger::{self, Ledger, line_name};
use drover::resources::BackupRun;
use drover::runs::split_archive_name;
use drover::storage::Storage;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use snafu::{ResultExt, Snafu};
use tracing::{debug, info, warn};

use crate::job::name::JOB;

/// Runs asked for at once.
const PAGE: u32 = 500;

/// Why an archive is not trusted.
#[derive(Debug, Snafu)]
pub(crate) enum RecordedError {
    #[snafu(display(
        "failed to trust the archive {filename:?}: its SHA-256 is {found}, and its {kind} {name:?} recorded {recorded} when \
         it was made; nothing was changed. Find out who changed the file and restore another one; who trusts this one \
         applies it by hand, with `restore apply`"
    ))]
    Differs { filename: String, found: Sha256, kind: &'static str, name: String, recorded: String },
    #[snafu(display(
        "failed to trust the archive {filename:?}: its SHA-256 is {found}, and {recorded} is recorded beside it at {place}, \
         from when it was stored; nothing was changed. Find out who changed the file and restore another one; who trusts \
         this one applies it by hand, with `restore apply`"
    ))]
    DiffersFromLabel { filename: String, found: Sha256, place: String, recorded: Sha256 },
    #[snafu(display("failed to read the BackupRuns, to compare the archive's digest with; may this user list them?"))]
    List { source: ApiError },
}

impl Fault for RecordedError {
    fn exit(&self) -> Exit {
        match self {
            Self::Differs { .. } | Self::DiffersFromLabel { .. } => Exit::DataRefused,
            Self::List { source } => source.exit(),
        }
    }
}

/// What is known of an archive beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// Its digest is the one that this cluster recorded when it was made.
    pub(crate) is_recorded: bool,
    /// The MAC that is recorded beside it.
    pub(crate) mac: Option<Sha256>,
}

/// What was recorded of an archive in this cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Record {
    kind: &'static str,
    name: String,
    sha256: String,
}

impl Record {
    fn is_of(&self, sha256: Sha256) -> bool {
        self.sha256.parse::<Sha256>() == Ok(sha256)
    }
}

/// Compares an archive's digest with what its run or the ledger recorded or, where this cluster knows of neither, with what is
/// recorded beside the archive. Whoever may write there may change that, so it says nothing against these. Gives what else is
/// known of it.
///
/// # Errors
///
/// When they differ, or the runs, the ledger or the place cannot be read.
pub(crate) async fn check(
    client: &Client,
    storage: &Storage,
    filename: &str,
    sha256: Sha256,
) -> Result<Evidence, Failure> {
    let mut records = records(client, filename).await?;
    let of_ledger = of_ledger(client, filename).await;
    records.extend(known(of_ledger, !records.is_empty())?);
    compare(&records, filename, sha256)?;
    let label = match storage.label(filename).await {
        Err(error) if !records.is_empty() => {
            warn!("{}", Chain(&error));
            None
        }
        label => label?,
    };
    let evidence = Evidence { is_recorded: !records.is_empty(), mac: label.and_then(|label| label.mac) };
    let beside = label.and_then(|label| label.sha256);
    let differing = beside.filter(|recorded| *recorded != sha256);
    match (records.is_empty(), differing) {
        (true, Some(recorded)) => {
            let place = storage.location().to_string();
            return Err(DiffersFromLabelSnafu { filename, found: sha256, place, recorded }.build().into());
        }
        (false, Some(recorded)) => {
            warn!(
                "the digest is the one of the archive's run, and {recorded} is recorded beside it: somebody changed that"
            );
        }
        (false, None) => {
            info!("the digest is the one that was recorded when the archive was made");
        }
        (true, None) if beside.is_some() => {
            info!("the digest is the one that is recorded beside the archive");
        }
        (true, None) => {
            info!("nobody recorded a digest of {filename:?}, so its own checksums must do");
        }
    }
    Ok(evidence)
}

/// Whether this cluster recorded this digest of an archive of that name. What it does not tell is not known.
pub(crate) async fn is_recorded(client: &Client, filename: &str, sha256: Sha256) -> bool {
    if split_archive_name(filename).is_none() {
        return false;
    }
    let runs = as_far_as_told(records(client, filename).await);
    let line = as_far_as_told(of_ledger(client, filename).await);
    runs.iter().chain(&line).any(|record| record.is_of(sha256))
}

fn as_far_as_told<T: Default, E: std::error::Error + 'static>(told: Result<T, E>) -> T {
    told.unwrap_or_else(|error| {
        debug!("the cluster does not tell what it recorded of the archive: {}", Chain(&error));
        T::default()
    })
}

/// One that is the same is enough: a Backup that was made again may have a run of the same name.
fn compare(records: &[Record], filename: &str, found: Sha256) -> Result<(), RecordedError> {
    match records.first() {
        Some(Record { kind, name, sha256 }) if !records.iter().any(|record| record.is_of(found)) => {
            DiffersSnafu { filename, found, kind: *kind, name, recorded: sha256 }.fail()
        }
        _ => Ok(()),
    }
}

/// The runs of that file; none where drover's definitions are not installed.
async fn records(client: &Client, filename: &str) -> Result<Vec<Record>, RecordedError> {
    let runs: Api<BackupRun> = Api::all(client.clone());
    let mut parameters = ListParams::default().limit(PAGE);
    let mut records = Vec::new();
    loop {
        let page = match runs.list(&parameters).await.map_err(ApiError::from) {
            Err(error) if error.code() == Some(404) => return Ok(records),
            other => other.context(ListSnafu)?,
        };
        records.extend(page.items.iter().filter_map(|run| record(run, filename)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(records),
        }
    }
}

/// What the ledger recorded, as far as it must be known. Without its definition it may have had another digest than what lies
/// there, and what is recorded beside that anybody may have written; only the run's own record makes up for it.
fn known(of_ledger: Result<Option<Record>, ledger::Error>, has_run: bool) -> Result<Option<Record>, ledger::Error> {
    match of_ledger {
        Err(error @ ledger::Error::NotInstalled) if has_run => {
            warn!("the archive is compared with its run alone: {}", Chain(&error));
            Ok(None)
        }
        of_ledger => of_ledger,
    }
}

/// What the ledger recorded, which outlives the run.
async fn of_ledger(client: &Client, filename: &str) -> Result<Option<Record>, ledger::Error> {
    let Some((backup, name)) = split_archive_name(filename) else { return Ok(None) };
    let line = Ledger::new(client.clone(), JOB).find(&line_name(backup, filename, name.time)).await?;
    let line = line.filter(|line| line.spec.filename == filename);
    Ok(line.map(|line| Record { kind: "BackupArchive", name: line.name_any(), sha256: line.spec.sha256 }))
}

fn record(run: &BackupRun, filename: &str) -> Option<Record> {
    let sha256 = run.status.as_ref()?.snapshot.as_ref()?.sha256.clone()?;
    (run.spec.filename == filename).then(|| Record { kind: "run", name: run.name_any(), sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(recorded: &[&str], is_trusted: bool) {
        let record = |sha256: &&str| Record { kind: "run", name: "daily-7".to_owned(), sha256: sha256.repeat(32) };
        let records: Vec<Record> = recorded.iter().map(record).collect();
        assert_eq!(compare(&records, "a.tar.gz", [0xab; 32].into()).is_ok(), is_trusted, "{recorded:?}");
    }

    #[test]
    fn a_digest_that_a_run_recorded_must_be_the_archives() {
        check(&[], true);
        check(&["ab"], true);
        check(&["AB"], true);
        check(&["ad"], false);
        check(&["ad", "ab"], true);
        check(&["no digest"], false);
    }

    #[test]
    fn without_the_ledgers_definition_only_what_a_run_recorded_makes_up_for_it() {
        let missing = || Err(ledger::Error::NotInstalled);
        assert!(matches!(known(missing(), true), Ok(None)));
        assert!(matches!(known(missing(), false), Err(ledger::Error::NotInstalled)));
        assert!(matches!(known(Ok(None), false), Ok(None)));
    }

    #[test]
    fn a_difference_names_both_digests_and_refuses_the_data() {
        let records = [Record { kind: "run", name: "daily-7".to_owned(), sha256: "abd".to_owned() }];
        let error = compare(&records, "a.tar.gz", [0xab; 32].into()).unwrap_err();
        let words = error.to_string();
        assert!(["\"a.tar.gz\"", "\"daily-7\"", "abab", "abd"].iter().all(|word| words.contains(word)), "{words}");
        assert_eq!(error.exit(), Exit::DataRefused);
    }
}
