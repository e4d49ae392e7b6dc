//! What a prune of a Backup did, at all of its places, in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use drover::conditions::reason;
use drover::events::{Pruned, PrunedArchive};
use drover::exit::{Exit, Failure};
use drover::ledger::{Lines, places_of};
use drover::resources::{ArchiveHold, Backup, rfc3339};
use drover::retention::{Judged, Plan};
use drover::runs::{Allowed, History, holds};
use jiff::Timestamp;

/// What a prune of a Backup did, at all of its places.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Archives that were deleted.
    pub deleted: Vec<Deletion>,
    /// Expired archives that their place keeps.
    pub retained: Vec<Retained>,
    /// How many archives the plan keeps.
    pub kept: u64,
    /// Expired archives that were not tried, since their place kept those before them.
    pub left: u64,
    /// Archives that only the former retention keeps, oldest first.
    pub waiting: Vec<String>,
    /// When these go.
    pub waits_until: Option<Timestamp>,
    /// Archives that the ledger does not know, newest first.
    pub unknown: Vec<String>,
    /// The command that lets these expire.
    pub allow_unknown: String,
    /// Archives whose time has not come, newest first.
    pub future: Vec<String>,
    /// Archives whose time was still to come when they were made, newest first.
    pub ahead: Vec<String>,
    /// Archives that the ledger alone says are held, each with the command that lets it go.
    pub held: Vec<String>,
    /// The newest archive of the ledger, where a place was looked at that has it by the ledger.
    pub newest: Option<String>,
    /// What is wrong with it, at each place.
    pub damage: Vec<String>,
    /// The command that makes a backup now.
    pub again: String,
    /// What failed, each with the name of its place; without one where it kept the prune from all of them.
    pub failures: Vec<(String, Failure)>,
    /// Hosts of buckets, or volumes, that are away.
    pub away: Vec<String>,
}

/// An archive that was deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deletion {
    /// Its file name.
    pub name: String,
    /// Name of the place.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// An expired archive that its place keeps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retained {
    /// Its file name.
    pub name: String,
    /// Name of the place.
    pub place: String,
    /// Until when, where the place tells.
    pub until: Option<Timestamp>,
    /// What keeps it.
    pub reason: String,
}

impl Retained {
    pub(crate) fn words(&self) -> String {
        let until = self.until.map(|until| format!("until {}: ", rfc3339(until))).unwrap_or_default();
        format!("{until}{}", self.reason)
    }
}

impl Outcome {
    /// How a job exits that did only this.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.failures.iter().map(|(_, failure)| failure.exit()).max().unwrap_or(Exit::Done)
    }

    /// Whether something failed that may pass by itself: a place or the API server did not answer.
    pub(crate) fn may_pass(&self) -> bool {
        self.exit() == Exit::Unavailable
    }

    /// In words for people, the same as long as the same is true.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = format!("deleted {}, kept {}", self.deleted.len(), self.kept);
        let retained = self.retained.len() as u64 + self.left;
        // Writing to a String does not fail.
        if let Some(example) = self.retained.last() {
            let _ = write!(text, ", retained {retained} ({})", example.words());
        }
        let kept =
            [self.waiting_words(), self.unknown_words(), self.future_words(), self.ahead_words(), self.held_words()];
        for words in kept.into_iter().flatten().chain(self.failures.iter().map(failed_words)) {
            let _ = write!(text, "; {words}");
        }
        text
    }

    fn waiting_words(&self) -> Option<String> {
        let (count, names) = counted(&self.waiting)?;
        let until = rfc3339(self.waits_until?);
        Some(format!(
            "the retention was changed, and {count} that the former one kept will go at {until}, or sooner where the former one \
             lets go too, unless it is changed back: {names}"
        ))
    }

    fn unknown_words(&self) -> Option<String> {
        let ((count, names), command) = (counted(&self.unknown)?, &self.allow_unknown);
        Some(format!(
            "kept {count} not in drover's ledger: {names}; drover did not store that, or this cluster was set back to an older \
             etcd and has forgotten it (then do NOT allow it); if it may expire: {command}"
        ))
    }

    fn future_words(&self) -> Option<String> {
        let (count, names) = counted(&self.future)?;
        Some(format!("kept {count} whose time is in the future, which fills no place until then: {names}"))
    }

    fn ahead_words(&self) -> Option<String> {
        let (count, names) = counted(&self.ahead)?;
        Some(format!(
            "kept {count} whose time was in the future when it was made, so that it fills no place; delete it by hand where it \
             is not needed: {names}"
        ))
    }

    fn held_words(&self) -> Option<String> {
        let (count, names) = counted(&self.held)?;
        Some(format!(
            "kept {count} until somebody confirms, for the reason in status.held of the BackupArchive: {names}"
        ))
    }

    pub(crate) fn reason(&self) -> &'static str {
        match self.exit() {
            Exit::Done if !self.waiting.is_empty() => reason::RETENTION_CHANGED,
            Exit::Done if !self.unknown.is_empty() => reason::UNKNOWN_ARCHIVES,
            Exit::Done if !self.held.is_empty() => reason::HELD_ARCHIVES,
            Exit::Done if !self.future.is_empty() || !self.ahead.is_empty() => reason::FUTURE_ARCHIVES,
            Exit::Done => reason::COMPLETED,
            Exit::Unavailable => reason::UNAVAILABLE,
            _ => reason::FAILED,
        }
    }

    /// Whether somebody should look at what was kept.
    pub(crate) fn asks(&self) -> bool {
        let lists = [&self.waiting, &self.unknown, &self.held, &self.future, &self.ahead];
        lists.iter().any(|names| !names.is_empty())
    }

    /// Notes what a plan keeps that a person should know of, each once for all places.
    pub(crate) fn note_kept(&mut self, plan: &Plan) {
        let further = |names: &mut Vec<String>, more: Vec<&Judged>| {
            for Judged { name, .. } in more {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        };
        further(&mut self.waiting, plan.waiting().collect());
        further(&mut self.unknown, plan.unknown().collect());
        further(&mut self.future, plan.future().collect());
        further(&mut self.ahead, plan.ahead().collect());
    }

    /// What is wrong with the newest archive; nothing where it is not known, for some place did not answer.
    pub(crate) fn inspection(&self) -> Option<(&str, String)> {
        let is_known = self.failures.is_empty() || !self.damage.is_empty();
        Some((self.newest.as_deref().filter(|_| is_known)?, self.damage_words()))
    }

    /// What is wrong with the newest archive, and what to do; empty where nothing is.
    fn damage_words(&self) -> String {
        if self.damage.is_empty() {
            return String::new();
        }
        format!("{}; put the file back, or make a new one: {}", self.damage.join("; "), self.again)
    }

    pub(crate) fn told(&self) -> Pruned {
        let mut told = Pruned { kept: self.kept, ..Pruned::default() };
        for Deletion { name, place, reason } in &self.deleted {
            told.note_deleted(PrunedArchive { name: name.clone(), place: place.clone(), reason: reason.clone() });
        }
        for retained in &self.retained {
            let (name, place) = (retained.name.clone(), retained.place.clone());
            told.note_retained(PrunedArchive { name, place, reason: retained.words() });
        }
        told.retained += self.left;
        told
    }
}

/// The archives that lie somewhere and are held although no run tells of it any more, each with the command that lets it go.
/// Where the newest run does, the condition `Whole` has it.
pub(crate) fn held_words(
    backup: &Backup,
    lines: &Lines,
    held: &BTreeMap<String, ArchiveHold>,
    history: &History,
) -> Vec<String> {
    let allowed = Allowed::on(backup);
    let told = holds(history, allowed);
    let lying = lines.iter().filter(|line| places_of(line).iter().any(|place| place.state.lies()));
    let silent = lying.map(|line| line.spec.filename.as_str()).filter(|filename| !told.contains_key(*filename));
    let held = silent.filter_map(|filename| {
        let command = allowed.command(&held.get(filename)?.confirmation);
        Some(format!("{filename} ({command})"))
    });
    held.collect()
}

fn failed_words((place, failure): &(String, Failure)) -> String {
    if place.is_empty() {
        format!("no place was looked at: {failure}")
    } else {
        format!("at the place {place:?}: {failure}")
    }
}

/// How many archives these are, in words, and their names; none where there are none.
fn counted(names: &[String]) -> Option<(String, String)> {
    let count = match names.len() {
        0 => return None,
        1 => "1 archive".to_owned(),
        more => format!("{more} archives"),
    };
    Some((count, named(names)))
}

/// How many archives a condition names.
const NAMED: usize = 20;

fn named(names: &[String]) -> String {
    let mut text = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        // Writing to a String does not fail.
        let _ = write!(text, " and {} more, which retention-prune --dry-run lists", names.len() - NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use drover::resources::{ArchivePlace, BackupArchive, BackupArchiveSpec, BackupArchiveStatus, PlaceState};
    use drover::runs::archive_name;
    use jiff::SignedDuration;
    use kube::ResourceExt;

    use super::*;

    fn retained(until: Option<&str>) -> Retained {
        let until = until.map(|until| until.parse().unwrap());
        Retained { name: "a".into(), place: "default".into(), until, reason: "object lock".into() }
    }

    #[test]
    fn a_prune_says_what_it_did_and_what_is_retained_until_when() {
        let mut outcome = Outcome { kept: 10, ..Outcome::default() };
        assert_eq!((outcome.message().as_str(), outcome.reason()), ("deleted 0, kept 10", "Completed"));
        outcome.retained = vec![retained(Some("2026-12-01T00:00:00Z"))];
        outcome.left = 4;
        assert_eq!(outcome.message(), "deleted 0, kept 10, retained 5 (until 2026-12-01T00:00:00Z: object lock)");
        assert_eq!((outcome.exit(), outcome.told().retained), (Exit::Done, 5));
        outcome.failures.push(("far".into(), Failure::new(Exit::Unavailable, "failed to list: away")));
        assert!(outcome.message().ends_with("; at the place \"far\": failed to list: away"), "{}", outcome.message());
        assert_eq!((outcome.exit(), outcome.reason()), (Exit::Unavailable, "Unavailable"));
        assert!(outcome.may_pass() && !Outcome::default().may_pass());
    }

    #[test]
    fn what_waits_and_what_is_unknown_is_named_with_what_to_do() {
        let until = "2026-12-01T00:00:00Z".parse().ok();
        let names = |count: usize| (0..count).map(|number| format!("a{number}")).collect();
        let outcome = Outcome { kept: 30, waiting: names(21), waits_until: until, ..Outcome::default() };
        let said = outcome.message();
        let words =
            "21 archives that the former one kept will go at 2026-12-01T00:00:00Z, or sooner where the former one lets";
        assert!(said.contains(words), "{said}");
        assert!(said.contains(": a0, a1, ") && said.contains("a19 and 1 more, which"), "{said}");
        assert_eq!((outcome.reason(), outcome.exit()), ("RetentionChanged", Exit::Done));
        let command =
            "kubectl annotate backups.resources.cattle.io daily --overwrite drover.dev/allow=unknown-archives";
        let (allow_unknown, unknown) = (command.to_owned(), names(2));
        let outcome = Outcome { kept: 2, unknown, allow_unknown, waits_until: until, ..Outcome::default() };
        let said = outcome.message();
        assert!(said.contains("kept 2 archives not in drover's ledger: a0, a1; drover did not store"), "{said}");
        assert!(said.contains("set back to an older etcd"), "{said}");
        assert!(said.ends_with(command), "{said}");
        assert_eq!(outcome.reason(), "UnknownArchives");
        let outcome = Outcome { kept: 2, ahead: names(1), ..Outcome::default() };
        let said = outcome.message();
        assert!(said.contains("kept 1 archive whose time was in the future") && said.ends_with(": a0"), "{said}");
        assert_eq!((outcome.reason(), outcome.exit(), outcome.asks()), ("FutureArchives", Exit::Done, true));
        let outcome = Outcome { kept: 2, future: names(1), ..Outcome::default() };
        let said = "deleted 0, kept 2; kept 1 archive whose time is in the future, which fills no place until then: a0";
        assert_eq!((outcome.message().as_str(), outcome.reason(), outcome.asks()), (said, "FutureArchives", true));
    }

    #[test]
    fn what_keeps_a_prune_from_all_places_is_said_of_none() {
        let failures = vec![(String::new(), Failure::new(Exit::Usage, "failed to find the definition"))];
        let outcome = Outcome { failures, ..Outcome::default() };
        let said = "deleted 0, kept 0; no place was looked at: failed to find the definition";
        assert_eq!(outcome.message(), said);
    }

    /// A line of a Backup's archive at one place.
    fn line(filename: &str, state: PlaceState) -> BackupArchive {
        let (backup, filename) = ("daily".to_owned(), filename.to_owned());
        let mut line = BackupArchive::new("a", BackupArchiveSpec { backup, filename, ..BackupArchiveSpec::default() });
        let place = ArchivePlace { state, ..ArchivePlace::default() };
        line.status = Some(BackupArchiveStatus::default().with_places(vec![place]));
        line
    }

    #[test]
    fn what_the_ledger_alone_holds_is_named_with_what_lets_it_go() {
        const UID: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";
        let name =
            |day: i64| archive_name("daily", UID, Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day), false);
        let all = [(1, PlaceState::Verified), (2, PlaceState::Deleted), (3, PlaceState::Verified)];
        let lines = Lines::of("daily", UID, all.map(|(day, state)| line(&name(day), state)));
        let hold = |day: i64| {
            (name(day), ArchiveHold { confirmation: format!("loss-{day}"), reason: "it has more".to_owned() })
        };
        let held = BTreeMap::from([hold(1), hold(2)]);
        let mut backup = Backup::new("daily", drover::resources::BackupSpec::default());
        backup.annotations_mut().insert(drover::annotations::ALLOW_ANNOTATION.to_owned(), "fewer-objects".to_owned());
        let words = held_words(&backup, &lines, &held, &History::default());
        let command =
            "kubectl annotate backups.resources.cattle.io daily --overwrite drover.dev/allow=fewer-objects,loss-1";
        assert_eq!(words, [format!("{} ({command})", name(1))]);
        let outcome = Outcome { held: words, ..Outcome::default() };
        assert!(
            outcome.message().ends_with(&format!("BackupArchive: {} ({command})", name(1))),
            "{}",
            outcome.message()
        );
        assert_eq!((outcome.reason(), outcome.asks()), ("HeldArchives", true));
    }
}
