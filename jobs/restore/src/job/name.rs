//! The job's name.

/// The job's name, and its field manager.
pub(crate) const JOB: &str = drover::job::name::RESTORE;
