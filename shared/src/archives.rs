//! The archives that lie at a place: by their names, and by what is recorded beside them.

use std::collections::BTreeMap;
use std::fmt::Write;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use snafu::Snafu;

use crate::clock::{self, is_future};
use crate::exit::{Chain, Exit, Fault};
use crate::resources::{Restore, rfc3339};
use crate::runs::{ArchiveName, split_archive_name};
use crate::storage::{self, Label, Listed, Storage};

/// On a Restore of [`LATEST`](crate::resources::LATEST): the Backup of which.
pub const LATEST_OF_ANNOTATION: &str = "drover.dev/latest-of";

/// On such a Restore: the cluster of which, by the UID of its namespace kube-system.
pub const CLUSTER_ANNOTATION: &str = "drover.dev/cluster-uid";

/// The Backup of which a Restore wants the latest archive, where it says one.
#[must_use]
pub fn latest_of(restore: &Restore) -> Option<&str> {
    let annotations = restore.metadata.annotations.as_ref()?;
    annotations.get(LATEST_OF_ANNOTATION).map(|name| name.trim()).filter(|name| !name.is_empty())
}

/// How many archives are asked at once for what is recorded beside them.
const LABELS_AT_ONCE: usize = 8;

/// A file at a place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Archive {
    /// What the listing says of it.
    pub file: Listed,
    /// What its name says, where it is that of an archive.
    pub origin: Option<Origin>,
}

/// What the name of an archive says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Name of the Backup.
    pub backup: String,
    /// The cluster, when, and whether encrypted.
    pub name: ArchiveName,
}

impl Archive {
    /// What a listing says, and what the name does.
    #[must_use]
    pub fn new(file: Listed) -> Self {
        let origin = split_archive_name(&file.name).map(|(backup, name)| Origin { backup: backup.to_owned(), name });
        Self { file, origin }
    }

    /// When it was begun, by its name; else when it was written, where the place tells.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.origin.as_ref().map(|origin| origin.name.time).or(self.file.modified)
    }
}

/// What lies at a place, the newest first. Names alone are read: a few hundred bytes of memory for each.
///
/// # Errors
/// When the place refuses.
pub async fn at(storage: &Storage) -> Result<Vec<Archive>, storage::Error> {
    let mut found: Vec<_> = storage.list().map_ok(Archive::new).try_collect().await?;
    found.sort_by(|one, other| other.time().cmp(&one.time()).then_with(|| one.file.name.cmp(&other.file.name)));
    Ok(found)
}

/// What is recorded beside each of these, in their order; none beside one that has gone meanwhile, or that cannot be looked
/// at, which hides no other.
///
/// # Errors
/// When the place is away.
pub async fn labels(storage: &Storage, archives: &[Archive]) -> Result<Vec<Option<Label>>, storage::Error> {
    let mut asked = Vec::new();
    for archive in archives {
        asked.push(label(storage, &archive.file.name));
    }
    stream::iter(asked).buffered(LABELS_AT_ONCE).try_collect().await
}

async fn label(storage: &Storage, name: &str) -> Result<Option<Label>, storage::Error> {
    match storage.label(name).await {
        Err(error) if error.exit() != Exit::Unavailable => {
            tracing::warn!(name, "{}", Chain(&error));
            Ok(None)
        }
        label => label,
    }
}

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
    /// None of them was verified.
    #[snafu(display(
        "failed to find a verified archive of the Backup {backup:?} at {place}: beside none of the {count} that lie there is \
         a SHA-256 recorded, as drover does, or what they have lacks types that could not be read; name the one to restore in \
         `backupFilename`"
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

/// The name of the newest verified archive of a Backup at a place: one with a recorded SHA-256, which whoever reads it
/// compares, that is not marked as bad, and that lacks no types.
///
/// # Errors
/// When there is none, or there are some of several clusters and `cluster_uid` names none; or when the place refuses.
pub async fn latest(storage: &Storage, backup: &str, cluster_uid: Option<&str>) -> Result<String, LatestError> {
    let mut all = at(storage).await?;
    put_future_last(&mut all, clock::now());
    let place = storage.location().to_string();
    let candidates = candidates(&all, backup, cluster_uid, &place)?;
    let count = candidates.len();
    let asked = candidates.into_iter().map(|archive| async move {
        let label = label(storage, &archive.file.name).await?;
        let is_backup = |label: &Label| is_verified(label) && !label.lacks_types;
        Ok::<_, storage::Error>(label.filter(is_backup).map(|_| archive.file.name.clone()))
    });
    let mut asked = stream::iter(asked).buffered(LABELS_AT_ONCE);
    while let Some(name) = asked.try_next().await? {
        if let Some(name) = name {
            return Ok(name);
        }
    }
    NoneVerifiedSnafu { backup, place, count }.fail()
}

/// Puts archives whose names are of the future behind all others: a clock was wrong, and when they were made is not known.
fn put_future_last(archives: &mut [Archive], now: Timestamp) {
    archives.sort_by_key(|archive| archive.time().is_some_and(|time| is_future(time, now)));
}

/// Whether what is recorded beside an archive says that it was stored whole.
#[must_use]
pub fn is_verified(label: &Label) -> bool {
    label.sha256.is_some() && !label.is_bad
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
            put_future_last(&mut all, now.parse().unwrap());
            let names = candidates(&all, "daily", Some(ONE), "s3://b/").unwrap();
            names.iter().map(|archive| archive.time().unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(latest("2026-11-30T00:00:00Z"), ["2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"]);
        assert_eq!(latest("2026-11-21T12:00:00Z"), ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"]);
        assert_eq!(latest("2026-11-01T00:00:00Z"), ["2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"]);
    }

    #[test]
    fn of_several_clusters_one_has_to_be_named() {
        refused("daily", None, &[ONE, TWO, "(2 archives, the newest of 2026-11-22T00:00:00Z)", CLUSTER_ANNOTATION]);
    }

    #[test]
    fn what_is_not_there_is_said() {
        refused("weekly", None, &["\"weekly\"", "s3://b/", "6 others"]);
        refused("daily", Some("x"), &["of the cluster \"x\""]);
    }
}
