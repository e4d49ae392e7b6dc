//! Carries out a plan: stage after stage, many objects of a stage at a time.

use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::facts::{Facts, Position};
use crate::outcome::{Outcome, Result as ObjectResult, Results};
use crate::plan::{Action, Plan};
use crate::progress::{Gauge, Progress};
use crate::write::{WriteError, Writer};

/// What carrying out a plan came to.
#[derive(Debug)]
pub(crate) struct Execution {
    /// What became of each object.
    pub(crate) results: Results,
    /// Why it ended early, if the server stopped answering.
    pub(crate) lost: Option<WriteError>,
}

/// What a plan comes to if the server agrees to all of it.
pub(crate) fn foreseen(facts: &Facts, plan: &Plan) -> Results {
    let mut results = Results::new(facts.len());
    for position in facts.positions() {
        let outcome = match plan.action(position) {
            Action::Create => Outcome::Created,
            Action::Update => Outcome::Updated,
            Action::Unchanged | Action::Keep(_) | Action::NotServed | Action::Misplaced => {
                results.set(position, settled(facts, plan, position));
                continue;
            }
        };
        results.set(position, ObjectResult::new(outcome, facts.note(position).to_owned()));
    }
    results
}

/// The result of an object that nothing is written of.
fn settled(facts: &Facts, plan: &Plan, position: Position) -> ObjectResult {
    let failed = |reason: &str| ObjectResult::new(Outcome::Failed, reason.to_owned());
    match plan.action(position) {
        Action::NotServed => failed("type not served: neither the cluster nor a definition of the archive knows it"),
        Action::Misplaced => failed("it lies in a namespace and its type has none here, or the other way round"),
        Action::Keep(reason) => ObjectResult::kept(reason),
        Action::Create | Action::Update | Action::Unchanged => {
            ObjectResult::new(Outcome::Unchanged, facts.note(position).to_owned())
        }
    }
}

/// Writes what the plan says, at most `at_once` objects at a time.
///
/// When `shutdown` is cancelled or the server stops answering, what is being written is still finished and nothing more
/// is begun.
pub(crate) async fn execute(
    writer: Writer,
    plan: &Plan,
    at_once: usize,
    gauge: &Arc<Gauge>,
    shutdown: &CancellationToken,
) -> Execution {
    let facts = Arc::clone(&writer.facts);
    let order = facts.order();
    let mut results = Results::new(facts.len());
    for position in facts.positions().filter(|position| !plan.action(*position).writes()) {
        results.set(position, settled(&facts, plan, position));
    }
    let count = facts.positions().filter(|position| plan.action(*position).writes()).count();
    gauge.begin(count);
    let mut run = Run {
        writer: Arc::new(writer),
        at_once,
        stop: shutdown.child_token(),
        results,
        lost: None,
        progress: Progress::new("objects written", count),
        gauge: Arc::clone(gauge),
    };
    for stage in &order.stages {
        let actions = stage.iter().map(|&position| (position, plan.action(position)));
        run.stage(actions.filter(|(_, action)| action.writes()), |result, _| result).await;
    }
    // Written before one of their owners had a UID; now it has one.
    let again = order.in_cycles.iter().filter(|position| plan.action(**position).writes());
    run.stage(again.map(|&position| (position, Action::Update)), after_cycle).await;
    Execution { results: run.results, lost: run.lost }
}

/// The second write of an object in a cycle of owners does not hide what the first one did.
fn after_cycle(second: ObjectResult, first: (Outcome, &str)) -> ObjectResult {
    if second.outcome == Outcome::Failed || first.0 == Outcome::Failed {
        return second;
    }
    let twice = "it is in a cycle of owners and was written twice";
    let notes: Vec<&str> = [twice, &second.reason].into_iter().filter(|note| !note.is_empty()).collect();
    ObjectResult::new(first.0, notes.join("; "))
}

struct Run {
    writer: Arc<Writer>,
    at_once: usize,
    stop: CancellationToken,
    results: Results,
    lost: Option<WriteError>,
    progress: Progress,
    gauge: Arc<Gauge>,
}

impl Run {
    async fn stage(
        &mut self,
        actions: impl Iterator<Item = (Position, Action)>,
        combine: impl Fn(ObjectResult, (Outcome, &str)) -> ObjectResult,
    ) {
        let stop = self.stop.clone();
        let shared = &self.writer;
        // A task for each object: reading the answers and comparing is work for all cores.
        let results = stream::iter(actions)
            .take_until(stop.cancelled())
            .map(|(position, action)| {
                let writer = Arc::clone(shared);
                let task = tokio::spawn(async move { writer.write(position, action).await });
                async move { (position, task.await) }
            })
            .buffer_unordered(self.at_once);
        let mut results = std::pin::pin!(results);
        while let Some((position, result)) = results.next().await {
            match result {
                Ok(Ok(result)) => {
                    let first = (self.results.outcome(position), self.results.reason(position));
                    let result = combine(result, first);
                    self.results.set(position, result);
                }
                Ok(Err(error)) => {
                    stop.cancel();
                    self.lost.get_or_insert(error);
                }
                Err(error) => self.results.set(position, ObjectResult::failed(&error)),
            }
            self.progress.advance();
            self.gauge.advance();
        }
    }
}
