use drover::artifacts::Put;
use drover::resources::{BackupRun, SnapshotStage};
use drover::runs::{Encryption, Wholeness, status_of};

/// A snapshot that lies in the object store, whole.
pub(crate) struct Taken {
    pub(crate) put: Put,
    pub(crate) encryption: Encryption,
    pub(crate) wholeness: Wholeness,
    /// What the run's record says of it.
    pub(crate) stage: SnapshotStage,
}

/// What a run's record says of its snapshot.
pub(crate) fn stage_of(run: &BackupRun) -> SnapshotStage {
    status_of(run).snapshot.unwrap_or_default()
}
