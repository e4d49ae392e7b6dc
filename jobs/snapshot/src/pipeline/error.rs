use std::io::ErrorKind;

use drover::api::DiscoveryError;
use drover::archive::WriteError;
use drover::exit::{Exit, Fault};
use drover::listing::ListError;
use drover::object::ParseError;
use drover::selection::PlanError;
use snafu::Snafu;
use tokio::task::JoinError;

/// Why an archive could not be made.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum Error {
    #[snafu(display("failed to read the ResourceSet {name:?}"))]
    ReadResourceSet { name: String, source: PlanError },
    #[snafu(display("failed to ask the cluster what it serves"))]
    Discover { source: DiscoveryError },
    #[snafu(display("failed to write the ResourceSet into the archive"))]
    EncodeResourceSet { source: serde_json::Error },
    #[snafu(display("{what}; to store the rest all the same, {how}"))]
    Unknown {
        what: String,
        how: String,
        /// How the job exits.
        exit: Exit,
    },
    /// A type cannot be read, and the others could.
    #[snafu(display("failed to read all that the ResourceSet selects; to store the rest all the same, {how}"))]
    ListType { how: String, source: ListError },
    #[snafu(display("failed to read the cluster's objects"))]
    List { source: ListError },
    #[snafu(display("failed to read the objects of {resource:?} in the API server's answer"))]
    ReadObjects { resource: String, source: ParseError },
    #[snafu(display("failed to write the archive"))]
    Write { source: WriteError },
    #[snafu(display("failed to write the end of the archive"))]
    Finish { source: std::io::Error },
    #[snafu(display("failed to wait for the archive's thread; this is a fault of drover"))]
    Join { source: JoinError },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadResourceSet { source, .. } => source.exit(),
            Self::Discover { source } => source.exit(),
            Self::Unknown { exit, .. } => *exit,
            Self::List { source } | Self::ListType { source, .. } => source.exit(),
            Self::ReadObjects { .. } => Exit::DataRefused,
            Self::EncodeResourceSet { .. } | Self::Write { .. } | Self::Finish { .. } | Self::Join { .. } => {
                Exit::Failure
            }
        }
    }
}

impl Error {
    /// The right for whose lack a type cannot be read.
    pub(crate) fn missing_right(&self) -> Option<&str> {
        match self {
            Self::List { source } | Self::ListType { source, .. } => source.missing_right(),
            _ => None,
        }
    }

    /// Whether it only says that nobody takes the bytes any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref().is_some_and(|error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}
