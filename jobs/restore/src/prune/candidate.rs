//! What is live, selected, and not in the archive.

use std::sync::Arc;

use drover::archive::Key;
use jiff::Timestamp;

use crate::survey::types::Type;

/// A live object that the archive's ResourceSet selects and the archive lacks.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its type.
    pub(crate) known: Arc<Type>,
    /// Empty where it has no namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its UID: an object of the same name that is made later is another one.
    pub(crate) uid: String,
    /// When it was made, as the API server stamped it; none where that cannot be read.
    pub(crate) made: Option<Timestamp>,
    /// The UIDs of its owners.
    pub(crate) owners: Vec<String>,
    /// Why a restore would not write it either, if it would not.
    pub(crate) kept: Option<&'static str>,
}

impl Candidate {
    /// Which object it is, as results name it.
    pub(crate) fn key(&self) -> Key {
        self.known.key(&self.namespace, &self.name)
    }

    /// The object's path.
    pub(crate) fn path(&self) -> String {
        self.known.object(&self.namespace, &self.name)
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.known.group == group && self.known.plural == plural
    }
}
