//! Backups: a CronJob for each, a Job where one is due and no schedule starts it, and what is told about it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use drover::job::name::SNAPSHOT;
use drover::resources::{RunState, Trigger, TriggerKind};
use drover::runs::{self, recorded_at, status_of};
use jiff::{SignedDuration, Timestamp};

use super::decision::{Action, Adoption, Decision};
use super::known::{Case, Place, World};
use super::obstacles::{self, deaths};
use super::status::{self, News};
use super::turn::{Work, take_turn};
use crate::runner::facts::{CronJob, Template, digest};
use crate::runner::pause::{Pause, Success, length};
use crate::runner::rights::lacked;
use crate::runner::template::{self, Timing};

/// How long the CronJob's own controller has to start the Job of a scheduled time.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// How long a run may be left in the middle whose maker is no Job: somebody's own process may be at work on it.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn decide(world: &World<'_>, decision: &mut Decision, next_upload: Option<Timestamp>) {
    let template = world.state.cron_jobs.get(SNAPSHOT).and_then(|cron_job| cron_job.template.as_deref());
    for backup in world.backups() {
        let case = Case::of(world, backup);
        let work = work(world, &case);
        let mut next_try = next_upload.filter(|_| case.history.awaiting_upload().next().is_some());
        if let Some(template) = template {
            keep_cron_job(world, decision, &case, template);
            next_try = start_job(world, decision, &case, &work, template).or(next_try);
        }
        let obstacle = obstacles::of_backup(world, decision, &case, work.is_wanted, template.is_some());
        status::tell_backup(world, decision, &case, News { obstacle, next_try });
    }
}

/// Makes the Backup's CronJob what it is to be. One whose schedule or name is refused is kept, and runs nothing by itself.
fn keep_cron_job(world: &World<'_>, decision: &mut Decision, case: &Case<'_>, template: &Template) {
    let never = Timing::never();
    let timing = case.timing.as_ref().unwrap_or(&never);
    let name = match &case.place {
        Place::Taken(cron_job) | Place::Left(cron_job) => &cron_job.name,
        Place::Free(name) => name,
        Place::Going | Place::Blocked(_) => return,
    };
    if let Some(refusal) = world.state.refusals.get(name) {
        let again = refusal.at.checked_add(length(refusal.count)).unwrap_or(world.now);
        if again > world.now {
            return decision.wake_at(again);
        }
    }
    let (spec, labels) = template::cron_job(template, case.backup, timing);
    let digest = digest(&spec, &labels);
    match case.place {
        Place::Taken(cron_job) if is_as_wanted(world, cron_job, &digest) => {}
        Place::Taken(cron_job) | Place::Left(cron_job) => {
            let (name, uid) = (cron_job.name.clone(), cron_job.uid.clone());
            let adoption = matches!(case.place, Place::Left(_)).then(|| Box::new(adoption(world, case, cron_job)));
            decision.act(Action::Change { name, uid, spec: Box::new(spec), labels, digest, adoption });
        }
        Place::Free(_) | Place::Going | Place::Blocked(_) => {
            let manifest = Box::new(template::manifest(name, case.backup, &spec, &labels));
            decision.act(Action::Make { name: name.clone(), manifest, digest });
        }
    }
}

/// The Jobs that the CronJob had before are counted, and no pause of the new Backup follows from them.
fn adoption(world: &World<'_>, case: &Case<'_>, cron_job: &CronJob) -> Adoption {
    let pause = Pause::read(&cron_job.annotations).counting(world.jobs_of(cron_job), Success::Counts, world.now);
    Adoption { owner: template::owner(case.backup), annotations: pause.over().annotations() }
}

fn is_as_wanted(world: &World<'_>, cron_job: &CronJob, digest: &str) -> bool {
    let accepted = world.state.accepted.get(&cron_job.uid);
    let is_accepted = accepted.is_some_and(|(asked, came)| asked == digest && *came == cron_job.digest);
    cron_job.digest == digest || is_accepted
}

/// Starts a Job for a Backup that is due and that no schedule starts: a new one, one whose last run failed or was left in
/// the middle, one whose time was missed.
fn start_job(
    world: &World<'_>,
    decision: &mut Decision,
    case: &Case<'_>,
    work: &Work,
    template: &Template,
) -> Option<Timestamp> {
    let cron_job = case.cron_job().filter(|_| world.is_ours())?;
    deaths::of_backup(world, case, cron_job, decision);
    let timing = Timing::never();
    take_turn(world, decision, cron_job, work, None, || {
        Cow::Owned(template::cron_job(template, case.backup, &timing).0)
    })
}

/// The making of a backup, now or after a pause.
fn work(world: &World<'_>, case: &Case<'_>) -> Work {
    let due = runs::due(case.backup, &case.settings, &case.history, world.now);
    let Some(due) = due.ok().flatten().filter(|_| !case.is_refused()) else {
        return Work::none(Success::Counts);
    };
    let generation = case.backup.metadata.generation.unwrap_or_default();
    let arrived = arrived(world, case);
    let not_before = if arrived.is_none() { not_before(world, case, due.scheduled_for) } else { None };
    let work = Work {
        is_wanted: true,
        marks: arrived.into_iter().chain([generation.to_string()]).collect(),
        not_before,
        success: Success::Counts,
    };
    match case.history.interrupted() {
        // A Job of another CronJob makes it: the one that makes whatever is due.
        Some(run) if world.is_at_work_on(run) => Work::none(Success::Counts),
        _ => work,
    }
}

/// The right for whose lack the last run failed, where it is there by now. Once: where another server still refuses, whose
/// rights the API server does not know, the next try waits for its time.
fn arrived(world: &World<'_>, case: &Case<'_>) -> Option<String> {
    let right = lacked(case.history.newest()?).filter(|right| world.state.given.contains(*right))?.to_owned();
    let cron_job = case.cron_job()?;
    let pause = Pause::read(&cron_job.annotations).counting(world.jobs_of(cron_job), Success::Counts, world.now);
    pause.is_new(&BTreeSet::from([right.clone()])).then_some(right)
}

/// The time before which a Backup that is due is not started.
fn not_before(world: &World<'_>, case: &Case<'_>, scheduled_for: Option<Timestamp>) -> Option<Timestamp> {
    if let Some(run) = case.history.interrupted() {
        let Trigger { kind, by, job_uid, .. } = &run.spec.trigger;
        let is_of_a_job = *kind == TriggerKind::Job || job_uid.is_some() || world.state.jobs.get(by).is_some();
        let begun = status_of(run).snapshot.and_then(|stage| stage.started_at).unwrap_or(run.spec.started_at.clone());
        return if is_of_a_job { None } else { recorded_at(run, &begun, world.now)?.checked_add(PATIENCE).ok() };
    }
    if let Some(time) = after_failures(case, world.now) {
        return Some(time);
    }
    let ran_before = case.history.newest().is_some()
        || case.backup.status.as_ref().is_some_and(|status| status.last_snapshot_ts.is_some());
    scheduled_for.filter(|_| ran_before)?.checked_add(GRACE).ok()
}

/// The end of the pause after the runs that failed last, of which a Job may know nothing: their archives were refused. An
/// edited Backup is another wish.
fn after_failures(case: &Case<'_>, now: Timestamp) -> Option<Timestamp> {
    let generation = case.backup.metadata.generation.unwrap_or_default();
    let failed = |run: &&drover::resources::BackupRun| {
        status_of(run).state == RunState::Failed && run.spec.generation == generation
    };
    let count = case.history.iter().rev().take_while(failed).count();
    let newest = case.history.newest().filter(|_| count > 0)?;
    let ended = recorded_at(newest, &status_of(newest).ended_at?, now)?;
    ended.checked_add(length(u32::try_from(count).unwrap_or(u32::MAX))).ok()
}
