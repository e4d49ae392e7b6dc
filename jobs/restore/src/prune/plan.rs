//! Which candidates are deleted, in which order, and which are not and why: a pure function of what was seen.

use std::collections::HashMap;

use super::{Candidate, Doubts, Usage, together};
use crate::objects::order::{self, Rank};
use crate::objects::special_cases::OURS;
use crate::prune::verdict::Verdict;
use crate::survey::ground::Ground;

/// The namespaces that every cluster has; without one of them it does not work.
const CLUSTERS_OWN: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "default"];

/// What a prune does, decided before anything is deleted.
#[derive(Debug, Default)]
pub(crate) struct PrunePlan {
    candidates: Vec<Candidate>,
    verdicts: Vec<Verdict>,
    /// What tells what is too new.
    pub(super) doubts: Doubts,
    /// Whether also what would take others' things with it is deleted.
    pub(super) everything: bool,
}

impl PrunePlan {
    /// Decides. `everything` takes also what is held back otherwise.
    pub(crate) fn new(
        candidates: Vec<Candidate>,
        usage: &Usage,
        doubts: Doubts,
        ground: &Ground,
        everything: bool,
    ) -> Self {
        let decide = |candidate| decide(candidate, usage, &doubts, ground, everything);
        let mut verdicts: Vec<Verdict> = candidates.iter().map(decide).collect();
        together::revise(&candidates, &mut verdicts, |candidate| stands(candidate, ground));
        Self { candidates, verdicts, doubts, everything }
    }

    /// The candidates, each with what becomes of it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Candidate, &Verdict)> {
        self.candidates.iter().zip(&self.verdicts)
    }

    /// Whether anything is deleted.
    pub(crate) fn deletes(&self) -> bool {
        self.verdicts.contains(&Verdict::Delete)
    }

    /// The candidates that are deleted, in stages: what is owned before its owners, workloads before what they use, what
    /// lies in namespaces before the rest, Namespaces after that, definitions last.
    pub(crate) fn stages(&self) -> Vec<Vec<&Candidate>> {
        let deleted: Vec<&Candidate> =
            self.iter().filter(|(_, verdict)| **verdict == Verdict::Delete).map(|(candidate, _)| candidate).collect();
        let ranks: Vec<Rank> = deleted.iter().map(|candidate| candidate.known.rank()).collect();
        let by_uid: HashMap<&str, u32> =
            (0..).zip(&deleted).map(|(index, candidate)| (candidate.uid.as_str(), index)).collect();
        let edges: Vec<(u32, u32)> = (0..)
            .zip(&deleted)
            .flat_map(|(owned, candidate)| {
                candidate.owners.iter().filter_map(|uid| by_uid.get(uid.as_str())).map(move |owner| (owned, *owner))
            })
            .collect();
        // What is made first goes last.
        let stages = order::order(&ranks, &edges).stages.into_iter().rev();
        stages.map(|stage| stage.into_iter().map(|index| deleted[index as usize]).collect()).collect()
    }
}

fn decide(candidate: &Candidate, usage: &Usage, doubts: &Doubts, ground: &Ground, everything: bool) -> Verdict {
    if let Some(reason) = never(candidate, ground) {
        return Verdict::Keep(reason);
    }
    match held_back(candidate, usage).or_else(|| doubts.about(candidate)) {
        Some(reason) if !everything => Verdict::hold_back(&reason),
        _ => Verdict::Delete,
    }
}

/// Whether a candidate must not go with its owner either.
fn stands(candidate: &Candidate, ground: &Ground) -> bool {
    let is_needed = || candidate.is("", "secrets") && ground.needs_secret(&candidate.namespace, &candidate.name);
    candidate.kept == Some(OURS) || candidate.key().check().is_err() || is_needed()
}

/// Why a candidate is never deleted.
fn never(candidate: &Candidate, ground: &Ground) -> Option<&'static str> {
    if candidate.kept.is_some() {
        return candidate.kept;
    }
    if candidate.key().check().is_err() {
        return Some("no archive has a place for its name, so none can say that it was not there");
    }
    let is_namespace = candidate.is("", "namespaces");
    if is_namespace && CLUSTERS_OWN.contains(&candidate.name.as_str()) {
        return Some("every cluster has this namespace");
    }
    if candidate.namespace == ground.namespace() && !candidate.namespace.is_empty() {
        return Some("it lies in the namespace that drover runs in");
    }
    if is_namespace && ground.needs_namespace(&candidate.name) {
        return Some("a Secret that drover works with is to lie in it");
    }
    if candidate.is("", "secrets") && ground.needs_secret(&candidate.namespace, &candidate.name) {
        return Some("drover works with this Secret");
    }
    let is_account = candidate.is("", "serviceaccounts") && candidate.name == "default";
    is_account.then_some("Kubernetes makes this account in every namespace")
}

fn held_back(candidate: &Candidate, usage: &Usage) -> Option<String> {
    if candidate.is("", "namespaces") {
        return usage.of_namespace(&candidate.name).map(str::to_owned);
    }
    if candidate.known.is_definition() {
        return usage.of_definition(&candidate.name).map(str::to_owned);
    }
    if usage.of_namespace(&candidate.namespace).is_some() {
        return Some(format!("its namespace {:?} is held back", candidate.namespace));
    }
    let definition = format!("{}.{}", candidate.known.plural, candidate.known.group);
    usage.of_definition(&definition).map(|_| format!("its definition {definition:?} is held back"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::objects::definitions;
    use crate::survey::types::Type;

    /// One that was made long ago.
    pub(in crate::prune) fn candidate(group: &str, plural: &str, namespace: &str, name: &str) -> Candidate {
        Candidate {
            known: Arc::new(Type::for_tests(group, plural, "", !namespace.is_empty())),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: format!("uid of {name}"),
            made: Some(Timestamp::UNIX_EPOCH),
            owners: Vec::new(),
            kept: None,
        }
    }

    fn usage() -> Usage {
        let text = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect()
        };
        Usage::new(text(&[("c-shop", "it has pods")]), text(&[("things.a.io", "it has objects")]))
    }

    /// Of a restore of today, whose archive tells nothing of `unknowns`.
    fn doubts() -> Doubts {
        let today = Timestamp::from_second(1_000_000_000).unwrap();
        Doubts::new(["unknowns.a.io".to_owned()].into(), Some(today), today)
    }

    fn ground() -> Ground {
        Ground::of_namespace("home".to_owned()).with_secrets(("vault", "keys"), ("pulls", "registry"))
    }

    #[track_caller]
    fn check(candidate: &Candidate, everything: bool, expected: &str) {
        let found = match decide(candidate, &usage(), &doubts(), &ground(), everything) {
            Verdict::Delete => "delete".to_owned(),
            Verdict::Keep(reason) => format!("keep: {reason}"),
            Verdict::HoldBack(reason) => format!("hold back: {reason}"),
        };
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn what_owns_what_drover_stands_on_is_kept_whatever_is_asked() {
        let owned_by =
            |owner: &str, candidate: Candidate| Candidate { owners: vec![format!("uid of {owner}")], ..candidate };
        let candidates = vec![
            owned_by("maker", candidate("", "secrets", "vault", "keys")),
            owned_by("above", candidate("a.io", "makers", "vault", "maker")),
            candidate("a.io", "aboves", "vault", "above"),
            candidate("a.io", "makers", "vault", "other"),
        ];
        for everything in [false, true] {
            let plan = PrunePlan::new(candidates.clone(), &usage(), doubts(), &ground(), everything);
            let is_kept: Vec<bool> = plan.iter().map(|(_, verdict)| matches!(verdict, Verdict::Keep(_))).collect();
            assert_eq!(is_kept, [true, true, true, false], "{everything}");
        }
    }

    #[test]
    fn what_is_not_needed_is_deleted() {
        for (group, plural, namespace, name) in [
            ("", "namespaces", "", "c-gone"),
            ("", "secrets", "c-gone", "a"),
            ("", "secrets", "default", "a"),
            ("a.io", "others", "", "a"),
            (definitions::GROUP, definitions::PLURAL, "", "others.a.io"),
            ("", "serviceaccounts", "c-gone", "robot"),
        ] {
            check(&candidate(group, plural, namespace, name), false, "delete");
        }
    }

    #[test]
    fn what_a_cluster_or_drover_needs_is_kept_whatever_is_asked() {
        for name in CLUSTERS_OWN {
            check(&candidate("", "namespaces", "", name), true, "keep: every cluster");
        }
        check(&candidate("", "secrets", "home", "any"), true, "keep: it lies in the namespace");
        check(&candidate("", "serviceaccounts", "c-gone", "default"), true, "keep: Kubernetes makes");
        for (namespace, name) in [("vault", "keys"), ("pulls", "registry")] {
            check(&candidate("", "secrets", namespace, name), true, "keep: drover works with this Secret");
            check(&candidate("", "namespaces", "", namespace), true, "keep: a Secret that drover works with");
            check(&candidate("", "secrets", namespace, "other"), false, "delete");
            check(&candidate("", "configmaps", namespace, name), false, "delete");
        }
        for name in ["a\nb", "a/b", &*"long".repeat(2000)] {
            check(
                &candidate("rbac.authorization.k8s.io", "clusterroles", "", name),
                true,
                "keep: no archive has a place",
            );
        }
        let special = Candidate { kept: Some("a reason"), ..candidate("", "secrets", "a", "b") };
        check(&special, true, "keep: a reason");
    }

    #[test]
    fn what_is_in_use_is_held_back_with_what_lies_in_it() {
        let definition = candidate(definitions::GROUP, definitions::PLURAL, "", "things.a.io");
        for (candidate, reason) in [
            (candidate("", "namespaces", "", "c-shop"), "hold back: it has pods; the annotation drover.dev/prune: all"),
            (candidate("", "secrets", "c-shop", "a"), "hold back: its namespace \"c-shop\""),
            (definition, "hold back: it has objects"),
            (candidate("a.io", "things", "", "a"), "hold back: its definition \"things.a.io\""),
        ] {
            check(&candidate, false, reason);
            check(&candidate, true, "delete");
        }
    }

    #[test]
    fn what_the_archive_may_lack_for_another_reason_is_held_back() {
        let new = Candidate { made: None, ..candidate("", "secrets", "c-gone", "a") };
        for (candidate, reason) in [
            (new, "hold back: it does not say when it was made; the annotation drover.dev/prune: all (--prune=all)"),
            (candidate("a.io", "unknowns", "", "a"), "hold back: the archive holds no unknowns.a.io"),
        ] {
            check(&candidate, false, reason);
            check(&candidate, true, "delete");
        }
    }

    #[test]
    fn a_namespace_with_something_new_stays_unless_everything_is_asked_for() {
        let new = Candidate { made: None, ..candidate("", "secrets", "c-gone", "new") };
        let candidates =
            vec![candidate("", "namespaces", "", "c-gone"), new, candidate("", "secrets", "c-gone", "old")];
        for (everything, deleted) in [(false, 0), (true, 3)] {
            let usage = Usage::default();
            let plan = PrunePlan::new(candidates.clone(), &usage, doubts(), &Ground::default(), everything);
            assert_eq!((plan.stages().concat().len(), plan.deletes()), (deleted, everything));
        }
    }

    #[test]
    fn the_order_is_that_of_making_turned_round() {
        let owned = |name: &str, owner: &str| Candidate {
            owners: vec![format!("uid of {owner}"), "uid of nobody".to_owned()],
            ..candidate("", "secrets", "a", name)
        };
        let candidates = vec![
            candidate(definitions::GROUP, definitions::PLURAL, "", "d"),
            candidate("", "namespaces", "", "n"),
            candidate("rbac", "clusterroles", "", "c"),
            candidate("", "secrets", "a", "owner"),
            owned("owned", "owner"),
            candidate("apps", "deployments", "a", "w"),
            candidate("", "namespaces", "", "default"),
        ];
        let plan = PrunePlan::new(candidates, &Usage::default(), doubts(), &Ground::default(), false);
        let names: Vec<Vec<&str>> =
            plan.stages().iter().map(|stage| stage.iter().map(|candidate| candidate.name.as_str()).collect()).collect();
        let flat = names.concat();
        let place = |name: &str| flat.iter().position(|found| *found == name).unwrap();
        for (first, second) in [("w", "owner"), ("owned", "owner"), ("owner", "c"), ("c", "n"), ("n", "d")] {
            assert!(place(first) < place(second), "{names:?}");
        }
        assert_eq!(flat.len(), 6);
    }
}
