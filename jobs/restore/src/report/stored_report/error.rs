//! Why there is no report.

use drover::cluster::ApiError;
use drover::exit::{Exit, Fault};
use snafu::Snafu;

use crate::report::stored_report::read_error::ReadError;

/// Why there is no report.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum ReportError {
    #[snafu(display("failed to pack the report"))]
    Pack { source: std::io::Error },
    #[snafu(display("failed to wait for the report to be packed"))]
    Aborted { source: tokio::task::JoinError },
    #[snafu(display("failed to write the ConfigMap {name:?} in the namespace {namespace:?}"))]
    WritePiece { name: String, namespace: String, source: ApiError },
    #[snafu(display("failed to read the ConfigMaps of the report in the namespace {namespace:?}"))]
    ListPieces { namespace: String, source: ApiError },
    #[snafu(display("failed to read the Restore {name:?}"))]
    ReadRestore { name: String, source: ApiError },
    #[snafu(display("failed to find the Restore {name:?}; `kubectl get restores.resources.cattle.io` lists them"))]
    NoRestore { name: String },
    #[snafu(display(
        "failed to find a report of the Restore {name:?} in the namespace {namespace:?}: no try of it has come to writing \
         yet, or drover runs in another namespace (--drover-namespace)"
    ))]
    NoReport { name: String, namespace: String },
    #[snafu(display("failed to read the report of the Restore {name:?}"))]
    Unreadable { name: String, source: ReadError },
}

impl Fault for ReportError {
    fn exit(&self) -> Exit {
        match self {
            Self::WritePiece { source, .. } | Self::ListPieces { source, .. } | Self::ReadRestore { source, .. } => {
                source.exit()
            }
            Self::NoRestore { .. } => Exit::Usage,
            Self::Pack { .. } | Self::Aborted { .. } | Self::NoReport { .. } | Self::Unreadable { .. } => Exit::Failure,
        }
    }
}
