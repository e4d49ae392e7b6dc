//! The report of a Restore: what became of every object, where it outlives the job's pod.
//!
//! One gzip stream of JSON lines, as [`report::line`] writes them, cut in pieces that fit in ConfigMaps of drover's
//! namespace. They belong to the Restore and go with it. Each try writes them anew before the status says how it ended,
//! so a report that a killed job left half written is one of a try that comes again.

mod read;
mod write;

use drover::exit::{Exit, Fault};
use snafu::Snafu;

use self::read::ReadError;
pub(crate) use self::read::StoredReport;
pub(crate) use self::write::store;
use drover::cluster::ApiError;

/// The entry of a ConfigMap that holds the piece.
const KEY: &str = "report.jsonl.gz";
/// Bytes of a piece. A ConfigMap holds a MiB, of which some is its name and labels.
const PIECE: usize = 768 << 10;

/// The name of a piece.
fn piece_name(uid: &str, index: usize) -> String {
    format!("restore-report-{uid}-{index}")
}

/// Why there is no report.
#[derive(Debug, Snafu)]
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
