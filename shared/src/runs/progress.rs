//! How far a run has come, by its status.

use crate::resources::{BackupRun, Place, RunState, SnapshotStage, StageState};

/// Whether a run's archive is stored and verified, and lacks no type.
pub(super) fn is_backup(run: &BackupRun) -> bool {
    state(run) == RunState::Completed && lacks_no_type(run)
}

/// Whether a run's archive was verified at a place, though perhaps not at all of them.
pub(super) fn is_stored(run: &BackupRun) -> bool {
    let upload = run.status.as_ref().and_then(|status| status.upload.as_ref());
    let lies_somewhere = upload.is_some_and(|upload| upload.places.iter().any(Place::is_verified));
    state(run) == RunState::Completed || lies_somewhere
}

/// Whether a run's archive lacks no type that could not be read.
pub(super) fn lacks_no_type(run: &BackupRun) -> bool {
    let snapshot = run.status.as_ref().and_then(|status| status.snapshot.as_ref());
    snapshot.is_none_or(|snapshot| snapshot.missing_types.is_empty())
}

pub(super) fn state(run: &BackupRun) -> RunState {
    run.status.as_ref().map(|status| status.state).unwrap_or_default()
}

pub(super) fn snapshot(run: &BackupRun) -> Option<&SnapshotStage> {
    run.status.as_ref()?.snapshot.as_ref()
}

fn has_snapshot(run: &BackupRun) -> bool {
    snapshot(run).is_some_and(|stage| stage.state == StageState::Completed)
}

/// Whether there is an archive of the run, or will be: one that was refused in the end is none.
pub(super) fn has_archive(run: &BackupRun) -> bool {
    has_snapshot(run) && state(run) != RunState::Failed
}

/// Whether a run's snapshot is done and its upload is not, so that it needs a message.
#[must_use]
pub fn is_awaiting_upload(run: &BackupRun) -> bool {
    !state(run).is_final() && has_snapshot(run)
}

/// Whether a run says what its snapshot counted. One of an earlier version does not.
pub(super) fn has_counted(run: &BackupRun) -> bool {
    let snapshot = run.status.as_ref().and_then(|status| status.snapshot.as_ref());
    snapshot.is_some_and(|snapshot| !snapshot.types.is_empty() || !snapshot.losses.is_empty())
}
