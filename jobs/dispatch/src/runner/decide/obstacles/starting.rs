//! Jobs whose pod does not begin: what keeps it from running, where Kubernetes tells it on the Job, on the pod, or in an Event
//! about either; and which of them hold up their stage for nothing.

use drover::conditions::reason;
use jiff::SignedDuration;

use crate::runner::decide::decision::{Action, Decision};
use crate::runner::decide::known::World;
use crate::runner::facts::{CronJob, Job, Obstacle, Pod, stable};

/// How long a pod may take to begin before it is said that it does not, although nothing says why.
const SLOW: SignedDuration = SignedDuration::from_secs(45);

/// Whether a Job cannot start, and is not what its CronJob says any more: what kept it from running may be mended by now, for
/// all Jobs but this one.
pub(crate) fn is_left_over(world: &World<'_>, decision: &mut Decision, cron_job: &CronJob, job: &Job) -> bool {
    job.is_active() && job.pod != cron_job.pod && hindrance(world, decision, job).is_some()
}

/// Deletes the Jobs of a CronJob that are left over. A person's stays, and is in nobody's way.
pub(crate) fn delete_left_over(world: &World<'_>, decision: &mut Decision, cron_job: &CronJob) {
    for job in world.jobs_of(cron_job).iter().filter(|job| !job.is_by_hand) {
        if is_left_over(world, decision, cron_job, job) {
            decision.act(Action::Delete { name: job.name.clone(), uid: job.uid.clone() });
        }
    }
}

/// What keeps a Job that has not ended from running, in words that are the same for the next one. Of one that is of what its
/// CronJob said before that is told as long as it has not begun: it is in the way of one that is not.
pub(crate) fn obstacle(world: &World<'_>, decision: &mut Decision, cron_job: &CronJob, job: &Job) -> Option<Obstacle> {
    let of_before = || {
        let has_begun = world.pods_of(job).last().is_some_and(|pod| pod.has_begun);
        let message = format!(
            "a Job that was made before the CronJob {:?} was changed has not begun, and is deleted if it does not within {} s",
            cron_job.name,
            SLOW.as_secs()
        );
        (job.is_ours && job.pod != cron_job.pod && !has_begun).then(|| Obstacle::new(reason::JOB_OF_BEFORE, message))
    };
    let found = hindrance(world, decision, job).or_else(of_before)?;
    Some(Obstacle { message: stable(&found.message, &job.name, &cron_job.name), ..found })
}

/// The same in Kubernetes' own words. Only the newest pod of the Job counts: an earlier one has ended.
fn hindrance(world: &World<'_>, decision: &mut Decision, job: &Job) -> Option<Obstacle> {
    let newest = world.pods_of(job).last();
    let event = world.event_about(&job.uid).filter(|event| newest.is_none_or(|pod| pod.created < event.last));
    if let Some(event) = event.filter(|_| newest.is_none_or(|pod| !pod.has_begun)) {
        let message = format!("its Job gets no pod: {}: {}", event.reason, event.message);
        return Some(Obstacle::new(event.reason.clone(), message));
    }
    if let Some(pod) = newest {
        return of_pod(world, decision, pod);
    }
    let message = "its Job has no pod yet; is Kubernetes' controller manager at work?";
    is_slow(world, decision, job.created).then(|| Obstacle::new(reason::JOB_PENDING, message))
}

fn of_pod(world: &World<'_>, decision: &mut Decision, pod: &Pod) -> Option<Obstacle> {
    if pod.has_begun {
        return None;
    }
    if let Some(obstacle) = &pod.obstacle {
        return Some(obstacle.clone());
    }
    if let Some(event) = world.event_about(&pod.uid) {
        let message = format!("its pod does not start: {}: {}", event.reason, event.message);
        return Some(Obstacle::new(event.reason.clone(), message));
    }
    let seconds = SLOW.as_secs();
    let message = format!("its pod has not begun after {seconds} s; kubectl describe pod tells more");
    is_slow(world, decision, pod.created).then(|| Obstacle::new(reason::POD_PENDING, message))
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
