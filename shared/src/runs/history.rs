use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan};
use kube::ResourceExt;
use uuid::Uuid;

use super::naming::{archive_name, run_name};
use super::progress::{
    has_archive, has_counted, is_awaiting_upload, is_backup, is_stored, lacks_no_type, snapshot, state,
};
use crate::clock::is_future;
use crate::resources::{Backup, BackupRun, BackupRunSpec, RunState, Trigger, TriggerKind};

/// Runs that are kept of each Backup, besides the last failed one and those that are open.
const KEPT_RUNS: usize = 10;

/// All runs of one Backup, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    own: Vec<BackupRun>,
    /// Runs of Backups of the same name that are gone, as far as they were asked for: their numbers and times are taken.
    former: Vec<BackupRun>,
}

/// What a snapshot does: go on with a run, or open one.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// The run was begun by a job that died: it goes on, and what its last try left is purged.
    Continue(Box<BackupRun>),
    /// A new run begins.
    New(Box<BackupRunSpec>),
    /// This Job has made its snapshot already; only the message about it may be missing.
    AlreadyDone(Box<BackupRun>),
}

impl History {
    /// The runs of this Backup among all runs. One that was deleted and made again has another UID and a new history, which
    /// begins behind the runs that were left of the one before.
    #[must_use]
    pub fn of(backup: &Backup, runs: impl IntoIterator<Item = BackupRun>) -> Self {
        let (name, uid) = (backup.name_any(), backup.uid().unwrap_or_default());
        let (mut own, mut former): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|run: &BackupRun| run.spec.backup_uid == uid);
        former.retain(|run| run.spec.backup == name);
        own.sort_by_key(|run| run.spec.number);
        Self { own, former }
    }

    /// The runs, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &BackupRun> {
        self.own.iter()
    }

    /// The newest run.
    #[must_use]
    pub fn newest(&self) -> Option<&BackupRun> {
        self.own.last()
    }

    /// The newest run whose archive is stored and verified, and lacks no type.
    #[must_use]
    pub fn last_verified(&self) -> Option<&BackupRun> {
        self.own.iter().rev().find(|run| is_backup(run))
    }

    /// The newest run whose archive lies at a place, verified, and lacks no type. Its run may wait for a further place, or
    /// have failed since that one never got it.
    #[must_use]
    pub fn last_stored(&self) -> Option<&BackupRun> {
        self.own.iter().rev().find(|run| is_stored(run) && lacks_no_type(run))
    }

    /// Runs whose snapshot is done and whose upload is not: each needs a message.
    pub fn awaiting_upload(&self) -> impl Iterator<Item = &BackupRun> {
        self.own.iter().filter(|run| is_awaiting_upload(run))
    }

    /// A run that a snapshot left in the middle.
    #[must_use]
    pub fn interrupted(&self) -> Option<&BackupRun> {
        self.own.iter().rev().find(|run| !state(run).is_final() && !is_awaiting_upload(run))
    }

    /// What a snapshot that `trigger` started does now. `cluster_uid` is that of kube-system.
    #[must_use]
    pub fn opening(&self, backup: &Backup, trigger: Trigger, cluster_uid: &str, now: Timestamp) -> Opening {
        if let Some(run) = self.own.iter().rev().find(|run| is_of_same_job(run, &trigger) && has_archive(run)) {
            return Opening::AlreadyDone(Box::new(run.clone()));
        }
        if let Some(run) = self.interrupted() {
            return Opening::Continue(Box::new(run.clone()));
        }
        let started_at = self.next_time(now);
        let name = backup.name_any();
        Opening::New(Box::new(BackupRunSpec {
            filename: archive_name(&name, cluster_uid, started_at, backup.encryption_secret().is_some()),
            backup: name,
            backup_uid: backup.uid().unwrap_or_default(),
            generation: backup.metadata.generation.unwrap_or_default(),
            id: Uuid::now_v7(),
            number: self.with_former().map(|run| run.spec.number).max().unwrap_or_default().saturating_add(1),
            trigger,
            started_at: crate::resources::rfc3339(started_at),
        }))
    }

    /// `now` in whole seconds, but later than every run before, unless a wrong clock put that into the future: two runs
    /// never share a file name.
    fn next_time(&self, now: Timestamp) -> Timestamp {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let times = self.with_former().filter_map(|run| run.spec.started_at.parse().ok());
        let taken: BTreeSet<Timestamp> = times.collect();
        let last = taken.iter().rev().find(|time| !is_future(**time, now));
        let after = |time: Timestamp| time.saturating_add(1.second()).unwrap_or(now);
        let mut next = last.map_or(now, |last| after(*last).max(now));
        while taken.contains(&next) && next < Timestamp::MAX {
            next = after(next);
        }
        next
    }

    fn with_former(&self) -> impl Iterator<Item = &BackupRun> {
        self.own.iter().chain(&self.former)
    }

    /// Names of the runs that need not be kept: all but the open ones, the newest [`KEPT_RUNS`], the last failed one, the
    /// last verified one, the last one that a place has, and the last of those with counts: the next snapshot is measured by
    /// it, and it tells what is held. Those of a Backup that is gone are kept until there are as many of this one.
    #[must_use]
    pub fn expired(&self) -> Vec<String> {
        let last_failed = self.own.iter().rev().find(|run| state(run) == RunState::Failed);
        let kept = [last_failed, self.last_verified(), self.last_stored(), newest_counted(self)];
        let old = self.own.len().saturating_sub(KEPT_RUNS);
        let own = self.own[..old]
            .iter()
            .filter(|run| state(run).is_final())
            .filter(|run| !kept.iter().flatten().any(|other| other.spec.number == run.spec.number));
        let former = self.former.iter().filter(|_| self.own.len() >= KEPT_RUNS);
        own.chain(former).map(|run| run_name(&run.spec.backup, run.spec.number)).collect()
    }

    /// Whether a run with a higher number has a stored archive: then an older one says nothing more about the Backup.
    #[must_use]
    pub fn has_newer_verified(&self, number: i64) -> bool {
        self.last_verified().is_some_and(|run| run.spec.number > number)
    }
}

/// The newest run with an archive that a place has and that lacks no type, and with counts: the next snapshot is measured by
/// it, and it tells what is held. Retention counts an archive from that place on, so it does not matter which other place
/// waits for it. What an earlier version counted is unknown, and ends nothing.
#[must_use]
pub(super) fn newest_counted(history: &History) -> Option<&BackupRun> {
    history.iter().rev().find(|run| is_stored(run) && lacks_no_type(run) && has_counted(run))
}

/// A Job makes one run, however often its pod is started again: it opened it, or went on with what another one left.
///
/// It is known by its UID, for a name is used again. A Job that was made by the manifests of 0.1 tells its name alone, from
/// its first pod to its last, and so does a run that it opened.
fn is_of_same_job(run: &BackupRun, trigger: &Trigger) -> bool {
    if trigger.kind != TriggerKind::Job {
        return false;
    }
    let by = &run.spec.trigger;
    let last = snapshot(run).and_then(|stage| stage.job_uid.as_ref());
    match &trigger.job_uid {
        Some(uid) => [by.job_uid.as_ref(), last].contains(&Some(uid)),
        None => by.kind == TriggerKind::Job && by.job_uid.is_none() && by.by == trigger.by,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::resources::{BackupRunStatus, BackupSpec, SnapshotStage, StageState};

    pub(crate) fn backup() -> Backup {
        let mut backup = Backup::new("daily", BackupSpec { resource_set_name: "set".into(), ..BackupSpec::default() });
        backup.metadata.uid = Some("uid-1".into());
        backup.metadata.generation = Some(1);
        backup
    }

    pub(crate) fn run(number: i64, state: RunState, has_snapshot: bool) -> BackupRun {
        let started_at = Timestamp::from_second(1_000_000 + number * 60).unwrap();
        let spec = BackupRunSpec {
            backup: "daily".into(),
            backup_uid: "uid-1".into(),
            generation: 1,
            id: Uuid::now_v7(),
            number,
            trigger: Trigger {
                kind: TriggerKind::Job,
                by: format!("job-{number}"),
                job_uid: None,
                scheduled_for: None,
            },
            started_at: crate::resources::rfc3339(started_at),
            filename: String::new(),
        };
        let mut run = BackupRun::new(&run_name("daily", number), spec);
        let stage = if has_snapshot { StageState::Completed } else { StageState::InProgress };
        let snapshot = Some(SnapshotStage { state: stage, objects: 700, ..SnapshotStage::default() });
        run.status = Some(BackupRunStatus { state, snapshot, ..BackupRunStatus::default() });
        run
    }

    fn person() -> Trigger {
        Trigger { kind: TriggerKind::Person, by: "ops@laptop".into(), job_uid: None, scheduled_for: None }
    }

    fn opening(runs: Vec<BackupRun>, trigger: Trigger) -> Opening {
        let now = Timestamp::from_second(2_000_000).unwrap();
        History::of(&backup(), runs).opening(&backup(), trigger, "cluster", now)
    }

    fn number_of_new(opening: Opening) -> i64 {
        match opening {
            Opening::New(spec) => spec.number,
            other => panic!("not a new run: {other:?}"),
        }
    }

    #[test]
    fn first_run_has_the_number_one() {
        assert_eq!(number_of_new(opening(vec![], person())), 1);
    }

    #[test]
    fn next_run_is_one_higher() {
        let mut foreign = former(9);
        foreign.spec.backup = "another".into();
        assert_eq!(number_of_new(opening(vec![foreign, run(3, RunState::Completed, true)], person())), 4);
    }

    /// A run of a Backup of the same name that is gone.
    fn former(number: i64) -> BackupRun {
        let mut run = run(number, RunState::Completed, true);
        run.spec.backup_uid = "older".into();
        run
    }

    #[test]
    fn a_backup_that_was_made_again_goes_on_behind_the_runs_that_were_left() {
        let left = || [former(8), former(9)];
        let history = History::of(&backup(), left());
        assert_eq!((history.newest(), history.last_verified(), history.interrupted()), (None, None, None));
        let last: Timestamp = former(9).spec.started_at.parse().unwrap();
        let Opening::New(spec) = history.opening(&backup(), person(), "cluster", last) else { panic!() };
        assert_eq!((spec.number, spec.started_at.parse::<Timestamp>().unwrap()), (10, last + 1.second()));
        let own = |count: i64| (10..10 + count).map(|number| run(number, RunState::Completed, true));
        assert!(History::of(&backup(), left().into_iter().chain(own(9))).expired().is_empty());
        assert_eq!(History::of(&backup(), left().into_iter().chain(own(10))).expired(), ["daily-8", "daily-9"]);
    }

    #[test]
    fn interrupted_run_goes_on_whoever_comes() {
        let Opening::Continue(run) = opening(vec![run(2, RunState::InProgress, false)], person()) else { panic!() };
        assert_eq!(run.spec.number, 2);
    }

    #[test]
    fn run_that_waits_for_its_upload_does_not_hold_up_the_next() {
        assert_eq!(number_of_new(opening(vec![run(2, RunState::InProgress, true)], person())), 3);
    }

    #[test]
    fn job_that_was_killed_after_its_snapshot_makes_no_second_one() {
        let again = Trigger { kind: TriggerKind::Job, by: "job-2".into(), job_uid: None, scheduled_for: None };
        let Opening::AlreadyDone(run) = opening(vec![run(2, RunState::InProgress, true)], again) else { panic!() };
        assert_eq!(run.spec.number, 2);
    }

    fn of_job(name: &str, uid: Option<&str>) -> Trigger {
        let job_uid = uid.map(str::to_owned);
        Trigger { kind: TriggerKind::Job, by: name.into(), job_uid, scheduled_for: None }
    }

    /// Whether a snapshot of the Job `asks` finds that its Job has made its own, where the Job `opened` opened a run and the
    /// Job of the UID `last` tried it last.
    #[track_caller]
    fn check_same_job(opened: &Trigger, last: Option<&str>, asks: &Trigger, is_same: bool) {
        let mut done = run(2, RunState::InProgress, true);
        done.spec.trigger = opened.clone();
        done.status.as_mut().unwrap().snapshot.as_mut().unwrap().job_uid = last.map(str::to_owned);
        let is_done = matches!(opening(vec![done], asks.clone()), Opening::AlreadyDone(_));
        assert_eq!(is_done, is_same, "{opened:?}, last {last:?}, asks {asks:?}");
    }

    #[test]
    fn a_job_is_known_by_its_uid_and_one_of_0_1_by_its_name() {
        let (again, other) = (|uid| of_job("again", uid), |uid| of_job("other", uid));
        check_same_job(&again(Some("1")), Some("1"), &again(Some("1")), true);
        check_same_job(&again(Some("1")), Some("1"), &again(Some("2")), false);
        check_same_job(&other(Some("1")), Some("2"), &again(Some("2")), true);
        check_same_job(&again(None), None, &again(Some("2")), false);
        check_same_job(&again(Some("1")), Some("1"), &again(None), false);
        check_same_job(&again(None), None, &again(None), true);
        check_same_job(&again(None), None, &other(None), false);
        check_same_job(&person(), None, &of_job(&person().by, None), false);
    }

    #[test]
    fn an_archive_that_was_refused_is_none_of_its_job() {
        assert_eq!(number_of_new(opening(vec![run(2, RunState::Failed, true)], of_job("job-2", None))), 3);
    }

    #[test]
    fn job_whose_run_failed_opens_another_on_its_retry() {
        let again = Trigger { kind: TriggerKind::Job, by: "job-2".into(), job_uid: None, scheduled_for: None };
        assert_eq!(number_of_new(opening(vec![run(2, RunState::Failed, false)], again)), 3);
    }

    #[test]
    fn file_names_differ_within_one_second_and_when_the_clock_goes_back() {
        let history = History::of(&backup(), vec![run(1, RunState::Completed, true)]);
        let last: Timestamp = history.newest().unwrap().spec.started_at.parse().unwrap();
        for now in [last, last - 1.minute()] {
            let Opening::New(spec) = history.opening(&backup(), person(), "cluster", now) else { panic!() };
            assert_eq!(spec.started_at.parse::<Timestamp>().unwrap(), last + 1.second());
        }
    }

    #[test]
    fn a_name_in_the_future_makes_no_later_one_so() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let with = |times: &[&str]| {
            let of = |(number, time): (i64, &&str)| {
                let mut run = run(number, RunState::Completed, true);
                (*time).clone_into(&mut run.spec.started_at);
                run
            };
            let history = History::of(&backup(), (1..).zip(times).map(of));
            let Opening::New(spec) = history.opening(&backup(), person(), "cluster", now) else { panic!() };
            spec.started_at
        };
        assert_eq!(with(&["2026-11-26T12:00:00Z"]), "2026-11-23T12:00:00Z");
        assert_eq!(with(&["2026-11-23T11:59:59Z", "2026-11-26T12:00:00Z"]), "2026-11-23T12:00:00Z");
        assert_eq!(with(&["2026-11-26T12:00:00Z", "2026-11-23T12:00:00Z"]), "2026-11-23T12:00:01Z");
        // Two within the tolerance, and one that is just beyond.
        let names = ["2026-11-23T12:00:59Z", "2026-11-23T12:01:00Z", "2026-11-23T12:01:01Z"];
        assert_eq!(with(&names), "2026-11-23T12:01:02Z");
    }

    #[test]
    fn ten_runs_are_kept_and_the_last_failed_and_verified_and_open_ones() {
        let mut runs = vec![
            run(1, RunState::Failed, false),
            run(2, RunState::Failed, false),
            run(3, RunState::Completed, true),
            run(4, RunState::InProgress, true),
        ];
        runs.extend((5..15).map(|number| run(number, RunState::InProgress, true)));
        assert_eq!(History::of(&backup(), runs).expired(), ["daily-1"]);
    }

    #[test]
    fn older_run_knows_that_a_newer_one_is_stored() {
        let history =
            History::of(&backup(), vec![run(1, RunState::InProgress, true), run(2, RunState::Completed, true)]);
        assert!(history.has_newer_verified(1));
        assert!(!history.has_newer_verified(2));
    }
}
