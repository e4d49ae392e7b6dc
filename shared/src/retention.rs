//! Which archives of a Backup expire: a pure function of what lies at a place, of the policy and of `now`.
//!
//! ```text
//! names at a place ──▶ of this Backup? ──▶ of this cluster, or of an adopted one? ──▶ counted: fills slots of the policy
//!                       no: not seen       no: kept                                  ├─ bad, lacking, of the future: does not
//!                                                                                    └─ promised: kept whatever it says
//! ```
//!
//! What a plan never deletes, whatever the policy says: the newest verified archive; while none is known to be verified,
//! any; one that an unfinished Restore names; one that has what a later one lacks, until somebody confirms; the two archives
//! between which the number of objects fell sharply; one whose time is in the future; another cluster's. What is left after a plan was carried out is what the same plan keeps: it
//! deletes nothing more, however often it is made.

mod policy;
mod reason;
mod tier;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use self::policy::{DEFAULT_COUNT, Policy, PolicyError};
pub use self::reason::{Expired, Keep, Verdict};
pub use self::tier::Tier;
use crate::runs::parse_archive_name;

/// An archive as it was found at a place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Its file name, from which its time is taken: the clock of the storage knows when it was copied there.
    pub name: String,
    /// Whether it is known that its bytes were read back here and matched.
    pub is_verified: bool,
    /// Whether it was marked as one that must not be used.
    pub is_bad: bool,
    /// How many objects it holds, where that was recorded.
    pub objects: Option<u64>,
    /// Whether it lacks types that could not be read, so that it is no backup.
    pub lacks_types: bool,
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
    /// The Restores that have not ended.
    pub restoring: Restoring,
    /// Names of archives that are kept whatever the policy says, each with the reason.
    pub held: BTreeMap<String, String>,
    /// When it is.
    pub now: Timestamp,
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
    /// Whether it was marked as one that must not be used.
    pub is_bad: bool,
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
}

/// An archive of the Backup while it is judged.
struct Entry<'a> {
    found: &'a Found,
    cluster_uid: String,
    time: Timestamp,
    keeps: Vec<Keep>,
}

/// Judges the archives of a Backup at one place. What is no archive of it is not seen.
#[must_use]
pub fn plan(found: &[Found], policy: &Policy, circumstances: &Circumstances) -> Plan {
    let mut entries = entries_of(&circumstances.backup, found);
    let (mut own, mut others): (Vec<_>, Vec<_>) = entries.iter_mut().partition(|entry| {
        let uid = &entry.cluster_uid;
        *uid == circumstances.cluster_uid || circumstances.adopted_clusters.contains(uid)
    });
    for entry in &mut others {
        entry.keeps.push(Keep::OtherCluster { uid: entry.cluster_uid.clone() });
    }
    let has_verified = judge_counted(&mut own, policy, circumstances.now);
    judge_uncounted(&mut own, policy, circumstances.now);
    for entry in own.iter_mut().chain(&mut others) {
        keep_for_restores(entry, &circumstances.restoring);
        keep_held(entry, &circumstances.held);
    }
    for entry in &mut own {
        if entry.keeps.is_empty() && !has_verified {
            entry.keeps.push(Keep::NoneVerified);
        }
    }
    Plan { archives: entries.into_iter().map(|entry| entry.judged(policy)).collect() }
}

/// The archives of the Backup, newest first and each once.
fn entries_of<'a>(backup: &str, found: &'a [Found]) -> Vec<Entry<'a>> {
    let read = |found: &'a Found| {
        let name = parse_archive_name(&found.name, backup)?;
        Some(Entry { found, cluster_uid: name.cluster_uid, time: name.time, keeps: Vec::new() })
    };
    let mut entries: Vec<_> = found.iter().filter_map(read).collect();
    entries.sort_by(|left, right| (right.time, &right.found.name).cmp(&(left.time, &left.found.name)));
    entries.dedup_by(|left, right| left.found.name == right.found.name);
    entries
}

impl Entry<'_> {
    fn counts(&self, now: Timestamp) -> bool {
        !self.found.is_bad && !self.found.lacks_types && self.time <= now
    }

    fn judged(self, policy: &Policy) -> Judged {
        let Self { found, cluster_uid: _, time, keeps } = self;
        let expired = || match found {
            Found { is_bad: true, .. } => Expired::Bad,
            Found { lacks_types: true, .. } => Expired::LacksTypes,
            _ => policy.expired(),
        };
        let verdict = if keeps.is_empty() { Verdict::Delete(expired()) } else { Verdict::Keep(keeps) };
        Judged { name: found.name.clone(), time, is_bad: found.is_bad, verdict }
    }
}

/// Judges those that fill the policy's slots, and tells whether one of them is verified.
fn judge_counted(own: &mut [&mut Entry<'_>], policy: &Policy, now: Timestamp) -> bool {
    let mut counted: Vec<_> = own.iter_mut().map(|entry| &mut **entry).filter(|entry| entry.counts(now)).collect();
    let times: Vec<_> = counted.iter().map(|entry| entry.time).collect();
    for (entry, keeps) in counted.iter_mut().zip(policy.slots(&times)) {
        entry.keeps.extend(keeps);
    }
    keep_around_drops(&mut counted);
    let newest_verified = counted.iter_mut().find(|entry| entry.found.is_verified);
    let has_verified = newest_verified.is_some();
    if let Some(entry) = newest_verified {
        entry.keeps.push(Keep::NewestVerified);
    }
    has_verified
}

/// Keeps the archives before and after every sharp drop in objects: an archive of one cluster with less than half of what
/// the one before it has. Without the one after it nothing would tell any more that the one before is worth keeping.
fn keep_around_drops(counted: &mut [&mut Entry<'_>]) {
    let mut later_of: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for at in 0..counted.len() {
        let Some(objects) = counted[at].found.objects else { continue };
        let later = later_of.insert(counted[at].cluster_uid.clone(), (at, objects));
        if let Some((later, left)) = later.filter(|(_, left)| left.saturating_mul(2) < objects) {
            counted[at].keeps.push(Keep::BeforeDrop { objects, left });
            counted[later].keeps.push(Keep::AfterDrop { before: objects, objects: left });
        }
    }
}

/// Judges those that fill no slot: of the future, bad, and without some types. A bad one expires when it would if it were
/// good, and so does one that lacks types.
fn judge_uncounted(own: &mut [&mut Entry<'_>], policy: &Policy, now: Timestamp) {
    let counted: Vec<_> = own.iter().filter(|entry| entry.counts(now)).map(|entry| entry.time).collect();
    for entry in own.iter_mut().filter(|entry| !entry.counts(now)) {
        if entry.time > now {
            entry.keeps.push(Keep::Future);
            continue;
        }
        let at = counted.partition_point(|time| *time > entry.time);
        let mut times = counted.clone();
        times.insert(at, entry.time);
        if let Some(keeps) = policy.slots(&times).get(at).filter(|keeps| !keeps.is_empty()) {
            let keeps_all = matches!(keeps[..], [Keep::OneTime | Keep::Everything]);
            let young = if entry.found.is_bad { Keep::BadButYoung } else { Keep::LackingButYoung };
            entry.keeps.extend(if keeps_all { keeps.clone() } else { vec![young] });
        }
    }
}

fn keep_for_restores(entry: &mut Entry<'_>, restoring: &Restoring) {
    let named = restoring.archives.get(&entry.found.name);
    if let Some(restore) = named.or(restoring.newest_of_backup.as_ref()) {
        entry.keeps.push(Keep::Restoring { restore: restore.clone() });
    }
}

fn keep_held(entry: &mut Entry<'_>, held: &BTreeMap<String, String>) {
    let reason = held.get(&entry.found.name).cloned();
    entry.keeps.extend(reason.map(|reason| Keep::Held { reason }));
}

/// The clock that buckets go by where no policy names one.
const DEFAULT_ZONE: TimeZone = TimeZone::UTC;

#[cfg(test)]
mod tests;
