//! Carries out a plan: stage after stage, many objects of a stage at a time; then, in rounds, what the server refused; then
//! what waits for another server that does not answer.

mod execution;
mod owners;
mod run;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::execution::Execution;
pub(crate) use self::owners::name_owners;
use self::run::Run;
use crate::apply::write::Writer;
use crate::plan::{Action, Plan};
use crate::report::outcome::{Outcome, Result as ObjectResult, Results};
use crate::report::progress::{Doing, Gauge};
use crate::survey::archive::facts::{Facts, Position};

/// What is said of an object that is not written for its twin is.
const TWIN: &str = "the archive holds it in another version of its type too, and it is written in that one";

/// What a plan comes to if the server agrees to all of it.
pub(crate) fn foreseen(facts: &Facts, plan: &Plan) -> Results {
    let mut results = Results::new(facts.len());
    for position in facts.positions() {
        let outcome = match plan.action(position) {
            Action::Create => Outcome::Created,
            Action::Update => Outcome::Updated,
            Action::Unchanged
            | Action::Keep(_)
            | Action::NotServed
            | Action::Misplaced
            | Action::Twin
            | Action::Hindered => {
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
        Action::Hindered => failed(plan.reason(position)),
        Action::Keep(reason) => ObjectResult::kept(reason),
        Action::Twin => ObjectResult::new(Outcome::Unchanged, TWIN.to_owned()),
        Action::Create | Action::Update | Action::Unchanged => {
            ObjectResult::noted(Outcome::Unchanged, [facts.note_of_unchanged(position), plan.reason(position)])
        }
    }
}

/// Writes what the plan says, at most `at_once` objects at a time. An object that is being deleted is created again once
/// it is gone; where `patience` is given, its finalizers are removed after that time.
///
/// When `shutdown` is cancelled or the server stops answering, what is being written is still finished and nothing more
/// is begun.
pub(crate) async fn execute(
    writer: Writer,
    plan: &Plan,
    at_once: usize,
    patience: Option<Duration>,
    gauge: &Arc<Gauge>,
    shutdown: &CancellationToken,
) -> Execution {
    let (facts, server) = (Arc::clone(&writer.facts), Arc::clone(&writer.server));
    let order = facts.order();
    let mut results = Results::new(facts.len());
    for position in facts.positions().filter(|position| !plan.action(*position).writes()) {
        results.set(position, settled(&facts, plan, position));
    }
    let count = facts.positions().filter(|position| plan.action(*position).writes()).count();
    gauge.begin(Doing::Writing, count);
    let mut run = Run::new(writer, plan, &order.in_cycles, results, at_once, shutdown.child_token());
    run.show(gauge, count);
    run.lose_patience_after(patience);
    let lapses = server.lapses().await;
    for stage in &order.stages {
        run.stage(stage).await;
    }
    run.mend_owners().await;
    run.rounds().await;
    run.wait_for_those_away().await;
    run.past_webhooks(lapses).await;
    run.end()
}
