//! What an archive lacks that ones before held, type by type.
//!
//! Each type is measured by the newest stored archive in which it is not lost. What is lost in an archive, how many objects
//! there were and which archive is the last that has them stands in its run and goes on in the next one's, until somebody
//! confirms it or the objects are back. So the newest run is enough to measure by, however many runs are remembered, and a
//! further loss is told beside one that is open. Each archive that is the last with a type is kept for as long.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest, Sha256};

use super::history::newest_counted;
use super::{Allowed, History, status_of};
use crate::resources::{ArchiveHold, BackupRun, LossReason, Losses, TypeLoss};

/// The least number of objects of one type that are missed where some are left: of three tokens two go every day. Where none
/// is left it does not matter how few there were.
const LEAST: u64 = 3;

/// Types that a run remembers, and lost ones.
const TYPES: usize = 1_000;

/// Types that a message names of one archive.
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

    /// What is lost of a type that was measured; `None` where nothing is, or where that is not known.
    fn loss(&self, Measure { type_, before, .. }: &Measure) -> Option<TypeLoss> {
        let known = u64::try_from(*before).ok().filter(|before| *before > 0)?;
        let (now, reason) = self.became(type_, known)?;
        Some(TypeLoss { type_: type_.clone(), before: *before, now: i64::try_from(now).unwrap_or(i64::MAX), reason })
    }

    /// What became of a type of which there were so many; `None` where it is not lost, or not known.
    fn became(&self, name: &str, before: u64) -> Option<(u64, LossReason)> {
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

/// What a type is measured by.
#[derive(Debug, Eq, PartialEq)]
struct Measure {
    /// File name of the newest archive in which it is not lost.
    kept: String,
    type_: String,
    /// How many objects of it that archive has.
    before: i64,
}

/// What each type is measured by: what the run of the newest archive says to be lost by the archive that is named there, and
/// all else by that run's own counts.
fn measures(newest: &BackupRun, allowed: Allowed<'_>) -> Vec<Measure> {
    let lost = open(newest, allowed);
    let of_lost = |Losses { kept, types, .. }: &Losses| -> Vec<_> {
        let of = |loss: &TypeLoss| Measure { kept: kept.clone(), type_: loss.type_.clone(), before: loss.before };
        types.iter().map(of).collect()
    };
    let mut measures: Vec<_> = lost.iter().flat_map(of_lost).collect();
    let names: BTreeSet<_> = measures.iter().map(|measure| measure.type_.clone()).collect();
    let own = status_of(newest).snapshot.unwrap_or_default().types.into_iter();
    let own = own.filter(|(type_, _)| !names.contains(type_));
    measures.extend(own.map(|(type_, before)| Measure { kept: newest.spec.filename.clone(), type_, before }));
    measures
}

/// What a snapshot lacks of what stored archives hold, by the last archive that has it, oldest first.
#[must_use]
pub fn losses(history: &History, counted: &Counted, allowed: Allowed<'_>) -> Vec<Losses> {
    let measures = newest_counted(history).map(|newest| measures(newest, allowed)).unwrap_or_default();
    let lost = measures.into_iter().filter_map(|measure| Some((counted.loss(&measure)?, measure.kept)));
    let mut of_archives: BTreeMap<String, Vec<TypeLoss>> = BTreeMap::new();
    for (loss, kept) in lost.take(TYPES) {
        of_archives.entry(kept).or_default().push(loss);
    }
    of_archives.into_iter().map(|(kept, types)| losses_since(kept, types)).collect()
}

fn losses_since(kept: String, types: Vec<TypeLoss>) -> Losses {
    let (confirmation, count) = (confirmation(&kept, &types), i64::try_from(types.len()).unwrap_or(i64::MAX));
    Losses { kept, confirmation, count, types }
}

/// The word that confirms the loss of these types since that archive, and of no others and since no other.
fn confirmation(kept: &str, types: &[TypeLoss]) -> String {
    let mut digest = Sha256::new_with_prefix(kept);
    for loss in types {
        digest.update(["\n", &loss.type_].concat());
    }
    format!("loss-{}", hex::encode(&digest.finalize()[..4]))
}

/// What the newest archive that a place has lacks, as long as nobody has confirmed it.
#[must_use]
pub(super) fn open_losses(history: &History, allowed: Allowed<'_>) -> Vec<Losses> {
    newest_counted(history).map(|run| open(run, allowed)).unwrap_or_default()
}

fn open(run: &BackupRun, allowed: Allowed<'_>) -> Vec<Losses> {
    let mut losses = status_of(run).snapshot.unwrap_or_default().losses;
    losses.retain(|losses| !allowed.confirms(losses));
    losses
}

/// The file names of the archives that are kept since later ones lack what they have, and why.
#[must_use]
pub fn holds(history: &History, allowed: Allowed<'_>) -> BTreeMap<String, ArchiveHold> {
    newest_counted(history).map(|run| holds_of(run, allowed)).unwrap_or_default()
}

/// The same, as one run tells it.
#[must_use]
pub fn holds_of(run: &BackupRun, allowed: Allowed<'_>) -> BTreeMap<String, ArchiveHold> {
    let hold = |losses: Losses| {
        let reason = format!("it has what the newest archive lacks: {losses}; {} confirms that", losses.confirmation);
        (losses.kept, ArchiveHold { confirmation: losses.confirmation, reason })
    };
    open(run, allowed).into_iter().map(hold).collect()
}

/// Whether what this word confirms is lost no more: a run told of it, and a later one with a stored archive does not. Runs that
/// never knew of it, as those of a Backup that was made again, end nothing, and neither does a run that is not stored yet.
#[must_use]
pub fn is_over(history: &History, confirmation: &str) -> bool {
    let tells =
        |run: &&BackupRun| open(run, Allowed::default()).iter().any(|losses| losses.confirmation == confirmation);
    let last = history.iter().rev().find(tells);
    last.zip(newest_counted(history)).is_some_and(|(last, newest)| last.spec.number < newest.spec.number)
}

impl fmt::Display for Losses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.types.iter().take(NAMED).map(|TypeLoss { type_, before, now, reason }| {
            let why = match reason {
                LossReason::NotServed => ", the cluster serves it no longer",
                LossReason::NotSelected => ", the ResourceSet selects it no longer",
                LossReason::Fewer => "",
            };
            format!("{type_} ({before} before, {now} now{why})")
        });
        let words: Vec<_> = words.collect();
        formatter.write_str(&words.join(", "))?;
        match self.count.saturating_sub(i64::try_from(words.len()).unwrap_or(i64::MAX)) {
            ..=0 => Ok(()),
            more => write!(formatter, " and {more} more types"),
        }
    }
}

#[cfg(test)]
mod tests;
