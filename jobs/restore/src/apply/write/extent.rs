//! How much of an object is written.

/// How much of an object is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    /// All that the archive says of it.
    Whole,
    /// Its owners, and nothing else.
    Owners,
}
