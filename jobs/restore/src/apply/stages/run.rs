//! The writing of many objects: at once, again when another one was missing, and when one that was going is gone.

mod aside;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use drover::task;
use futures::{StreamExt, stream};
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Execution;
use crate::apply::away::Which;
use crate::apply::finalizers;
use crate::apply::write::{Attempt, Then, WriteError, Writer};
use crate::plan::{Action, Plan};
use crate::report::causes::Causes;
use crate::report::outcome::{Outcome, Result as ObjectResult, Results};
use crate::report::progress::{Gauge, Progress, Wait};
use crate::survey::archive::facts::Position;

/// How long a stage waits for objects that are being deleted, for all of them together; where finalizers are removed,
/// that long afterwards.
const GONE_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at them.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// Between two rounds: caches of the API server and of webhooks need a moment to see what was written.
const ROUND_PAUSE: Duration = Duration::from_secs(1);

/// What an object is written for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    /// It is the first time.
    First,
    /// It did not succeed.
    Again,
    /// It succeeded, and its owners were not right.
    Owners,
    /// It succeeded, and a webhook may have changed it.
    Webhooks,
}

/// One run over all stages.
pub(super) struct Run<'a> {
    writer: Arc<Writer>,
    plan: &'a Plan,
    in_cycles: &'a [Position],
    results: Results,
    at_once: usize,
    stop: CancellationToken,
    /// What the server refused: it may need what was not there yet.
    refused: Vec<Position>,
    /// What waits for another server that does not answer.
    aside: BTreeMap<Which, VecDeque<Position>>,
    /// How long an object that is being deleted may take before its finalizers are removed; nothing where none are.
    patience: Option<Duration>,
    /// The finalizers that were removed, by object.
    freed: HashMap<Position, Vec<String>>,
    lost: Option<WriteError>,
    shown: Option<(Progress, Arc<Gauge>)>,
}

impl<'a> Run<'a> {
    /// Begins, with the results of what is not written. It stops by itself, through `stop`, where the server is away.
    pub(super) fn new(
        writer: Writer,
        plan: &'a Plan,
        in_cycles: &'a [Position],
        results: Results,
        at_once: usize,
        stop: CancellationToken,
    ) -> Self {
        Self {
            writer: Arc::new(writer),
            plan,
            in_cycles,
            results,
            at_once,
            stop,
            refused: Vec::new(),
            aside: BTreeMap::new(),
            patience: None,
            freed: HashMap::new(),
            lost: None,
            shown: None,
        }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, gauge: &Arc<Gauge>, count: usize) {
        self.shown = Some((Progress::new("objects tried", count), Arc::clone(gauge)));
    }

    /// Removes the finalizers of what is being deleted and does not go in that time.
    pub(super) const fn lose_patience_after(&mut self, patience: Option<Duration>) {
        self.patience = patience;
    }

    /// Writes those objects of a stage that the plan writes.
    pub(super) async fn stage(&mut self, stage: &[Position]) {
        let written = stage.iter().copied().filter(|position| self.plan.action(*position).writes());
        let written = written.collect();
        self.batch(written, Turn::First).await;
    }

    /// Writes objects once more that were written before one of their owners had a UID, or whose owner has another one
    /// since: because it was gone, or had to be deleted and created again.
    pub(super) async fn mend_owners(&mut self) {
        let Writer { owners, facts, .. } = &*self.writer;
        let may_be_written = |position: &Position| {
            matches!(self.plan.action(*position), Action::Create | Action::Update | Action::Unchanged)
                && !matches!(self.results.outcome(*position), Outcome::Failed | Outcome::Untouched)
        };
        let outdated: Vec<Position> = owners.take_outdated(facts).into_iter().filter(may_be_written).collect();
        self.batch(outdated, Turn::Owners).await;
    }

    /// Tries again what the server refused, as long as that helps at least one object: each may need another.
    pub(super) async fn rounds(&mut self) {
        while !self.refused.is_empty() && self.pause(ROUND_PAUSE).await {
            let tried = std::mem::take(&mut self.refused);
            let count = tried.len();
            self.batch(tried, Turn::Again).await;
            let helped = self.refused.len() < count;
            self.mend_owners().await;
            if !helped {
                return;
            }
        }
    }

    /// Looks once more at what was written, if the exemption from webhooks was missing meanwhile, more often than so often:
    /// one of them may have changed it. So it is where it was missing during that look, as often as it is put in again.
    pub(super) async fn past_webhooks(&mut self, mut lapses: u32) {
        while !self.stop.is_cancelled() {
            let now = self.writer.server.lapses().await;
            if now == lapses {
                return;
            }
            lapses = now;
            self.batch(self.written(), Turn::Webhooks).await;
        }
    }

    /// What this run wrote.
    fn written(&self) -> Vec<Position> {
        let is_written = |position: &Position| {
            matches!(self.results.outcome(*position), Outcome::Created | Outcome::Updated)
                && self.plan.action(*position).writes()
        };
        self.writer.facts.positions().filter(is_written).collect()
    }

    /// Ends, with what it came to.
    pub(super) fn end(self) -> Execution {
        Execution { results: self.results, lost: self.lost }
    }

    /// Writes objects, and those that are being deleted once they are gone: all of them are waited for together.
    async fn batch(&mut self, positions: Vec<Position>, turn: Turn) {
        let leaving = self.write(positions, turn).await;
        let leaving = match self.patience {
            Some(patience) => {
                let left = self.write_when_gone(leaving, patience).await;
                self.free(&left).await;
                left
            }
            None => leaving,
        };
        self.write_when_gone(leaving, GONE_WITHIN).await;
    }

    /// Writes objects that are being deleted once they are gone, and gives those that are not gone in that time.
    async fn write_when_gone(&mut self, mut leaving: Vec<Position>, within: Duration) -> Vec<Position> {
        let deadline = Instant::now() + within;
        while let Some(first) = leaving.first().copied() {
            let _wait = self.wait_for(first, leaving.len() - 1).await;
            if Instant::now() >= deadline || !self.pause(LOOK_PAUSE).await {
                break;
            }
            leaving = self.write(leaving, Turn::Again).await;
        }
        leaving
    }

    /// Says that an object which is being deleted is waited for, and so many others.
    async fn wait_for(&self, first: Position, others: usize) -> Wait {
        let reason = self.results.reason(first);
        let held = reason.split_once(';').map_or(reason, |(held, _)| held);
        let name = self.writer.name_of(first).await;
        self.writer.gauge.wait(finalizers::waited_for(&name, held, others))
    }

    /// Takes away the finalizers of objects that are being deleted, unless the run is to stop: the time that they had
    /// may not be over then.
    async fn free(&mut self, leaving: &[Position]) {
        let mut failed = Causes::default();
        for position in leaving {
            if self.stop.is_cancelled() {
                break;
            }
            let removed = self.writer.free(*position, &mut failed).await;
            self.freed.entry(*position).or_default().extend(removed);
        }
        for (_, words) in failed.told("being deleted, and not to be freed of finalizers") {
            tracing::warn!("{words}");
        }
    }

    /// Writes objects, and gives those that are being deleted.
    async fn write(&mut self, positions: Vec<Position>, turn: Turn) -> Vec<Position> {
        let (stop, shared) = (self.stop.clone(), Arc::clone(&self.writer));
        let (plan, written) = (self.plan, self.written_by_us(&positions, turn));
        // A task for each object: reading the answers and comparing is work for all cores.
        let attempts = stream::iter(positions)
            .take_until(stop.cancelled())
            .map(|position| {
                let (writer, action) = (Arc::clone(&shared), action(plan, position, turn));
                let is_ours = written.contains(&position);
                let task = task::spawn(async move {
                    if is_ours { writer.write_owners(position).await } else { writer.write(position, action).await }
                });
                async move { (position, task.await) }
            })
            .buffer_unordered(self.at_once);
        let mut attempts = std::pin::pin!(attempts);
        let mut leaving = Vec::new();
        while let Some((position, attempt)) = attempts.next().await {
            if self.take(position, attempt, turn) == Then::Wait {
                leaving.push(position);
            }
        }
        leaving
    }

    /// Those that this restore created, and that get their owners now.
    fn written_by_us(&self, positions: &[Position], turn: Turn) -> HashSet<Position> {
        let is_ours =
            |position: &&Position| turn == Turn::Owners && self.results.outcome(**position) == Outcome::Created;
        positions.iter().filter(is_ours).copied().collect()
    }

    fn take(&mut self, position: Position, ended: Result<Result<Attempt, WriteError>, JoinError>, turn: Turn) -> Then {
        if let (Turn::First, Some((progress, gauge))) = (turn, &mut self.shown) {
            progress.advance();
            gauge.advance();
        }
        let Attempt { result, then } = match ended {
            Ok(Ok(attempt)) => attempt,
            Ok(Err(error)) => {
                self.stop.cancel();
                self.lost.get_or_insert(error);
                return Then::Settled;
            }
            Err(error) => ObjectResult::failed(&error).into(),
        };
        let result = with_removed(result, self.freed.get(&position));
        match then {
            Then::TryAgain => self.refused.push(position),
            Then::PutAside(which) => self.aside.entry(which).or_default().push_back(position),
            Then::Settled | Then::Wait => {}
        }
        let result = match turn {
            Turn::First | Turn::Again => result,
            Turn::Owners => {
                let first = (self.results.outcome(position), self.results.reason(position));
                after_owners(result, first, self.in_cycles.binary_search(&position).is_ok())
            }
            Turn::Webhooks => after_webhooks(result, (self.results.outcome(position), self.results.reason(position))),
        };
        self.results.set(position, result);
        then
    }

    /// Waits; false where the run is to stop.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

/// What is done with an object: what is there by now is looked at where it is not the first time.
fn action(plan: &Plan, position: Position, turn: Turn) -> Action {
    match (turn, plan.action(position)) {
        (Turn::First | Turn::Again, Action::Create) => Action::Create,
        _ => Action::Update,
    }
}

/// An object whose finalizers were removed is told of.
fn with_removed(result: ObjectResult, removed: Option<&Vec<String>>) -> ObjectResult {
    let Some(removed) = removed.and_then(|removed| finalizers::removed(removed)) else { return result };
    let removed = format!("it was being deleted; {removed}");
    ObjectResult::noted(result.outcome, [removed.as_str(), &result.reason])
}

/// The second write of an object, for its owners, does not hide what the first one did.
pub(super) fn after_owners(second: ObjectResult, first: (Outcome, &str), in_cycle: bool) -> ObjectResult {
    match (first.0, second.outcome) {
        (outcome, Outcome::Unchanged | Outcome::Kept) => ObjectResult::new(outcome, first.1.to_owned()),
        (_, Outcome::Failed) | (Outcome::Unchanged, _) => second,
        (outcome, _) => {
            let twice = if in_cycle {
                "it is in a cycle of owners and was written twice"
            } else {
                "one of its owners was made later or anew, so it was written twice"
            };
            ObjectResult::noted(outcome, [twice, &second.reason])
        }
    }
}

/// A further write of an object, for a webhook that changed it, does not hide what the first one did.
fn after_webhooks(further: ObjectResult, first: (Outcome, &str)) -> ObjectResult {
    let changed = "a webhook changed it before it was exempt from it again, so it was written again";
    match further.outcome {
        // What is created where it is missing and never written over is left as it is from then on, and what happens more
        // than once is told once.
        Outcome::Updated if !first.1.starts_with(changed) => ObjectResult::noted(first.0, [changed, first.1]),
        Outcome::Unchanged | Outcome::Kept | Outcome::Updated => ObjectResult::new(first.0, first.1.to_owned()),
        _ => further,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: (Outcome, &str), second: (Outcome, &str), expected: (Outcome, &str)) {
        let second = ObjectResult::new(second.0, second.1.to_owned());
        let result = after_owners(second, first, false);
        assert_eq!((result.outcome, result.reason.as_str()), expected);
    }

    #[test]
    fn a_second_write_for_owners_does_not_hide_the_first() {
        use Outcome::{Created, Failed, Kept, Unchanged, Updated};
        let twice = "one of its owners was made later or anew, so it was written twice";
        check((Created, "an owner was dropped"), (Updated, ""), (Created, twice));
        check((Updated, ""), (Updated, "note"), (Updated, &format!("{twice}; note")));
        check((Unchanged, ""), (Updated, "note"), (Updated, "note"));
        check((Updated, "why"), (Unchanged, ""), (Updated, "why"));
        check((Unchanged, "why"), (Unchanged, ""), (Unchanged, "why"));
        check((Created, "an owner was dropped"), (Kept, "its controller"), (Created, "an owner was dropped"));
        check((Created, ""), (Failed, "no"), (Failed, "no"));
    }

    #[test]
    fn a_second_write_past_webhooks_does_not_hide_the_first() {
        let after = |second: Outcome| {
            let second = ObjectResult::new(second, "second".to_owned());
            let result = after_webhooks(second, (Outcome::Created, "first"));
            (result.outcome, result.reason)
        };
        assert_eq!(after(Outcome::Unchanged), (Outcome::Created, "first".to_owned()));
        assert_eq!(after(Outcome::Kept), (Outcome::Created, "first".to_owned()));
        let (outcome, reason) = after(Outcome::Updated);
        assert!(
            outcome == Outcome::Created && reason.starts_with("a webhook changed it") && reason.ends_with("; first")
        );
        let third = ObjectResult::new(Outcome::Updated, "third".to_owned());
        assert_eq!(after_webhooks(third, (outcome, &reason)), ObjectResult::new(outcome, reason.clone()));
        assert_eq!(after(Outcome::Failed), (Outcome::Failed, "second".to_owned()));
    }

    #[test]
    fn what_is_in_a_cycle_is_told_of_as_such() {
        let second = ObjectResult::new(Outcome::Updated, String::new());
        let result = after_owners(second, (Outcome::Created, ""), true);
        assert_eq!(result.reason, "it is in a cycle of owners and was written twice");
    }
}
