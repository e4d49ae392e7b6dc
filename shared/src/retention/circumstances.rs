//! What a plan is made from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::policy::Policy;
use super::reason::Flaw;

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
