//! How the pieces of a report are marked.

/// The entry of a ConfigMap that holds the piece.
pub(crate) const KEY: &str = "report.jsonl.gz";
/// Bytes of a piece. A ConfigMap holds a MiB, of which some is its name and labels.
pub(crate) const PIECE: usize = 768 << 10;

/// The name of a piece.
pub(crate) fn piece_name(uid: &str, index: usize) -> String {
    format!("restore-report-{uid}-{index}")
}
