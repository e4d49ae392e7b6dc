//! One place of a Backup's archives: what lies there, and deleting what has expired.

use std::collections::BTreeMap;

use drover::exit::Failure;
use drover::retention::{Found, Judged, Plan};
use drover::runs::{History, parse_archive_name, status_of};
use drover::storage::{Listed, Removal, Storage};
use futures::{StreamExt, TryStreamExt};
use tracing::info;

use crate::report::{Deletion, Outcome, Retained};

/// How many archives are asked about at once.
const QUESTIONS: usize = 8;

/// How many archives in a row a place may keep before the others are left for the schedule's look: where a policy forbids
/// every deletion, each new archive would else have all the old ones tried again.
const RETAINED_IN_A_ROW: usize = 3;

/// How hard to try to delete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effort {
    /// Every expired archive: on the schedule.
    All,
    /// Until the place has kept a few in a row: after a new archive.
    UntilRetained,
}

/// What the runs of a Backup say about its archives at one place, by file name.
struct Recorded {
    is_verified: bool,
    objects: Option<u64>,
    lacks_types: bool,
}

/// The archives of a Backup at a place, with what is known of each.
pub(crate) async fn look(
    storage: &Storage,
    place: &str,
    backup: &str,
    history: &History,
) -> Result<Vec<Found>, Failure> {
    let recorded = recorded(storage, place, history);
    let listed = storage.list().try_filter(|listed| {
        let is_own = parse_archive_name(&listed.name, backup).is_some();
        std::future::ready(is_own)
    });
    let known = listed.map(|listed| async { known(storage, &recorded, listed?).await });
    let found: Vec<_> = known.buffer_unordered(QUESTIONS).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// What is recorded beside an archive is asked for only where the runs do not tell all. One that is gone by now is none.
async fn known(
    storage: &Storage,
    recorded: &BTreeMap<String, Recorded>,
    listed: Listed,
) -> Result<Option<Found>, drover::storage::Error> {
    let Listed { name, is_bad, .. } = listed;
    let known = recorded.get(&name).filter(|known| known.objects.is_some());
    if let Some(Recorded { is_verified: true, objects, lacks_types }) = known {
        let (objects, lacks_types) = (*objects, *lacks_types);
        return Ok(Some(Found { name, is_verified: true, is_bad, objects, lacks_types }));
    }
    let Some(label) = storage.label(&name).await? else { return Ok(None) };
    let run = recorded.get(&name);
    // In a bucket a digest is announced with the bytes; where a run knows of the archive, only its reading back counts.
    let is_verified = run.map_or(label.sha256.is_some(), |run| run.is_verified);
    let objects = label.objects.or(run.and_then(|run| run.objects));
    let lacks_types = label.lacks_types || run.is_some_and(|run| run.lacks_types);
    Ok(Some(Found { name, is_verified, is_bad: is_bad || label.is_bad, objects, lacks_types }))
}

fn recorded(storage: &Storage, place: &str, history: &History) -> BTreeMap<String, Recorded> {
    let of_run = |run: &drover::resources::BackupRun| {
        let status = status_of(run);
        let places = status.upload.unwrap_or_default().places;
        // A place may have been another bucket then.
        let here = storage.path_of(&run.spec.filename);
        let is_verified =
            places.iter().any(|other| other.name == place && other.is_verified() && other.location == here);
        let lacks_types = status.snapshot.as_ref().is_some_and(|snapshot| !snapshot.missing_types.is_empty());
        let objects = status.snapshot.and_then(|snapshot| u64::try_from(snapshot.objects).ok());
        (run.spec.filename.clone(), Recorded { is_verified, objects, lacks_types })
    };
    history.iter().map(of_run).collect()
}

/// Deletes what has expired, one after the other and the oldest first. What the place keeps is noted and no failure.
pub(crate) async fn delete(
    storage: &Storage,
    place: &str,
    plan: &Plan,
    effort: Effort,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    outcome.kept += plan.kept() as u64;
    let mut in_a_row = 0;
    for (archive, reason) in plan.expired() {
        if effort == Effort::UntilRetained && in_a_row == RETAINED_IN_A_ROW {
            outcome.left += 1;
            continue;
        }
        let Judged { name, .. } = archive;
        let place = place.to_owned();
        match storage.remove(name).await? {
            Removal::Retained { until, reason } => {
                info!(place, archive = name, until = until.map(tracing::field::display), "retained: {reason}");
                in_a_row += 1;
                outcome.retained.push(Retained { name: name.clone(), place, until, reason });
            }
            Removal::Gone => {}
            removal @ (Removal::Removed | Removal::Marked) => {
                info!(place, archive = name, reason = %reason, "{removal}");
                in_a_row = 0;
                let reason = format!("{reason} ({removal})");
                outcome.deleted.push(Deletion { name: name.clone(), place, reason });
            }
        }
    }
    Ok(())
}
