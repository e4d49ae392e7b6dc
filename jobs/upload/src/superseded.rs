//! Archives that are nowhere any more, and that nobody misses.
//!
//! A place that is away for long gets its copies from a place that has them. Until then retention may have deleted the
//! archive there, as it should; that is no lost backup, and no reason to wake anybody.

use drover::exit::{Chain, Failure};
use drover::ledger::{self, line_name, places_of};
use drover::resources::{BackupArchive, BackupRun, PlaceState};
use drover::runs::{History, parse_archive_name, status_of};
use tracing::warn;

use crate::context::Context;
use crate::transfer;

/// Why nobody misses the archive of a run whose try ended with this failure; none where somebody does, or where it is not
/// gone.
pub(crate) async fn why(
    context: &Context,
    history: &History,
    run: &BackupRun,
    failure: &Failure,
) -> Result<Option<&'static str>, Failure> {
    if !matches!(failure.find::<transfer::Error>(), Some(transfer::Error::ArtifactGone { .. })) {
        return Ok(None);
    }
    if line_of(context, run).await?.is_some_and(|line| is_deleted(&line)) {
        return Ok(Some("its retention has deleted the archive"));
    }
    Ok(has_newer(history, run.spec.number).then_some("a newer archive of this Backup is stored"))
}

/// What the ledger says of a run's archive; nothing where its definition is missing, for no run fails for that.
async fn line_of(context: &Context, run: &BackupRun) -> Result<Option<BackupArchive>, Failure> {
    let (backup, filename) = (&run.spec.backup, &run.spec.filename);
    let Some(name) = parse_archive_name(filename, backup) else { return Ok(None) };
    match context.ledger.find(&line_name(backup, filename, name.time)).await {
        Err(error @ ledger::Error::NotInstalled) => {
            warn!("{}", Chain(&error));
            Ok(None)
        }
        line => Ok(line?),
    }
}

/// Whether drover has deleted an archive wherever it lay.
fn is_deleted(line: &BackupArchive) -> bool {
    let places = places_of(line);
    !places.is_empty() && places.iter().all(|place| place.state == PlaceState::Deleted)
}

/// Whether a place has the archive of a later run, one that lacks no type.
fn has_newer(history: &History, number: i64) -> bool {
    history.last_stored().is_some_and(|run| run.spec.number > number)
}

/// What the run says then: where its archive was, and which places it never reached. `pending` are their names.
pub(crate) fn words(run: &BackupRun, why: &str, pending: &[&str]) -> String {
    let (name, number) = (&run.spec.filename, run.spec.number);
    let places = status_of(run).upload.unwrap_or_default().places;
    let was: Vec<_> = places.iter().filter(|place| place.is_verified()).map(|place| &*place.location).collect();
    let was = if was.is_empty() { String::new() } else { format!(" was, verified, at {}, and", was.join(", ")) };
    let pending = pending.join(", ");
    format!("run {number} is superseded: its artifact is gone, and {why}; {name:?}{was} never reached: {pending}")
}

#[cfg(test)]
mod tests {
    use drover::resources::{
        ArchivePlace, Backup, BackupArchiveSpec, BackupArchiveStatus, BackupRunSpec, BackupRunStatus, BackupSpec,
        Place, SnapshotStage, StageState, Trigger, TriggerKind, UploadStage,
    };
    use uuid::Uuid;

    use super::*;

    /// The second run of a Backup, with the state of its own place and the types that it lacks.
    fn run(state: StageState, missing: &[&str]) -> BackupRun {
        let spec = BackupRunSpec {
            backup: "daily".to_owned(),
            backup_uid: "uid".to_owned(),
            generation: 1,
            id: Uuid::now_v7(),
            number: 2,
            trigger: Trigger { kind: TriggerKind::Person, by: String::new(), job_uid: None, scheduled_for: None },
            started_at: String::new(),
            filename: "a.tar.gz".to_owned(),
        };
        let place = Place {
            name: Place::DEFAULT.to_owned(),
            location: "/backups/a.tar.gz".to_owned(),
            verified_bytes: 1,
            state,
            verified_at: None,
            reason: None,
        };
        let missing_types = missing.iter().map(|name| (*name).to_owned()).collect();
        let mut run = BackupRun::new("daily-2", spec);
        run.status = Some(BackupRunStatus {
            snapshot: Some(SnapshotStage { missing_types, ..SnapshotStage::default() }),
            upload: Some(UploadStage { places: vec![place], ..UploadStage::default() }),
            ..BackupRunStatus::default()
        });
        run
    }

    #[test]
    fn an_archive_is_superseded_by_a_newer_one_that_a_place_has_and_that_lacks_nothing() {
        let check = |newer: BackupRun, number: i64, expected: bool| {
            let mut backup = Backup::new("daily", BackupSpec::default());
            backup.metadata.uid = Some("uid".to_owned());
            assert_eq!(has_newer(&History::of(&backup, [newer]), number), expected, "{number}");
        };
        check(run(StageState::Completed, &[]), 1, true);
        check(run(StageState::Completed, &[]), 2, false);
        check(run(StageState::Failed, &[]), 1, false);
        check(run(StageState::Completed, &["secrets"]), 1, false);
    }

    #[test]
    fn an_archive_is_deleted_that_drover_deleted_everywhere() {
        use PlaceState::{Deleted, Missing, Verified};
        for (states, expected) in
            [(&[Deleted][..], true), (&[], false), (&[Deleted, Verified], false), (&[Deleted, Missing], false)]
        {
            let place = |state: &PlaceState| ArchivePlace { state: *state, ..ArchivePlace::default() };
            let places = states.iter().map(place).collect();
            let mut line = BackupArchive::new("line", spec());
            line.status = Some(BackupArchiveStatus::default().with_places(places));
            assert_eq!(is_deleted(&line), expected, "{states:?}");
        }
    }

    fn spec() -> BackupArchiveSpec {
        BackupArchiveSpec {
            backup: "daily".to_owned(),
            cluster_uid: String::new(),
            filename: "a.tar.gz".to_owned(),
            sha256: String::new(),
            bytes: 1,
            objects: 1,
            taken_at: String::new(),
            stamped_at: None,
            run: String::new(),
            number: 1,
            missing_types: Vec::new(),
        }
    }

    #[test]
    fn what_is_said_names_where_the_archive_was_and_where_it_never_was() {
        let told = words(&run(StageState::Completed, &[]), "why", &["far", "near"]);
        let expected = "run 2 is superseded: its artifact is gone, and why; \"a.tar.gz\" was, verified, at \
                        /backups/a.tar.gz, and never reached: far, near";
        assert_eq!(told, expected);
        let told = words(&run(StageState::Failed, &[]), "why", &["default"]);
        assert!(told.ends_with("; \"a.tar.gz\" never reached: default"), "{told}");
    }
}
