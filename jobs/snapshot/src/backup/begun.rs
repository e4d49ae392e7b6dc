use drover::lease::Version;
use drover::resources::{Backup, BackupRun};
use drover::runs::History;

/// A snapshot that has begun.
pub(crate) struct Begun {
    pub(crate) backup: Backup,
    /// The runs before it.
    pub(crate) history: History,
    pub(crate) run: BackupRun,
    /// The Lease of restores as it was before the first object was read.
    pub(crate) before: Version,
}
