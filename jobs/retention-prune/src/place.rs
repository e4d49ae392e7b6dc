//! One place of a Backup's archives: what lies there, and deleting what has expired.

use std::collections::BTreeMap;

use drover::exit::{Exit, Failure, Fault};
use drover::ledger::{self, Known, Ledger, Lines, is_ahead, seen};
use drover::places::Target;
use drover::resources::{ArchiveHold, PlaceState};
use drover::retention::{Expired, Flaw, Found, Judged, Plan};
use drover::runs::parse_archive_name;
use drover::storage::{self, Label, Listed, Removal, Storage};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use tracing::{info, warn};

use crate::outcome::{Deletion, Outcome, Retained};
use crate::trouble::Trouble;

/// How many archives are asked about at once.
const QUESTIONS: usize = 8;

/// How many archives in a row a place may keep before the others are left for the schedule's look: where a policy forbids
/// every deletion, each new archive would else have all the old ones tried again.
const RETAINED_IN_A_ROW: usize = 3;

/// How hard to try to delete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effort {
    /// Every expired archive: on the schedule.
    All,
    /// Until the place has kept a few in a row: after a new archive.
    UntilRetained,
}

/// A place that is open, with its name and what is known of the archives there.
pub(crate) struct Site<'a> {
    pub(crate) storage: Storage,
    pub(crate) name: &'a str,
    /// What the ledger knows, by file name.
    pub(crate) known: BTreeMap<&'a str, Known<'a>>,
    /// Archives that are kept until somebody confirms, by file name.
    held: &'a BTreeMap<String, ArchiveHold>,
}

impl<'a> Site<'a> {
    /// The place `target`, open, which is one of `targets`.
    pub(crate) fn new(
        storage: Storage,
        target: &'a Target,
        targets: &[Target],
        lines: &'a Lines,
        held: &'a BTreeMap<String, ArchiveHold>,
    ) -> Self {
        let name = target.name.as_str();
        let others: Vec<_> = targets.iter().map(|other| other.name.as_str()).filter(|other| *other != name).collect();
        let site = ledger::Site { name: Some(name), others: &others };
        let known = lines.at(site, |filename| storage.path_of(filename));
        Self { storage, name, known, held }
    }

    /// The archives of a Backup that lie there, with what is known of each.
    pub(crate) async fn look(&self, backup: &str) -> Result<Vec<Found>, storage::Error> {
        let listed = self.storage.list().try_filter(|listed| {
            let is_own = parse_archive_name(&listed.name, backup).is_some();
            std::future::ready(is_own)
        });
        let found = listed.map(|listed| async { self.found(listed?).await });
        let found: Vec<_> = found.buffer_unordered(QUESTIONS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// What is recorded beside an archive is asked for only where the ledger does not know it. One that is gone by now is none,
    /// and one that cannot be read holds up no other: a stranger's may be closed to drover.
    async fn found(&self, listed: Listed) -> Result<Option<Found>, storage::Error> {
        let known = self.known.get(listed.name.as_str());
        let held = self.held.get(&listed.name).map(|hold| hold.reason.clone());
        if let Some(known) = known.filter(|known| known.is_verified()) {
            return Ok(Some(Found { held, ..of_ledger(known, listed) }));
        }
        let (flaw, objects) = match self.storage.label(&listed.name).await {
            Ok(None) => return Ok(None),
            Ok(Some(label)) => (flaw_of(&label, listed.is_bad), label.objects),
            Err(error) if error.exit() == Exit::Unavailable => return Err(error),
            Err(error) => {
                let (place, failure) = (self.name, Failure::from(error));
                warn!(
                    place,
                    archive = listed.name,
                    "it stays, as what is recorded beside it cannot be read: {failure}"
                );
                (Some(Flaw::Unreadable), None)
            }
        };
        let (name, was_deleted) = (listed.name, known.is_some());
        Ok(Some(Found { name, flaw, held, was_deleted, objects, ..Found::default() }))
    }

    /// Whether the ledger says that an archive was verified here.
    pub(crate) fn has_verified(&self, filename: &str) -> bool {
        self.known.get(filename).is_some_and(Known::is_verified)
    }

    /// What is wrong here with an archive that was verified here; nothing where it is as it was, or never was here.
    pub(crate) fn damage(&self, filename: &str, found: &[Found]) -> Option<String> {
        let place = self.name;
        self.known.get(filename).filter(|known| known.is_verified())?;
        match found.iter().find(|found| found.name == filename).map(|found| &found.flaw) {
            None => Some(format!("its newest archive {filename:?} is not at the place {place:?} any more")),
            Some(Some(flaw @ (Flaw::OtherSize { .. } | Flaw::Marked))) => {
                Some(format!("its newest archive {filename:?} is damaged at the place {place:?}: {flaw}"))
            }
            Some(_) => None,
        }
    }

    /// Notes in the ledger what lies here and what does not any more.
    pub(crate) async fn note_seen(
        &self,
        ledger: &Ledger,
        found: &[Found],
        now: Timestamp,
    ) -> Result<(), ledger::Error> {
        let found: BTreeMap<_, _> = found.iter().map(|found| (found.name.as_str(), &found.flaw)).collect();
        // The names of a Backup's archives in one cluster are in the order of their times, but for those of the future.
        let tells = |(filename, known): &(&&str, &Known<'_>)| found.contains_key(*filename) && !is_ahead(known.archive);
        let newest = self.known.iter().rfind(tells).map(|(filename, _)| *filename);
        for (filename, known) in &self.known {
            let has_newer = newest.is_some_and(|newest| *filename < newest);
            let (state, reason) = state_of(known, found.get(filename).copied(), has_newer);
            if seen(known.archive, known.place, state, &reason, now).is_some() {
                note(ledger, known, state, &reason, now).await?;
            }
        }
        Ok(())
    }

    /// Deletes what has expired, one after the other and the oldest first. What the place keeps is noted and no failure. One
    /// that cannot be deleted keeps no other from going; that is told at the end.
    pub(crate) async fn delete(
        &self,
        ledger: &Ledger,
        plan: &Plan,
        effort: Effort,
        now: Timestamp,
        outcome: &mut Outcome,
    ) -> Result<(), Trouble> {
        outcome.kept += plan.kept() as u64;
        let mut failures = Vec::new();
        let mut in_a_row = 0;
        for (archive, reason) in plan.expired() {
            if effort == Effort::UntilRetained && in_a_row == RETAINED_IN_A_ROW {
                outcome.left += 1;
                continue;
            }
            let is_retained = match self.delete_one(ledger, archive, reason, now, outcome).await {
                Err(trouble) if trouble.failure.exit() == Exit::Unavailable => return Err(trouble),
                Err(Trouble { failure, .. }) => {
                    warn!(place = self.name, archive = archive.name, "{failure}");
                    failures.push(failure);
                    true
                }
                Ok(is_retained) => is_retained,
            };
            // What cannot be deleted stays as what is retained does, and a place may refuse all of them.
            in_a_row = if is_retained { in_a_row + 1 } else { 0 };
        }
        together(failures).map_or(Ok(()), |failure| Err(Trouble::of_place(failure)))
    }

    /// Deletes one, and tells whether the place keeps it. The ledger says before that it goes and after that it went: a kill in
    /// between leaves nothing that looks as if somebody else had taken it.
    async fn delete_one(
        &self,
        ledger: &Ledger,
        Judged { name, .. }: &Judged,
        expired: &Expired,
        now: Timestamp,
        outcome: &mut Outcome,
    ) -> Result<bool, Trouble> {
        let place = self.name.to_owned();
        let known = self.known.get(name.as_str());
        if let Some(known) = known {
            note(ledger, known, PlaceState::Expired, &expired.to_string(), now).await?;
        }
        let removal = self.storage.remove(name).await?;
        let is_retained = matches!(removal, Removal::Retained { .. });
        let (state, reason) = match removal {
            Removal::Retained { until, reason } => {
                info!(place, archive = name, until = until.map(tracing::field::display), "retained: {reason}");
                let retained = Retained { name: name.clone(), place, until, reason };
                let words = retained.words();
                outcome.retained.push(retained);
                (PlaceState::Retained, words)
            }
            Removal::Gone => (PlaceState::Deleted, expired.to_string()),
            removal @ (Removal::Removed | Removal::Marked) => {
                info!(place, archive = name, reason = %expired, "{removal}");
                let reason = format!("{expired} ({removal})");
                outcome.deleted.push(Deletion { name: name.clone(), place, reason: reason.clone() });
                (PlaceState::Deleted, reason)
            }
        };
        if let Some(known) = known {
            note(ledger, known, state, &reason, since(known, state).unwrap_or(now)).await?;
        }
        Ok(is_retained)
    }
}

/// Since when an archive has been kept by its place, where it still is: that it was to be deleted once more is no news.
fn since(Known { place, .. }: &Known<'_>, state: PlaceState) -> Option<Timestamp> {
    let is_kept_on = place.state == PlaceState::Retained && state == PlaceState::Retained;
    place.since.parse().ok().filter(|_| is_kept_on)
}

async fn note(
    ledger: &Ledger,
    known: &Known<'_>,
    state: PlaceState,
    reason: &str,
    now: Timestamp,
) -> Result<(), ledger::Error> {
    let name = known.archive.name_any();
    ledger.note(&name, |line| seen(line, known.place, state, reason, now)).await
}

/// One failure for all, with the words of the first.
fn together(failures: Vec<Failure>) -> Option<Failure> {
    let further = failures.len().saturating_sub(1);
    let exit = failures.iter().map(Failure::exit).max()?;
    let first = failures.into_iter().next()?;
    Some(if further == 0 { first } else { Failure::new(exit, format!("{first}; and {further} more failed")) })
}

/// Why an archive that the ledger does not know fills no place.
fn flaw_of(label: &Label, is_listed_as_bad: bool) -> Option<Flaw> {
    if is_listed_as_bad || label.is_bad {
        return Some(Flaw::Marked);
    }
    label.lacks_types.then(|| Flaw::Incomplete { types: Vec::new() })
}

fn of_ledger(known: &Known<'_>, Listed { name, bytes, is_bad, .. }: Listed) -> Found {
    let types = &known.archive.spec.missing_types;
    let recorded = known.bytes();
    let flaw = if is_bad {
        Some(Flaw::Marked)
    } else if bytes != recorded {
        Some(Flaw::OtherSize { bytes, recorded })
    } else {
        known.lacks_types().then(|| Flaw::Incomplete { types: types.clone() })
    };
    Found { name, is_verified: true, flaw, objects: known.objects(), ..Found::default() }
}

/// What the ledger is to say of an archive at a place after a look: with its flaw where it lies there.
///
/// Of one that only its run told of drover may have deleted it before there was a ledger. Where a newer one lies there,
/// it is taken for that; where none does, the place itself may be another one than it was.
fn state_of(known: &Known<'_>, found: Option<&Option<Flaw>>, has_newer: bool) -> (PlaceState, String) {
    use PlaceState::{Damaged, Deleted, Expired, Missing, Retained, Verified};
    match (known.place.state, found) {
        (Expired, None) => (Deleted, known.place.reason.clone()),
        (Verified, None) if has_newer && known.place.since.is_empty() => {
            (Deleted, "it was gone before there was a ledger".to_owned())
        }
        // One that was copied back is nobody's; what drover did stays said.
        (Deleted, _) | (Retained, Some(None)) => (known.place.state, known.place.reason.clone()),
        (_, None) => (Missing, "it is not there any more, and drover did not delete it".to_owned()),
        (_, Some(Some(flaw @ (Flaw::OtherSize { .. } | Flaw::Marked)))) => (Damaged, flaw.to_string()),
        (_, Some(_)) => (Verified, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use drover::resources::{ArchivePlace, BackupArchive, BackupArchiveSpec};

    use super::*;

    #[track_caller]
    fn check(before: PlaceState, found: Option<&Option<Flaw>>, expected: PlaceState) {
        let archive = BackupArchive::new("a", BackupArchiveSpec { bytes: 9, ..BackupArchiveSpec::default() });
        let since = "2026-11-22T13:05:22Z".to_owned();
        let place = ArchivePlace { state: before, since, ..ArchivePlace::default() };
        let known = Known { archive: &archive, place: &place };
        assert_eq!(state_of(&known, found, true).0, expected, "{before:?} {found:?}");
    }

    #[test]
    fn what_was_gone_before_there_was_a_ledger_is_not_missed_where_a_newer_one_lies() {
        let archive = BackupArchive::new("a", BackupArchiveSpec::default());
        let place = ArchivePlace::default();
        let known = Known { archive: &archive, place: &place };
        let state = |found, has_newer| state_of(&known, found, has_newer).0;
        assert_eq!(state(None, true), PlaceState::Deleted);
        assert_eq!(state(None, false), PlaceState::Missing, "an empty folder may be a volume that is not mounted");
        assert_eq!(state(Some(&None), true), PlaceState::Verified);
    }

    #[test]
    fn what_was_about_to_be_deleted_and_is_gone_was_deleted_and_all_else_is_missed() {
        use PlaceState::{Damaged, Deleted, Expired, Missing, Retained, Verified};
        let short = Some(Flaw::OtherSize { bytes: 8, recorded: 9 });
        let partial = Some(Flaw::Incomplete { types: Vec::new() });
        for (before, found, expected) in [
            (Verified, Some(&None), Verified),
            (Verified, Some(&partial), Verified),
            (Verified, Some(&short), Damaged),
            (Damaged, Some(&None), Verified),
            (Verified, None, Missing),
            (Missing, None, Missing),
            (Missing, Some(&None), Verified),
            (Expired, None, Deleted),
            (Expired, Some(&None), Verified),
            (Retained, Some(&None), Retained),
            (Retained, None, Missing),
            (Deleted, None, Deleted),
            (Deleted, Some(&None), Deleted),
        ] {
            check(before, found, expected);
        }
    }

    #[test]
    fn one_that_its_place_keeps_on_is_kept_since_it_was_first() {
        use PlaceState::{Deleted, Retained, Verified};
        let archive = BackupArchive::new("a", BackupArchiveSpec::default());
        let check = |before: PlaceState, after: PlaceState, expected: bool| {
            let place =
                ArchivePlace { state: before, since: "2026-11-22T13:05:22Z".to_owned(), ..ArchivePlace::default() };
            let known = Known { archive: &archive, place: &place };
            assert_eq!(since(&known, after).is_some(), expected, "{before:?} {after:?}");
        };
        check(Retained, Retained, true);
        check(Retained, Deleted, false);
        check(Verified, Retained, false);
        check(Deleted, Deleted, false);
    }

    #[test]
    fn what_failed_is_told_once_with_how_much_more_failed() {
        let failure = |exit, words: &str| Failure::new(exit, words.to_owned());
        assert!(together(Vec::new()).is_none());
        let one = together(vec![failure(Exit::Usage, "no a")]).unwrap();
        assert_eq!((one.exit(), one.to_string()), (Exit::Usage, "no a".to_owned()));
        let two = together(vec![failure(Exit::Failure, "no a"), failure(Exit::Usage, "no b")]).unwrap();
        assert_eq!((two.exit(), two.to_string()), (Exit::Usage, "no a; and 1 more failed".to_owned()));
    }

    #[test]
    fn an_archive_of_the_ledger_has_the_size_of_then_or_a_flaw() {
        let archive =
            BackupArchive::new("a", BackupArchiveSpec { bytes: 9, objects: 700, ..BackupArchiveSpec::default() });
        let place = ArchivePlace::default();
        let flaw = |bytes: u64, is_bad: bool| {
            let known = Known { archive: &archive, place: &place };
            let found = of_ledger(&known, Listed { name: "a".into(), bytes, modified: None, is_bad });
            assert!(found.is_verified && found.objects == Some(700));
            found.flaw
        };
        assert_eq!(flaw(9, false), None);
        assert_eq!(flaw(8, false), Some(Flaw::OtherSize { bytes: 8, recorded: 9 }));
        assert_eq!(flaw(8, true), Some(Flaw::Marked));
    }
}
