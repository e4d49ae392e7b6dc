use drover::exit::{Exit, Fault};
use snafu::Snafu;

use super::condition::NAME;
use crate::request::RequestError;

/// Why an exemption is not what it must be.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum ExemptionError {
    #[snafu(display("failed to see which user the restore runs as"))]
    AskUser { source: RequestError },
    #[snafu(display("failed to read which user the restore runs as"))]
    ReadUser { source: serde_json::Error },
    #[snafu(display("failed to read {plural} {name:?}"))]
    Get { plural: &'static str, name: String, source: RequestError },
    #[snafu(display("failed to list {plural}, and to see whether a restore left the condition {NAME:?} in them"))]
    List { plural: &'static str, source: RequestError },
    #[snafu(display("failed to read the server's answer about {plural}"))]
    Parse { plural: &'static str, source: serde_json::Error },
    #[snafu(display("failed to {verb} the condition {NAME:?} of {plural} {name:?}"))]
    Write { verb: &'static str, plural: &'static str, name: String, source: RequestError },
    #[snafu(display(
        "failed to {verb} the condition {NAME:?} of {plural} {name:?}: somebody else keeps changing it; stop what writes it"
    ))]
    Contended { verb: &'static str, plural: &'static str, name: String },
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
