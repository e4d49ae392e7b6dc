//! Where a Backup's CronJob is, or is to be.

use drover::resources::Backup;
use kube::ResourceExt;

use super::world::World;
use crate::runner::facts::CronJob;
use crate::runner::names::{cron_job_name, hashed_name};

/// Where a Backup's CronJob is.
#[derive(Debug, PartialEq)]
pub(crate) enum Place<'a> {
    /// It is there.
    Taken(&'a CronJob),
    /// It is not, and would be called so.
    Free(String),
    /// The one of an earlier Backup of the same name was left when that went.
    Left(&'a CronJob),
    /// The one of an earlier Backup of the same name is about to go.
    Going,
    /// Somebody else's CronJobs have every name that it could have.
    Blocked(String),
}

/// Finds it. One that is not the Backup's is left alone, whatever it is called.
pub(crate) fn place<'a>(world: &World<'a>, backup: &Backup) -> Place<'a> {
    let (name, uid) = (backup.name_any(), backup.uid().unwrap_or_default());
    let own =
        world.state.cron_jobs.iter().find(|cron_job| cron_job.owner.as_ref().is_some_and(|owner| owner.uid == uid));
    match own {
        Some(cron_job) if cron_job.is_deleted => return Place::Going,
        Some(cron_job) => return Place::Taken(cron_job),
        None => {}
    }
    for candidate in [cron_job_name(&name), hashed_name(&name)] {
        match world.state.cron_jobs.get(&candidate) {
            None => return Place::Free(candidate),
            Some(other) if other.owner.as_ref().is_some_and(|owner| owner.name == name) => return Place::Going,
            Some(other) if is_left(world, other, &name) && other.is_deleted => return Place::Going,
            Some(other) if is_left(world, other, &name) => return Place::Left(other),
            Some(_) => {}
        }
    }
    Place::Blocked(hashed_name(&name))
}

/// Whether a CronJob was made for a Backup of this name and is nobody's now.
fn is_left(world: &World<'_>, cron_job: &CronJob, name: &str) -> bool {
    let Some(former) = cron_job.left_by.as_ref().filter(|former| former.name == name) else { return false };
    let is_of_another = |backup: &Backup| backup.name_any() != name && backup.uid().as_ref() == Some(&former.uid);
    !world.state.backups.iter().any(is_of_another)
}
