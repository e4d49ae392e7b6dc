//! What a status is to say, and what that makes of its conditions.

use drover::coexistence::{self, Operator};
use drover::conditions::{BLOCKED, RECONCILING, STALLED, reason};
use drover::resources::{
    Backup, BackupStatus, ConditionStatus, Conditions, Losses, Ready, Restore, RestoreStatus, rfc3339,
};
use drover::restores;
use drover::runs::report::tells_damage;
use drover::runs::with_confirmed;
use jiff::Timestamp;

use crate::runner::decide::known::{blocking, is_blocked_by, said_stalled, tells_obstacle};
use crate::runner::facts::Obstacle;

/// What is said of what waited, once that is over.
const AGAIN: &str = "nothing stands in its way any more; it is tried again";

/// What stands between what a try came to and the time of the next one.
const NEXT_TRY: &str = "; the next try begins at ";

/// What a Backup's status is to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BackupWish {
    pub(crate) common: Wish,
    /// Another time of the next snapshot than it says now.
    pub(crate) next: Option<String>,
    /// What it says to be lost, and somebody has confirmed since.
    pub(crate) confirmed: Vec<Losses>,
}

/// What a Restore's status is to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RestoreWish(pub(crate) Wish);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wish {
    pub(crate) operator: Option<Operator>,
    pub(crate) obstacle: Option<Obstacle>,
    /// When what failed or waits is tried again.
    pub(crate) next_try: Option<Timestamp>,
    /// What `Ready` says when nothing is in the way any more and no job has said another thing.
    pub(crate) otherwise: (Ready, String),
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
