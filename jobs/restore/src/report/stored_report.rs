//! The report of a Restore: what became of every object, where it outlives the job's pod.
//!
//! One gzip stream of JSON lines, as [`report::line`] writes them, cut in pieces that fit in ConfigMaps of drover's
//! namespace. They belong to the Restore and go with it. Each try writes them anew before the status says how it ended,
//! so a report that a killed job left half written is one of a try that comes again.

mod error;
mod piece;
mod read;
pub(crate) mod read_error;
mod write;

use self::error::{
    AbortedSnafu, ListPiecesSnafu, NoReportSnafu, NoRestoreSnafu, PackSnafu, ReadRestoreSnafu, ReportError,
    UnreadableSnafu, WritePieceSnafu,
};
use self::piece::{KEY, PIECE, piece_name};
pub(crate) use self::read::StoredReport;
pub(crate) use self::write::store;
