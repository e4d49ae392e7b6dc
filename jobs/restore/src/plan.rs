//! What a restore does with each object: decided before anything is written, from what was seen and nothing else.

pub(crate) mod made_anew;
pub(crate) mod wishes;

use std::collections::HashMap;
use std::sync::Arc;

use crate::objects::compare::UidMark;
use crate::objects::special_case::{SpecialCase, Treatment};
use crate::objects::special_cases::OURS;
use crate::survey::archive::facts::{Facts, OwnerIndex, Position};
use crate::survey::live::{Live, Presence};

/// What becomes of one object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// It is not there.
    Create,
    /// It is there and differs.
    Update,
    /// It is there and is what the archive says.
    Unchanged,
    /// It is special and not written, for this reason.
    Keep(&'static str),
    /// Its type is not served.
    NotServed,
    /// It lies in a namespace and its type does not, or the other way round.
    Misplaced,
    /// The archive holds it in another version as well, and that one is written.
    Twin,
    /// Nothing can be written where it lies, see [`Plan::reason`].
    Hindered,
}

impl Action {
    /// Whether something is written.
    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update)
    }
}

/// What is to be known of an owner to say whether a reference to it is right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OwnerFate {
    /// It is live, with this UID.
    Live(UidMark),
    /// It will be created, with a UID that nobody knows yet.
    Created,
    /// It is not there and will not be.
    Nowhere,
}

/// The actions for all objects, by position.
#[derive(Debug)]
pub(crate) struct Plan {
    actions: Vec<Action>,
    reasons: HashMap<Position, Arc<str>>,
}

impl Plan {
    /// Decides.
    pub(crate) fn new(facts: &Facts, live: &Live) -> Self {
        let mut actions: Vec<Action> =
            facts.positions().map(|position| regardless_of_owners(facts, live, position)).collect();
        let fates: Vec<OwnerFate> = (0..)
            .zip(facts.owners())
            .map(|(index, owner)| {
                let created = owner.position.is_some_and(|position| actions[position as usize] == Action::Create);
                fate(created, live.owner_mark(index))
            })
            .collect();
        for position in facts.positions() {
            let action = &mut actions[position as usize];
            let (wanted, seen) = (facts.references(position), live.reference_marks(position));
            if *action == Action::Unchanged && owners_differ(wanted, seen, &fates) {
                *action = Action::Update;
            }
        }
        Self { actions, reasons: live.notes().clone() }
    }

    /// What becomes of the object.
    pub(crate) fn action(&self, position: Position) -> Action {
        self.actions[position as usize]
    }

    /// Whether anything is written.
    pub(crate) fn writes(&self) -> bool {
        self.actions.iter().any(|action| action.writes())
    }

    /// The objects whose type nobody knows.
    pub(crate) fn not_served(&self) -> impl Iterator<Item = Position> {
        (0..).zip(&self.actions).filter(|(_, action)| **action == Action::NotServed).map(|(position, _)| position)
    }

    /// Whether the object is to be there after the restore: then it is written, or live as it should be.
    pub(crate) fn restores(&self, facts: &Facts, position: Position) -> bool {
        match self.action(position) {
            Action::Create | Action::Update | Action::Unchanged => true,
            // Created, were it not live.
            Action::Keep(_) => {
                let never = |case: &SpecialCase| matches!(case.treatment, Treatment::Keep | Treatment::Leave);
                !facts.entry(position).case.is_some_and(never)
            }
            Action::NotServed | Action::Misplaced | Action::Twin | Action::Hindered => false,
        }
    }

    /// What was seen of the object does not hold any more: it is looked at again when its turn comes.
    pub(crate) fn look_again(&mut self, position: Position) {
        self.actions[position as usize] = Action::Update;
    }

    /// The object stays as it is.
    pub(crate) fn leave(&mut self, position: Position) {
        self.actions[position as usize] = Action::Unchanged;
    }

    /// The object cannot be written, for this reason.
    pub(crate) fn hinder(&mut self, position: Position, reason: &Arc<str>) {
        self.actions[position as usize] = Action::Hindered;
        self.reasons.insert(position, Arc::clone(reason));
    }

    /// What is to be said of an object that is not written: why it cannot be, or what it keeps; empty where nothing is.
    pub(crate) fn reason(&self, position: Position) -> &str {
        self.reasons.get(&position).map_or("", |reason| reason)
    }
}

fn regardless_of_owners(facts: &Facts, live: &Live, position: Position) -> Action {
    let entry = facts.entry(position);
    if facts.type_at(entry.type_index).is_none() {
        return Action::NotServed;
    }
    if facts.is_misplaced(position) {
        return Action::Misplaced;
    }
    if facts.twin(position).is_some() {
        return Action::Twin;
    }
    decide(entry.case, live.presence(position))
}

fn decide(case: Option<&SpecialCase>, presence: Presence) -> Action {
    match (case.map(|case| (case.treatment, case.reason)), presence) {
        (Some((Treatment::Keep | Treatment::Leave, reason)), _)
        | (Some((Treatment::KeepLive | Treatment::LeaveLive, reason)), Presence::Same | Presence::Differs) => {
            Action::Keep(reason)
        }
        (_, Presence::Ours) => Action::Keep(OURS),
        (_, Presence::Absent) => Action::Create,
        (_, Presence::Differs) => Action::Update,
        (_, Presence::Same) => Action::Unchanged,
    }
}

fn fate(created: bool, live: Option<UidMark>) -> OwnerFate {
    match live {
        Some(mark) => OwnerFate::Live(mark),
        None if created => OwnerFate::Created,
        None => OwnerFate::Nowhere,
    }
}

/// Whether the references of a live object, `seen`, are not those that it would be given.
///
/// A reference with a stale UID is worse than none: garbage collection deletes the object.
fn owners_differ(wanted: &[Option<OwnerIndex>], seen: &[Option<UidMark>], fates: &[OwnerFate]) -> bool {
    wanted.iter().enumerate().any(|(index, owner)| {
        let fate = owner.map_or(OwnerFate::Nowhere, |owner| fates[owner as usize]);
        let seen = seen.get(index).copied().flatten();
        match fate {
            OwnerFate::Live(mark) => seen != Some(mark),
            OwnerFate::Created => true,
            OwnerFate::Nowhere => seen.is_some(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        use Presence::{Absent, Differs, Ours, Same};
        let keep = Action::Keep("why");
        let change = Some(Treatment::Change(|_, _| {}));
        for (treatment, presence, expected) in [
            (None, Absent, Action::Create),
            (None, Differs, Action::Update),
            (None, Same, Action::Unchanged),
            (None, Ours, Action::Keep(OURS)),
            (change, Absent, Action::Create),
            (change, Differs, Action::Update),
            (change, Ours, Action::Keep(OURS)),
            (Some(Treatment::Keep), Absent, keep),
            (Some(Treatment::Keep), Differs, keep),
            (Some(Treatment::KeepLive), Absent, Action::Create),
            (Some(Treatment::KeepLive), Differs, keep),
            (Some(Treatment::KeepLive), Same, keep),
            (Some(Treatment::Leave), Absent, keep),
            (Some(Treatment::Leave), Differs, keep),
            (Some(Treatment::LeaveLive), Absent, Action::Create),
            (Some(Treatment::LeaveLive), Differs, keep),
        ] {
            let case = treatment.map(|treatment| SpecialCase::for_tests(treatment, "why"));
            assert_eq!(decide(case.as_ref(), presence), expected, "{treatment:?} {presence:?}");
        }
    }

    #[test]
    fn fates_of_owners() {
        assert_eq!(fate(false, Some(7)), OwnerFate::Live(7));
        assert_eq!(fate(true, None), OwnerFate::Created);
        assert_eq!(fate(false, None), OwnerFate::Nowhere);
    }

    #[test]
    fn references_are_right_only_with_the_live_uid() {
        let fates = [OwnerFate::Live(7), OwnerFate::Created, OwnerFate::Nowhere];
        for (wanted, seen, expected) in [
            (&[Some(0)][..], &[Some(7)][..], false),
            (&[Some(0)], &[Some(8)], true),
            (&[Some(0)], &[None], true),
            (&[Some(0)], &[], true),
            (&[Some(1)], &[Some(7)], true),
            (&[Some(1)], &[None], true),
            (&[Some(2)], &[None], false),
            (&[Some(2)], &[Some(7)], true),
            (&[None], &[None], false),
            (&[None], &[Some(7)], true),
            (&[Some(2), Some(0)], &[None, Some(7)], false),
            (&[], &[], false),
        ] {
            assert_eq!(owners_differ(wanted, seen, &fates), expected, "{wanted:?} {seen:?}");
        }
    }
}
