//! `restore list`: which archives lie at a place.

mod verified;

use std::io::{self, Write};
use std::path::PathBuf;

use drover::archives::{self, Archive, backup_of};
use drover::cluster::{self, ApiError};
use drover::digest::Sha256;
use drover::exit::{Exit, Failure, Fault};
use drover::ledger::{Error as LedgerError, Lines, Site};
use drover::places::targets;
use drover::policy::Policies;
use drover::resources::{Backup, Restore, S3Location, StorageLocation, rfc3339};
use drover::storage::{Label, Location, Storage, StorageOptions};
use kube::{Api, Client};
use serde::Serialize;
use snafu::{ResultExt, Snafu};
use tabwriter::TabWriter;
use tracing::warn;

use self::verified::Verified;
use crate::command_line::listing::{Listing, PlaceOptions};
use crate::command_line::local::{connect_to, print};
use crate::command_line::output::Output;
use crate::job::chosen::ledger;
use crate::report::printable::printable;

/// Why nothing can be listed.
#[derive(Debug, Snafu)]
enum ListError {
    #[snafu(display("failed to read the {kind} {name:?}"))]
    ReadResource { kind: &'static str, name: String, source: ApiError },
    #[snafu(display("failed to read the certificate {path:?}"))]
    ReadCertificate { path: PathBuf, source: io::Error },
    #[snafu(display("failed to list every place: {failed} of {all} could not be read, as is said above"))]
    SomeFailed { failed: usize, all: usize, exit: Exit },
}

impl Fault for ListError {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadResource { source, .. } => source.exit(),
            Self::ReadCertificate { .. } => Exit::Usage,
            Self::SomeFailed { exit, .. } => *exit,
        }
    }
}

/// A place and what lies there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// The place's name in a Backup's runs, where it is one of a Backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    location: String,
    archives: Vec<Row>,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// One archive.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    bytes: u64,
    verified: Verified,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_uid: Option<String>,
}

/// `restore list`.
pub(crate) async fn list(listing: Listing) -> Result<(), Failure> {
    let output = listing.output;
    let mut listed = Vec::new();
    let mut worst: Option<Failure> = None;
    let (opened, ledger) = listing.open().await?;
    let names: Vec<_> = opened.iter().filter_map(|(name, _)| name.clone()).collect();
    for (name, storage) in opened {
        let others: Vec<_> = names.iter().filter(|other| Some(*other) != name.as_ref()).map(String::as_str).collect();
        let site = Site { name: name.as_deref(), others: &others };
        let (location, found) = match storage {
            Ok(storage) => (storage.location().to_string(), rows(&storage, site, ledger.as_ref()).await),
            Err(failure) => (String::new(), Err(failure)),
        };
        let (archives, failure) = match found {
            Ok(archives) => (archives, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        listed.push(Listed { name, location, archives, error: failure.as_ref().map(ToString::to_string) });
        worst = worst.into_iter().chain(failure).max_by_key(Failure::exit);
    }
    match worst {
        // There is nothing to show, so the failure itself is what is said.
        Some(failure) if listed.len() == 1 => Err(failure),
        worst => {
            print(|out| match output {
                Output::Json => serde_json::to_writer_pretty(&mut *out, &listed)
                    .map_err(io::Error::from)
                    .and_then(|()| writeln!(out)),
                Output::Text => text(out, &listed),
            })?;
            let failed = listed.iter().filter(|listed| listed.error.is_some()).count();
            worst.map_or(Ok(()), |failure| {
                SomeFailedSnafu { failed, all: listed.len(), exit: failure.exit() }.fail().map_err(Failure::from)
            })
        }
    }
}

type Opened = (Option<String>, Result<Storage, Failure>);

impl Listing {
    /// The places that are meant, and what the ledger says where it is known of which Backup; none where it may not be read. A
    /// place that cannot be opened does not hide the others.
    async fn open(self) -> Result<(Vec<Opened>, Option<Lines>), Failure> {
        let Self { place, storage, output: _, context, namespace } = self;
        if let Some(bucket) = place.bucket.clone() {
            let location = Location::resolve(Some(&place.location(bucket)?), &storage.folder, None)?;
            return Ok((vec![(None, open(location).await)], Some(Lines::default())));
        }
        if place.backup.is_none() && place.restore.is_none() && !storage.default_is_bucket() {
            return Ok((vec![(None, open(Location::Folder(storage.folder)).await)], Some(Lines::default())));
        }
        let client = connect_to(context).await?;
        if let Some(backup) = place.backup {
            let opened = of_backup(&client, &namespace, &storage, &backup).await?;
            return Ok((opened, ledger_as_far_as_known(&client, &backup).await?));
        }
        let restore = match place.restore {
            Some(name) => {
                let restores: Api<Restore> = Api::all(client.clone());
                let found = restores.get(&name).await.map_err(ApiError::from);
                Some(found.context(ReadResourceSnafu { kind: "Restore", name })?)
            }
            None => None,
        };
        let lines = match restore.as_ref().and_then(backup_of) {
            Some(backup) => ledger_as_far_as_known(&client, backup).await?,
            None => Some(Lines::default()),
        };
        let wanted = restore.as_ref().and_then(|restore| restore.spec.storage_location.as_ref());
        let location = storage.locate(&client, &namespace, wanted).await?;
        let location = location.within(restore.as_ref().map_or("", Restore::folder))?;
        Ok((vec![(None, open(location).await)], lines))
    }
}

/// What the ledger says of a Backup. Whoever may read the place and not the ledger sees what lies there all the same, and so
/// does everybody where its definition is missing.
async fn ledger_as_far_as_known(client: &Client, backup: &str) -> Result<Option<Lines>, Failure> {
    match ledger(client, backup).await {
        Err(failure) if is_refused(&failure) => {
            warn!("what was verified is not known, as the ledger may not be read: {failure}");
            Ok(None)
        }
        Err(failure) if matches!(failure.find::<LedgerError>(), Some(LedgerError::NotInstalled)) => {
            warn!("what was verified is not known: {failure}");
            Ok(None)
        }
        lines => lines.map(Some),
    }
}

/// Whether the API server does not let this user read the ledger, or the namespace whose UID tells which cluster this is.
fn is_refused(failure: &Failure) -> bool {
    let of_cluster = failure.find::<cluster::Error>().and_then(|error| match error {
        cluster::Error::ReadObject { source, .. } => source.code(),
        _ => None,
    });
    let of_ledger = failure.find::<LedgerError>().and_then(|error| match error {
        LedgerError::List { source, .. } => source.code(),
        _ => None,
    });
    matches!(of_cluster.or(of_ledger), Some(401 | 403))
}

async fn open(location: Location) -> Result<Storage, Failure> {
    Ok(Storage::open(location).await?)
}

async fn of_backup(
    client: &Client,
    namespace: &str,
    storage: &StorageOptions,
    name: &str,
) -> Result<Vec<Opened>, Failure> {
    let backups: Api<Backup> = Api::all(client.clone());
    let found = backups.get(name).await.map_err(ApiError::from);
    let backup = found.context(ReadResourceSnafu { kind: "Backup", name })?;
    let policies = Policies::load(client).await?;
    let mut opened = Vec::new();
    for target in targets(&backup, &policies.settings(&backup)) {
        let storage = target.open(client, namespace, storage).await;
        opened.push((Some(target.name), storage));
    }
    Ok(opened)
}

impl PlaceOptions {
    fn location(&self, bucket_name: String) -> Result<StorageLocation, ListError> {
        let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|_| ReadCertificateSnafu { path });
        let s3 = S3Location {
            bucket_name,
            endpoint: self.endpoint.clone(),
            endpoint_ca: self.endpoint_ca.as_ref().map(read).transpose()?,
            region: self.region.clone(),
            folder: self.bucket_folder.clone(),
            ..S3Location::default()
        };
        Ok(StorageLocation { s3: Some(s3) })
    }
}

async fn rows(storage: &Storage, site: Site<'_>, ledger: Option<&Lines>) -> Result<Vec<Row>, Failure> {
    let archives = archives::at(storage).await?;
    let labels = archives::labels(storage, &archives).await?;
    let known = ledger.map(|lines| lines.at(site, |name| storage.path_of(name))).unwrap_or_default();
    let has_no_ledger = ledger.is_some_and(Lines::is_empty);
    let rows = archives.into_iter().zip(labels).map(|(archive, label)| {
        let known = known.get(archive.file.name.as_str()).filter(|known| known.is_verified());
        let verified = Verified::of(&archive, label.as_ref(), known, has_no_ledger);
        row(archive, label, verified)
    });
    Ok(rows.collect())
}

fn row(archive: Archive, label: Option<Label>, verified: Verified) -> Row {
    let time = archive.time().map(rfc3339);
    let (backup, name) = archive.origin.map(|origin| (origin.backup, origin.name)).unzip();
    Row {
        name: archive.file.name,
        backup,
        time,
        bytes: archive.file.bytes,
        verified,
        sha256: label.as_ref().and_then(|label| label.sha256),
        objects: label.and_then(|label| label.objects),
        encrypted: name.as_ref().map(|name| name.is_encrypted),
        cluster_uid: name.map(|name| name.cluster_uid),
    }
}

fn text(out: &mut dyn Write, listed: &[Listed]) -> io::Result<()> {
    for (index, Listed { name, location, archives, error }) in listed.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let name = name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        writeln!(out, "{name}{}", printable(location))?;
        match error {
            Some(error) => writeln!(out, "{}", printable(error))?,
            None if archives.is_empty() => writeln!(out, "no archives")?,
            None => table(out, archives)?,
        }
    }
    Ok(())
}

fn table(out: &mut dyn Write, archives: &[Row]) -> io::Result<()> {
    let mut table = TabWriter::new(out).padding(3);
    writeln!(table, "NAME\tTIME\tBYTES\tVERIFIED\tENCRYPTED\tOBJECTS\tCLUSTER")?;
    for row in archives {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let encrypted = row.encrypted.map(|encrypted| if encrypted { "yes" } else { "no" }.to_owned());
        writeln!(
            table,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}",
            printable(&row.name),
            or_dash(row.time.clone()),
            row.bytes,
            row.verified.word(),
            or_dash(encrypted),
            or_dash(row.objects.map(|objects| objects.to_string())),
            or_dash(row.cluster_uid.clone()),
        )?;
    }
    table.flush()
}

#[cfg(test)]
mod tests {
    use drover::storage::Listed as File;
    use jiff::Timestamp;

    use super::*;

    const UID: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";

    fn found(name: &str, is_bad: bool, label: Option<Label>) -> Row {
        let file = File { name: name.to_owned(), bytes: 1234, modified: Some(Timestamp::UNIX_EPOCH), is_bad };
        let archive = Archive::new(file);
        let verified = Verified::of(&archive, label.as_ref(), None, true);
        row(archive, label, verified)
    }

    #[test]
    fn a_table_says_what_is_known_and_what_is_not() {
        let recorded = Label {
            bytes: 1234,
            sha256: Some([7; 32].into()),
            objects: Some(700),
            lacks_types: false,
            mac: None,
            is_bad: false,
        };
        let encrypted = format!("daily-{UID}-2026-11-22T13-05-22Z.tar.gz.enc");
        let archives = vec![
            found(&encrypted, false, Some(recorded)),
            found(&encrypted, true, None),
            found("a\u{1b}[31m.tar.gz", false, None),
        ];
        let listed = Listed { name: Some("default".into()), location: "s3://b/".into(), archives, error: None };
        let mut out = Vec::new();
        text(&mut out, &[listed]).unwrap();
        let lines: Vec<Vec<String>> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| line.split("   ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect())
            .collect();
        let time = "2026-11-22T13:05:22Z";
        assert_eq!(lines[0], ["default: s3://b/"]);
        assert_eq!(lines[2], [&encrypted, time, "1234", "recorded", "yes", "700", UID]);
        assert_eq!(lines[3], [&encrypted, time, "1234", "BAD", "yes", "-", UID]);
        assert_eq!(lines[4], ["a\\u{1b}[31m.tar.gz", "1970-01-01T00:00:00Z", "1234", "unknown", "-", "-", "-"]);
    }

    #[test]
    fn only_who_may_not_read_the_ledger_does_without_it() {
        let refusal = |code: u16| {
            let status = kube::core::Status { code, ..kube::core::Status::default() };
            ApiError::from(kube::Error::Api(Box::new(status)))
        };
        let of_cluster = |code: u16| {
            Failure::from(cluster::Error::ReadObject { object: "kube-system".into(), source: refusal(code) })
        };
        let of_ledger = |code: u16| Failure::from(LedgerError::List { backup: "daily".into(), source: refusal(code) });
        assert!(is_refused(&of_cluster(403)) && is_refused(&of_ledger(403)) && is_refused(&of_ledger(401)));
        assert!(!is_refused(&of_cluster(503)) && !is_refused(&of_ledger(500)));
        assert!(!is_refused(&Failure::from(LedgerError::NotInstalled)));
    }

    #[test]
    fn a_place_that_cannot_be_read_says_why() {
        let error = Some("failed to list".to_owned());
        let away = Listed { name: Some("far".into()), location: String::new(), archives: Vec::new(), error };
        let empty = Listed { name: None, location: "/backups".into(), archives: Vec::new(), error: None };
        let mut out = Vec::new();
        text(&mut out, &[away, empty]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "far: \nfailed to list\n\n/backups\nno archives\n");
    }
}
