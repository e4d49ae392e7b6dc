//! What is to be done, decided from what is known and the time alone. It is decided anew on every change and every half
//! minute, so whatever was not done, or was undone, is done then; and it is the same whoever decides it.

mod backups;
mod decision;
mod known;
mod obstacles;
mod restores;
mod stages;
mod status;
#[cfg(test)]
mod tests;
mod turn;

use jiff::Timestamp;

pub(crate) use decision::{Action, Adoption, Death, Decision, Victim};
use known::World;

use super::state::{Charge, State};

/// Decides. While it is not known who is in charge there is nothing to do.
pub(crate) fn decide(state: &State, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    if state.charge == Charge::Unknown || !state.is_synced() {
        return decision;
    }
    let world = World::of(state, now);
    let next_upload = stages::decide(&world, &mut decision);
    backups::decide(&world, &mut decision, next_upload);
    restores::decide(&world, &mut decision);
    decision
}
