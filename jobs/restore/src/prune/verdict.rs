//! What becomes of a candidate.

use drover::annotations::PRUNE_ANNOTATION;

/// What becomes of a candidate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It is deleted.
    Delete,
    /// It stays, whatever is asked.
    Keep(&'static str),
    /// It stays unless everything is asked for.
    HoldBack(String),
}

impl Verdict {
    /// It stays for this reason, and what takes it all the same is said.
    pub(crate) fn hold_back(reason: &str) -> Self {
        Self::HoldBack(format!("{reason}; the annotation {PRUNE_ANNOTATION}: all (--prune=all) deletes it too"))
    }
}
