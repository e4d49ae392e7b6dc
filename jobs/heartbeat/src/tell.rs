//! Telling all monitors of one Backup or Restore that have not been told yet.

use std::time::Duration;

use drover::exit::{Failure, Fault};
use futures::future::join_all;
use jiff::Timestamp;
use kube::Resource;
use tracing::{info, warn};

use crate::context::Context;
use crate::memory::{Mark, Memory, News};
use crate::monitor::Monitor;
use crate::ping::Ping;
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
    let memory = context.memories.of(ping.concern, &uid).await?;
    if due(monitors, &memory, ping, mark).is_empty() {
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
    let memory = context.memories.of(ping.concern, uid).await?;
    let due = due(monitors, &memory, ping, mark);
    let sent = join_all(due.iter().map(|monitor| context.sender.send(monitor, ping))).await;
    let (mut told, mut failures) = (Vec::new(), Vec::new());
    for (monitor, outcome) in due.into_iter().zip(sent) {
        match outcome {
            Ok(()) => told.push(&monitor.name),
            Err(error) => failures.push((monitor, error)),
        }
    }
    if !told.is_empty() {
        let note = |memory: &mut Memory| {
            for name in &told {
                memory.entry((*name).clone()).or_default().note(mark.clone());
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

fn due<'a>(monitors: &'a [Monitor], memory: &Memory, ping: &Ping, mark: &Mark) -> Vec<&'a Monitor> {
    let now = Timestamp::now();
    let is_due = |monitor: &&Monitor| {
        if !monitor.signals.contains(&ping.signal) {
            return false;
        }
        let news = memory
            .get(&monitor.name)
            .map_or_else(|| crate::memory::Told::default().news(mark, now), |told| told.news(mark, now));
        if news == News::Old {
            info!(monitor = monitor.name, signal = %ping.signal, "not told: it is no news any more");
        }
        news == News::Yes
    };
    monitors.iter().filter(is_due).collect()
}
