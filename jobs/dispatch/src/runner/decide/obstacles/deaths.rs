//! Jobs that died without a word: killed for want of memory, evicted, stopped by their deadline, or ended before they could
//! reach what they report to. Somebody must say so, and that is dispatch.

use drover::clock::is_future;
use drover::conditions::{PRUNED, READY, reason};
use drover::job::name::{RESTORE, SNAPSHOT};
use drover::queue::{RETENTION_PRUNE_CONSUMER, UPLOAD_CONSUMER};
use drover::resources::{Backup, BackupRun, BackupType, ConditionStatus, Conditions, Restore, StageState};
use drover::runs::status_of;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::runner::decide::decision::{Action, Death, Decision, Victim};
use crate::runner::decide::known::{Case, World, is_blocked_by, tells_obstacle};
use crate::runner::facts::{CronJob, Job, Obstacle, Outcome, stable};

/// What a Job last wrote may be seen later than its end.
const LAG: SignedDuration = SignedDuration::from_secs(5);

/// Announces the death of a Backup's Job.
pub(crate) fn of_backup(world: &World<'_>, case: &Case<'_>, cron_job: &CronJob, decision: &mut Decision) {
    let Some(job) = silent_job(world, case, cron_job, decision).filter(|job| is_news(world, job)) else { return };
    let run = case.history.interrupted().map(ResourceExt::name_any);
    let victim = Victim::Backup { name: case.backup.name_any(), run };
    announce(world, decision, cron_job, job, SNAPSHOT, vec![victim]);
}

/// Announces the death of a stage's Job.
pub(crate) fn of_stage(world: &World<'_>, cron_job: &CronJob, decision: &mut Decision) {
    let victims = match cron_job.consumer() {
        Some(UPLOAD_CONSUMER) => victims_of_upload,
        Some(RETENTION_PRUNE_CONSUMER) => victims_of_prune,
        _ => return,
    };
    if let Some(job) = newest_failed(world, cron_job, decision).filter(|job| is_news(world, job)) {
        announce(world, decision, cron_job, job, &cron_job.name, victims(world, job));
    }
}

fn victims_of_upload(world: &World<'_>, job: &Job) -> Vec<Victim> {
    let is_silent = |(backup, run): &(&Backup, &BackupRun)| {
        !has_spoken_of_upload(world, run, job) && !waits_since(world, backup.conditions(), job)
    };
    let left = world.awaiting_upload().filter(is_silent);
    left.map(|(backup, run)| Victim::Backup { name: backup.name_any(), run: Some(run.name_any()) }).collect()
}

/// The Backups whose archives a prune may have been about: which ones it reached is not known, and all but those of which
/// it was said that they are pruned may have been left out. Their backups are none the worse for it.
///
/// A Job that ended by itself has said on each Backup what it found there, and did not reach one that says nothing.
fn victims_of_prune(world: &World<'_>, job: &Job) -> Vec<Victim> {
    if world.pods_of(job).last().is_some_and(|pod| pod.has_spoken) {
        return Vec::new();
    }
    let concerned = world.backups().filter(|backup| {
        let is_stored = world.history(backup).last_verified().is_some();
        backup.kind_of_backup() == BackupType::Recurring && is_stored && !has_spoken_of_prune(world, backup, job)
    });
    concerned.map(|backup| Victim::Backup { name: backup.name_any(), run: None }).collect()
}

/// Whether it is told already that the archives are not pruned, or whether they were since the Job began.
fn has_spoken_of_prune(world: &World<'_>, backup: &Backup, job: &Job) -> bool {
    let Some(pruned) = backup.condition(PRUNED) else { return false };
    let is_since = pruned.last_update_time.as_deref().is_some_and(|time| is_since(world, time, job));
    pruned.status != ConditionStatus::True || is_since
}

/// Announces the death of a Job that carries out Restores.
pub(crate) fn of_restores(world: &World<'_>, cron_job: &CronJob, waiting: &[&Restore], decision: &mut Decision) {
    let Some(job) = newest_failed(world, cron_job, decision).filter(|job| is_news(world, job)) else { return };
    let silent = waiting.iter().filter(|restore| !has_spoken_of_restore(world, restore, job));
    let victims = silent.map(|restore| Victim::Restore { name: restore.name_any() }).collect();
    announce(world, decision, cron_job, job, RESTORE, victims);
}

/// The Backup's newest Job, if it died without a word.
pub(crate) fn newest_of_backup(world: &World<'_>, case: &Case<'_>, cron_job: &CronJob) -> Option<Obstacle> {
    silent_job(world, case, cron_job, &mut Decision::default()).map(|job| obstacle(world, cron_job, job))
}

/// The Backup's newest Job, if it died without a word. One that is older than the Backup was an earlier Backup's.
fn silent_job<'a>(world: &World<'a>, case: &Case<'_>, cron_job: &CronJob, decision: &mut Decision) -> Option<&'a Job> {
    let created = case.backup.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let job = newest_failed(world, cron_job, decision)?;
    (created.is_none_or(|created| job.created >= created) && !has_spoken(world, case, job)).then_some(job)
}

/// The newest Job that uploads, if it died without a word about an archive of this Backup.
pub(crate) fn newest_of_upload(world: &World<'_>, case: &Case<'_>, cron_job: &CronJob) -> Option<Obstacle> {
    let job = newest_failed(world, cron_job, &mut Decision::default())?;
    let mut left = case.history.awaiting_upload();
    let is_silent = left.any(|run| !has_spoken_of_upload(world, run, job));
    (is_silent && !waits_since(world, case.backup.conditions(), job)).then(|| obstacle(world, cron_job, job))
}

/// The newest Job that carries out Restores, if it died without a word about this one.
pub(crate) fn newest_of_restore(world: &World<'_>, cron_job: &CronJob, restore: &Restore) -> Option<Obstacle> {
    let job = newest_failed(world, cron_job, &mut Decision::default())?;
    (!has_spoken_of_restore(world, restore, job)).then(|| obstacle(world, cron_job, job))
}

fn obstacle(world: &World<'_>, cron_job: &CronJob, job: &Job) -> Obstacle {
    Obstacle { is_failure: true, ..Obstacle::new(reason::JOB_FAILED, words(world, cron_job, job)) }
}

fn announce(
    world: &World<'_>,
    decision: &mut Decision,
    cron_job: &CronJob,
    job: &Job,
    stage: &str,
    victims: Vec<Victim>,
) {
    if !victims.is_empty() {
        let (stage, words, name) = (stage.to_owned(), words(world, cron_job, job), job.name.clone());
        decision.act(Action::Announce(Death { job: job.uid.clone(), name, stage, words, victims }));
    }
}

/// The newest Job, if it failed and whatever it wrote has been seen.
fn newest_failed<'a>(world: &World<'a>, cron_job: &CronJob, decision: &mut Decision) -> Option<&'a Job> {
    let job = *world.jobs_of(cron_job).last()?;
    let ended = job.ended_at(world.now).filter(|_| matches!(job.outcome, Outcome::Failed { .. }))?;
    let seen = ended.checked_add(LAG).ok()?;
    if seen > world.now {
        decision.wake_at(seen);
        return None;
    }
    Some(job)
}

fn is_news(world: &World<'_>, job: &Job) -> bool {
    !world.state.announced.contains(&job.uid)
}

fn words(world: &World<'_>, cron_job: &CronJob, job: &Job) -> String {
    let reason = match &job.outcome {
        Outcome::Failed { reason, .. } => reason.as_str(),
        Outcome::Active | Outcome::Completed { .. } => "",
    };
    let end = world.pods_of(job).iter().rev().find_map(|pod| pod.end.as_deref());
    let end = end.map(|end| format!(": {}", stable(end, &job.name, &cron_job.name))).unwrap_or_default();
    format!("a Job of the CronJob {:?} failed ({reason}){end}", cron_job.name)
}

/// Whether a Job that was to make a snapshot left a word: a run that is not in the middle any more, or a status.
fn has_spoken(world: &World<'_>, case: &Case<'_>, job: &Job) -> bool {
    let conditions = case.backup.conditions();
    if waits_since(world, conditions, job) {
        return true;
    }
    if case.history.interrupted().is_some() {
        return false;
    }
    let is_of_it = |run: &BackupRun| {
        let status = status_of(run);
        let stage = status.snapshot.unwrap_or_default();
        let times = [Some(run.spec.started_at.clone()), stage.started_at, stage.ended_at, status.ended_at];
        times.into_iter().flatten().any(|time| is_since(world, &time, job))
    };
    case.history.newest().is_some_and(is_of_it) || said_failed(world, conditions, job)
}

fn has_spoken_of_upload(world: &World<'_>, run: &BackupRun, job: &Job) -> bool {
    let stage = status_of(run).upload.unwrap_or_default();
    stage.state != StageState::InProgress && stage.ended_at.is_some_and(|time| is_since(world, &time, job))
}

fn has_spoken_of_restore(world: &World<'_>, restore: &Restore, job: &Job) -> bool {
    let conditions = restore.conditions();
    waits_since(world, conditions, job) || said_failed(world, conditions, job)
}

/// Whether `Ready` says since the Job began that it waits, by another than dispatch.
fn waits_since(world: &World<'_>, conditions: Option<&Conditions>, job: &Job) -> bool {
    conditions.is_some_and(|conditions| conditions.waits() && is_another_s(world, conditions, job))
}

/// Whether `Ready` was made Failed since the Job began, by another than dispatch.
fn said_failed(world: &World<'_>, conditions: Option<&Conditions>, job: &Job) -> bool {
    conditions.is_some_and(|conditions| {
        let ready = conditions.get(READY).and_then(|ready| ready.reason.as_deref());
        ready == Some(reason::FAILED) && is_another_s(world, conditions, job)
    })
}

/// Whether `Ready` was written since the Job began, by another than dispatch. That NATS is away both say in the same words.
fn is_another_s(world: &World<'_>, conditions: &Conditions, job: &Job) -> bool {
    let updated = conditions.get(READY).and_then(|ready| ready.last_update_time.as_deref());
    let is_ours = tells_obstacle(conditions) && !is_blocked_by(conditions, reason::NATS_AWAY);
    !is_ours && updated.is_some_and(|time| is_since(world, time, job))
}

/// Whether something was written since the Job began. What a wrong clock put into the future may have been written before.
fn is_since(world: &World<'_>, time: &str, job: &Job) -> bool {
    time.parse::<Timestamp>().is_ok_and(|time| time >= job.created && !is_future(time, world.now))
}
