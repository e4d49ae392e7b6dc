//! Restores: a Job of the CronJob `restore` while one waits.

use std::borrow::Cow;

use drover::installation;
use drover::resources::Restore;
use kube::ResourceExt;

use super::turn::{Work, take_turn};
use super::world::World;
use super::{Decision, deaths, obstacles, status};
use crate::runner::facts::{CronJob, Obstacle};
use crate::runner::pause::Success;
use crate::runner::words::RESTORE;

pub(super) fn decide(world: &World<'_>, decision: &mut Decision) {
    let cron_job = world.state.cron_jobs.get(RESTORE).filter(|cron_job| !cron_job.is_deleted);
    let waiting = waiting(world, cron_job);
    let obstacle = if let Some(cron_job) = cron_job {
        start_job(world, decision, cron_job, &waiting);
        let is_silent = deaths::newest_of_restores(world, cron_job, &waiting);
        obstacles::of_jobs(world, decision, cron_job).or(is_silent)
    } else {
        let message =
            format!("the CronJob {RESTORE:?} of drover is missing in its namespace; apply drover's manifests again");
        Some(Obstacle::lasting("TemplateMissing", message))
    };
    for restore in waiting {
        status::tell_restore(world, decision, restore, obstacle.as_ref().filter(|_| world.is_ours()));
    }
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

/// One Job carries out all that wait, one after the other; which of them it was started for stands on it by UID, so that
/// one that is made later, or deleted and applied again, is seen to be new.
fn start_job(world: &World<'_>, decision: &mut Decision, cron_job: &CronJob, waiting: &[&Restore]) {
    let Some(template) = cron_job.template.as_deref().filter(|_| world.is_ours()) else { return };
    deaths::of_restores(world, cron_job, waiting, decision);
    let work = Work {
        is_wanted: !waiting.is_empty(),
        marks: waiting.iter().filter_map(|restore| restore.uid()).collect(),
        ..Work::none(Success::Counts)
    };
    take_turn(world, decision, cron_job, &work, None, || Cow::Borrowed(&template.spec));
}
