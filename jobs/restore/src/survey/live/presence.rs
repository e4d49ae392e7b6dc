//! What the comparison of an object came to.

/// Whether an object is live, and as it should be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Presence {
    /// It is not there.
    #[default]
    Absent,
    /// It is there and all that is written of it is as it should be, but perhaps the UIDs of its owners.
    Same,
    /// It is there, and something is not as it should be, or it is being deleted.
    Differs,
    /// It is there and drover stands on it.
    Ours,
}
