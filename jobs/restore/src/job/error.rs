//! Why a Restore was not carried out.

use drover::archive::ReadError;
use drover::encryption;
use drover::exit::{Exit, Fault};
use snafu::Snafu;

/// Why a Restore was not carried out.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum JobError {
    /// Its encryption configuration is missing or refused, and stays so until somebody mends it.
    #[snafu(display("failed to prepare the decryption; nothing was changed"))]
    Encryption { source: encryption::SourceError },
    #[snafu(display("failed to use the spool folder; give it room, or name another with --spool"))]
    UseSpool { source: std::io::Error },
    #[snafu(display("failed to wait for the archive to be read; this is a fault of drover"))]
    JoinReading { source: tokio::task::JoinError },
    #[snafu(display("failed to read the archive {filename:?}; nothing was changed"))]
    ReadArchive { filename: String, source: ReadError },
    #[snafu(display("{words}"))]
    ObjectsFailed {
        /// The counts, and the causes.
        words: String,
    },
    #[snafu(display(
        "failed to begin: {holder:?} restores this cluster, and what waits is left to the next job; nothing was changed"
    ))]
    Busy { holder: String },
    #[snafu(display("failed to keep the Lease of restores; whoever took it goes on"))]
    LoseLease,
    #[snafu(display("failed to finish: {words}; the next job goes on"))]
    Interrupted { words: String },
}

impl Fault for JobError {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadArchive { source, .. } => source.exit(),
            Self::Encryption { source } => source.exit(),
            Self::Busy { .. } | Self::LoseLease => Exit::Unavailable,
            _ => Exit::Failure,
        }
    }
}
