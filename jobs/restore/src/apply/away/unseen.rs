//! Types whose objects cannot be looked at, for another server is away. They are unknown, and never none: nothing of them
//! is written or pruned, and nothing that rests on them is changed.

use std::sync::Arc;

use crate::plan::{Action, Plan};
use crate::survey::archive::facts::{Facts, Position};
use crate::survey::live::{Live, Presence};
use crate::survey::types::Type;

/// Types that could not be looked at, each with why.
#[derive(Debug, Default)]
pub(crate) struct Unseen(Vec<(Arc<Type>, Arc<str>)>);

impl Unseen {
    /// A type cannot be looked at, in whatever version.
    pub(crate) fn add(&mut self, known: &Arc<Type>, why: Arc<str>) {
        if self.why(known).is_none() {
            self.0.push((Arc::clone(known), why));
        }
    }

    /// Why a type cannot be looked at, if it cannot.
    pub(crate) fn why(&self, known: &Type) -> Option<&Arc<str>> {
        let mut all = self.0.iter();
        all.find(|(unseen, _)| unseen.group == known.group && unseen.plural == known.plural).map(|(_, why)| why)
    }

    /// Why it is not known what lies in a namespace; none where it is.
    pub(crate) fn in_namespaces(&self) -> Option<String> {
        let (known, why) = self.0.iter().find(|(known, _)| known.namespaced)?;
        Some(format!("it may hold {} that cannot be seen: {why}", known.plural))
    }

    /// Says that nothing is pruned of these types.
    pub(crate) fn warn_of_not_pruning(&self) {
        let names: Vec<&str> = self.0.iter().map(|(known, _)| known.plural.as_str()).collect();
        if !names.is_empty() {
            tracing::warn!(
                "nothing of these types is pruned, for what there is of them cannot be seen: {}",
                names.join(", ")
            );
        }
    }

    /// Changes a plan that was made as if what cannot be seen were not there.
    pub(crate) fn revise(&self, facts: &Facts, live: &Live, plan: &mut Plan) {
        if self.0.is_empty() {
            return;
        }
        for position in facts.positions() {
            if !matches!(plan.action(position), Action::Create | Action::Update | Action::Unchanged) {
                continue;
            }
            let known = facts.type_at(facts.entry(position).type_index);
            if let Some(why) = known.and_then(|known| self.why(known)) {
                plan.hinder(position, why);
            } else if let Some(why) = self.of_an_owner(facts, live, position) {
                // Written now, it would lose its owner.
                match live.presence(position) {
                    Presence::Same => plan.leave(position),
                    _ => plan.hinder(position, &format!("an owner of it cannot be seen: {why}").into()),
                }
            }
        }
    }

    /// Why an owner cannot be seen that the live object names; none where there is no such owner.
    fn of_an_owner(&self, facts: &Facts, live: &Live, position: Position) -> Option<&Arc<str>> {
        let named = facts.references(position).iter().zip(live.reference_marks(position));
        let mut owners = named.filter_map(|(owner, mark)| mark.and(*owner));
        owners.find_map(|owner| self.why(&facts.owners().get(owner as usize)?.kind))
    }
}
