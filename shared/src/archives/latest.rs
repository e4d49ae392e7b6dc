//! Which archive of a Backup is its latest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::future::ready;
use std::pin::pin;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use snafu::{OptionExt, Snafu};

use super::stored::{Archive, LABELS_AT_ONCE, Origin, at, is_verified, label, newest_first};
use crate::annotations::CLUSTER_ANNOTATION;
use crate::clock::{self, is_future};
use crate::exit::{Exit, Fault};
use crate::ledger::{Known, Lines, Site};
use crate::resources::rfc3339;
use crate::storage::{self, Label, Storage};

/// Why there is no latest archive.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum LatestError {
    #[snafu(transparent)]
    Look { source: storage::Error },
    #[snafu(display(
        "failed to find an archive of the Backup {backup:?}{of_cluster} at {place}, where {others} others lie; `restore list` \
         shows them"
    ))]
    None {
        backup: String,
        /// The cluster that was asked for, in words.
        of_cluster: String,
        place: String,
        others: usize,
    },
    #[snafu(display(
        "failed to choose the latest archive of the Backup {backup:?} at {place}: archives of several clusters lie there: \
         {clusters}. Say which in the annotation {CLUSTER_ANNOTATION}"
    ))]
    SeveralClusters {
        backup: String,
        place: String,
        /// Each cluster with the number of its archives and the newest one's time.
        clusters: String,
    },
    #[snafu(display(
        "failed to choose the latest archive of the Backup {backup:?} at {place}: {newest:?} is the newest that drover's \
         ledger has; newer there and not in it: {count}, the newest {unknown:?}; name the one to restore in `backupFilename`"
    ))]
    NewerUnknown { backup: String, place: String, newest: String, unknown: String, count: usize },
    #[snafu(display(
        "failed to find a verified archive of the Backup {backup:?} at {place}: none of the archives there ({count}) is: not in \
         the ledger with its size, no SHA-256 beside it, or lacking types; name the one to restore in `backupFilename`"
    ))]
    NoneVerified { backup: String, place: String, count: usize },
}

impl Fault for LatestError {
    fn exit(&self) -> Exit {
        match self {
            Self::Look { source } => source.exit(),
            _ => Exit::Usage,
        }
    }
}

/// The archive that was chosen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Latest {
    /// Its place, counted from 0 among those that were looked at.
    pub place: usize,
    /// Its file name.
    pub filename: String,
}

/// An archive at one of the places.
#[derive(Debug)]
struct Found {
    place: usize,
    archive: Archive,
}

impl Found {
    fn name(&self) -> &str {
        &self.archive.file.name
    }

    fn chosen(&self) -> Latest {
        Latest { place: self.place, filename: self.name().to_owned() }
    }
}

/// The newest verified archive of a Backup at any of these places, which is not marked as bad and lacks no types; of its
/// copies the one at the first of the places. Where the ledger knows archives there it is one of them, with the size of then:
/// whatever else lies there anybody may have put there. Else it is one with a recorded SHA-256, which whoever reads it
/// compares.
///
/// # Errors
/// When there is none, or there are some of several clusters and `cluster_uid` names none; or when a place refuses.
pub async fn latest(
    places: &[Storage],
    backup: &str,
    cluster_uid: Option<&str>,
    ledger: &Lines,
) -> Result<Latest, LatestError> {
    let mut all = found(places).await?;
    put_future_last(&mut all, &ledger.ahead(), clock::now());
    let place = places.iter().map(|storage| storage.location().to_string()).collect::<Vec<_>>().join(", ");
    let candidates = candidates(&all, backup, cluster_uid, &place)?;
    let count = candidates.len();
    let known: Vec<_> = places.iter().map(|storage| ledger.at(Site::default(), |name| storage.path_of(name))).collect();
    let Some(Choice { newest, unknown }) = Choice::of(&candidates, &known) else {
        let labelled = first_labelled(places, candidates).await?;
        return labelled.context(NoneVerifiedSnafu { backup, place, count });
    };
    let newest = newest.context(NoneVerifiedSnafu { backup, place: &place, count })?;
    // A cluster that was set back knows nothing of the archives that it made since, and neither does one of those of its copy.
    // Only a person can tell whether newer ones that pass for backups are meant.
    let labelled = labelled(places, unknown).await?;
    match labelled.first() {
        None => Ok(newest.chosen()),
        Some(first) => {
            let (newest, unknown) = (newest.name(), first.name());
            NewerUnknownSnafu { backup, place, newest, unknown, count: labelled.len() }.fail()
        }
    }
}

/// What lies at all of the places, newest first, and the copies of one in the order of the places.
async fn found(places: &[Storage]) -> Result<Vec<Found>, storage::Error> {
    let mut all = Vec::new();
    for (place, storage) in places.iter().enumerate() {
        all.extend(at(storage).await?.into_iter().map(|archive| Found { place, archive }));
    }
    all.sort_by(|one, other| newest_first(&one.archive, &other.archive));
    Ok(all)
}

/// The first of these beside which it is recorded that it passes for a backup.
async fn first_labelled(places: &[Storage], found: Vec<&Found>) -> Result<Option<Latest>, storage::Error> {
    let asked: Vec<_> = found.into_iter().map(|found| passing(places, found)).collect();
    let passing = stream::iter(asked).buffered(LABELS_AT_ONCE).try_filter_map(|found| ready(Ok(found)));
    Ok(pin!(passing).try_next().await?.map(Found::chosen))
}

/// All of these beside which it is recorded that they pass for a backup.
async fn labelled<'a>(places: &[Storage], found: Vec<&'a Found>) -> Result<Vec<&'a Found>, storage::Error> {
    let asked: Vec<_> = found.into_iter().map(|found| passing(places, found)).collect();
    let passing: Vec<_> = stream::iter(asked).buffered(LABELS_AT_ONCE).try_collect().await?;
    Ok(passing.into_iter().flatten().collect())
}

async fn passing<'a>(places: &[Storage], found: &'a Found) -> Result<Option<&'a Found>, storage::Error> {
    let label = label(&places[found.place], found.name()).await?;
    Ok(label.filter(passes_for_backup).map(|_| found))
}

/// Puts archives whose names are of the future, or were when they were made, behind all others: a clock was wrong.
fn put_future_last(all: &mut [Found], ahead: &BTreeSet<String>, now: Timestamp) {
    let is_of_future = |found: &Found| found.archive.time().is_some_and(|time| is_future(time, now));
    all.sort_by_key(|found| is_of_future(found) || ahead.contains(found.name()));
}

/// What the ledger says of the archives at the places.
#[derive(Debug)]
struct Choice<'a> {
    /// The newest that is whole and as it was.
    newest: Option<&'a Found>,
    /// Newer ones that drover did not store.
    unknown: Vec<&'a Found>,
}

impl<'a> Choice<'a> {
    /// None where the ledger knows none of these, which are newest first; `known` is what it says of each place.
    fn of(candidates: &[&'a Found], known: &[BTreeMap<&str, Known<'_>>]) -> Option<Self> {
        let at = |place: usize, name: &str| known.get(place)?.get(name).filter(|known| known.is_verified());
        let is_known = |found: &Found| (0..known.len()).any(|place| at(place, found.name()).is_some());
        let is_good = |found: &Found| {
            let here = at(found.place, found.name());
            here.is_some_and(|known| known.bytes() == found.archive.file.bytes && !known.lacks_types())
        };
        if !candidates.iter().any(|found| is_known(found)) {
            return None;
        }
        let place = candidates.iter().position(|found| is_good(found));
        let newer = &candidates[..place.unwrap_or(candidates.len())];
        // A copy that the ledger does not have here is none of somebody else where it has the archive elsewhere.
        let unknown = newer.iter().filter(|found| !is_known(found)).copied().collect();
        Some(Self { newest: place.map(|place| candidates[place]), unknown })
    }
}

/// Whether what is recorded beside an archive says that it was stored whole and lacks no types.
fn passes_for_backup(label: &Label) -> bool {
    is_verified(label) && !label.lacks_types
}

/// The archives of a Backup, in the order given, of the one cluster that there are some of or that is named.
fn candidates<'a>(
    all: &'a [Found],
    backup: &str,
    cluster_uid: Option<&str>,
    place: &str,
) -> Result<Vec<&'a Found>, LatestError> {
    let mut clusters: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
    for found in all.iter().filter(|found| !found.archive.file.is_bad) {
        if let Some(Origin { name, .. }) = found.archive.origin.as_ref().filter(|origin| origin.backup == backup) {
            let is_wanted = cluster_uid.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&name.cluster_uid));
            if is_wanted {
                clusters.entry(&name.cluster_uid).or_default().push(found);
            }
        }
    }
    if clusters.len() > 1 {
        return SeveralClustersSnafu { backup, place, clusters: told(&clusters) }.fail();
    }
    let of_cluster = cluster_uid.map(|uid| format!(" of the cluster {uid:?}")).unwrap_or_default();
    clusters.into_values().next().ok_or_else(|| NoneSnafu { backup, of_cluster, place, others: all.len() }.build())
}

fn told(clusters: &BTreeMap<&str, Vec<&Found>>) -> String {
    let mut text = String::new();
    for (uid, archives) in clusters {
        let newest = archives.first().and_then(|found| found.archive.time()).map(rfc3339).unwrap_or_default();
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

    fn archive(name: &str) -> Found {
        let file = Listed { name: name.to_owned(), bytes: 1, modified: None, is_bad: false };
        Found { place: 0, archive: Archive::new(file) }
    }

    fn some() -> Vec<Found> {
        let mut bad = archive(&format!("daily-{ONE}-2026-11-23T00-00-00Z.tar.gz"));
        bad.archive.file.is_bad = true;
        vec![
            archive(&format!("daily-{TWO}-2026-11-24T00-00-00Z.tar.gz")),
            archive(&format!("rancher-daily-{ONE}-2026-11-23T00-00-00Z.tar.gz")),
            bad,
            archive(&format!("daily-{ONE}-2026-11-22T00-00-00Z.tar.gz.enc")),
            archive(&format!("daily-{ONE}-2026-11-21T00-00-00Z.tar.gz")),
            archive("notes.txt"),
        ]
    }

    fn times(found: &[&Found]) -> Vec<String> {
        found.iter().map(|found| found.archive.time().unwrap().to_string()).collect()
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
        assert_eq!(times(&found), ["2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"]);
        assert_eq!(candidates(&all, "rancher-daily", None, "s3://b/").unwrap().len(), 1);
    }

    #[test]
    fn a_name_in_the_future_is_the_latest_only_where_there_is_no_other() {
        let latest = |now: &str| {
            let mut all = some();
            put_future_last(&mut all, &BTreeSet::new(), now.parse().unwrap());
            times(&candidates(&all, "daily", Some(ONE), "s3://b/").unwrap())
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
        let found = candidates(&all, "daily", Some(ONE), "s3://b/").unwrap();
        assert_eq!(times(&found), ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"]);
    }

    #[test]
    fn of_several_clusters_one_has_to_be_named() {
        refused("daily", None, &[ONE, TWO, "(2 archives, the newest of 2026-11-22T00:00:00Z)", CLUSTER_ANNOTATION]);
    }

    /// A copy of an archive: its place, its name, its bytes, and what the ledger has of it there: bytes and state.
    type Copied = (usize, &'static str, u64, Option<(i64, PlaceState)>);

    /// Copies, newest first, at two places; expected is the number of the one that is chosen, and of those that nobody knows.
    #[track_caller]
    fn chooses(copies: &[Copied], expected: Option<(Option<usize>, &[usize])>) {
        let file = |(place, name, bytes, _): &Copied| {
            let file = Listed { name: (*name).to_owned(), bytes: *bytes, modified: None, is_bad: false };
            Found { place: *place, archive: Archive::new(file) }
        };
        let found: Vec<_> = copies.iter().map(file).collect();
        let line = |bytes: i64| BackupArchive::new("a", BackupArchiveSpec { bytes, ..BackupArchiveSpec::default() });
        let place = |state| ArchivePlace { state, ..ArchivePlace::default() };
        let lines: Vec<_> =
            copies.iter().map(|(.., known)| known.map(|(bytes, state)| (line(bytes), place(state)))).collect();
        let known = [0, 1].map(|at| {
            let here = copies.iter().zip(&lines).filter(|((place, ..), _)| *place == at);
            here.filter_map(|((_, name, ..), line)| {
                let (archive, place) = line.as_ref()?;
                Some((*name, Known { archive, place }))
            })
            .collect::<BTreeMap<_, _>>()
        });
        let candidates: Vec<_> = found.iter().collect();
        let number = |of: &Found| found.iter().position(|found| std::ptr::eq(found, of)).unwrap();
        let choice = Choice::of(&candidates, &known);
        let choice = choice.map(|choice| {
            let unknown: Vec<_> = choice.unknown.into_iter().map(number).collect();
            (choice.newest.map(number), unknown)
        });
        assert_eq!(choice, expected.map(|(newest, unknown)| (newest, unknown.to_vec())), "{copies:?}");
    }

    #[test]
    fn the_latest_is_the_newest_of_the_ledger_that_is_as_it_was() {
        use PlaceState::{Deleted, Verified};
        let (good, gone) = (Some((9, Verified)), Some((9, Deleted)));
        chooses(&[(0, "b", 9, None), (0, "a", 9, None)], None);
        chooses(&[(0, "b", 9, gone), (0, "a", 9, None)], None);
        chooses(&[(0, "b", 9, good), (0, "a", 9, None)], Some((Some(0), &[])));
        chooses(&[(0, "b", 8, good), (0, "a", 9, good)], Some((Some(1), &[])));
        chooses(&[(0, "b", 8, good)], Some((None, &[])));
        let newer = [(0, "d", 9, None), (0, "c", 9, gone), (0, "b", 9, good), (0, "a", 9, None)];
        chooses(&newer, Some((Some(2), &[0, 1])));
    }

    #[test]
    fn the_latest_is_the_newest_of_all_places() {
        use PlaceState::Verified;
        let good = Some((9, Verified));
        chooses(&[(1, "b", 9, good), (0, "a", 9, good)], Some((Some(0), &[])));
        chooses(&[(0, "b", 9, good), (1, "b", 9, good)], Some((Some(0), &[])));
        // A copy that is damaged, and one that the ledger knows only elsewhere.
        chooses(&[(0, "b", 8, good), (1, "b", 9, good)], Some((Some(1), &[])));
        chooses(&[(0, "b", 9, None), (1, "b", 9, good)], Some((Some(1), &[])));
        // Nobody knows what lies at the other place, which is newer.
        chooses(&[(1, "c", 9, None), (0, "b", 9, good)], Some((Some(1), &[0])));
    }

    #[test]
    fn what_is_not_there_is_said() {
        refused("weekly", None, &["\"weekly\"", "s3://b/", "6 others"]);
        refused("daily", Some("x"), &["of the cluster \"x\""]);
    }
}
