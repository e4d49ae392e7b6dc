use std::fmt;

use serde::{Deserialize, Serialize};

/// What is told to a monitor.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signal {
    /// A run began.
    Start,
    /// The archive is verified in all places, or a Restore is done.
    Success,
    /// Something failed, or a Backup is not fresh.
    Failure,
}

impl Signal {
    /// Every signal.
    pub(crate) const ALL: [Self; 3] = [Self::Start, Self::Success, Self::Failure];

    /// What became of the run, in one word.
    pub(crate) const fn status(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Success => "success",
            Self::Failure => "failed",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Start => "start",
            Self::Success => "success",
            Self::Failure => "failure",
        })
    }
}
