use drover::exit::{Exit, Fault};
use snafu::Snafu;

use super::condition::NAME;
use crate::request::RequestError;

/// Why an exemption is not what it must be.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum ExemptionError {
    /// The server does not say who asks.
    #[snafu(display("failed to see which user the restore runs as"))]
    AskUser {
        /// The cause.
        source: RequestError,
    },
    /// The server sent something else.
    #[snafu(display("failed to read which user the restore runs as"))]
    ReadUser {
        /// The cause.
        source: serde_json::Error,
    },
    /// A configuration cannot be read.
    #[snafu(display("failed to read {plural} {name:?}"))]
    Get {
        /// Its type.
        plural: &'static str,
        /// Its name.
        name: String,
        /// The cause.
        source: RequestError,
    },
    /// All configurations cannot be listed.
    #[snafu(display("failed to list {plural}, and to see whether a restore left the condition {NAME:?} in them"))]
    List {
        /// Their type.
        plural: &'static str,
        /// The cause.
        source: RequestError,
    },
    /// The server sent something else.
    #[snafu(display("failed to read the server's answer about {plural}"))]
    Parse {
        /// The type.
        plural: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
    /// A configuration cannot be written.
    #[snafu(display("failed to {verb} the condition {NAME:?} of {plural} {name:?}"))]
    Write {
        /// What was tried.
        verb: &'static str,
        /// Its type.
        plural: &'static str,
        /// Its name.
        name: String,
        /// The cause.
        source: RequestError,
    },
    /// Others write it all the time.
    #[snafu(display(
        "failed to {verb} the condition {NAME:?} of {plural} {name:?}: somebody else keeps changing it; stop what writes it"
    ))]
    Contended {
        /// What was tried.
        verb: &'static str,
        /// Its type.
        plural: &'static str,
        /// Its name.
        name: String,
    },
}

impl Fault for ExemptionError {
    fn exit(&self) -> Exit {
        match self {
            Self::AskUser { source }
            | Self::Get { source, .. }
            | Self::List { source, .. }
            | Self::Write { source, .. }
                if source.is_unreachable() =>
            {
                Exit::Unavailable
            }
            _ => Exit::Failure,
        }
    }
}
