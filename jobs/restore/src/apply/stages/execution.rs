//! What carrying out a plan came to.

use crate::apply::write::WriteError;
use crate::report::outcome::Results;

/// What carrying out a plan came to.
#[derive(Debug)]
pub(crate) struct Execution {
    /// What became of each object.
    pub(crate) results: Results,
    /// Why it ended early, if the server stopped answering.
    pub(crate) lost: Option<WriteError>,
}
