//! What is told about Backups and Restores in their status: who is in charge, what keeps them from running, when a Backup
//! runs next, and that what it lost was confirmed. All else is told by the jobs.

use drover::coexistence::{self, Operator};
use drover::resources::{
    Backup, BackupStatus, BackupType, ConditionStatus, Conditions, Losses, Ready, Restore, RestoreStatus, RunState,
    rfc3339,
};
use drover::runs::report::{damage, tells_damage};
use drover::runs::{confirmed, missing_words, schedule_of, status_of, with_confirmed};
use jiff::Timestamp;
use kube::ResourceExt;

use super::backups::Case;
use super::world::World;
use super::{Action, Decision};
use crate::runner::facts::Obstacle;

/// The condition that holds while something keeps a Job from running.
pub(crate) const BLOCKED: &str = "Blocked";

/// The reason of conditions and Events where a Job died.
pub(crate) const JOB_FAILED: &str = "JobFailed";

/// What a Backup's status is to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BackupWish {
    common: Wish,
    /// Another time of the next snapshot than it says now.
    next: Option<String>,
    /// What it says to be lost, and somebody has confirmed since.
    confirmed: Vec<Losses>,
}

/// What a Restore's status is to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RestoreWish(Wish);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Wish {
    operator: Option<Operator>,
    obstacle: Option<Obstacle>,
    /// What `Ready` says when nothing is in the way any more and no job has said another thing.
    otherwise: (Ready, String),
}

pub(super) fn tell_backup(world: &World<'_>, decision: &mut Decision, case: &Case<'_>, obstacle: Option<Obstacle>) {
    let operator = world.state.charge.operator().cloned();
    let next = next(case, world.now).filter(|_| operator.is_none());
    let common = Wish { operator, obstacle, otherwise: otherwise(case) };
    let wish = BackupWish { common, next, confirmed: confirmed(&case.history, case.backup) };
    if wish.status(case.backup, world.now).is_some() {
        let (name, uid) = (case.backup.name_any(), case.backup.uid().unwrap_or_default());
        decision.act(Action::TellBackup { name, uid, wish: Box::new(wish) });
    }
}

pub(super) fn tell_restore(world: &World<'_>, decision: &mut Decision, restore: &Restore, obstacle: Option<&Obstacle>) {
    let operator = world.state.charge.operator().cloned();
    let otherwise = (Ready::Pending, String::new());
    let wish = RestoreWish(Wish { operator, obstacle: obstacle.cloned(), otherwise });
    if wish.status(restore, world.now).is_some() {
        let (name, uid) = (restore.name_any(), restore.uid().unwrap_or_default());
        decision.act(Action::TellRestore { name, uid, wish: Box::new(wish) });
    }
}

impl BackupWish {
    /// The status as it is to be; none where it is so.
    pub(crate) fn status(&self, backup: &Backup, now: Timestamp) -> Option<BackupStatus> {
        let mut status = backup.status.clone().unwrap_or_default();
        status.conditions = self.common.apply(status.conditions, now);
        status.next_snapshot_at = self.next.clone().or(status.next_snapshot_at);
        status = with_confirmed(status, &self.confirmed, now);
        (status != backup.status.clone().unwrap_or_default()).then_some(status)
    }
}

impl RestoreWish {
    /// The status as it is to be; none where it is so.
    pub(crate) fn status(&self, restore: &Restore, now: Timestamp) -> Option<RestoreStatus> {
        let mut status = restore.status.clone().unwrap_or_default();
        status.conditions = self.0.apply(status.conditions, now);
        (status != restore.status.clone().unwrap_or_default()).then_some(status)
    }
}

impl Wish {
    fn apply(&self, conditions: Option<Conditions>, now: Timestamp) -> Option<Conditions> {
        let was_there = conditions.is_some();
        let mut conditions = conditions.unwrap_or_default();
        coexistence::note(&mut conditions, self.operator.as_ref(), now);
        match &self.obstacle {
            Some(obstacle) => block(&mut conditions, obstacle, now),
            None => unblock(&mut conditions, &self.otherwise, now),
        }
        (was_there || !conditions.0.is_empty()).then_some(conditions)
    }
}

fn block(conditions: &mut Conditions, obstacle: &Obstacle, now: Timestamp) {
    let Obstacle { reason, message, is_failure, is_final } = obstacle;
    let was_stalled = said_stalled(conditions);
    conditions.set(BLOCKED, ConditionStatus::True, reason, message, now);
    // That the newest archive is damaged is worse, and what is in the way says the other condition.
    if !tells_damage(conditions) {
        conditions.set_ready(if *is_failure { Ready::Failed } else { Ready::Pending }, message, now);
    }
    if *is_final {
        conditions.set("Stalled", ConditionStatus::True, reason, message, now);
    } else if was_stalled {
        conditions.set("Stalled", ConditionStatus::False, reason, "", now);
    }
}

/// Takes back what was said of an obstacle. A condition cannot be taken away, for a job may own it by now; it becomes False.
fn unblock(conditions: &mut Conditions, (ready, detail): &(Ready, String), now: Timestamp) {
    let Some(message) = blocking(conditions) else { return };
    let was_stalled = said_stalled(conditions);
    let words = |conditions: &Conditions| conditions.get("Ready").and_then(|ready| ready.message.clone());
    if words(conditions).is_some_and(|words| words.ends_with(&format!(": {message}"))) {
        conditions.set_ready(*ready, detail, now);
    }
    if was_stalled {
        conditions.set("Stalled", ConditionStatus::False, "Unblocked", "", now);
    }
    conditions.set(BLOCKED, ConditionStatus::False, "Unblocked", "", now);
}

/// The message of the obstacle that is told now.
fn blocking(conditions: &Conditions) -> Option<String> {
    conditions.get(BLOCKED).filter(|_| conditions.is_true(BLOCKED))?.message.clone()
}

/// Whether `Stalled` is what was said of that obstacle.
fn said_stalled(conditions: &Conditions) -> bool {
    conditions.is_true("Stalled")
        && conditions.get("Stalled").and_then(|stalled| stalled.message.clone()) == blocking(conditions)
}

/// What the newest run left, unless its archive was found damaged since.
fn otherwise(case: &Case<'_>) -> (Ready, String) {
    let Some(run) = case.history.newest() else { return (Ready::Pending, String::new()) };
    let status = status_of(run);
    let message = status.message.unwrap_or_default();
    if let Some(words) = missing_words(run).filter(|_| status.state == RunState::Completed) {
        return (Ready::Failed, words);
    }
    let conditions = case.backup.status.as_ref().and_then(|status| status.conditions.as_ref());
    match status.state {
        RunState::Completed => match conditions.and_then(damage) {
            Some(damage) => (Ready::Failed, damage.to_owned()),
            None => (Ready::Completed, String::new()),
        },
        RunState::Failed => (Ready::Failed, message),
        RunState::Pending => (Ready::Pending, message),
        RunState::InProgress => (Ready::InProgress, message),
    }
}

/// The time of the next snapshot, where the status says another. Empty: there is none.
fn next(case: &Case<'_>, now: Timestamp) -> Option<String> {
    let said = case.backup.status.as_ref().and_then(|status| status.next_snapshot_at.as_deref());
    let is_scheduled = case.backup.kind_of_backup() == BackupType::Recurring && !case.settings.is_suspended();
    let schedule = schedule_of(case.backup, &case.settings).ok().filter(|_| is_scheduled);
    let Some((schedule, next)) = schedule.and_then(|schedule| schedule.next(now).map(|next| (schedule, next))) else {
        return said.filter(|said| !said.is_empty()).map(|_| String::new());
    };
    // An interval counts from its last run: whatever lies within the next one is as good as another.
    let is_interval = schedule.time_zone().is_none();
    let said_time: Option<Timestamp> = said.and_then(|said| said.parse().ok());
    let is_within = said_time.is_some_and(|said| now < said && said <= next);
    let next = rfc3339(next);
    (said != Some(next.as_str()) && !(is_interval && is_within)).then_some(next)
}
