//! What became of an archive that was to be removed.

use std::fmt;

use jiff::Timestamp;

/// What became of an archive that was to be removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Removal {
    /// Its bytes are gone.
    Removed,
    /// The bucket keeps its versions: a delete marker hides it, and the bucket's own rules decide when the bytes go.
    Marked,
    /// It was not there.
    Gone,
    /// The place keeps it; that is the place's right and no failure.
    Retained {
        /// Until when, where the place tells.
        until: Option<Timestamp>,
        /// What keeps it, for people.
        reason: String,
    },
}

impl fmt::Display for Removal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => formatter.write_str("removed"),
            Self::Marked => formatter.write_str("hidden by a delete marker"),
            Self::Gone => formatter.write_str("was not there"),
            Self::Retained { until: Some(until), reason } => write!(formatter, "retained until {until}: {reason}"),
            Self::Retained { until: None, reason } => write!(formatter, "retained: {reason}"),
        }
    }
}
