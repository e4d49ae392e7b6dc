//! A thousand random histories keep what plans promise.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::{Circumstances, Flaw, Found, Keep, Plan, Policy, Restoring, Verdict, plan};
use super::fixture::*;
use crate::runs::{ArchiveName, archive_name, parse_archive_name, split_archive_name};

/// An archive of a history.
fn archive() -> impl Strategy<Value = Found> {
    let minutes =
        prop_oneof![8 => 0..3 * 24 * 60_i64, 8 => 0..60 * 24 * 60_i64, 4 => 0..4 * 365 * 24 * 60_i64, 1 => -600..0_i64];
    let backup = prop_oneof![9 => Just("daily"), 1 => Just("rancher-daily"), 1 => Just("daily-2")];
    let cluster = prop_oneof![8 => Just(OWN), 2 => Just(ADOPTED), 1 => Just(OTHER)];
    let objects = option::weighted(0.7, select(vec![0_u64, 1, 300, 340, 600, 700, 1500]));
    let seldom = || proptest::bool::weighted(0.1);
    let flags = (any::<bool>(), proptest::bool::weighted(0.6), seldom(), seldom());
    (minutes, backup, cluster, objects, flags).prop_map(|(minutes, backup, cluster, objects, flags)| {
        let (is_encrypted, is_verified, is_bad, lacks_types) = flags;
        let at = now() - SignedDuration::from_mins(minutes);
        let lacking = lacks_types.then(|| Flaw::Incomplete { types: Vec::new() });
        let flaw = is_bad.then_some(Flaw::Marked).or(lacking);
        let is_verified = is_verified && cluster == OWN;
        Found { name: archive_name(backup, cluster, at, is_encrypted), is_verified, flaw, objects, ..Found::default() }
    })
}

fn now() -> Timestamp {
    circumstances().now
}

/// Numbers of a policy, and others that are nowhere smaller.
fn numbers() -> impl Strategy<Value = ([i64; 6], [i64; 6])> {
    let number = prop_oneof![3 => Just(0_i64), 4 => 1..6_i64];
    let more = prop_oneof![3 => Just(0_i64), 1 => 1..4_i64];
    (vec(number, 6), vec(more, 6)).prop_map(|(numbers, more)| {
        let sum = |at: usize| numbers[at] + more[at];
        (std::array::from_fn(|at| numbers[at]), std::array::from_fn(sum))
    })
}

#[derive(Clone, Debug)]
struct History {
    archives: Vec<Found>,
    shuffled: Vec<Found>,
    policy: Policy,
    /// It keeps at least as much.
    larger: Policy,
    /// What the policy alone keeps at most.
    limit: usize,
    circumstances: Circumstances,
}

fn history() -> impl Strategy<Value = History> {
    let archives = vec(archive(), 0..60);
    let zones = select(vec!["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]);
    let archives = archives.prop_flat_map(|archives| (Just(archives.clone()), Just(archives).prop_shuffle()));
    let ledgers = prop_oneof![6 => Just(None), 1 => (0..60_i64).prop_map(Some)];
    (archives, numbers(), any::<bool>(), zones, vec(any::<Index>(), 0..3), ledgers).prop_map(
        |((archives, shuffled), (numbers, larger), is_count, zone, restored, ledger)| {
            let is_count = is_count || numbers == [0; 6];
            let policy = |numbers: [i64; 6]| {
                if is_count { newest(numbers[0].max(1)) } else { tiers(numbers, zone) }
            };
            let limit: i64 = if is_count { numbers[0].max(1) } else { numbers.iter().sum() };
            let mut circumstances = circumstances_of(&archives);
            // The ledger may begin with an archive that is gone.
            let earlier = ledger.map(|days| now() - SignedDuration::from_hours(24 * days));
            circumstances.ledger_since = circumstances.ledger_since.into_iter().chain(earlier).min();
            let names = restored.iter().filter(|_| !archives.is_empty()).map(|index| index.get(&archives).name.clone());
            circumstances.restoring.archives = names.map(|name| (name, "r".to_owned())).collect();
            let limit = usize::try_from(limit).unwrap();
            History { policy: policy(numbers), larger: policy(larger), limit, circumstances, archives, shuffled }
        },
    )
}

impl History {
    fn plan(&self) -> Plan {
        plan(&self.archives, &self.policy, &self.circumstances)
    }

    /// The archives that are of the Backup, of this or an adopted cluster, good, whole and not of the future, oldest first.
    fn counted(&self) -> Vec<(Timestamp, &str, String, &Found)> {
        let read = |found| {
            let name = own_name(found)?;
            let counts = found.flaw.is_none() && name.time <= self.circumstances.now;
            counts.then_some((name.time, found.name.as_str(), name.cluster_uid, found))
        };
        let mut counted: Vec<_> = self.archives.iter().filter_map(read).collect();
        counted.sort_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)));
        counted
    }

    /// What must not be deleted, by the words of the promises and not by the plan's code.
    fn promised(&self) -> BTreeMap<&str, &'static str> {
        let counted = self.counted();
        let mut promised = BTreeMap::new();
        let since = self.circumstances.ledger_since;
        if let Some((_, name, ..)) = counted.iter().rev().find(|(.., found)| found.is_verified) {
            promised.insert(*name, "the newest verified");
        } else {
            promised.extend(self.archives.iter().map(|found| (found.name.as_str(), "none is verified")));
        }
        for cluster in [OWN, ADOPTED] {
            let takes_part =
                |time: Timestamp, found: &Found| found.is_verified || since.is_none_or(|since| time < since);
            let known: Vec<_> = counted
                .iter()
                .filter(|(time, _, uid, found)| uid == cluster && found.objects.is_some() && takes_part(*time, found))
                .collect();
            for pair in known.windows(2) {
                if pair[1].3.objects.unwrap() * 2 < pair[0].3.objects.unwrap() {
                    promised.insert(pair[0].1, "the last before a sharp drop");
                }
            }
        }
        promised.extend(self.circumstances.restoring.archives.keys().map(|name| (name.as_str(), "a Restore names it")));
        for found in &self.archives {
            let (backup, name) = split_archive_name(&found.name).unwrap();
            if backup != "daily" {
                promised.insert(&found.name, "another Backup's");
            } else if name.cluster_uid == OTHER {
                promised.insert(&found.name, "another cluster's");
            } else if name.time > self.circumstances.now {
                promised.insert(&found.name, "of the future");
            } else if !found.is_verified && since.is_some_and(|since| name.time >= since) {
                promised.insert(&found.name, "unknown to the ledger that it is newer than");
            }
        }
        promised
    }

    fn with_only(&self, is_wanted: impl Fn(&Found) -> bool) -> Self {
        let mut left = self.clone();
        left.archives.retain(is_wanted);
        left
    }

    fn without(&self, gone: &[String]) -> Self {
        let gone: BTreeSet<_> = gone.iter().collect();
        self.with_only(|found| !gone.contains(&found.name))
    }
}

/// What the name says of an archive of the Backup and of this or an adopted cluster.
fn own_name(found: &Found) -> Option<ArchiveName> {
    let name = parse_archive_name(&found.name, "daily")?;
    [OWN, ADOPTED].contains(&name.cluster_uid.as_str()).then_some(name)
}

/// Histories with one verdict for each name: a name that comes twice is one archive.
fn unique(mut history: History) -> History {
    let mut seen = BTreeSet::new();
    history.archives.retain(|found| seen.insert(found.name.clone()));
    let by_name: BTreeMap<_, _> = history.archives.iter().map(|found| (found.name.clone(), found.clone())).collect();
    let mut seen = BTreeSet::new();
    history.shuffled.retain(|found| seen.insert(found.name.clone()));
    history.shuffled = history.shuffled.iter().map(|found| by_name[&found.name].clone()).collect();
    history
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_keeps_its_promises(history in history().prop_map(unique)) {
        let plan = history.plan();
        let gone = deleted(&plan);

        let promised = history.promised();
        for name in &gone {
            prop_assert_eq!(promised.get(name.as_str()), None, "deleted {}", name);
        }

        let again = history.without(&gone).plan();
        prop_assert_eq!(deleted(&again), Vec::<String>::new(), "a second plan deletes more");
        prop_assert_eq!(again.kept(), plan.kept());

        let mut shuffled = history.clone();
        shuffled.archives.clone_from(&history.shuffled);
        prop_assert_eq!(&shuffled.plan(), &plan, "the order counts");

        // The ledger's fill no more places than there are, and whatever lies beside them they lose none.
        let verified = history.with_only(|found| found.is_verified);
        let by_policy = kept_by_policy(&plan, &verified);
        prop_assert!(by_policy.len() <= history.limit, "{} kept of at most {}", by_policy.len(), history.limit);
        prop_assert_eq!(&by_policy, &kept_by_policy(&verified.plan(), &verified), "others take a place of the ledger's");
        let counted = verified.counted();
        prop_assert!(by_policy.len() >= usize::from(!counted.is_empty()), "the newest one has no place");
        if let Some((_, newest, ..)) = history.counted().last() {
            prop_assert!(!gone.iter().any(|name| name == newest), "the newest one is deleted");
        }

        let larger = super::super::plan(&history.archives, &history.larger, &history.circumstances);
        for name in deleted(&larger) {
            prop_assert!(gone.contains(&name), "a larger policy deletes {}", name);
        }
    }

    /// The history goes on: an archive comes, a plan is carried out, and time passes.
    #[test]
    fn round_after_round_there_is_a_good_archive(history in history().prop_map(unique)) {
        let mut lying: Vec<Found> = Vec::new();
        let mut coming = history.archives.clone();
        coming.sort_by_key(|found| split_archive_name(&found.name).unwrap().1.time);
        let mut once_verified = false;
        for found in coming {
            let now = split_archive_name(&found.name).unwrap().1.time;
            lying.push(found);
            let circumstances = Circumstances { now, restoring: Restoring::default(), ..history.circumstances.clone() };
            let gone = deleted(&plan(&lying, &history.policy, &circumstances));
            lying.retain(|found| !gone.contains(&found.name));
            let is_good = |found: &Found| found.is_verified && found.flaw.is_none() && own_name(found).is_some();
            let has_verified = lying.iter().any(is_good);
            once_verified |= has_verified;
            prop_assert!(!once_verified || has_verified, "the last verified archive is gone");
        }
    }
}

/// The names that a plan gives places of the policy, of those that a history has.
fn kept_by_policy(plan: &Plan, history: &History) -> BTreeSet<String> {
    let names: BTreeSet<_> = history.archives.iter().map(|found| found.name.as_str()).collect();
    let kept = plan.archives.iter().filter(|judged| is_kept_by_policy(&judged.verdict));
    kept.filter(|judged| names.contains(judged.name.as_str())).map(|judged| judged.name.clone()).collect()
}

fn is_kept_by_policy(verdict: &Verdict) -> bool {
    let is_slot = |keep: &Keep| matches!(keep, Keep::Newest { .. } | Keep::Tier { .. });
    matches!(verdict, Verdict::Keep(keeps) if keeps.iter().any(is_slot))
}
