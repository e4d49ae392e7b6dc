//! Which archive of a Backup is its latest at a place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use snafu::Snafu;

use super::{Archive, CLUSTER_ANNOTATION, LABELS_AT_ONCE, Origin, at, is_verified, label};
use crate::clock::{self, is_future};
use crate::exit::{Exit, Fault};
use crate::ledger::{Known, Lines, Site};
use crate::resources::rfc3339;
use crate::storage::{self, Label, Storage};

/// Why there is no latest archive.
#[derive(Debug, Snafu)]
pub enum LatestError {
    /// The place refuses.
    #[snafu(transparent)]
    Look {
        /// Why.
        source: storage::Error,
    },
    /// There is none.
    #[snafu(display(
        "failed to find an archive of the Backup {backup:?}{of_cluster} at {place}, where {others} others lie; `restore list` \
         shows them"
    ))]
    None {
        /// The Backup.
        backup: String,
        /// The cluster that was asked for, in words.
        of_cluster: String,
        /// The place.
        place: String,
        /// How many other files lie there.
        others: usize,
    },
    /// There are some of several clusters.
    #[snafu(display(
        "failed to choose the latest archive of the Backup {backup:?} at {place}: archives of several clusters lie there: \
         {clusters}. Say which in the annotation {CLUSTER_ANNOTATION}"
    ))]
    SeveralClusters {
        /// The Backup.
        backup: String,
        /// The place.
        place: String,
        /// Each cluster with the number of its archives and the newest one's time.
        clusters: String,
    },
    /// There are newer ones than drover stored.
    #[snafu(display(
        "failed to choose the latest archive of the Backup {backup:?} at {place}: {newest:?} is the newest that drover's \
         ledger has; newer there and not in it: {count}, the newest {unknown:?}; name the one to restore in `backupFilename`"
    ))]
    NewerUnknown {
        /// The Backup.
        backup: String,
        /// The place.
        place: String,
        /// The newest archive of the ledger.
        newest: String,
        /// The newest of the others.
        unknown: String,
        /// How many others there are.
        count: usize,
    },
    /// None of them was verified.
    #[snafu(display(
        "failed to find a verified archive of the Backup {backup:?} at {place}: none of the archives there ({count}) is: not in \
         the ledger with its size, no SHA-256 beside it, or lacking types; name the one to restore in `backupFilename`"
    ))]
    NoneVerified {
        /// The Backup.
        backup: String,
        /// The place.
        place: String,
        /// How many there are.
        count: usize,
    },
}

impl Fault for LatestError {
    fn exit(&self) -> Exit {
        match self {
            Self::Look { source } => source.exit(),
            _ => Exit::Usage,
        }
    }
}

/// The name of the newest verified archive of a Backup at a place, which is not marked as bad and lacks no types. Where the
/// ledger knows archives there it is one of them, with the size of then: whatever else lies there anybody may have put there.
/// Else it is one with a recorded SHA-256, which whoever reads it compares.
///
/// # Errors
/// When there is none, or there are some of several clusters and `cluster_uid` names none; or when the place refuses.
pub async fn latest(
    storage: &Storage,
    backup: &str,
    cluster_uid: Option<&str>,
    ledger: &Lines,
) -> Result<String, LatestError> {
    let mut all = at(storage).await?;
    put_future_last(&mut all, &ledger.ahead(), clock::now());
    let place = storage.location().to_string();
    let candidates = candidates(&all, backup, cluster_uid, &place)?;
    let count = candidates.len();
    let known = ledger.at(Site::default(), |name| storage.path_of(name));
    if let Some(choice) = Choice::of(&candidates, &known) {
        return of_ledger(storage, backup, choice, count).await;
    }
    let asked = candidates.into_iter().map(|archive| async move {
        let label = label(storage, &archive.file.name).await?;
        Ok::<_, storage::Error>(label.filter(passes_for_backup).map(|_| archive.file.name.clone()))
    });
    let mut asked = stream::iter(asked).buffered(LABELS_AT_ONCE);
    while let Some(name) = asked.try_next().await? {
        if let Some(name) = name {
            return Ok(name);
        }
    }
    NoneVerifiedSnafu { backup, place, count }.fail()
}

/// Puts archives whose names are of the future, or were when they were made, behind all others: a clock was wrong.
fn put_future_last(archives: &mut [Archive], ahead: &BTreeSet<String>, now: Timestamp) {
    let is_of_future = |archive: &Archive| archive.time().is_some_and(|time| is_future(time, now));
    archives.sort_by_key(|archive| is_of_future(archive) || ahead.contains(&archive.file.name));
}

/// What the ledger says of the archives at a place.
#[derive(Debug, Eq, PartialEq)]
struct Choice<'a> {
    /// The newest that is whole and as it was.
    newest: Option<&'a str>,
    /// Newer ones that drover did not store.
    unknown: Vec<&'a str>,
}

impl<'a> Choice<'a> {
    /// None where the ledger knows none of these, which are newest first.
    fn of(candidates: &[&'a Archive], known: &BTreeMap<&str, Known<'_>>) -> Option<Self> {
        let known_as = |archive: &Archive| known.get(archive.file.name.as_str()).filter(|known| known.is_verified());
        if !candidates.iter().any(|archive| known_as(archive).is_some()) {
            return None;
        }
        let is_good = |archive: &Archive| {
            known_as(archive).is_some_and(|known| known.bytes() == archive.file.bytes && !known.lacks_types())
        };
        let at = candidates.iter().position(|archive| is_good(archive));
        let newer = &candidates[..at.unwrap_or(candidates.len())];
        let unknown = newer.iter().filter(|archive| known_as(archive).is_none());
        let unknown = unknown.map(|archive| archive.file.name.as_str()).collect();
        Some(Self { newest: at.map(|at| candidates[at].file.name.as_str()), unknown })
    }
}

/// The newest archive of the ledger, unless newer ones lie there that pass for backups: a cluster that was set back knows
/// nothing of those that it made since, and neither does one of those of its copy. Only a person can tell.
async fn of_ledger(storage: &Storage, backup: &str, choice: Choice<'_>, count: usize) -> Result<String, LatestError> {
    let place = storage.location().to_string();
    let Some(newest) = choice.newest else { return NoneVerifiedSnafu { backup, place, count }.fail() };
    let asked = choice.unknown.into_iter().map(|name| async move {
        Ok::<_, storage::Error>(label(storage, name).await?.filter(passes_for_backup).map(|_| name))
    });
    let asked: Vec<_> = asked.collect();
    let labelled: Vec<_> = stream::iter(asked).buffered(LABELS_AT_ONCE).try_collect().await?;
    let labelled: Vec<_> = labelled.into_iter().flatten().collect();
    match labelled.first() {
        None => Ok(newest.to_owned()),
        Some(unknown) => NewerUnknownSnafu { backup, place, newest, unknown: *unknown, count: labelled.len() }.fail(),
    }
}

/// Whether what is recorded beside an archive says that it was stored whole and lacks no types.
fn passes_for_backup(label: &Label) -> bool {
    is_verified(label) && !label.lacks_types
}

/// The archives of a Backup, in the order given, of the one cluster that there are some of or that is named.
fn candidates<'a>(
    all: &'a [Archive],
    backup: &str,
    cluster_uid: Option<&str>,
    place: &str,
) -> Result<Vec<&'a Archive>, LatestError> {
    let mut clusters: BTreeMap<&str, Vec<&Archive>> = BTreeMap::new();
    for archive in all.iter().filter(|archive| !archive.file.is_bad) {
        if let Some(Origin { name, .. }) = archive.origin.as_ref().filter(|origin| origin.backup == backup) {
            let is_wanted = cluster_uid.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&name.cluster_uid));
            if is_wanted {
                clusters.entry(&name.cluster_uid).or_default().push(archive);
            }
        }
    }
    if clusters.len() > 1 {
        return SeveralClustersSnafu { backup, place, clusters: told(&clusters) }.fail();
    }
    let of_cluster = cluster_uid.map(|uid| format!(" of the cluster {uid:?}")).unwrap_or_default();
    clusters.into_values().next().ok_or_else(|| NoneSnafu { backup, of_cluster, place, others: all.len() }.build())
}

fn told(clusters: &BTreeMap<&str, Vec<&Archive>>) -> String {
    let mut text = String::new();
    for (uid, archives) in clusters {
        let newest = archives.first().and_then(|archive| archive.time()).map(rfc3339).unwrap_or_default();
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{uid} ({} archives, the newest of {newest})", archives.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{ArchivePlace, BackupArchive, BackupArchiveSpec, PlaceState};
    use crate::storage::Listed;

    const ONE: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";
    const TWO: &str = "11111111-6c77-43ec-9323-d6191e5ef67b";

    fn archive(name: &str) -> Archive {
        Archive::new(Listed { name: name.to_owned(), bytes: 1, modified: None, is_bad: false })
    }

    fn some() -> Vec<Archive> {
        vec![
            archive(&format!("daily-{TWO}-2026-11-24T00-00-00Z.tar.gz")),
            archive(&format!("rancher-daily-{ONE}-2026-11-23T00-00-00Z.tar.gz")),
            Archive {
                file: Listed { is_bad: true, ..archive("x").file },
                ..archive(&format!("daily-{ONE}-2026-11-23T00-00-00Z.tar.gz"))
            },
            archive(&format!("daily-{ONE}-2026-11-22T00-00-00Z.tar.gz.enc")),
            archive(&format!("daily-{ONE}-2026-11-21T00-00-00Z.tar.gz")),
            archive("notes.txt"),
        ]
    }

    #[track_caller]
    fn refused(backup: &str, cluster_uid: Option<&str>, words: &[&str]) {
        let error = candidates(&some(), backup, cluster_uid, "s3://b/").unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }

    #[test]
    fn only_good_archives_of_the_one_cluster_are_candidates() {
        let all = some();
        let found = candidates(&all, "daily", Some(ONE), "s3://b/").unwrap();
        let times: Vec<_> = found.iter().map(|archive| archive.time().unwrap().to_string()).collect();
        assert_eq!(times, ["2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"]);
        assert_eq!(candidates(&all, "rancher-daily", None, "s3://b/").unwrap().len(), 1);
    }

    #[test]
    fn a_name_in_the_future_is_the_latest_only_where_there_is_no_other() {
        let latest = |now: &str| {
            let mut all = some();
            put_future_last(&mut all, &BTreeSet::new(), now.parse().unwrap());
            let names = candidates(&all, "daily", Some(ONE), "s3://b/").unwrap();
            names.iter().map(|archive| archive.time().unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(latest("2026-11-30T00:00:00Z"), ["2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"]);
        assert_eq!(latest("2026-11-21T12:00:00Z"), ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"]);
        assert_eq!(latest("2026-11-01T00:00:00Z"), ["2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"]);
    }

    #[test]
    fn a_name_that_was_ahead_is_behind_the_others_also_once_its_time_has_come() {
        let mut all = some();
        let ahead = BTreeSet::from([format!("daily-{ONE}-2026-11-22T00-00-00Z.tar.gz.enc")]);
        put_future_last(&mut all, &ahead, "2026-11-30T00:00:00Z".parse().unwrap());
        let names = candidates(&all, "daily", Some(ONE), "s3://b/").unwrap();
        let times: Vec<_> = names.iter().map(|archive| archive.time().unwrap().to_string()).collect();
        assert_eq!(times, ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"]);
    }

    #[test]
    fn of_several_clusters_one_has_to_be_named() {
        refused("daily", None, &[ONE, TWO, "(2 archives, the newest of 2026-11-22T00:00:00Z)", CLUSTER_ANNOTATION]);
    }

    /// Archives of one Backup, newest first: each with its bytes, and with what the ledger has of it: bytes and state.
    #[track_caller]
    fn chooses(archives: &[(u64, Option<(i64, PlaceState)>)], expected: Option<(Option<usize>, &[usize])>) {
        let name = |at: usize| format!("{at}.tar.gz");
        let file = |(at, (bytes, _)): (usize, &(u64, _))| {
            Archive::new(Listed { name: name(at), bytes: *bytes, modified: None, is_bad: false })
        };
        let files: Vec<_> = archives.iter().enumerate().map(file).collect();
        let line = |bytes: i64| BackupArchive::new("a", BackupArchiveSpec { bytes, ..BackupArchiveSpec::default() });
        let place = |state| ArchivePlace { state, ..ArchivePlace::default() };
        let lines: Vec<_> =
            archives.iter().map(|(_, known)| known.map(|(bytes, state)| (line(bytes), place(state)))).collect();
        let known = files.iter().zip(&lines).filter_map(|(file, line)| {
            let (archive, place) = line.as_ref()?;
            Some((file.file.name.as_str(), Known { archive, place }))
        });
        let candidates: Vec<_> = files.iter().collect();
        let choice = Choice::of(&candidates, &known.collect());
        let expected =
            expected.map(|(newest, unknown)| (newest.map(name), unknown.iter().map(|at| name(*at)).collect()));
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let choice = choice.map(|choice| (choice.newest.map(str::to_owned), owned(choice.unknown)));
        assert_eq!(choice, expected);
    }

    #[test]
    fn the_latest_is_the_newest_of_the_ledger_that_is_as_it_was() {
        use PlaceState::{Deleted, Verified};
        chooses(&[(9, None), (9, None)], None);
        chooses(&[(9, Some((9, Deleted))), (9, None)], None);
        chooses(&[(9, Some((9, Verified))), (9, None)], Some((Some(0), &[])));
        chooses(&[(8, Some((9, Verified))), (9, Some((9, Verified)))], Some((Some(1), &[])));
        chooses(&[(8, Some((9, Verified)))], Some((None, &[])));
        chooses(&[(9, None), (9, Some((9, Deleted))), (9, Some((9, Verified))), (9, None)], Some((Some(2), &[0, 1])));
    }

    #[test]
    fn what_is_not_there_is_said() {
        refused("weekly", None, &["\"weekly\"", "s3://b/", "6 others"]);
        refused("daily", Some("x"), &["of the cluster \"x\""]);
    }
}
