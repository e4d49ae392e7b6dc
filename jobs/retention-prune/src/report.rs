//! What a prune tells about itself: the condition `Pruned`, Events, and messages. Whether old archives go says nothing of
//! `Ready`; only that the newest one is damaged does, which the condition `Verified` says too.

use drover::conditions::{PRUNED, reason};
use drover::events::{Data, Event, Kind};
use drover::exit::warn_of;
use drover::job::name::RETENTION_PRUNE as JOB;
use drover::resources::{Backup, Losses, rfc3339};
use drover::runs::report::{damage as said_damage, inspected, pruned};
use drover::runs::{Allowed, History, set_backup_status, with_confirmed};
use jiff::Timestamp;
use kube::ResourceExt;
use uuid::Uuid;

use crate::outcome::{Deletion, Outcome};
use crate::pruner::Pruner;

/// What stands between what a prune did and what the last one did that deleted something.
const LAST: &str = "; last deleted ";

/// The message of the condition: what this prune did and, as long as no other deletes anything, what was deleted last.
fn words(outcome: &Outcome, before: Option<&str>, now: Timestamp) -> String {
    let did = outcome.message();
    match (outcome.deleted.last(), before.and_then(|before| before.split_once(LAST))) {
        (Some(Deletion { name, place: _, reason }), _) => {
            format!("{did}{LAST}{} at {}, {name} among them: {reason}", outcome.deleted.len(), rfc3339(now))
        }
        (None, Some((_, last))) => format!("{did}{LAST}{last}"),
        (None, None) => did,
    }
}

/// Writes the condition, and says what is news: what was deleted, or that something else is retained or failed than before.
pub(crate) async fn tell(pruner: &Pruner, backup: &Backup, history: &History, outcome: &Outcome) {
    let is_done = outcome.failures.is_empty();
    let message = outcome.message();
    let now = pruner.now();
    let inspection = outcome.inspection();
    let change = |backup: &Backup| {
        let before = backup.condition(PRUNED).and_then(|before| before.message.as_deref());
        let status = pruned(backup, is_done, outcome.reason(), &words(outcome, before, now), now);
        Some(match &inspection {
            Some((newest, damage)) => inspected(status, newest, damage, now),
            None => status,
        })
    };
    warn_of(set_backup_status(pruner.client.clone(), &backup.name_any(), JOB, change).await);
    warn_beside(pruner, backup, outcome).await;
    let before = backup.condition(PRUNED).and_then(|before| before.message.as_deref());
    let is_as_before = before.map(|before| before.split(LAST).next().unwrap_or_default()) == Some(message.as_str());
    let is_usual = is_done && outcome.retained.is_empty() && !outcome.asks();
    let is_quiet = outcome.deleted.is_empty() && (is_as_before || is_usual);
    if is_quiet {
        return;
    }
    if is_done && outcome.asks() {
        pruner.events.warning(backup, outcome.reason(), message.clone()).await;
    } else if is_done {
        pruner.events.normal(backup, "Pruned", message.clone()).await;
    } else {
        pruner.events.warning(backup, "PruneFailed", message.clone()).await;
    }
    for event in messages(backup, history, outcome, pruner.now()) {
        if let Some(connection) = pruner.connection() {
            warn_of(connection.publish(&event).await);
        }
    }
}

/// Says what the condition does not: that the newest archive was found to be damaged, and that a word allows nothing.
async fn warn_beside(pruner: &Pruner, backup: &Backup, outcome: &Outcome) {
    let damage = outcome.inspection().map(|(_, damage)| damage).unwrap_or_default();
    if !damage.is_empty() && !is_told(backup, &damage) {
        pruner.events.warning(backup, reason::DAMAGED, damage).await;
    }
    Allowed::warn_of_unknown(&pruner.events, backup).await;
}

/// Whether the Backup says already that its newest archive is damaged so.
fn is_told(backup: &Backup, damage: &str) -> bool {
    backup.conditions().and_then(said_damage) == Some(damage)
}

/// Writes that these losses are confirmed.
pub(crate) async fn tell_confirmed(pruner: &Pruner, backup: &Backup, losses: &[Losses]) {
    let change = |backup: &Backup| Some(with_confirmed(backup.status.clone()?, losses, pruner.now()));
    warn_of(set_backup_status(pruner.client.clone(), &backup.name_any(), JOB, change).await);
}

/// The events of a prune: what was done, and that it failed where it did.
fn messages(backup: &Backup, history: &History, outcome: &Outcome, now: Timestamp) -> Vec<Event> {
    let newest = history.last_verified();
    let data = Data {
        name: backup.name_any(),
        uid: backup.uid().unwrap_or_default(),
        // The run whose archive makes others old; archives of before drover have none.
        run: newest.map_or_else(Uuid::now_v7, |run| run.spec.id),
        number: newest.map(|run| run.spec.number),
        filename: newest.map(|run| run.spec.filename.clone()),
        pruned: Some(outcome.told()),
        ..Data::default()
    };
    let mut messages = Vec::new();
    if !outcome.deleted.is_empty() || !outcome.retained.is_empty() {
        messages.push(Event::new(Kind::BackupPruned, JOB, now, data.clone()));
    }
    if !outcome.failures.is_empty() {
        let (stage, reason) = (Some(JOB.to_owned()), Some(outcome.message()));
        messages.push(Event::new(Kind::BackupFailed, JOB, now, Data { stage, reason, pruned: None, ..data }));
    }
    messages
}

#[cfg(test)]
mod tests {
    use drover::exit::{Exit, Failure};

    use super::*;
    use crate::outcome::Retained;

    #[test]
    fn the_newest_archive_is_only_judged_where_every_place_answered_or_one_shows_damage() {
        let again = "kubectl create job".to_owned();
        let mut outcome = Outcome { newest: Some("a".into()), again, ..Outcome::default() };
        assert_eq!(outcome.inspection(), Some(("a", String::new())));
        outcome.failures.push(("far".into(), Failure::new(Exit::Unavailable, "away")));
        assert_eq!(outcome.inspection(), None);
        outcome.damage.push("it has 8 bytes".into());
        let words = "it has 8 bytes; put the file back, or make a new one: kubectl create job";
        assert_eq!(outcome.inspection(), Some(("a", words.into())));

        let mut backup = Backup::new("daily", drover::resources::BackupSpec::default());
        assert!(!is_told(&backup, words));
        backup.status = Some(inspected(backup.status.unwrap_or_default(), "a", words, Timestamp::UNIX_EPOCH));
        assert!(is_told(&backup, words) && !is_told(&backup, "it is not there"));
    }

    #[test]
    fn what_was_deleted_last_is_told_until_something_else_is() {
        let mut outcome = Outcome { kept: 2, ..Outcome::default() };
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(words(&outcome, None, at), "deleted 0, kept 2");
        let deletion = |name: &str| Deletion { name: name.into(), place: "default".into(), reason: "old".into() };
        outcome.deleted = vec![deletion("a"), deletion("b")];
        let first = words(&outcome, Some("deleted 0, kept 2"), at);
        assert_eq!(first, "deleted 2, kept 2; last deleted 2 at 1970-01-01T00:00:00Z, b among them: old");
        outcome.deleted.clear();
        let later = words(&outcome, Some(&first), at);
        assert_eq!(later, "deleted 0, kept 2; last deleted 2 at 1970-01-01T00:00:00Z, b among them: old");
        assert_eq!(words(&outcome, Some(&later), at), later);
    }

    #[test]
    fn a_failed_prune_is_told_as_a_failed_stage_and_what_it_did_all_the_same() {
        let (name, place, reason) = ("a".to_owned(), "default".to_owned(), "object lock".to_owned());
        let retained = vec![Retained { name, place, until: None, reason }];
        let mut outcome = Outcome { retained, ..Outcome::default() };
        outcome.failures.push(("far".into(), Failure::new(Exit::Usage, "no")));
        let backup = Backup::new("daily", drover::resources::BackupSpec::default());
        let events = messages(&backup, &History::default(), &outcome, Timestamp::UNIX_EPOCH);
        let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [Kind::BackupPruned, Kind::BackupFailed]);
        assert_eq!(events[1].data.stage.as_deref(), Some("retention-prune"));
        assert!(events.iter().all(|event| event.encode().is_ok()));
    }
}
