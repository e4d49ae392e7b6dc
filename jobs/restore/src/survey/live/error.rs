//! Why it is not known what is live.

use drover::api::RequestError;
use drover::exit::{Exit, Fault};
use drover::listing::ListError;
use snafu::Snafu;

use crate::survey::live::comparison::CompareError;

/// Why it is not known what is live.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum LiveError {
    #[snafu(transparent)]
    List { source: ListError },
    #[snafu(display("failed to read the live {plural} {name:?}"))]
    Get { plural: String, name: String, source: RequestError },
    #[snafu(display("failed to compare the live {plural:?} with the archive"))]
    Compare { plural: String, source: CompareError },
}

impl LiveError {
    /// What the server said, where it said something.
    pub(crate) fn request(&self) -> Option<&RequestError> {
        match self {
            Self::List { source } => source.request(),
            Self::Get { source, .. } => Some(source),
            Self::Compare { .. } => None,
        }
    }

    /// Whether the server does not answer at all.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.request().is_some_and(RequestError::is_unreachable)
    }
}

impl Fault for LiveError {
    fn exit(&self) -> Exit {
        match self {
            Self::List { source } => source.exit(),
            Self::Get { source, .. } => source.exit(),
            Self::Compare { .. } => Exit::Failure,
        }
    }
}
