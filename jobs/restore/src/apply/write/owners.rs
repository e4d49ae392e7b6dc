//! The UIDs that owners have by now, and who has to be told when they change.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::survey::archive::facts::{Facts, OwnerIndex, Position};

/// The live UIDs of owners.
#[derive(Debug, Default)]
pub(crate) struct OwnerUids(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    uids: HashMap<OwnerIndex, String>,
    /// Owners that have another UID than the one that was known of them, or none any more.
    changed: HashSet<OwnerIndex>,
    /// What was written without an owner that the archive holds, since that had no UID yet.
    missed: HashSet<(OwnerIndex, Position)>,
}

impl OwnerUids {
    /// Those that are known before anything is written.
    pub(crate) fn new(uids: HashMap<OwnerIndex, String>) -> Self {
        Self(Mutex::new(State { uids, ..State::default() }))
    }

    /// Owners that are gone since: a reference with the UID of one would have the owned deleted.
    pub(crate) fn forget(&self, gone: impl IntoIterator<Item = OwnerIndex>) {
        let mut state = self.lock();
        for owner in gone {
            state.uids.remove(&owner);
            state.changed.insert(owner);
        }
    }

    /// The UID that an owner has now.
    pub(super) fn set(&self, owner: OwnerIndex, uid: String) {
        let mut state = self.lock();
        if state.uids.get(&owner).is_some_and(|known| *known != uid) {
            state.changed.insert(owner);
        }
        state.uids.insert(owner, uid);
    }

    /// The UID of an owner of the object of that position.
    pub(super) fn get(&self, facts: &Facts, owner: OwnerIndex, owned: Position) -> Option<String> {
        let mut state = self.lock();
        let uid = state.uids.get(&owner).cloned();
        if uid.is_none() && facts.owners()[owner as usize].position.is_some() {
            state.missed.insert((owner, owned));
        }
        uid
    }

    /// The objects whose references to owners are not right any more, each told of once: those that were written before
    /// an owner had a UID, and those of which an owner has another UID now.
    pub(crate) fn take_outdated(&self, facts: &Facts) -> Vec<Position> {
        let mut state = self.lock();
        let State { uids, changed, missed } = &mut *state;
        let found: BTreeSet<Position> =
            missed.extract_if(|(owner, _)| uids.contains_key(owner)).map(|(_, owned)| owned).collect();
        let changed = std::mem::take(changed);
        let owned = (!changed.is_empty()).then(|| facts.owned_by(move |owner| changed.contains(&owner)));
        found.into_iter().chain(owned.into_iter().flatten()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Maps of texts and numbers are sound whatever happened to who held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::survey::archive::facts::{Gathering, Place};
    use crate::survey::ground::Ground;
    use crate::survey::types::Types;

    fn known(uids: &[(OwnerIndex, &str)]) -> OwnerUids {
        OwnerUids::new(uids.iter().map(|(owner, uid)| (*owner, (*uid).to_owned())).collect())
    }

    /// Position 0 owns 1 and 2, and is the first owner; another, outside of the archive, owns 3.
    fn facts() -> Facts {
        let definition = json!({"spec": {"group": "a.io", "scope": "Cluster",
            "names": {"plural": "things", "kind": "Thing"}, "versions": [{"name": "v1", "served": true}]}});
        let types = Types::new(Vec::new(), &[serde_json::from_value(definition).unwrap()]);
        let ground = Ground::default();
        let mut gathering = Gathering::new(&types, &ground, [("things", "a.io", "v1")].into_iter());
        for (name, owner) in [("owner", ""), ("one", "owner"), ("two", "owner"), ("far", "elsewhere")] {
            let reference = format!(r#"{{"apiVersion":"a.io/v1","kind":"Thing","name":"{owner}","uid":"old"}}"#);
            let references = if owner.is_empty() { String::new() } else { reference };
            let object = format!(r#"{{"metadata":{{"ownerReferences":[{references}]}}}}"#);
            gathering.add(Place { type_index: 0, namespace: "", name }, object.as_bytes()).unwrap();
        }
        gathering.finish()
    }

    #[test]
    fn what_was_written_before_its_owner_is_told_of_once_the_owner_is_there() {
        let (facts, uids) = (facts(), known(&[]));
        assert_eq!(uids.get(&facts, 0, 1), None);
        assert!(uids.take_outdated(&facts).is_empty());
        uids.set(0, "new".to_owned());
        assert_eq!(uids.get(&facts, 0, 2).as_deref(), Some("new"));
        assert_eq!(uids.take_outdated(&facts), [1]);
        assert!(uids.take_outdated(&facts).is_empty());
    }

    #[test]
    fn an_owner_that_was_made_anew_concerns_all_that_it_owns() {
        let (facts, uids) = (facts(), known(&[(0, "old"), (1, "far")]));
        uids.set(0, "old".to_owned());
        assert!(uids.take_outdated(&facts).is_empty());
        uids.set(0, "new".to_owned());
        assert_eq!(uids.take_outdated(&facts), [1, 2]);
    }

    #[test]
    fn an_owner_that_is_gone_is_not_named_any_more() {
        let (facts, uids) = (facts(), known(&[(1, "far")]));
        uids.forget([1]);
        assert_eq!(uids.get(&facts, 1, 3), None);
        assert_eq!(uids.take_outdated(&facts), [3]);
    }

    #[test]
    fn an_owner_outside_of_the_archive_is_not_waited_for() {
        let (facts, uids) = (facts(), known(&[]));
        assert_eq!(uids.get(&facts, 1, 3), None);
        uids.set(1, "late".to_owned());
        assert!(uids.take_outdated(&facts).is_empty());
    }
}
