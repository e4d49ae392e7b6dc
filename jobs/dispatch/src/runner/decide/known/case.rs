use drover::annotations::known::check_backup as check_backup_annotations;
use drover::conditions::reason;
use drover::exit::Chain;
use drover::policy::Settings;
use drover::resources::{Backup, BackupType};
use drover::runs::{History, check_backup_name, schedule_of};

use super::place::{Place, place};
use super::world::World;
use crate::runner::facts::{CronJob, Obstacle};
use crate::runner::template::Timing;

/// A Backup, and what follows from what is known of it.
pub(crate) struct Case<'a> {
    pub(crate) backup: &'a Backup,
    pub(crate) settings: Settings,
    pub(crate) history: History,
    pub(crate) timing: Result<Timing, Obstacle>,
    pub(crate) place: Place<'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn of(world: &World<'a>, backup: &'a Backup) -> Self {
        let settings = world.state.settings.settings(backup);
        Self {
            backup,
            history: world.history(backup),
            timing: timing(backup, &settings, world.is_ours()),
            place: place(world, backup),
            settings,
        }
    }

    /// Whether no backup is made of it as it stands, whatever its schedule says.
    pub(crate) fn is_refused(&self) -> bool {
        refused(self.backup).is_some()
    }

    pub(crate) fn cron_job(&self) -> Option<&'a CronJob> {
        match self.place {
            Place::Taken(cron_job) => Some(cron_job),
            _ => None,
        }
    }
}

/// When the Backup's CronJob runs. Kubernetes reads schedules as Rancher's operator does, but for the time zone, which has
/// a field of its own and is always said: the default would be the zone of Kubernetes' own controller.
fn timing(backup: &Backup, settings: &Settings, is_ours: bool) -> Result<Timing, Obstacle> {
    if let Some(refusal) = refused(backup) {
        return Err(refusal);
    }
    if backup.kind_of_backup() == BackupType::OneTime {
        return Ok(Timing::never());
    }
    let schedule = schedule_of(backup, settings);
    let schedule = schedule.map_err(|error| Obstacle::lasting(reason::SCHEDULE_REFUSED, Chain(&error).to_string()))?;
    let text = backup.spec.schedule.as_deref().unwrap_or_default();
    let has_zone = text.starts_with("CRON_TZ=") || text.starts_with("TZ=");
    let text = if has_zone { text.split_once(' ').map_or("", |(_, rest)| rest) } else { text };
    Ok(Timing {
        schedule: text.trim().to_owned(),
        time_zone: schedule.time_zone().filter(|zone| *zone != "UTC").unwrap_or("Etc/UTC").to_owned(),
        is_suspended: settings.is_suspended() || !is_ours,
    })
}

/// Why no backup is made of a Backup as it stands: its name, or an annotation that nobody knows.
fn refused(backup: &Backup) -> Option<Obstacle> {
    let of_name =
        check_backup_name(backup).err().map(|error| Obstacle::lasting(reason::NAME_TOO_LONG, error.to_string()));
    let unknown = || check_backup_annotations(backup).err();
    of_name.or_else(|| Some(Obstacle::lasting(reason::UNKNOWN_ANNOTATION, unknown()?.to_string())))
}
