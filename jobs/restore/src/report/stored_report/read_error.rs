//! Why a report cannot be read back.

use snafu::Snafu;

/// Why a report cannot be read.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum ReadError {
    #[snafu(display(
        "its pieces do not belong together: a job writes them, or was killed while it did; the next job writes them anew"
    ))]
    Mixed,
    #[snafu(display("line {line} is no result that this version knows"))]
    Line {
        /// Its number, from 1.
        line: u64,
    },
}
