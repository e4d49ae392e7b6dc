//! What is looked at.

use std::sync::Arc;

use crate::apply::away::Register;
use crate::survey::archive::facts::Facts;
use crate::survey::archive::part::Archive;
use crate::survey::ground::Ground;
use crate::survey::selected::Selection;

/// What is looked at: the archive's objects, and, where there is a selection, what it takes and the archive lacks.
pub(crate) struct Scope<'a> {
    /// A part of the archive.
    pub(crate) archive: &'a Arc<Archive>,
    /// What is known of its objects.
    pub(crate) facts: &'a Arc<Facts>,
    /// What belongs to the ResourceSet; nothing for a restore that does not prune.
    pub(crate) selection: &'a Selection,
    /// What drover stands on.
    pub(crate) ground: &'a Arc<Ground>,
    /// Who does not answer.
    pub(crate) away: &'a Register,
}
