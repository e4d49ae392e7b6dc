//! Which artifacts go when the object store has no room for the next one, and which runs wait no longer.

use jiff::Timestamp;
use kube::ResourceExt;

use super::progress::lacks_no_type;
use super::{History, begun_at, status_of};
use crate::places::{split, targets};
use crate::policy::Settings;
use crate::resources::{Backup, BackupRun};

/// Runs of a Backup that wait for a place while another one is opened: the oldest of more wait no longer.
pub const WAITING_RUNS: usize = 10;

/// A Backup, with what is known of it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The Backup.
    pub backup: Backup,
    /// What the policies say.
    pub settings: Settings,
    /// Its runs.
    pub history: History,
}

/// Why an artifact may go.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Spare {
    /// A place has the archive, verified, so that the copies for the others are made of that one.
    Stored,
    /// No place has it, and a newer one of the same Backup waits, which lacks no type.
    Superseded,
}

/// The artifacts that may go, in the order in which they go: those whose archives lie at a place, the oldest first, whosever
/// they are, and then those that newer ones of the same Backup supersede. Of each Backup the newest one that no place has
/// stays.
#[must_use]
pub fn spare_artifacts(known: &[Known], now: Timestamp) -> Vec<(Spare, &BackupRun)> {
    let mut spare: Vec<_> = known.iter().flat_map(Known::spare).collect();
    spare.sort_by_key(|(why, run)| {
        let begun = begun_at(run, now).unwrap_or(Timestamp::UNIX_EPOCH);
        (*why, begun, run.spec.number, run.name_any())
    });
    spare
}

impl Known {
    fn spare(&self) -> Vec<(Spare, &BackupRun)> {
        let targets = targets(&self.backup, &self.settings);
        let waiting = || self.history.awaiting_upload().filter(|run| status_of(run).waiting_artifact().is_some());
        let newest = waiting().filter(|run| lacks_no_type(run)).last().map(|run| run.spec.number);
        let why = |run: &BackupRun| {
            if split(&targets, run).0.is_empty() {
                (Some(run.spec.number) < newest).then_some(Spare::Superseded)
            } else {
                Some(Spare::Stored)
            }
        };
        waiting().filter_map(|run| Some((why(run)?, run))).collect()
    }
}

impl History {
    /// The runs that wait for a place no longer, since as many newer ones do; the newest that lacks no type waits on.
    #[must_use]
    pub fn superseded(&self) -> Vec<&BackupRun> {
        let waiting: Vec<_> = self.awaiting_upload().collect();
        let whole = waiting.iter().rev().find(|run| lacks_no_type(run)).map(|run| run.spec.number);
        let count = waiting.len().saturating_sub(WAITING_RUNS);
        waiting.into_iter().take(count).filter(|run| Some(run.spec.number) != whole).collect()
    }
}

/// How much room is to be free before a snapshot of a Backup begins, of a store of `limit` bytes: an eighth of it, and half
/// as much again as the largest archive of its last runs or, where it has none, of all.
#[must_use]
pub fn room_for(history: &History, known: &[Known], limit: u64) -> u64 {
    let largest = |history: &History| {
        let bytes = history.iter().filter_map(|run| status_of(run).snapshot).map(|stage| stage.bytes).max();
        bytes.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0)
    };
    let bytes = largest(history).or_else(|| known.iter().filter_map(|known| largest(&known.history)).max());
    let bytes = bytes.unwrap_or_default();
    (bytes + bytes / 2).max(limit / 8).min(limit)
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{backup, run};
    use super::*;
    use crate::resources::{Artifact, Place, RunState, StageState, UploadStage};

    /// A run that waits with its artifact, and the places that have its archive.
    fn waiting(number: i64, places: &[&str]) -> BackupRun {
        let mut run = run(number, RunState::InProgress, true);
        let place = |name: &&str| Place {
            name: (*name).to_owned(),
            location: String::new(),
            verified_bytes: 1,
            state: StageState::Completed,
            verified_at: None,
            reason: None,
        };
        let status = run.status.as_mut().unwrap();
        status.artifact = Some(Artifact::new("b", format!("a-{number}"), "c".into()));
        status.upload = Some(UploadStage { places: places.iter().map(place).collect(), ..UploadStage::default() });
        run
    }

    fn lacking(mut run: BackupRun) -> BackupRun {
        let snapshot = run.status.as_mut().unwrap().snapshot.as_mut().unwrap();
        snapshot.missing_types = vec!["things.a.io".into()];
        run
    }

    fn known(runs: Vec<BackupRun>) -> Known {
        let backup = backup();
        Known { history: History::of(&backup, runs), settings: Settings::default(), backup }
    }

    #[track_caller]
    fn check(known: &[Known], expected: &[(Spare, i64)]) {
        let found = spare_artifacts(known, Timestamp::from_second(2_000_000).unwrap());
        let found: Vec<_> = found.into_iter().map(|(why, run)| (why, run.spec.number)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_place_has_goes_first_and_the_newest_that_none_has_stays() {
        use Spare::{Stored, Superseded};
        let one = known(vec![waiting(1, &[]), waiting(4, &["default"]), waiting(6, &[])]);
        let other = known(vec![waiting(2, &["default"]), waiting(3, &[]), waiting(5, &["default"])]);
        let expected = [(Stored, 2), (Stored, 4), (Stored, 5), (Superseded, 1), (Superseded, 3)];
        check(&[one, other], &expected);
        check(&[known(vec![waiting(1, &[])])], &[]);
        // One that lacks types supersedes none.
        check(&[known(vec![waiting(1, &[]), waiting(2, &[]), lacking(waiting(3, &[]))])], &[(Superseded, 1)]);
        // A place that is none of the Backup's any more gives nothing back.
        check(&[known(vec![waiting(1, &["moon"])])], &[]);
        let mut dropped = waiting(1, &["default"]);
        dropped.status.as_mut().unwrap().artifact.as_mut().unwrap().dropped_at = Some("then".into());
        check(&[known(vec![dropped, run(2, RunState::Completed, true), run(3, RunState::InProgress, false)])], &[]);
    }

    #[test]
    fn ten_runs_wait() {
        let mut runs = vec![run(1, RunState::Completed, true)];
        runs.extend((2..12).map(|number| waiting(number, &[])));
        let superseded = |runs: &Vec<BackupRun>| {
            let known = known(runs.clone());
            known.history.superseded().iter().map(|run| run.spec.number).collect::<Vec<_>>()
        };
        assert_eq!(superseded(&runs), Vec::<i64>::new());
        runs.push(run(12, RunState::InProgress, false));
        assert_eq!(superseded(&runs), Vec::<i64>::new());
        runs.extend([waiting(13, &["default"]), waiting(14, &[])]);
        assert_eq!(superseded(&runs), [2, 3]);
        let lack: Vec<_> = (3..15).map(|number| lacking(waiting(number, &[]))).collect();
        assert_eq!(superseded(&[vec![waiting(2, &[])], lack].concat()), [3, 4]);
    }

    #[test]
    fn room_is_made_for_a_larger_archive_than_the_last() {
        let sized = |number, bytes| {
            let mut run = run(number, RunState::Completed, true);
            run.status.as_mut().unwrap().snapshot.as_mut().unwrap().bytes = bytes;
            run
        };
        let own = known(vec![sized(1, 400), sized(2, 100)]);
        let other = known(vec![sized(1, 1_000)]);
        assert_eq!(room_for(&own.history, std::slice::from_ref(&other), 1_600), 600);
        assert_eq!(room_for(&own.history, std::slice::from_ref(&other), 8_000), 1_000);
        assert_eq!(room_for(&own.history, std::slice::from_ref(&other), 500), 500);
        assert_eq!(room_for(&History::default(), &[other], 1_600), 1_500);
        assert_eq!(room_for(&History::default(), &[], 1_600), 200);
    }
}
