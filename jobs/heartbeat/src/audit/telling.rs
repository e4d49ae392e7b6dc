//! Telling the monitors of a Backup what an audit found.

use std::time::Duration;

use drover::exit::{Exit, Failure};
use drover::resources::{Backup, BackupRun};
use drover::runs::{recorded_at, status_of};
use futures::future::join_all;
use jiff::Timestamp;
use kube::ResourceExt;
use tracing::info;

use super::judge::{Facts, Timing, Verdict};
use crate::context::Context;
use crate::memories::known;
use crate::memory::{self, Memory, Phase, Told, member};
use crate::monitor::Monitor;
use crate::ping::{Concern, Origin, Ping, Signal, with_results};
use crate::tell::{is_withheld, report};
use crate::turn::Turn;

/// What an audit found of one Backup.
pub(super) struct Finding<'a> {
    pub(super) facts: &'a Facts,
    /// The run of its newest verified archive.
    pub(super) run: Option<&'a BackupRun>,
    /// What that is to each monitor.
    pub(super) verdicts: &'a [(&'a Monitor, Verdict)],
    /// What the monitors had been told before it was looked at.
    pub(super) before: &'a Memory,
    pub(super) now: Timestamp,
}

/// Tells each monitor.
///
/// # Errors
/// With the worst failure of all monitors.
pub(super) async fn tell(context: &Context, backup: &Backup, finding: &Finding<'_>) -> Result<(), Failure> {
    if pings(backup, finding).is_empty() {
        return Ok(());
    }
    // As long as another job waits for a monitor that does not answer, or is known to be alive after it died.
    let patience = context.sender.longest() + context.options.lease_settings().duration * 2;
    match context.turns.take(Concern::Backup, backup, patience, tell_in_turn(context, backup, finding)).await? {
        Turn::Had(()) => Ok(()),
        Turn::Busy { holder } => Err(busy(&holder, patience)),
    }
}

fn busy(holder: &str, patience: Duration) -> Failure {
    let words = format!(
        "failed to tell how fresh it is: {holder:?} told about it for {} s; it is told after the next look",
        patience.as_secs()
    );
    Failure::new(Exit::Unavailable, words)
}

async fn tell_in_turn(context: &Context, backup: &Backup, finding: &Finding<'_>) -> Result<(), Failure> {
    let own = member(Concern::Backup, &backup.uid().unwrap_or_default());
    let (memories, unread) = known(context.memories.all().await);
    let memory = memory::read(memories.get(&own));
    let (withheld, due): (Vec<_>, Vec<_>) = pings(backup, finding)
        .into_iter()
        .filter(|(monitor, ping)| {
            let why = overtaken(finding, memory.get(&monitor.name), &monitor.name, ping.signal);
            if let Some(why) = why {
                info!(monitor = monitor.name, signal = %ping.signal, "not told: {why}");
            }
            why.is_none()
        })
        .partition(|(monitor, ping)| is_withheld(&memories, &own, monitor, ping));
    // Before a failure is sent, for one that was sent may have arrived, whatever became of its answer. It is sent also where
    // nothing can be noted: an audit that is silent for that would hide what it found.
    let newest = finding.run.map_or(0, |run| run.spec.number);
    let failures = due.iter().filter(|(_, ping)| ping.signal == Signal::Failure);
    let stale = note(context, backup, &memory, failures.map(|(monitor, _)| *monitor), Found::Stale(newest)).await;
    let sent = due.into_iter().map(|(monitor, ping)| async move {
        let sent = context.sender.send(monitor, &ping).await;
        (monitor, ping.signal, sent)
    });
    let sent = join_all(sent).await;
    let fresh = sent.iter().filter(|(_, signal, sent)| *signal == Signal::Success && sent.is_ok());
    let well = fresh.map(|(monitor, ..)| *monitor).chain(withheld.iter().map(|(monitor, _)| *monitor));
    let noted = note(context, backup, &memory, well, Found::Well).await;
    let failed = sent.into_iter().filter_map(|(monitor, _, sent)| Some((monitor, sent.err()?)));
    let reported = report(context, backup, failed.collect()).await;
    let failures = unread.into_iter().chain([stale, noted, reported].into_iter().filter_map(Result::err));
    first_of_worst(failures).map_or(Ok(()), Err)
}

/// The first of the worst: where the memory cannot be read it cannot be written either, and that is why.
fn first_of_worst(failures: impl Iterator<Item = Failure>) -> Option<Failure> {
    failures.reduce(|worst, other| if other.exit() > worst.exit() { other } else { worst })
}

/// What is noted of a look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    Well,
    /// It is not fresh; the newest run that was stored by then.
    Stale(i64),
}

impl Found {
    fn is_noted(self, told: &Told) -> bool {
        match self {
            Self::Well => told.stale.is_none() && !told.is_failing(),
            Self::Stale(_) => told.is_failing() && told.stale == self.stale(),
        }
    }

    fn note(self, told: &mut Told) {
        told.stale = self.stale();
        told.is_well = self == Self::Well && (told.is_well || told.is_failing());
    }

    const fn stale(self) -> Option<i64> {
        match self {
            Self::Well => None,
            Self::Stale(known) => Some(known),
        }
    }
}

/// Notes for these monitors what was found, where that is not noted yet.
async fn note(
    context: &Context,
    backup: &Backup,
    memory: &Memory,
    monitors: impl Iterator<Item = &Monitor>,
    found: Found,
) -> Result<(), Failure> {
    let is_noted = |name: &str| found.is_noted(memory.get(name).unwrap_or(&Told::default()));
    let names: Vec<_> = monitors.map(|monitor| monitor.name.clone()).filter(|name| !is_noted(name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let change = |memory: &mut Memory| {
        for name in &names {
            found.note(memory.entry(name.clone()).or_default());
        }
    };
    Ok(context.memories.note(Concern::Backup, &backup.uid().unwrap_or_default(), change).await?)
}

/// What each monitor is to be told.
fn pings<'a>(backup: &Backup, finding: &Finding<'a>) -> Vec<(&'a Monitor, Ping)> {
    let ping = |(monitor, verdict): &(&'a Monitor, Verdict)| Some((*monitor, ping(backup, finding, verdict)?));
    let wanted = |(monitor, ping): &(&Monitor, Ping)| monitor.signals.contains(&ping.signal);
    finding.verdicts.iter().filter_map(ping).filter(wanted).collect()
}

fn ping(backup: &Backup, finding: &Finding<'_>, verdict: &Verdict) -> Option<Ping> {
    let (signal, reason) = match verdict {
        Verdict::Fresh => (Signal::Success, None),
        Verdict::Stale(reasons) => (Signal::Failure, Some(reasons.join("; "))),
        Verdict::TooEarly => return None,
    };
    let ping = Ping::new(Concern::Backup, &backup.name_any(), signal, Origin::Audit, finding.now);
    let ping = Ping { reason, ..ping };
    let Some(run) = finding.run else { return Some(ping) };
    // Without the run's id: to the services that pair begins and ends by it this would be a second end of the run.
    let ping = Ping { number: Some(run.spec.number), filename: Some(run.spec.filename.clone()), ..ping };
    Some(if signal == Signal::Success { with_results(ping, run) } else { ping })
}

/// Why a monitor is not told, where it was told something newer.
fn overtaken(finding: &Finding<'_>, told: Option<&Told>, monitor: &str, signal: Signal) -> Option<&'static str> {
    let told = told?;
    match signal {
        Signal::Success if is_contradicted(finding, told) => Some("a later failure was told, which the next run ends"),
        Signal::Failure if is_mended(finding.before.get(monitor), told) => {
            Some("a success was told since it was looked at; the next look says how it stands")
        }
        _ => None,
    }
}

/// Whether a monitor was told of a failure after the newest archive was stored: of retention, say.
fn is_contradicted(Finding { facts, run, now, .. }: &Finding<'_>, told: &Told) -> bool {
    let Some(archive) = &facts.archive else { return false };
    let ended = run.and_then(|run| recorded_at(run, status_of(run).ended_at.as_deref()?, *now));
    let stored = ended.or(archive.begun).unwrap_or(Timestamp::UNIX_EPOCH);
    told.is_failed_since(archive.number, stored, over(facts, *run))
}

/// When what failed after the newest archive was stored is over: with the prune that went well or, where the archive lacked
/// something that was confirmed since, now. Archives of a Backup without a schedule are not pruned.
fn over(facts: &Facts, run: Option<&BackupRun>) -> Option<Timestamp> {
    let snapshot = run.and_then(|run| run.status.as_ref()?.snapshot.as_ref());
    let had_losses = snapshot.is_some_and(|snapshot| !snapshot.losses.is_empty());
    let is_pruned = facts.pruned.is_some() || matches!(facts.timing, Timing::Once);
    if had_losses && is_pruned { Some(Timestamp::MAX) } else { facts.pruned }
}

/// Whether a monitor was told of a success since then. No clocks are compared, for those of two nodes differ.
fn is_mended(before: Option<&Told>, told: &Told) -> bool {
    let end = told.end.as_ref().filter(|end| end.phase == Phase::Done);
    end.is_some() && end != before.and_then(|before| before.end.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Mark;

    fn told(phase: Phase) -> Told {
        let mut told = Told::default();
        told.note(Mark { id: "a".into(), number: Some(7), known: None, phase, time: Timestamp::UNIX_EPOCH });
        told
    }

    #[test]
    fn the_first_of_the_worst_failures_is_told() {
        let failure = |(exit, words): (Exit, &str)| Failure::new(exit, words.to_owned());
        let told = |failures: &[(Exit, &str)]| {
            first_of_worst(failures.iter().copied().map(failure)).map(|failure| failure.to_string())
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[(Exit::Usage, "unread"), (Exit::Usage, "unwritten")]).as_deref(), Some("unread"));
        assert_eq!(told(&[(Exit::Usage, "unread"), (Exit::Unavailable, "away")]).as_deref(), Some("away"));
    }

    #[test]
    fn a_failure_ends_with_the_look_that_finds_it_mended() {
        let mut told = told(Phase::FailedLater);
        assert!(told.is_failing() && !Found::Well.is_noted(&told));
        Found::Well.note(&mut told);
        assert!(!told.is_failing() && Found::Well.is_noted(&told));
        Found::Well.note(&mut told);
        assert!(!told.is_failing(), "found well twice");
        Found::Stale(7).note(&mut told);
        assert!(told.is_failing() && Found::Stale(7).is_noted(&told) && !Found::Stale(8).is_noted(&told));
        Found::Well.note(&mut told);
        assert!(!told.is_failing() && told.stale.is_none());
    }

    #[test]
    fn what_was_mended_while_it_was_looked_at_is_no_failure() {
        assert!(!is_mended(None, &Told::default()));
        assert!(is_mended(None, &told(Phase::Done)));
        assert!(is_mended(Some(&told(Phase::Failed)), &told(Phase::Done)));
        assert!(!is_mended(Some(&told(Phase::Done)), &told(Phase::Done)));
        assert!(!is_mended(None, &told(Phase::Failed)));
    }
}
