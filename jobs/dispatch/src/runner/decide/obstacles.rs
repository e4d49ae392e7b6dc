//! What keeps Backups and Restores from running.

pub(crate) mod deaths;
pub(crate) mod starting;

use drover::conditions::reason;
use drover::job::name::SNAPSHOT;
use drover::resources::Conditions;
use kube::ResourceExt;

use super::decision::Decision;
use super::known::{Case, Place, World, is_blocked_by};
use crate::runner::facts::{CronJob, Obstacle};
use crate::runner::state::Queue;

/// What keeps a Backup from running, or its archive from being stored. `is_wanted`: whether a Job is to make a backup, now or
/// after a pause.
pub(crate) fn of_backup(
    world: &World<'_>,
    decision: &mut Decision,
    case: &Case<'_>,
    is_wanted: bool,
    has_template: bool,
) -> Option<Obstacle> {
    if !world.is_ours() {
        return None;
    }
    let refusal = refusal(world, case, has_template);
    let own = || {
        let cron_job = case.cron_job()?;
        of_jobs(world, decision, cron_job).or_else(|| deaths::newest_of_backup(world, case, cron_job))
    };
    let own = refusal.or_else(own);
    let is_waiting = case.history.awaiting_upload().next().is_some();
    let uploading = world.uploading().filter(|_| is_waiting);
    let found = own.or_else(|| {
        let cron_job = uploading?;
        of_jobs(world, decision, cron_job).or_else(|| deaths::newest_of_upload(world, case, cron_job))
    });
    found.or_else(|| {
        let waits_for = if is_waiting { uploading } else { case.cron_job() };
        let away = nats_away(world, waits_for?, case.backup.conditions())?;
        (is_waiting || is_wanted).then_some(away)
    })
}

/// What keeps the Backup's CronJob from being made or from running.
fn refusal(world: &World<'_>, case: &Case<'_>, has_template: bool) -> Option<Obstacle> {
    if !has_template {
        let message =
            format!("the CronJob {SNAPSHOT:?} of drover is missing in its namespace; apply drover's manifests again");
        return Some(Obstacle::lasting(reason::TEMPLATE_MISSING, message));
    }
    if let Err(obstacle) = &case.timing {
        return Some(obstacle.clone());
    }
    if let Place::Blocked(name) = &case.place {
        let message = format!(
            "a CronJob {name:?} that is not this Backup's stands where its own is to be; delete or rename it, or rename the \
             Backup {:?}",
            case.backup.name_any()
        );
        return Some(Obstacle::lasting(reason::NAME_TAKEN, message));
    }
    let name = match &case.place {
        Place::Taken(cron_job) | Place::Left(cron_job) => &cron_job.name,
        Place::Free(name) => name,
        Place::Going | Place::Blocked(_) => return None,
    };
    let refusal = world.state.refusals.get(name)?;
    Some(Obstacle::new(reason::REFUSED, refusal.message.clone()))
}

/// That NATS does not answer, for what needs a Job of this CronJob: said until such a Job says it itself.
pub(crate) fn nats_away(world: &World<'_>, cron_job: &CronJob, conditions: Option<&Conditions>) -> Option<Obstacle> {
    let Queue::Away { words, .. } = &world.state.queue else { return None };
    let is_said = conditions.is_some_and(|conditions| is_blocked_by(conditions, reason::NATS_AWAY));
    let is_at_work = world.jobs_of(cron_job).iter().any(|job| job.is_active());
    (is_said || !is_at_work).then(|| Obstacle::new(reason::NATS_AWAY, words.clone()))
}

/// What keeps the Jobs of a CronJob from being made or from running.
pub(crate) fn of_jobs(world: &World<'_>, decision: &mut Decision, cron_job: &CronJob) -> Option<Obstacle> {
    if let Some(refusal) = world.state.refusals.get(&cron_job.name) {
        return Some(Obstacle::new(reason::REFUSED, refusal.message.clone()));
    }
    let jobs = world.jobs_of(cron_job);
    if let Some(job) = jobs.iter().rev().find(|job| job.is_active()) {
        return starting::obstacle(world, decision, cron_job, job);
    }
    let event = world.event_about(&cron_job.uid)?;
    let is_newer = jobs.last().is_none_or(|job| job.created < event.last);
    let message = format!("the CronJob {:?} makes no Job: {}: {}", cron_job.name, event.reason, event.message);
    is_newer.then(|| Obstacle::new(event.reason.clone(), message))
}
