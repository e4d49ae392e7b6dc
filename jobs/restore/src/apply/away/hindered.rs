//! What rests on types that cannot be looked at is not changed.

use std::sync::Arc;

use super::Unseen;
use crate::plan::{Action, Plan};
use crate::survey::archive::facts::{Facts, Position};
use crate::survey::live::{Live, Presence};

impl Unseen {
    /// Changes a plan that was made as if what cannot be seen were not there.
    pub(crate) fn revise(&self, facts: &Facts, live: &Live, plan: &mut Plan) {
        if self.is_empty() {
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
