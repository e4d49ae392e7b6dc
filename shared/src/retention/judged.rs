//! What is to become of archives.

use jiff::Timestamp;

use super::reason::{Expired, Keep, Verdict};

/// What is to become of every archive of a Backup at one place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// The archives, newest first.
    pub archives: Vec<Judged>,
}

/// An archive and what is to become of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judged {
    /// Its file name.
    pub name: String,
    /// The time in its name.
    pub time: Timestamp,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Plan {
    /// Those that are to be deleted, oldest first: what is cut off has taken the ones that are missed least.
    pub fn expired(&self) -> impl Iterator<Item = (&Judged, &Expired)> {
        self.archives.iter().rev().filter_map(|archive| match &archive.verdict {
            Verdict::Delete(reason) => Some((archive, reason)),
            Verdict::Keep(_) => None,
        })
    }

    /// How many stay.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.archives.iter().filter(|archive| matches!(archive.verdict, Verdict::Keep(_))).count()
    }

    /// Those that only the former retention keeps, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Judged> {
        self.archives
            .iter()
            .rev()
            .filter(|judged| judged.is_kept_by(|keep| matches!(keep, Keep::FormerRetention { .. })))
    }

    /// Those whose times were still to come when they were made, newest first.
    pub fn ahead(&self) -> impl Iterator<Item = &Judged> {
        self.archives.iter().filter(|judged| judged.is_kept_by(|keep| *keep == Keep::Ahead))
    }

    /// Those that are not the ledger's and stay until somebody says that they may go, newest first.
    pub fn unknown(&self) -> impl Iterator<Item = &Judged> {
        let is_unknown = |keep: &Keep| matches!(keep, Keep::Unknown | Keep::CopiedBack | Keep::Unreadable);
        self.archives.iter().filter(move |judged| judged.is_kept_by(is_unknown))
    }

    /// Those whose time has not come, newest first.
    pub fn future(&self) -> impl Iterator<Item = &Judged> {
        self.archives.iter().filter(|judged| judged.is_kept_by(|keep| *keep == Keep::Future))
    }
}

impl Judged {
    fn is_kept_by(&self, is_it: impl Fn(&Keep) -> bool) -> bool {
        matches!(&self.verdict, Verdict::Keep(keeps) if keeps.iter().any(is_it))
    }
}
