//! How often and how long a write is tried.

use std::time::Duration;

/// How often an object that somebody else keeps changing is read and replaced again.
pub(crate) const CONFLICTS: u32 = 5;
/// How long an object that is deleted to be created again may take to go.
pub(crate) const GONE_WITHIN: Duration = Duration::from_mins(1);
