//! What an archive lacks that one before held, type by type.
//!
//! Each snapshot is measured by the newest archive from which nothing is lost, or whose losses were confirmed. So the same
//! loss is told again with every archive until somebody confirms it or the objects are back, and the archive that has them
//! stays the measure, and is kept, for as long.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest, Sha256};

use super::history::is_backup;
use super::{Allowed, History, status_of};
use crate::resources::{ArchiveHold, BackupRun, LossReason, Losses, TypeLoss};

/// The least number of objects of one type that are missed where some are left: of three tokens two go every day. Where none
/// is left it does not matter how few there were.
const LEAST: u64 = 3;

/// Types that a run remembers.
const TYPES: usize = 1_000;

/// Losses that a run names.
const NAMED: usize = 20;

/// Types whose objects come and go by themselves, so that half of them is gone on many a morning. That one of them is served
/// no longer is told all the same.
const SHORT_LIVED: [&str; 12] = [
    "certificatesigningrequests.certificates.k8s.io",
    "clusterauthtokens.cluster.cattle.io",
    "endpointslices.discovery.k8s.io",
    "events",
    "events.events.k8s.io",
    "jobs.batch",
    "leases.coordination.k8s.io",
    "pods",
    "replicasets.apps",
    "tokens.ext.cattle.io",
    "tokens.management.cattle.io",
    "useractivities.ext.cattle.io",
];

/// What a snapshot counted, and what is known of the types that it did not count.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counted {
    /// Objects of each type that was read to its end, by `<plural>.<group>`.
    pub types: BTreeMap<String, u64>,
    /// Types that could not be read.
    pub missing: BTreeSet<String>,
    /// The groups that the ResourceSet names; empty stands for the core group.
    pub groups: BTreeSet<String>,
    /// Those of them of which it is not known which types they have.
    pub unknown_groups: BTreeSet<String>,
    /// The types of these groups that the cluster serves.
    pub served: BTreeSet<String>,
}

impl Counted {
    /// The counts as a run remembers them; of too many types those with the most objects.
    #[must_use]
    pub fn remembered(&self) -> BTreeMap<String, i64> {
        let mut types: Vec<_> = self.types.iter().filter(|(_, objects)| **objects > 0).collect();
        types.sort_by_key(|(_, objects)| std::cmp::Reverse(**objects));
        let of = |(name, objects): (&String, &u64)| (name.clone(), i64::try_from(*objects).unwrap_or(i64::MAX));
        types.into_iter().take(TYPES).map(of).collect()
    }

    /// What became of a type of which there were so many; `None` where it is not lost, or not known.
    fn loss(&self, name: &str, before: u64) -> Option<(u64, LossReason)> {
        if let Some(now) = self.types.get(name) {
            return is_fewer(name, before, *now).then_some((*now, LossReason::Fewer));
        }
        let group = name.split_once('.').map_or("", |(_, group)| group);
        if self.missing.contains(name) || self.unknown_groups.contains(group) {
            return None;
        }
        if self.groups.contains(group) && !self.served.contains(name) {
            return Some((0, LossReason::NotServed));
        }
        is_fewer(name, before, 0).then_some((0, LossReason::NotSelected))
    }
}

fn is_fewer(name: &str, before: u64, now: u64) -> bool {
    let is_below_half = now.saturating_mul(2) < before && (now == 0 || before - now >= LEAST);
    is_below_half && !SHORT_LIVED.contains(&name)
}

/// What is lost since the archive of the run `base`.
#[must_use]
pub fn losses(base: &BackupRun, counted: &Counted) -> Option<Losses> {
    let known = status_of(base).snapshot.unwrap_or_default().types;
    let lost = known.into_iter().filter_map(|(type_, before)| {
        let (now, reason) = counted.loss(&type_, u64::try_from(before).ok().filter(|before| *before > 0)?)?;
        Some(TypeLoss { type_, before, now: i64::try_from(now).unwrap_or(i64::MAX), reason })
    });
    let mut types: Vec<_> = lost.collect();
    if types.is_empty() {
        return None;
    }
    let kept = base.spec.filename.clone();
    let (confirmation, count) = (confirmation(&kept, &types), i64::try_from(types.len()).unwrap_or(i64::MAX));
    types.truncate(NAMED);
    Some(Losses { kept, confirmation, count, types })
}

/// The word that confirms the loss of these types since that archive, and of no others and since no other.
fn confirmation(kept: &str, types: &[TypeLoss]) -> String {
    let mut digest = Sha256::new_with_prefix(kept);
    for loss in types {
        digest.update(["\n", &loss.type_].concat());
    }
    format!("loss-{}", hex::encode(&digest.finalize()[..4]))
}

/// The run that the next snapshot is measured by: the newest backup since which nothing is lost, or that was confirmed.
#[must_use]
pub fn measure<'a>(history: &'a History, allowed: Allowed<'_>) -> Option<&'a BackupRun> {
    history.iter().rev().filter(|run| is_backup(run)).find(|run| open(run, allowed).is_none())
}

/// What the newest archive that a place has lacks, as long as nobody has confirmed it. Retention counts it from that place on,
/// so it does not matter which other place waits for it.
#[must_use]
pub fn open_losses(history: &History, allowed: Allowed<'_>) -> Option<Losses> {
    open(history.last_stored()?, allowed)
}

fn open(run: &BackupRun, allowed: Allowed<'_>) -> Option<Losses> {
    let losses = run.status.as_ref()?.snapshot.as_ref()?.losses.clone()?;
    (!allowed.confirms(&losses)).then_some(losses)
}

/// The file name of the archive that is kept since a later one lacks what it has, and why.
#[must_use]
pub fn hold(history: &History, allowed: Allowed<'_>) -> Option<(String, ArchiveHold)> {
    let losses = open_losses(history, allowed)?;
    let reason = format!("it has what the newest archive lacks: {losses}; {} confirms that", losses.confirmation);
    Some((losses.kept, ArchiveHold { confirmation: losses.confirmation, reason }))
}

impl fmt::Display for Losses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.types.iter().map(|TypeLoss { type_, before, now, reason }| {
            let why = match reason {
                LossReason::NotServed => ", the cluster serves it no longer",
                LossReason::NotSelected => ", the ResourceSet selects it no longer",
                LossReason::Fewer => "",
            };
            format!("{type_} ({before} before, {now} now{why})")
        });
        formatter.write_str(&words.collect::<Vec<_>>().join(", "))?;
        let named = i64::try_from(self.types.len()).unwrap_or(i64::MAX);
        match self.count.saturating_sub(named) {
            ..=0 => Ok(()),
            more => write!(formatter, " and {more} more types"),
        }
    }
}

#[cfg(test)]
mod tests;
