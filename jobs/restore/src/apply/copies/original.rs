//! What is kept, and why it is not.

use std::path::PathBuf;

use drover::api::RequestError;
use snafu::Snafu;

/// An object before it is deleted.
pub(crate) struct Original {
    /// Its path on the API server.
    pub(crate) path: String,
    /// Its UID.
    pub(crate) uid: String,
    /// What creates it again.
    pub(crate) body: Vec<u8>,
}

/// Why there is no copy; then nothing is deleted.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum KeepError {
    #[snafu(display("it cannot be changed, and was not deleted to be created again: failed to pack a copy of it"))]
    Pack { source: std::io::Error },
    #[snafu(display(
        "it cannot be changed, and was not deleted to be created again: failed to keep a copy of it in a Secret of the \
         namespace {namespace:?}; see what refuses Secrets there"
    ))]
    Secret { namespace: String, source: RequestError },
    #[snafu(display(
        "it cannot be changed, and was not deleted to be created again: failed to keep a copy of it in the file {path:?}; \
         have the archive in a folder that can be written"
    ))]
    File { path: PathBuf, source: std::io::Error },
}

impl KeepError {
    /// Whether the server does not answer at all.
    pub(crate) const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Secret { source, .. } if source.is_unreachable())
    }
}
