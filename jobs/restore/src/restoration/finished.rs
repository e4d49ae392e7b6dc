//! What a restore came to.

use std::sync::Arc;

use drover::exit::Failure;

use crate::apply::controllers::{ControllersError, Foreseen};
use crate::apply::write::WriteError;
use crate::report::outcome::{Outside, Results};
use crate::restoration::owned_later::Owned;
use crate::survey::archive::part::Archive;

/// What a restore came to.
#[derive(Default)]
pub(crate) struct Finished {
    /// The parts of the archive, each with its results.
    pub(crate) parts: Vec<(Arc<Archive>, Results)>,
    /// What became of objects that the archive does not hold.
    pub(crate) outside: Vec<Outside>,
    /// Why it ended early, if the server stopped answering.
    pub(crate) lost: Option<WriteError>,
    /// The controllers that would be scaled down; of a plan.
    pub(crate) controllers: Vec<Foreseen>,
    /// Why controllers are still scaled down, if they are.
    pub(crate) left_down: Option<ControllersError>,
    /// Why it ended early, if controllers did not stay down.
    pub(crate) given_up: Option<ControllersError>,
    /// Why it ended early, if anything else kept it from going on after it had begun.
    pub(crate) failed: Option<Failure>,
    /// What is to be said of it as a whole.
    pub(crate) notes: Vec<String>,
    /// What is to be said of objects that the archive's ResourceSet does not select, if there are any.
    pub(crate) from_elsewhere: Option<String>,
    /// What is to name owners that are written after it.
    pub(crate) owned: Vec<Owned>,
}

impl Finished {
    /// The same, with more to be said of it.
    pub(crate) fn noting(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The same, with what the archive does not hold by type and name: it came in the order in which it ended.
    pub(crate) fn in_order(mut self) -> Self {
        self.outside.sort_by(|one, other| one.key.cmp(&other.key));
        self
    }

    /// All that is to be said of it as a whole.
    pub(crate) fn said(&self) -> impl Iterator<Item = &String> {
        self.notes.iter().chain(&self.from_elsewhere)
    }
}
