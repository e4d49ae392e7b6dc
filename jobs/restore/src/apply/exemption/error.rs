use drover::api::RequestError;
use drover::exit::{Exit, Fault};
use snafu::Snafu;

use super::condition::NAME;

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

impl ExemptionError {
    /// Whether the server does not answer at all.
    pub(super) fn is_unreachable(&self) -> bool {
        self.request().is_some_and(RequestError::is_unreachable)
    }

    /// What the server said, or that it did not answer.
    const fn request(&self) -> Option<&RequestError> {
        match self {
            Self::AskUser { source }
            | Self::Get { source, .. }
            | Self::List { source, .. }
            | Self::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Fault for ExemptionError {
    fn exit(&self) -> Exit {
        self.request().map_or(Exit::Failure, RequestError::exit)
    }
}
