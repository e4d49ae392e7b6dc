//! One event of the queue.

use drover::clock;
use drover::cluster;
use drover::conditions::READY;
use drover::events::{Data, Event, Kind};
use drover::exit::Failure;
use drover::job::name::{SNAPSHOT, UPLOAD};
use drover::queue::Outcome;
use drover::resources::{Backup, BackupRun, Restore, RunState, rfc3339};
use drover::runs::{History, lacking, recorded_at, status_of};
use jiff::{SignedDuration, Timestamp};
use tracing::{Instrument, info, info_span};

use crate::context::Context;
use crate::memory::{Mark, Phase, signal};
use crate::ping::{Concern, Origin, Ping, Signal, with_results};
use crate::tell::{refused, tell};
use crate::turn::Turn;

/// The stages before an archive is stored: what fails there leaves the run without one.
const STORING: [&str; 2] = [SNAPSHOT, UPLOAD];

/// How long something is told. A queue may stand still from Friday's evening to Monday, and what failed then must be told
/// all the same; what is older is of a time before drover had monitors, or long dealt with. How a Backup stands by now says
/// the audit, whatever is not told.
const IS_TOLD: SignedDuration = SignedDuration::from_hours(72);

/// Tells what an event is by now. Names and ids are taken from the message, and everything else from the Backup and its run.
pub(crate) async fn handle(context: &Context, event: &Event) -> Outcome {
    let span = info_span!("run", name = event.data.name, run = %event.data.run, number = event.data.number);
    match Box::pin(try_handle(context, event)).instrument(span).await {
        Ok(outcome) => outcome,
        // Which monitors are away the sender remembers itself.
        Err(failure) => Outcome::Failed { reason: failure.to_string(), exit: failure.exit(), away: Vec::new() },
    }
}

async fn try_handle(context: &Context, event: &Event) -> Result<Outcome, Failure> {
    let now = clock::now();
    // A wrong clock may have put it into the future, and would have it remembered as newer than all that follows.
    let event = &Event { time: event.time.min(now), ..event.clone() };
    if is_too_old(event.time, now) {
        let (time, hours) = (rfc3339(event.time), IS_TOLD.as_hours());
        info!("not told: it is of {time}, and nothing older than {hours} hours is told");
        return Ok(Outcome::Done);
    }
    let phase = match event.kind {
        Kind::BackupStarted | Kind::RestoreStarted => Phase::Began,
        Kind::BackupUploaded | Kind::RestoreCompleted => Phase::Done,
        Kind::RestoreFailed => Phase::Failed,
        Kind::BackupFailed => failed_phase(&event.data),
        // The consumer does not bring these.
        Kind::BackupSnapshotted | Kind::BackupPruned => return Ok(Outcome::Done),
    };
    match event.kind {
        Kind::RestoreStarted | Kind::RestoreCompleted | Kind::RestoreFailed => of_restore(context, event, phase).await,
        _ => Box::pin(of_backup(context, event, phase)).await,
    }
}

fn is_too_old(time: Timestamp, now: Timestamp) -> bool {
    now.duration_since(time) > IS_TOLD
}

fn failed_phase(data: &Data) -> Phase {
    let is_storing = data.stage.as_deref().is_none_or(|stage| STORING.contains(&stage));
    if is_storing { Phase::Failed } else { Phase::FailedLater }
}

async fn of_backup(context: &Context, event: &Event, phase: Phase) -> Result<Outcome, Failure> {
    let data = &event.data;
    let backup: Option<Backup> = cluster::find(&context.client, &data.name).await?;
    let Some(backup) = backup.filter(|backup| is_it(&data.uid, backup.metadata.uid.as_ref())) else {
        info!("nobody to tell: the Backup is gone");
        return Ok(Outcome::Done);
    };
    let found = context.monitors.of_backup(&backup).await;
    if found.is_empty() {
        return Ok(Outcome::Done);
    }
    let history = context.runs.history(&backup).await?;
    let run = match standing(&history, data, phase, (event.time, clock::now())) {
        Standing::News(run) => run,
        Standing::Old(why) => {
            info!("not told: {why}");
            return Ok(Outcome::Done);
        }
        Standing::Untrue(reason) => return Ok(Outcome::Refused { reason }),
    };
    let lacks = if phase == Phase::Done { lacking(&history, &backup).join("; ") } else { String::new() };
    // No success: somebody has to look at what it lacks.
    let phase = if lacks.is_empty() { phase } else { Phase::FailedLater };
    let mark = Mark { known: newest_known(&history, &event.data), ..mark(event, phase) };
    let reason = (!lacks.is_empty()).then(|| format!("its archive is stored and verified, but {lacks}"));
    let ping = of_run(event, phase, run);
    let ping = Ping { reason: reason.or(ping.reason), ..ping };
    let told = tell(context, &backup, &found.monitors, &ping, &mark).await;
    match found.refused {
        Some(error) => Err(refused(context, &backup, error).await),
        None => told.map(outcome),
    }
}

/// A message about what another job tells just now waits for it.
fn outcome(turn: Turn<()>) -> Outcome {
    match turn {
        Turn::Had(()) => Outcome::Done,
        Turn::Busy { holder } => Outcome::Busy { holder },
    }
}

async fn of_restore(context: &Context, event: &Event, phase: Phase) -> Result<Outcome, Failure> {
    let data = &event.data;
    let monitors = context.monitors.of_restore(&data.name);
    if monitors.is_empty() {
        return Ok(Outcome::Done);
    }
    let restore: Option<Restore> = cluster::find(&context.client, &data.name).await?;
    let Some(restore) = restore.filter(|restore| is_it(&data.uid, restore.metadata.uid.as_ref())) else {
        info!("nobody to tell: the Restore is gone");
        return Ok(Outcome::Done);
    };
    if phase == Phase::Done && restore.conditions().is_none_or(|conditions| !conditions.is_true(READY)) {
        return Ok(Outcome::Refused { reason: "the Restore does not say that it is done".to_owned() });
    }
    let ping = about_restore(event, phase, &restore);
    tell(context, &restore, &monitors, &ping, &mark(event, phase)).await.map(outcome)
}

/// The ping about a Restore. The file of one that wants the latest archive is known once that is chosen.
fn about_restore(event: &Event, phase: Phase, restore: &Restore) -> Ping {
    let data = &event.data;
    Ping {
        run: Some(data.run),
        filename: restore.archive().map(str::to_owned),
        reason: reason(event, phase, None),
        ..Ping::new(Concern::Restore, &data.name, signal(phase), Origin::Event, event.time)
    }
}

fn is_it(expected: &str, found: Option<&String>) -> bool {
    expected.is_empty() || found.is_some_and(|found| found == expected)
}

fn mark(event: &Event, phase: Phase) -> Mark {
    Mark { id: event.id(), number: event.data.number, known: None, phase, time: event.time }
}

/// For an event that names no run: the newest one that is known by now, 0 where there is none. What ends later is of a later
/// one, whatever the clock of the node says where the event was made.
fn newest_known(history: &History, data: &Data) -> Option<i64> {
    data.number.is_none().then(|| history.newest().map_or(0, |run| run.spec.number))
}

/// What an event is by now.
#[derive(Debug, PartialEq)]
enum Standing<'a> {
    /// Worth telling, with its run where it has one.
    News(Option<&'a BackupRun>),
    /// Overtaken by what came after it.
    Old(&'static str),
    /// Not what the run says.
    Untrue(String),
}

/// Holds an event of a `time` against the runs of its Backup, as they are `now`.
fn standing<'a>(history: &'a History, data: &Data, phase: Phase, (time, now): (Timestamp, Timestamp)) -> Standing<'a> {
    let Some(number) = data.number else {
        return without_run(history, phase, time, now);
    };
    let is_over = |run: &&BackupRun| run.spec.number > number && status_of(run).state.is_final();
    if history.iter().rev().any(|run| is_over(&run)) {
        return Standing::Old("a later run has ended, and says how the Backup stands");
    }
    let Some(run) = history.iter().find(|run| run.spec.number == number && run.spec.id == data.run) else {
        return Standing::Old("its run is gone");
    };
    let state = status_of(run).state;
    match phase {
        Phase::Done if state != RunState::Completed => {
            Standing::Untrue(format!("the run {number} does not say that it is stored and verified"))
        }
        Phase::Failed if state == RunState::Completed => Standing::Old("a later try went well"),
        _ => Standing::News(Some(run)),
    }
}

/// Holds an event that names no run against the runs of its Backup: only a Job that died before it opened one tells such.
fn without_run(history: &History, phase: Phase, time: Timestamp, now: Timestamp) -> Standing<'static> {
    if !matches!(phase, Phase::Failed | Phase::FailedLater) {
        return Standing::Untrue("it names no run".to_owned());
    }
    let completed = history.iter().filter(|run| status_of(run).state == RunState::Completed);
    let ended = |run: &BackupRun| recorded_at(run, status_of(run).ended_at.as_deref()?, now);
    if completed.filter_map(ended).any(|ended| ended > time) {
        return Standing::Old("a later run went well");
    }
    Standing::News(None)
}

/// The ping about a run.
fn of_run(event: &Event, phase: Phase, run: Option<&BackupRun>) -> Ping {
    let data = &event.data;
    let ping = Ping {
        stage: data.stage.clone().filter(|_| phase != Phase::Done),
        attempt: data.attempt.filter(|_| matches!(phase, Phase::Failed | Phase::FailedLater)),
        reason: reason(event, phase, run),
        ..Ping::new(Concern::Backup, &data.name, signal(phase), Origin::Event, event.time)
    };
    let Some(run) = run else { return ping };
    let ping = Ping {
        run: Some(run.spec.id),
        number: Some(run.spec.number),
        filename: Some(run.spec.filename.clone()),
        duration: (phase != Phase::Began).then(|| duration(run, event.time)).flatten(),
        ..ping
    };
    if phase == Phase::Done { with_results(ping, run) } else { ping }
}

/// Why it failed: what the message says of its try, and else what the run does. Of a Job that died without a word only the
/// message knows.
fn reason(event: &Event, phase: Phase, run: Option<&BackupRun>) -> Option<String> {
    if signal(phase) != Signal::Failure {
        return None;
    }
    event.data.reason.clone().or_else(|| status_of(run?).message)
}

/// How long a run took until it ended, or until then.
fn duration(run: &BackupRun, until: Timestamp) -> Option<std::time::Duration> {
    let begin: Timestamp = run.spec.started_at.parse().ok()?;
    let end = status_of(run).ended_at.and_then(|text| text.parse().ok()).unwrap_or(until);
    end.duration_since(begin).try_into().ok()
}

#[cfg(test)]
mod tests;
