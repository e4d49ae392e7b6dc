//! What keeps a Job's pod from running, where Kubernetes tells it: on the Job, on the pod, or in an Event about either.

use jiff::SignedDuration;

use super::backups::{self, Case};
use super::world::World;
use super::{Decision, deaths, stages};
use crate::runner::facts::{CronJob, Job, Obstacle, Pod};

/// How long a pod may take to begin before it is said that it does not, although nothing says why.
const SLOW: SignedDuration = SignedDuration::from_secs(45);

/// What keeps a Backup from running, or its archive from being stored.
pub(super) fn of_backup(
    world: &World<'_>,
    decision: &mut Decision,
    case: &Case<'_>,
    has_template: bool,
) -> Option<Obstacle> {
    if !world.is_ours() {
        return None;
    }
    let refusal = backups::refusal(world, case, has_template);
    let own = || {
        let cron_job = case.cron_job()?;
        of_jobs(world, decision, cron_job).or_else(|| deaths::newest_of_backup(world, case, cron_job))
    };
    let own = refusal.or_else(own);
    let is_waiting = case.history.awaiting_upload().next().is_some();
    let uploading = stages::uploading(world).filter(|_| is_waiting);
    own.or_else(|| {
        let cron_job = uploading?;
        of_jobs(world, decision, cron_job).or_else(|| deaths::newest_of_upload(world, case, cron_job))
    })
}

/// What keeps the Jobs of a CronJob from being made or from running.
pub(super) fn of_jobs(world: &World<'_>, decision: &mut Decision, cron_job: &CronJob) -> Option<Obstacle> {
    if let Some(refusal) = world.state.refusals.get(&cron_job.name) {
        return Some(Obstacle::new("Refused", refusal.message.clone()));
    }
    let jobs = world.jobs_of(cron_job);
    if let Some(job) = jobs.iter().rev().find(|job| job.is_active()) {
        return of_job(world, decision, job);
    }
    let event = world.event_about(&cron_job.uid)?;
    let is_newer = jobs.last().is_none_or(|job| job.created < event.last);
    let message = format!("the CronJob {:?} makes no Job: {}: {}", cron_job.name, event.reason, event.message);
    is_newer.then(|| Obstacle::new(event.reason.clone(), message))
}

/// What keeps a Job that has not ended from running. Only its newest pod counts: an earlier one has ended.
fn of_job(world: &World<'_>, decision: &mut Decision, job: &Job) -> Option<Obstacle> {
    let newest = world.pods_of(job).last();
    let event = world.event_about(&job.uid).filter(|event| newest.is_none_or(|pod| pod.created < event.last));
    if let Some(event) = event.filter(|_| newest.is_none_or(|pod| !pod.has_begun)) {
        let message = format!("the Job {:?} gets no pod: {}: {}", job.name, event.reason, event.message);
        return Some(Obstacle::new(event.reason.clone(), message));
    }
    if let Some(pod) = newest {
        return of_pod(world, decision, pod);
    }
    let message = format!("the Job {:?} has no pod yet; is Kubernetes' controller manager at work?", job.name);
    is_slow(world, decision, job.created).then(|| Obstacle::new("JobPending", message))
}

fn of_pod(world: &World<'_>, decision: &mut Decision, pod: &Pod) -> Option<Obstacle> {
    if pod.has_begun {
        return None;
    }
    if let Some(obstacle) = &pod.obstacle {
        return Some(obstacle.clone());
    }
    if let Some(event) = world.event_about(&pod.uid) {
        let message = format!("the pod {:?} does not start: {}: {}", pod.name, event.reason, event.message);
        return Some(Obstacle::new(event.reason.clone(), message));
    }
    let seconds = SLOW.as_secs();
    let message = format!("the pod {:?} has not begun after {seconds} s; kubectl describe pod tells more", pod.name);
    is_slow(world, decision, pod.created).then(|| Obstacle::new("PodPending", message))
}

fn is_slow(world: &World<'_>, decision: &mut Decision, created: jiff::Timestamp) -> bool {
    match created.checked_add(SLOW) {
        Ok(time) if time > world.now => {
            decision.wake_at(time);
            false
        }
        _ => true,
    }
}
