//! Which archives of a Backup expire: a pure function of what lies at a place, of what the ledger knows of it, of the policy
//! and of `now`.
//!
//! ```text
//! names at a place ──▶ of this Backup? ──▶ of this cluster, or of an adopted one? ──▶ in the ledger: fills places of the policy
//!                       no: not seen       no: kept              │                   ├─ flawed, or of the future: does not
//!                                                                │                   └─ promised: kept whatever it says
//!                                                                └─▶ unknown: older than the ledger, beside it; newer, kept
//! ```
//!
//! Archives of the ledger are judged among themselves: whatever else lies there takes no place from them. Unknown ones of
//! before the ledger are judged together with them, and keep the places that are left over.
//!
//! What a plan never deletes, whatever the policy says: the newest verified archive; while none is known to be verified,
//! any; one that an unfinished Restore names; the two archives between which the number of objects fell sharply; one whose
//! time is in the future, or was when it was made; another cluster's; an unknown one that is newer than the ledger's first
//! line, or of which nothing can be read; one that has what a later one lacks, until somebody confirms; one that a former
//! policy kept, for a day. What is left after a plan was carried out is what the same plan keeps: it deletes nothing more,
//! however often it is made.

mod change;
mod interval;
mod judge;
mod policy;
mod reason;
mod tier;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use self::change::{Change, change};
pub use self::judge::plan;
pub use self::policy::{DEFAULT_COUNT, Policy, PolicyError, rule_of};
pub use self::reason::{Expired, Flaw, Keep, Verdict};
pub use self::tier::Tier;

/// An archive as it was found at a place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Its file name, from which its time is taken: the clock of the storage knows when it was copied there.
    pub name: String,
    /// Whether the ledger says that its bytes were read back here and matched. What lies beside it says nothing of that.
    pub is_verified: bool,
    /// Whether the ledger says that it was deleted here.
    pub was_deleted: bool,
    /// Why it fills no place, where it does not.
    pub flaw: Option<Flaw>,
    /// Why it is kept until somebody confirms that it may go.
    pub held: Option<String>,
    /// How many objects it holds, where that was recorded.
    pub objects: Option<u64>,
}

/// What a plan depends on besides the archives and the policy.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The Backup.
    pub backup: String,
    /// The UID of kube-system in this cluster.
    pub cluster_uid: String,
    /// UIDs of earlier clusters whose archives count as this one's.
    pub adopted_clusters: Vec<String>,
    /// The time of the ledger's first archive; none where it has no line of this Backup.
    pub ledger_since: Option<Timestamp>,
    /// Names of archives whose times were still to come when they were made, by the ledger.
    pub ahead: BTreeSet<String>,
    /// Unknown archives that are newer than that are judged as those of before.
    pub allows_unknown: bool,
    /// What kept archives until the policy was changed, as long as that is less than a day ago.
    pub former: Option<Former>,
    /// The Restores that have not ended.
    pub restoring: Restoring,
    /// When it is.
    pub now: Timestamp,
}

/// A former policy.
#[derive(Clone, Debug)]
pub struct Former {
    /// What it keeps.
    pub policy: Policy,
    /// The clusters that were adopted then.
    pub adopted_clusters: Vec<String>,
    /// When its time is over.
    pub until: Timestamp,
}

/// What Restores that have not ended still need.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Restoring {
    /// Names of archives, each with the Restore that names it.
    pub archives: BTreeMap<String, String>,
    /// A Restore that takes the newest archive of the Backup, and may have chosen any of them.
    pub newest_of_backup: Option<String>,
}

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

/// The clock that buckets go by where no policy names one.
const DEFAULT_ZONE: TimeZone = TimeZone::UTC;

#[cfg(test)]
mod tests;
