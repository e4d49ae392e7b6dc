//! What of the prune belongs to this restore: when it is decided, and whether it is carried out.

use std::collections::BTreeSet;

use drover::clock;
use drover::exit::Failure;
use tokio_util::sync::CancellationToken;

use super::{Finished, Restoration, Surveyed};
use crate::apply::namespaces;
use crate::objects::special_cases::OURS;
use crate::prune::{self, Candidate, Doubts, PrunePlan, Usage};
use crate::report::outcome::{Outcome, Outside, Result as ObjectResult};
use crate::survey::archive::facts::Place;
use crate::survey::selected::Selection;
use crate::survey::types::{Type, Types};

impl Restoration {
    /// What is deleted and what is not: decided before the first object is written.
    pub(super) async fn prune_plan(
        &self,
        types: &Types,
        selection: &Selection,
        surveyed: &mut Surveyed,
    ) -> Result<PrunePlan, Failure> {
        let Some(wish) = self.wishes.prune else { return Ok(PrunePlan::default()) };
        let mut candidates = std::mem::take(&mut surveyed.candidates);
        let facts = &surveyed.facts;
        keep_namespaces(&mut candidates, &namespaces::needed(facts, &surveyed.plan));
        let archived = |known: &Type, namespace: &str, name: &str| {
            let mut versions = self.rest.versions_of(known);
            versions.any(|type_index| facts.find(Place { type_index, namespace, name }).is_some())
        };
        let usage = Usage::survey(&self.server.impatient(), types, &candidates, &self.away, archived).await?;
        let usage = usage.with_unseen(surveyed.live.unseen(), &candidates);
        surveyed.live.unseen().warn_of_not_pruning();
        let doubts = Doubts::new(selection.doubtful().clone(), wish.asked_at, clock::now());
        Ok(PrunePlan::new(candidates, &usage, doubts, &self.ground, wish.everything))
    }

    /// Deletes what the archive lacks, unless the archive itself could not be restored.
    pub(super) async fn prune(
        &self,
        plan: &PrunePlan,
        finished: &Finished,
        shutdown: &CancellationToken,
    ) -> Vec<Outside> {
        let Some(wish) = self.wishes.prune else { return Vec::new() };
        if self.is_whole(finished) && finished.lost.is_none() {
            // A webhook that is away would be asked again for each object.
            let server = self.server.impatient();
            return prune::execute(&server, plan, wish.timeout, self.at_once, &self.gauge, shutdown).await;
        }
        not_pruned(prune::foreseen(plan))
    }

    /// Whether the whole archive is there, so that what it lacks may go.
    pub(super) fn is_whole(&self, finished: &Finished) -> bool {
        let counts = crate::report::results::counts(finished);
        counts.of(Outcome::Untouched) == 0 && (counts.of(Outcome::Failed) == 0 || self.wishes.ignore_errors)
    }
}

/// Keeps the Namespaces that objects of the archive lie in, as those that an earlier restore of it had to make, and those
/// with what drover stands on.
fn keep_namespaces(candidates: &mut [Candidate], needed: &BTreeSet<&str>) {
    let ours = candidates.iter().filter(|candidate| candidate.kept == Some(OURS));
    let ours: BTreeSet<String> = ours.map(|candidate| candidate.namespace.clone()).collect();
    for candidate in candidates.iter_mut().filter(|candidate| candidate.is("", "namespaces")) {
        let is_needed = needed.contains(candidate.name.as_str()).then_some("objects of the archive lie in it");
        let has_ours = ours.contains(&candidate.name).then_some("what carries drover's label lies in it");
        candidate.kept = candidate.kept.or(is_needed).or(has_ours);
    }
}

/// What would have been pruned and was not.
pub(super) fn not_pruned(mut foreseen: Vec<Outside>) -> Vec<Outside> {
    let reason = "not pruned, since not all of the archive was restored";
    for pruned in foreseen.iter_mut().filter(|outside| outside.result.outcome == Outcome::Pruned) {
        pruned.result = ObjectResult::new(Outcome::Untouched, reason.to_owned());
    }
    foreseen
}
