use std::collections::BTreeMap;

use jiff::Timestamp;

use super::circumstances::{Circumstances, Found, Restoring};
use super::judged::{Judged, Plan};
use super::policy::Policy;
use super::reason::{Expired, Flaw, Keep, Verdict};
use crate::runs::parse_archive_name;

/// Judges the archives of a Backup at one place. What is no archive of it is not seen.
#[must_use]
pub fn plan(found: &[Found], policy: &Policy, circumstances: &Circumstances) -> Plan {
    let mut judged = judge(found, policy, &circumstances.adopted_clusters, circumstances);
    if let Some(former) = &circumstances.former {
        let before = judge(found, &former.policy, &former.adopted_clusters, circumstances);
        for (now, before) in judged.iter_mut().zip(&before) {
            if let (Verdict::Delete(_), Verdict::Keep(_)) = (&now.verdict, &before.verdict) {
                now.verdict = Verdict::Keep(vec![Keep::FormerRetention { until: former.until }]);
            }
        }
    }
    Plan { archives: judged }
}

/// How an archive of the Backup stands to the ledger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// It is the ledger's.
    Known,
    /// It is not, and is judged together with those that are.
    Beside,
    /// It is not, and stays.
    Apart,
    /// It is another cluster's.
    Foreign,
}

/// An archive of the Backup while it is judged.
struct Entry<'a> {
    found: &'a Found,
    cluster_uid: String,
    time: Timestamp,
    /// Whether that was still to come when it was made.
    is_ahead: bool,
    standing: Standing,
    keeps: Vec<Keep>,
}

fn judge(found: &[Found], policy: &Policy, adopted: &[String], circumstances: &Circumstances) -> Vec<Judged> {
    let mut entries = entries_of(found, adopted, circumstances);
    let now = circumstances.now;
    let has_verified = judge_known(&mut entries, policy, now);
    judge_beside(&mut entries, policy, now);
    for entry in &mut entries {
        keep_apart(entry, now);
        keep_for_restores(entry, &circumstances.restoring);
        if let Some(reason) = &entry.found.held {
            entry.keeps.push(Keep::Held { reason: reason.clone() });
        }
        if entry.keeps.is_empty() && !has_verified {
            entry.keeps.push(Keep::NoneVerified);
        }
    }
    entries.into_iter().map(|entry| entry.judged(policy)).collect()
}

/// The archives of the Backup, newest first and each once.
fn entries_of<'a>(found: &'a [Found], adopted: &[String], circumstances: &Circumstances) -> Vec<Entry<'a>> {
    let read = |found: &'a Found| {
        let name = parse_archive_name(&found.name, &circumstances.backup)?;
        let is_own = name.cluster_uid == circumstances.cluster_uid || adopted.contains(&name.cluster_uid);
        let standing = if is_own { standing(found, name.time, circumstances) } else { Standing::Foreign };
        let is_ahead = circumstances.ahead.contains(&found.name);
        let (cluster_uid, time, keeps) = (name.cluster_uid, name.time, Vec::new());
        Some(Entry { found, cluster_uid, time, is_ahead, standing, keeps })
    };
    let mut entries: Vec<_> = found.iter().filter_map(read).collect();
    entries.sort_by(|left, right| (right.time, &right.found.name).cmp(&(left.time, &left.found.name)));
    entries.dedup_by(|left, right| left.found.name == right.found.name);
    entries
}

/// Whoever can write at the place can put there what looks like a newer archive, and what is recorded beside it. So an
/// unknown one that drover would know if it had stored it takes no part.
fn standing(found: &Found, time: Timestamp, circumstances: &Circumstances) -> Standing {
    let is_older = circumstances.ledger_since.is_none_or(|since| time < since) && !found.was_deleted;
    if found.is_verified {
        Standing::Known
    } else if is_older || circumstances.allows_unknown {
        Standing::Beside
    } else {
        Standing::Apart
    }
}

impl Entry<'_> {
    /// Whether its time says when it was made.
    fn is_dated(&self, now: Timestamp) -> bool {
        self.time <= now && !self.is_ahead
    }

    /// Whether it fills places of the policy.
    fn counts(&self, now: Timestamp) -> bool {
        self.found.flaw.is_none() && self.is_dated(now)
    }

    fn judged(self, policy: &Policy) -> Judged {
        let Self { found, time, keeps, .. } = self;
        let expired = || found.flaw.clone().map_or_else(|| policy.expired(), Expired::Flawed);
        let verdict = if keeps.is_empty() { Verdict::Delete(expired()) } else { Verdict::Keep(keeps) };
        Judged { name: found.name.clone(), time, verdict }
    }
}

/// Judges those of the ledger among themselves, and tells whether one of them is good.
fn judge_known(entries: &mut [Entry<'_>], policy: &Policy, now: Timestamp) -> bool {
    let is_known = |entry: &Entry<'_>| entry.standing == Standing::Known;
    fill(entries, policy, now, is_known, is_known);
    let newest = entries.iter_mut().find(|entry| is_known(entry) && entry.counts(now));
    let has_verified = newest.is_some();
    if let Some(entry) = newest {
        entry.keeps.push(Keep::NewestVerified);
    }
    has_verified
}

/// Judges those of before the ledger together with it. They take no place from an archive of the ledger.
fn judge_beside(entries: &mut [Entry<'_>], policy: &Policy, now: Timestamp) {
    let takes_part = |entry: &Entry<'_>| matches!(entry.standing, Standing::Known | Standing::Beside);
    if entries.iter().any(|entry| entry.standing == Standing::Beside) {
        fill(entries, policy, now, takes_part, |entry| entry.standing == Standing::Beside);
    }
}

/// Judges those that take part by the policy's rules, and keeps what these give to those that are meant.
fn fill(
    entries: &mut [Entry<'_>],
    policy: &Policy,
    now: Timestamp,
    takes_part: impl Fn(&Entry<'_>) -> bool,
    is_meant: impl Fn(&Entry<'_>) -> bool,
) {
    let counts = |entry: &Entry<'_>| takes_part(entry) && entry.counts(now);
    let times: Vec<_> = entries.iter().filter(|entry| counts(entry)).map(|entry| entry.time).collect();
    let counted = entries.iter_mut().filter(|entry| counts(entry));
    for (entry, keeps) in counted.zip(policy.slots(&times)).filter(|(entry, _)| is_meant(entry)) {
        entry.keeps.extend(keeps);
    }
    for entry in entries.iter_mut().filter(|entry| is_meant(entry) && entry.is_dated(now)) {
        keep_flawed(entry, policy, &times);
    }
    keep_around_drops(&mut entries.iter_mut().filter(|entry| counts(entry)).collect::<Vec<_>>());
}

/// A flawed one expires when it would if it filled a place among those of these times, newest first.
fn keep_flawed(entry: &mut Entry<'_>, policy: &Policy, counted: &[Timestamp]) {
    // One that nothing is known of is kept by that alone.
    let Some(flaw) = entry.found.flaw.as_ref().filter(|flaw| **flaw != Flaw::Unreadable) else { return };
    let at = counted.partition_point(|time| *time > entry.time);
    let mut times = counted.to_vec();
    times.insert(at, entry.time);
    if let Some(keeps) = policy.slots(&times).get(at).filter(|keeps| !keeps.is_empty()) {
        let keeps_all = matches!(keeps[..], [Keep::OneTime | Keep::Everything]);
        let young = || vec![Keep::FlawedButYoung { flaw: flaw.clone() }];
        entry.keeps.extend(if keeps_all { keeps.clone() } else { young() });
    }
}

/// Keeps the archives before and after every sharp drop in objects: an archive of one cluster with less than half of what
/// the one before it has. Without the one after it nothing would tell any more that the one before is worth keeping.
fn keep_around_drops(counted: &mut [&mut Entry<'_>]) {
    let mut later_of: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for at in 0..counted.len() {
        let Some(objects) = counted[at].found.objects else { continue };
        let later = later_of.insert(counted[at].cluster_uid.clone(), (at, objects));
        if let Some((later, left)) = later.filter(|(_, left)| left.saturating_mul(2) < objects) {
            keep(counted[at], Keep::BeforeDrop { objects, left });
            keep(counted[later], Keep::AfterDrop { before: objects, objects: left });
        }
    }
}

/// Adds a reason that may be there already.
fn keep(entry: &mut Entry<'_>, reason: Keep) {
    if !entry.keeps.contains(&reason) {
        entry.keeps.push(reason);
    }
}

/// Keeps what no policy decides over.
fn keep_apart(entry: &mut Entry<'_>, now: Timestamp) {
    match entry.standing {
        Standing::Foreign => entry.keeps.push(Keep::OtherCluster { uid: entry.cluster_uid.clone() }),
        _ if entry.time > now => entry.keeps.push(Keep::Future),
        _ if entry.is_ahead => entry.keeps.push(Keep::Ahead),
        _ if entry.found.flaw == Some(Flaw::Unreadable) => entry.keeps.push(Keep::Unreadable),
        Standing::Apart if entry.found.was_deleted => entry.keeps.push(Keep::CopiedBack),
        Standing::Apart => entry.keeps.push(Keep::Unknown),
        Standing::Known | Standing::Beside => {}
    }
}

fn keep_for_restores(entry: &mut Entry<'_>, restoring: &Restoring) {
    let named = restoring.archives.get(&entry.found.name);
    if let Some(restore) = named.or(restoring.newest_of_backup.as_ref()) {
        entry.keeps.push(Keep::Restoring { restore: restore.clone() });
    }
}
