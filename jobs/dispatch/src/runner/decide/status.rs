//! What is told about Backups and Restores in their status: who is in charge, what keeps them from running, when a Backup
//! runs next, and that what it lost was confirmed. All else is told by the jobs.

use drover::coexistence::{self, Operator};
use drover::conditions::{BLOCKED, RECONCILING, STALLED, reason};
use drover::resources::{
    Backup, BackupStatus, BackupType, ConditionStatus, Conditions, Losses, Ready, Restore, RestoreStatus, RunState,
    rfc3339,
};
use drover::restores;
use drover::runs::report::{damage, tells_damage};
use drover::runs::{confirmed, missing_words, schedule_of, status_of, with_confirmed};
use jiff::Timestamp;
use kube::ResourceExt;

use super::backups::Case;
use super::world::World;
use super::{Action, Decision};
use crate::runner::facts::Obstacle;

/// What is said of what waited, once that is over.
const AGAIN: &str = "nothing stands in its way any more; it is tried again";

/// What stands between what a try came to and the time of the next one.
const NEXT_TRY: &str = "; the next try begins at ";

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
    /// When what failed or waits is tried again.
    next_try: Option<Timestamp>,
    /// What `Ready` says when nothing is in the way any more and no job has said another thing.
    otherwise: (Ready, String),
}

/// What is told of one, beside who is in charge.
pub(super) struct News {
    /// What keeps it from running.
    pub(super) obstacle: Option<Obstacle>,
    /// When what failed or waits is tried again.
    pub(super) next_try: Option<Timestamp>,
}

pub(super) fn tell_backup(world: &World<'_>, decision: &mut Decision, case: &Case<'_>, news: News) {
    let News { obstacle, next_try } = news;
    let operator = world.state.charge.operator().cloned();
    let next = next(case, world.now).filter(|_| operator.is_none());
    let common = Wish { operator, obstacle, next_try, otherwise: otherwise(case) };
    let wish = BackupWish { common, next, confirmed: confirmed(&case.history, case.backup) };
    if wish.status(case.backup, world.now).is_some() {
        let (name, uid) = (case.backup.name_any(), case.backup.uid().unwrap_or_default());
        decision.act(Action::TellBackup { name, uid, wish: Box::new(wish) });
    }
}

pub(super) fn tell_restore(world: &World<'_>, decision: &mut Decision, restore: &Restore, news: News) {
    let News { obstacle, next_try } = news;
    let operator = world.state.charge.operator().cloned();
    let wish = RestoreWish(Wish { operator, obstacle, next_try, otherwise: (Ready::Pending, String::new()) });
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
        // Decided from what was seen, while it ended.
        if restore.has_ended() {
            return None;
        }
        let mut status = restore.status.clone().unwrap_or_default();
        if let Some(conditions) = status.conditions.as_mut().filter(|_| is_edited(restore)) {
            // What it waited for may be mended with that.
            conditions.set_ready(Ready::Pending, "it was edited; the next try takes it as it is now", now);
            conditions.set(RECONCILING, ConditionStatus::True, reason::WAITING, "edited", now);
            status.observed_generation = restore.metadata.generation;
        }
        status.conditions = self.0.apply(status.conditions, now);
        let died = self.0.obstacle.as_ref().filter(|obstacle| obstacle.is_failure && !obstacle.is_final);
        if let Some((conditions, obstacle)) = status.conditions.as_mut().zip(died) {
            restores::set_waiting(conditions, restore, &obstacle.message, now);
            tell_next_try(conditions, self.0.next_try, now);
        }
        (status != restore.status.clone().unwrap_or_default()).then_some(status)
    }
}

/// Whether a Restore that waits says so of what it was before somebody edited it.
fn is_edited(restore: &Restore) -> bool {
    let is_old = restore.status.as_ref().is_some_and(|status| status.observed_generation < restore.metadata.generation);
    is_old && restore.conditions().is_some_and(Conditions::waits)
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
        tell_next_try(&mut conditions, self.next_try, now);
        (was_there || !conditions.0.is_empty()).then_some(conditions)
    }
}

/// Says when what failed or waits is tried again, until the next try says another thing.
fn tell_next_try(conditions: &mut Conditions, next_try: Option<Timestamp>, now: Timestamp) {
    let is_of_try = |said: &String| [reason::WAITING, reason::FAILED].contains(&said.as_str());
    let reconciling = conditions.get(RECONCILING);
    let status = reconciling.map_or(ConditionStatus::True, |reconciling| reconciling.status);
    let reason = reconciling.and_then(|reconciling| reconciling.reason.clone()).filter(is_of_try);
    let (Some(next_try), Some(reason)) = (next_try, reason) else { return };
    let said = reconciling.and_then(|reconciling| reconciling.message.as_deref()).unwrap_or_default();
    let said = said.split_once(NEXT_TRY).map_or(said, |(said, _)| said);
    let words = format!("{said}{NEXT_TRY}{}", rfc3339(next_try));
    conditions.set(RECONCILING, status, &reason, &words, now);
}

fn block(conditions: &mut Conditions, obstacle: &Obstacle, now: Timestamp) {
    let Obstacle { reason, message, is_failure, is_final } = obstacle;
    let was_stalled = said_stalled(conditions);
    conditions.set(BLOCKED, ConditionStatus::True, reason, message, now);
    // That the newest archive is damaged is worse, and what is in the way says the other condition. A job that said the same
    // has said more.
    let is_told = tells_damage(conditions) || (conditions.waits() && tells_obstacle(conditions));
    if !is_told {
        conditions.set_ready(if *is_failure { Ready::Failed } else { Ready::Pending }, message, now);
    }
    if *is_final {
        conditions.set(STALLED, ConditionStatus::True, reason, message, now);
    } else if was_stalled {
        conditions.set(STALLED, ConditionStatus::False, reason, "", now);
    }
}

/// Takes back what was said of an obstacle. A condition cannot be taken away, for a job may own it by now; it becomes False.
fn unblock(conditions: &mut Conditions, (ready, detail): &(Ready, String), now: Timestamp) {
    let Some(message) = blocking(conditions) else { return };
    let was_stalled = said_stalled(conditions);
    if conditions.detail().starts_with(&message) {
        // A job that said it too has not died without a word, and that is known by what it said.
        if conditions.waits() && is_blocked_by(conditions, reason::NATS_AWAY) {
            conditions.set_waiting(AGAIN, now);
        } else {
            conditions.set_ready(*ready, detail, now);
        }
    }
    if was_stalled {
        conditions.set(STALLED, ConditionStatus::False, reason::UNBLOCKED, "", now);
    }
    conditions.set(BLOCKED, ConditionStatus::False, reason::UNBLOCKED, "", now);
}

/// Whether `Ready` says what the obstacle is that is told now.
pub(super) fn tells_obstacle(conditions: &Conditions) -> bool {
    blocking(conditions).is_some_and(|message| conditions.detail().starts_with(&message))
}

/// Whether an obstacle is told now that has this reason.
pub(super) fn is_blocked_by(conditions: &Conditions, reason: &str) -> bool {
    conditions.is_true(BLOCKED) && conditions.get(BLOCKED).is_some_and(|told| told.reason.as_deref() == Some(reason))
}

/// The message of the obstacle that is told now.
fn blocking(conditions: &Conditions) -> Option<String> {
    conditions.get(BLOCKED).filter(|_| conditions.is_true(BLOCKED))?.message.clone()
}

/// Whether `Stalled` is what was said of that obstacle.
fn said_stalled(conditions: &Conditions) -> bool {
    conditions.is_true(STALLED)
        && conditions.get(STALLED).and_then(|stalled| stalled.message.clone()) == blocking(conditions)
}

/// What the newest run left, unless its archive was found damaged since.
fn otherwise(case: &Case<'_>) -> (Ready, String) {
    let Some(run) = case.history.newest() else { return (Ready::Pending, String::new()) };
    let status = status_of(run);
    let message = status.message.unwrap_or_default();
    if let Some(words) = missing_words(run).filter(|_| status.state == RunState::Completed) {
        return (Ready::Failed, words);
    }
    match status.state {
        RunState::Completed => match case.backup.conditions().and_then(damage) {
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
