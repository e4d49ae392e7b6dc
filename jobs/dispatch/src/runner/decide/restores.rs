//! Restores: a Job of the CronJob `restore` while one waits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use drover::conditions::reason;
use drover::installation;
use drover::job::name::RESTORE;
use drover::resources::Restore;
use drover::restores::{behind, given_up_at, is_at_work, is_given_up};
use jiff::Timestamp;
use kube::ResourceExt;

use super::decision::Decision;
use super::known::World;
use super::obstacles::{self, deaths};
use super::status::{self, News};
use super::turn::{Work, take_turn};
use crate::runner::facts::{CronJob, Obstacle};
use crate::runner::pause::Success;

pub(super) fn decide(world: &World<'_>, decision: &mut Decision) {
    let cron_job = world.state.cron_jobs.get(RESTORE).filter(|cron_job| !cron_job.is_deleted);
    let waiting = waiting(world, cron_job);
    let (mut next_try, mut behind) = (None, BTreeMap::new());
    let obstacle = if let Some(cron_job) = cron_job {
        next_try = start_job(world, decision, cron_job, &waiting);
        behind = line(world, cron_job, &waiting);
        obstacles::of_jobs(world, decision, cron_job)
    } else {
        let message =
            format!("the CronJob {RESTORE:?} of drover is missing in its namespace; apply drover's manifests again");
        Some(Obstacle::lasting(reason::TEMPLATE_MISSING, message))
    };
    for restore in waiting {
        let died = || deaths::newest_of_restore(world, cron_job?, restore);
        // Of one whose time is over that is told, and nothing of what it waits for.
        let away = || {
            obstacles::nats_away(world, cron_job?, restore.conditions()).filter(|_| !is_given_up(restore, world.now))
        };
        let own = || died().or_else(|| behind.remove(&restore.name_any())).or_else(away);
        let obstacle = obstacle.clone().or_else(own).filter(|_| world.is_ours());
        status::tell_restore(world, decision, restore, News { obstacle, next_try });
    }
}

/// Those that wait for nothing but their turn while a Job carries another one out, by name.
fn line(world: &World<'_>, cron_job: &CronJob, waiting: &[&Restore]) -> BTreeMap<String, Obstacle> {
    let has_job = world.jobs_of(cron_job).iter().any(|job| job.is_active());
    if !has_job || !waiting.iter().any(|restore| is_at_work(restore)) {
        return BTreeMap::new();
    }
    behind(waiting).map(|(restore, words)| (restore.name_any(), Obstacle::new(reason::BEHIND, words))).collect()
}

/// The Restores that have not ended and were made for drover, oldest first.
fn waiting<'a>(world: &World<'a>, cron_job: Option<&CronJob>) -> Vec<&'a Restore> {
    let installed = cron_job.and_then(|cron_job| cron_job.created);
    let waits = |restore: &&Restore| {
        !restore.has_ended()
            && restore.metadata.deletion_timestamp.is_none()
            && !installation::is_older(restore, installed)
    };
    let mut waiting: Vec<_> = world.state.restores.iter().filter(waits).collect();
    waiting.sort_by_key(|restore| (restore.creation_timestamp().map(|time| time.0), restore.name_any()));
    waiting
}

/// One Job carries out all that wait, one after the other; which of them it was started for stands on it, so that one that is
/// made later, or deleted and applied again, or edited, is seen to be new. So is one whose time is over, for a Job says that.
fn start_job(
    world: &World<'_>,
    decision: &mut Decision,
    cron_job: &CronJob,
    waiting: &[&Restore],
) -> Option<Timestamp> {
    let template = cron_job.template.as_deref().filter(|_| world.is_ours())?;
    deaths::of_restores(world, cron_job, waiting, decision);
    let ends = waiting.iter().filter_map(|restore| given_up_at(restore)).filter(|end| *end > world.now);
    if let Some(end) = ends.min() {
        decision.wake_at(end);
    }
    let work = Work {
        is_wanted: !waiting.is_empty(),
        marks: waiting.iter().filter_map(|restore| mark(restore, world.now)).collect(),
        ..Work::none(Success::Counts)
    };
    take_turn(world, decision, cron_job, &work, None, || Cow::Borrowed(&template.spec))
}

/// What a Job is started for: the Restore as it is now.
fn mark(restore: &Restore, now: Timestamp) -> Option<String> {
    let uid = restore.uid()?;
    if is_given_up(restore, now) {
        return Some(format!("{uid}.over"));
    }
    match restore.metadata.generation {
        Some(generation) if generation > 1 => Some(format!("{uid}.{generation}")),
        _ => Some(uid),
    }
}
