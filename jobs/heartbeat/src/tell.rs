//! Telling all monitors of one Backup or Restore that have not been told yet.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::clock;
use drover::exit::{Exit, Failure, Fault};
use drover::resources::Backup;
use futures::future::join_all;
use kube::Resource;
use tracing::{info, warn};

use crate::context::Context;
use crate::memory::{self, Mark, Memory, News, member};
use crate::monitor::Monitor;
use crate::monitors::AnnotationError;
use crate::ping::{Concern, Ping, Signal};
use crate::sender::PingError;
use crate::turn::Turn;

/// The reason of the Event about monitors that only a person can mend.
const REFUSED: &str = "HeartbeatRefused";

/// Tells each monitor what is news to it, and remembers whom it has told: one that does not answer does not have the
/// others told once more.
///
/// # Errors
/// With the worst failure of all monitors; those that could be told were told.
pub(crate) async fn tell<K: Resource<DynamicType = ()>>(
    context: &Context,
    about: &K,
    monitors: &[Monitor],
    ping: &Ping,
    mark: &Mark,
) -> Result<Turn<()>, Failure> {
    let uid = about.meta().uid.clone().unwrap_or_default();
    // What is old once stays old, so nobody has to wait for the turn to say so.
    let memories = context.memories.all().await?;
    if Due::of(monitors, &memories, &member(ping.concern, &uid), ping, mark).is_nothing() {
        return Ok(Turn::Had(()));
    }
    let telling = tell_in_turn(context, about, &uid, monitors, ping, mark);
    context.turns.take(ping.concern, about, Duration::ZERO, telling).await
}

async fn tell_in_turn<K: Resource<DynamicType = ()>>(
    context: &Context,
    about: &K,
    uid: &str,
    monitors: &[Monitor],
    ping: &Ping,
    mark: &Mark,
) -> Result<(), Failure> {
    // Read first: whoever cannot remember that it has told something would tell it without end.
    let memories = context.memories.all().await?;
    let Due { told: due, well } = Due::of(monitors, &memories, &member(ping.concern, uid), ping, mark);
    let sent = join_all(due.iter().map(|monitor| context.sender.send(monitor, ping))).await;
    let (mut told, mut failures) = (Vec::new(), Vec::new());
    for (monitor, outcome) in due.into_iter().zip(sent) {
        match outcome {
            Ok(()) => told.push(&monitor.name),
            Err(error) => failures.push((monitor, error)),
        }
    }
    if !told.is_empty() || !well.is_empty() {
        let note = |memory: &mut Memory| {
            for name in &told {
                memory.entry((*name).clone()).or_default().note(mark.clone());
            }
            for monitor in &well {
                memory.entry(monitor.name.clone()).or_default().is_well = true;
            }
        };
        context.memories.note(ping.concern, uid, note).await?;
    }
    report(context, about, failures).await
}

/// Says which monitors could not be told and why: in the log, and those that a person has to mend in an Event too.
///
/// # Errors
/// With the worst of them.
pub(crate) async fn report<K: Resource<DynamicType = ()>>(
    context: &Context,
    about: &K,
    failures: Vec<(&Monitor, PingError)>,
) -> Result<(), Failure> {
    let mut worst = None;
    let mut to_mend = Vec::new();
    for (monitor, error) in failures {
        worst = worst.max(Some(error.exit()));
        let is_configuration = error.is_configuration();
        let words = format!("the monitor {:?}: {}", monitor.name, Failure::from(error));
        warn!("{words}");
        to_mend.extend(is_configuration.then_some(words));
    }
    // One for all of them: of Events with one reason about one object the API server gets the first alone.
    if !to_mend.is_empty() {
        context.events.warning(about, REFUSED, to_mend.join("; ")).await;
    }
    let untold = |exit| Failure::new(exit, "failed to tell every monitor; the log names each one that was not told");
    worst.map_or(Ok(()), |exit| Err(untold(exit)))
}

/// Says that the monitor of an annotation cannot be used.
pub(crate) async fn refused(context: &Context, backup: &Backup, error: AnnotationError) -> Failure {
    let failure = Failure::from(error);
    if failure.exit() == Exit::Usage {
        context.events.warning(backup, "HeartbeatMisconfigured", failure.to_string()).await;
    }
    failure
}

/// What is to be done for a message.
struct Due<'a> {
    /// The monitors that are to be told.
    told: Vec<&'a Monitor>,
    /// Those that a success is withheld from, of which it is to be noted that this Backup is well: two Backups that failed
    /// would otherwise keep each other's success from their monitor for ever.
    well: Vec<&'a Monitor>,
}

impl<'a> Due<'a> {
    /// What is to be done, by what all members of the memory say; `own` is that of whom the message is about.
    fn of(monitors: &'a [Monitor], memories: &BTreeMap<String, String>, own: &str, ping: &Ping, mark: &Mark) -> Self {
        let (now, memory) = (clock::now(), memory::read(memories.get(own)));
        let mut due = Self { told: Vec::new(), well: Vec::new() };
        for monitor in monitors.iter().filter(|monitor| monitor.signals.contains(&ping.signal)) {
            let told = memory.get(&monitor.name).cloned().unwrap_or_default();
            match told.news(mark, now) {
                News::Known => {}
                News::Old => {
                    info!(monitor = monitor.name, signal = %ping.signal, "not told: it is no news any more");
                }
                News::Yes if is_withheld(memories, own, monitor, ping) => {
                    due.well.extend((ping.concern == Concern::Backup && told.is_failing()).then_some(monitor));
                }
                News::Yes => due.told.push(monitor),
            }
        }
        due
    }

    fn is_nothing(&self) -> bool {
        self.told.is_empty() && self.well.is_empty()
    }
}

/// Whether it is a success that a monitor is not told for the failure of another Backup; the log says so.
pub(crate) fn is_withheld(memories: &BTreeMap<String, String>, own: &str, monitor: &Monitor, ping: &Ping) -> bool {
    if ping.signal != Signal::Success {
        return false;
    }
    let other = memory::failing_elsewhere(memories, own, monitor);
    if let Some(other) = other {
        let signal = ping.signal;
        info!(monitor = monitor.name, %signal, other, "withheld: the last that it was told of another Backup is a failure");
    }
    other.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::configuration::short;
    use crate::memory::{Phase, Told};
    use crate::monitor::Kind;
    use crate::ping::Origin;

    const URL: &str = "https://hc-ping.com/6c0f0c1e-3b6f-4a5e-9f0c-1e3b6f4a5e9f";

    fn mark(number: i64, phase: Phase) -> Mark {
        Mark { id: format!("{number}.{phase:?}"), number: Some(number), known: None, phase, time: clock::now() }
    }

    /// The memory of a Backup whose monitor `m` was told these.
    fn told(marks: &[(i64, Phase)], change: impl FnOnce(&mut Told)) -> String {
        let mut told = Told::default();
        for (number, phase) in marks {
            told.note(mark(*number, *phase));
        }
        change(&mut told);
        json!({"m": told}).to_string()
    }

    /// Whether the monitor is told of a run of the Backup or Restore `own`, and whether it is noted that this one is well.
    #[track_caller]
    fn check(others: &[(&str, String)], monitor: &Monitor, own: &str, phase: Phase, expected: (bool, bool)) {
        let memories: BTreeMap<_, _> = others.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
        let concern = if own.starts_with("backup") { Concern::Backup } else { Concern::Restore };
        let ping = Ping::new(concern, "daily", crate::memory::signal(phase), Origin::Event, clock::now());
        let monitors = [monitor.clone()];
        let due = Due::of(&monitors, &memories, own, &ping, &mark(9, phase));
        assert_eq!((!due.told.is_empty(), !due.well.is_empty()), expected, "{others:?} {own}");
    }

    #[test]
    fn a_success_does_not_hide_what_failed_elsewhere() {
        use Phase::{Began, Done, Failed, FailedLater};
        let shared = short("m", URL, None).unwrap();
        let failed = || told(&[(7, Failed)], |_| ());
        check(&[], &shared, "backup.b", Done, (true, false));
        check(&[("backup.a", failed())], &shared, "backup.a", Done, (true, false));
        check(&[("backup.a", failed())], &shared, "backup.b", Done, (false, false));
        check(&[("backup.a", failed())], &shared, "restore.r", Done, (false, false));
        check(&[("restore.a", failed())], &shared, "backup.b", Done, (true, false));
        check(&[("backup.a", told(&[(7, FailedLater)], |_| ()))], &shared, "backup.b", Done, (false, false));
        check(
            &[("backup.a", told(&[(7, Done)], |told| told.stale = Some(7)))],
            &shared,
            "backup.b",
            Done,
            (false, false),
        );
        check(&[("backup.a", told(&[(7, Failed), (8, Done)], |_| ()))], &shared, "backup.b", Done, (true, false));
        for phase in [Began, Failed, FailedLater] {
            check(&[("backup.a", failed())], &shared, "backup.b", phase, (true, false));
        }
        let hook = short("m", "https://example.com/hook", Some(Kind::Webhook)).unwrap();
        check(&[("backup.a", failed())], &hook, "backup.b", Done, (true, false));
    }

    #[test]
    fn two_that_failed_do_not_wait_for_each_other() {
        let shared = short("m", URL, None).unwrap();
        let failed = || told(&[(7, Phase::Failed)], |_| ());
        check(&[("backup.a", failed()), ("backup.b", failed())], &shared, "backup.b", Phase::Done, (false, true));
        let well = told(&[(7, Phase::Failed)], |told| told.is_well = true);
        check(&[("backup.a", failed()), ("backup.b", well.clone())], &shared, "backup.a", Phase::Done, (true, false));
        let again = told(&[(7, Phase::Failed)], |told| {
            told.is_well = true;
            told.note(mark(8, Phase::Failed));
        });
        check(&[("backup.b", again)], &shared, "backup.a", Phase::Done, (false, false));
    }
}
