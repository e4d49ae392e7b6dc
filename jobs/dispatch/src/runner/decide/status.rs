//! What is told about Backups and Restores in their status: who is in charge, what keeps them from running, when a Backup
//! runs next, and that what it lost was confirmed. All else is told by the jobs.

use drover::resources::{BackupType, Ready, Restore, RunState, rfc3339};
use drover::runs::report::damage;
use drover::runs::{confirmed, missing_words, schedule_of, status_of};
use jiff::Timestamp;
use kube::ResourceExt;

use super::decision::{Action, BackupWish, Decision, RestoreWish, Wish};
use super::known::{Case, World};
use crate::runner::facts::Obstacle;

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
