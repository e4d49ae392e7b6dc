//! Objects that are to name owners which are written after them.

use std::sync::Arc;

use crate::survey::archive::facts::{Facts, Position};
use crate::survey::archive::part::Archive;

/// Objects of one part that name an owner of a later one, by position.
pub(crate) struct Owned {
    pub(crate) archive: Arc<Archive>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) positions: Vec<Position>,
}
