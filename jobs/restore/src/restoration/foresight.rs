//! What a restore would do, looked at without doing any of it: for `plan`, and to leave controllers alone that run while
//! there is nothing to write.

use std::sync::Arc;

use drover::exit::Failure;
use drover::resources::ResourceSet;

use super::pruning::not_pruned;
use super::survey::{Surveyed, warn_of_unaccounted};
use super::{Finished, Restoration};
use crate::apply::stages;
use crate::objects::definitions::Definition;
use crate::plan::made_anew;
use crate::prune;
use crate::report::outcome::Results;
use crate::survey::selected::Selection;
use crate::survey::types::{Type, Types};

/// What would be done.
pub(super) struct Foresight {
    /// What it would come to, but for what is written last.
    pub(super) finished: Finished,
    /// What that would come to.
    pub(super) registrations: Results,
    /// What was seen: of the definitions, of everything else, and of what is written last.
    pub(super) surveyed: [Surveyed; 3],
    /// The namespaces that would be waited for.
    pub(super) leaving: Vec<String>,
    /// Whether anything would be written, deleted or waited for while controllers are down.
    pub(super) changes: bool,
}

impl Restoration {
    /// What it comes to where nothing is to be written or deleted, but for what is written last; none where something is.
    /// Said while controllers may still run, so it holds for a restore that leaves everything as it is and for no other.
    pub(super) async fn unchanged(
        &self,
        types: &Arc<Types>,
        definitions: &[Definition],
        set: Option<&ResourceSet>,
    ) -> Result<Option<Finished>, Failure> {
        let selection = self.selection(set, types, definitions)?;
        let first = self.survey(&self.definitions, types, &selection.only(Type::is_definition)).await?;
        // What else is to be done shows when the definitions are there.
        if first.plan.writes() {
            return Ok(None);
        }
        let Foresight { mut finished, surveyed, changes, .. } = self.foresee(types, &selection, first).await?;
        if changes {
            return Ok(None);
        }
        if let Some((_, rest)) = finished.parts.last_mut() {
            let [_, Surveyed { facts, .. }, _] = &surveyed;
            made_anew::say_unneeded(rest, &self.wishes.recreate.positions(facts));
        }
        finished.outside = not_pruned(finished.outside);
        Ok(Some(finished.noting(warn_of_unaccounted(&selection))))
    }

    /// What would be done, after a look at the definitions.
    pub(super) async fn foresee(
        &self,
        types: &Arc<Types>,
        selection: &Selection,
        mut first: Surveyed,
    ) -> Result<Foresight, Failure> {
        let mut rest = self.survey(&self.rest, types, &selection.only(Type::is_of_the_rest)).await?;
        let mut last = self.survey(&self.registrations, types, &selection.only(Type::is_registration)).await?;
        rest.candidates.append(&mut first.candidates);
        rest.candidates.append(&mut last.candidates);
        let prune = self.prune_plan(types, selection, &mut rest).await?;
        let namespaces = self.namespaces(types, &rest).await?;
        let leaving: Vec<String> = namespaces.leaving().map(str::to_owned).collect();
        let parts = vec![
            (Arc::clone(&self.definitions), stages::foreseen(&first.facts, &first.plan)),
            (Arc::clone(&self.rest), stages::foreseen(&rest.facts, &rest.plan)),
        ];
        let owned = [self.owned(&self.definitions, &first.facts), self.owned(&self.rest, &rest.facts)];
        let owned = owned.into_iter().flatten().collect();
        let mut finished = Finished { parts, outside: namespaces.foreseen(), owned, ..Finished::default() };
        let prunes = prune.deletes() && self.is_whole(&finished);
        let writes = first.plan.writes() || rest.plan.writes() || !finished.outside.is_empty();
        finished.outside.extend(prune::foreseen(&prune));
        let changes = writes || prunes || !leaving.is_empty();
        let registrations = stages::foreseen(&last.facts, &last.plan);
        Ok(Foresight { finished, registrations, surveyed: [first, rest, last], leaving, changes })
    }
}
