use jiff::Timestamp;

use super::progress::{is_backup, lacks_no_type};
use super::{ALLOW_MISSING_TYPES, Allowed, History, begun_at, status_of};
use crate::clock::is_future;
use crate::policy::Settings;
use crate::resources::{Backup, BackupRun, BackupStatus, BackupType, RunState, UploadStage};
use crate::schedule::{self, Schedule};

/// Why a Backup runs now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Due {
    /// The time that was due; `None` for a one-time Backup and for a run that a killed job left open.
    pub scheduled_for: Option<Timestamp>,
}

/// Whether a Backup is due, given its runs.
///
/// A new Backup is due at once; a scheduled one at the first time of its schedule after its last run that did not fail,
/// however many times have passed since; one whose last run failed, at once; one that a job left in the middle, at once.
/// A run whose archive lacks types had its time all the same, or it would be made over and over; the one archive of a
/// one-time Backup is wanted again once its annotation allows no such archive any more. What a policy suspends is due only for
/// what a job left in the middle: what was begun is ended.
///
/// # Errors
/// When the schedule cannot be read.
pub fn due(
    backup: &Backup,
    settings: &Settings,
    history: &History,
    now: Timestamp,
) -> Result<Option<Due>, schedule::ScheduleError> {
    if history.interrupted().is_some() {
        return Ok(Some(Due { scheduled_for: None }));
    }
    if settings.is_suspended() {
        return Ok(None);
    }
    let may_lack = backup.kind_of_backup() == BackupType::Recurring || Allowed::on(backup).has(ALLOW_MISSING_TYPES);
    let has_run = |run: &BackupRun| is_done_with(run) && (may_lack || lacks_no_type(run));
    let last = last_time(backup, history, now, has_run);
    let created = backup.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    match backup.kind_of_backup() {
        BackupType::OneTime => Ok(last.is_none().then_some(Due { scheduled_for: None })),
        BackupType::Recurring => {
            let schedule = schedule_of(backup, settings)?;
            Ok(schedule::due(&schedule, last, created, now).map(|time| Due { scheduled_for: Some(time) }))
        }
    }
}

/// When the next verified archive of a Backup is due, past or future: the first time of its schedule after the newest one that
/// lacks no type, and its creation where there is none. `None` where none is due: it is suspended, or the one archive of a
/// one-time Backup is there.
///
/// # Errors
/// When the schedule cannot be read.
pub fn expected_at(
    backup: &Backup,
    settings: &Settings,
    history: &History,
    now: Timestamp,
) -> Result<Option<Timestamp>, schedule::ScheduleError> {
    if settings.is_suspended() {
        return Ok(None);
    }
    let last = last_time(backup, history, now, is_backup);
    let created = || backup.metadata.creation_timestamp.as_ref().map(|time| time.0);
    match (backup.kind_of_backup(), last) {
        (BackupType::OneTime, Some(_)) => Ok(None),
        (BackupType::OneTime, None) => Ok(wished_at(backup, history, now)),
        (BackupType::Recurring, None) => schedule_of(backup, settings).map(|_| created()),
        (BackupType::Recurring, Some(last)) => Ok(schedule_of(backup, settings)?.next(last)),
    }
}

/// When the present wish of a one-time Backup was made: at its creation or, since no object says when it was edited, when
/// its first run since then began.
fn wished_at(backup: &Backup, history: &History, now: Timestamp) -> Option<Timestamp> {
    let generation = backup.metadata.generation.unwrap_or_default();
    match history.iter().find(|run| run.spec.generation == generation) {
        Some(run) => begun_at(run, now),
        None if generation <= 1 => backup.metadata.creation_timestamp.as_ref().map(|time| time.0),
        None => None,
    }
}

/// The schedule of a Backup, by the time zone that holds for it.
///
/// # Errors
/// When it cannot be read, also because there is none.
pub fn schedule_of(backup: &Backup, settings: &Settings) -> Result<Schedule, schedule::ScheduleError> {
    Schedule::read(backup.spec.schedule.as_deref().unwrap_or_default(), settings.time_zone.as_deref())
}

/// Whether a run is not made again at once. What no place takes is not taken from a new run either; somebody has to mend it
/// first.
fn is_done_with(run: &BackupRun) -> bool {
    let status = status_of(run);
    status.state != RunState::Failed || status.upload.as_ref().is_some_and(UploadStage::was_refused)
}

/// When the last run of the Backup began that counts: by its runs, or by the status that the Rancher operator left. A time in
/// the future says nothing, but that the one archive of a one-time Backup was made.
fn last_time(
    backup: &Backup,
    history: &History,
    now: Timestamp,
    counts: impl Fn(&BackupRun) -> bool,
) -> Option<Timestamp> {
    let generation = backup.metadata.generation.unwrap_or_default();
    let is_one_time = backup.kind_of_backup() == BackupType::OneTime;
    let mut counted = history.iter().rev().filter(|run| {
        // A one-time Backup that was edited since is another wish.
        let is_another_wish = is_one_time && run.spec.generation != generation;
        counts(run) && !is_another_wish
    });
    let by_runs = if is_one_time {
        counted.next().map(|run| begun_at(run, now).unwrap_or(now))
    } else {
        counted.find_map(|run| begun_at(run, now))
    };
    // Of a one-time Backup the status counts only where the operator alone wrote it: the times and the generation of one
    // that drover wrote may be those of two wishes, of which the later failed.
    let is_operators = history.newest().is_none();
    let is_of_wish =
        |status: &&BackupStatus| !is_one_time || (is_operators && status.observed_generation == Some(generation));
    let status = backup.status.as_ref().filter(is_of_wish);
    let by_status = status.and_then(|status| status.last_snapshot_ts.as_deref()?.parse().ok());
    let by_status = by_status.filter(|time| is_one_time || !is_future(*time, now));
    // A later run that failed takes nothing away from an earlier one of the status: it is due by the schedule then too.
    by_runs.max(by_status)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::super::history::tests::{backup, run};
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(backup: &Backup, history: &History, now: Timestamp, expected: Option<Due>) {
        assert_eq!(due(backup, &Settings::default(), history, now).unwrap(), expected);
    }

    const NOW: Due = Due { scheduled_for: None };

    #[test]
    fn a_backup_whose_archive_no_place_takes_is_not_due_at_once() {
        let mut backup = backup();
        let now = at("2026-01-01T00:00:00Z");
        let failed = |refused_tries: i64| {
            let mut run = run(1, RunState::Failed, true);
            run.status.as_mut().unwrap().upload = Some(UploadStage { refused_tries, ..UploadStage::default() });
            History::of(&self::backup(), vec![run])
        };
        check(&backup, &failed(1), now, Some(NOW));
        check(&backup, &failed(UploadStage::REFUSED_TRIES), now, None);
        backup.metadata.generation = Some(2);
        check(&backup, &failed(UploadStage::REFUSED_TRIES), now, Some(NOW));
    }

    #[test]
    fn one_time_backup_is_due_once_for_each_edit() {
        let mut backup = backup();
        let now = at("2026-01-01T00:00:00Z");
        check(&backup, &History::default(), now, Some(NOW));
        let done = History::of(&backup, vec![run(1, RunState::Completed, true)]);
        check(&backup, &done, now, None);
        backup.metadata.generation = Some(2);
        check(&backup, &done, now, Some(NOW));
    }

    #[test]
    fn edited_one_time_backup_is_due_although_its_status_names_the_archive_of_before() {
        let (mut backup, now) = (backup(), at("2026-01-01T00:00:00Z"));
        backup.metadata.generation = Some(2);
        backup.status = Some(BackupStatus {
            last_snapshot_ts: Some("2025-01-01T00:00:00Z".into()),
            observed_generation: Some(2),
            ..BackupStatus::default()
        });
        let mut failed = run(2, RunState::Failed, false);
        failed.spec.generation = 2;
        let history = History::of(&backup, vec![run(1, RunState::Completed, true), failed]);
        check(&backup, &history, now, Some(NOW));
        check(&backup, &History::default(), now, None);
    }

    #[test]
    fn failed_and_interrupted_runs_are_due_at_once() {
        let now = at("2026-01-01T00:00:00Z");
        check(&backup(), &History::of(&backup(), vec![run(1, RunState::Failed, false)]), now, Some(NOW));
        check(&backup(), &History::of(&backup(), vec![run(1, RunState::InProgress, false)]), now, Some(NOW));
        check(&backup(), &History::of(&backup(), vec![run(1, RunState::InProgress, true)]), now, None);
    }

    #[test]
    fn scheduled_backup_is_due_at_its_time_after_the_last_run() {
        let mut backup = backup();
        backup.spec.schedule = Some("0 2 * * *".into());
        let history = History::of(&backup, vec![run(1, RunState::Completed, true)]);
        let last: Timestamp = history.newest().unwrap().spec.started_at.parse().unwrap();
        assert_eq!(last, at("1970-01-12T13:47:40Z"));
        check(&backup, &history, at("1970-01-13T01:59:59Z"), None);
        check(
            &backup,
            &history,
            at("1970-01-13T02:00:00Z"),
            Some(Due { scheduled_for: Some(at("1970-01-13T02:00:00Z")) }),
        );
    }

    #[test]
    fn status_that_the_operator_left_counts_as_a_run() {
        let mut backup = backup();
        backup.status = Some(BackupStatus {
            last_snapshot_ts: Some("2026-01-01T00:00:00Z".into()),
            observed_generation: Some(1),
            ..BackupStatus::default()
        });
        check(&backup, &History::default(), at("2026-01-02T00:00:00Z"), None);
    }

    #[test]
    fn a_backup_that_waits_is_still_due() {
        let mut backup = backup();
        backup.metadata.generation = Some(2);
        backup.status = Some(BackupStatus {
            last_snapshot_ts: Some("2026-01-01T00:00:00Z".into()),
            observed_generation: Some(1),
            ..BackupStatus::default()
        });
        let now = at("2026-01-02T00:00:00Z");
        check(&backup, &History::default(), now, Some(NOW));
        backup.status = Some(crate::runs::report::waiting(&backup, "NATS", now));
        check(&backup, &History::default(), now, Some(NOW));
    }

    #[test]
    fn a_policy_suspends_and_sets_the_time_zone() {
        let mut backup = backup();
        backup.spec.schedule = Some("0 2 * * *".into());
        let (new, now) = (History::default(), at("1970-01-13T00:30:00Z"));
        let suspended = Settings { suspended_by: Some("p".into()), ..Settings::default() };
        assert_eq!(due(&backup, &suspended, &new, now).unwrap(), None);
        let left = History::of(&backup, vec![run(1, RunState::InProgress, false)]);
        assert_eq!(due(&backup, &suspended, &left, now).unwrap(), Some(NOW));
        let done = History::of(&backup, vec![run(1, RunState::Completed, true)]);
        let zone = |name: &str| Settings { time_zone: Some(name.into()), ..Settings::default() };
        let expected = Some(Due { scheduled_for: Some(at("1970-01-13T00:00:00Z")) });
        assert_eq!(due(&backup, &zone("Africa/Cairo"), &done, now).unwrap(), expected);
        backup.spec.schedule = Some("CRON_TZ=UTC 0 2 * * *".into());
        assert_eq!(due(&backup, &zone("Africa/Cairo"), &done, now).unwrap(), None);
        backup.spec.schedule = Some("0 2 * * *".into());
        assert!(due(&backup, &zone("Mars/Phobos"), &done, now).is_err());
    }

    #[track_caller]
    fn expects(backup: &Backup, runs: Vec<BackupRun>, expected: Option<&str>) {
        let now = at("2026-11-23T12:00:00Z");
        let found = expected_at(backup, &Settings::default(), &History::of(backup, runs), now).unwrap();
        assert_eq!(found, expected.map(at));
    }

    #[test]
    fn what_failed_or_is_open_answers_no_due_time() {
        let mut backup = backup();
        backup.metadata.creation_timestamp = Some(Time(at("1970-01-01T00:30:00Z")));
        backup.spec.schedule = Some("0 2 * * *".into());
        expects(&backup, vec![], Some("1970-01-01T00:30:00Z"));
        expects(&backup, vec![run(1, RunState::Failed, false)], Some("1970-01-01T00:30:00Z"));
        // Runs begin in the order of their numbers, from 1970-01-12T13:47:40Z on.
        let done = || run(1, RunState::Completed, true);
        expects(&backup, vec![done()], Some("1970-01-13T02:00:00Z"));
        expects(&backup, vec![done(), run(2, RunState::InProgress, true)], Some("1970-01-13T02:00:00Z"));
        let suspended = Settings { suspended_by: Some("p".into()), ..Settings::default() };
        let now = at("2026-11-23T12:00:00Z");
        assert_eq!(expected_at(&backup, &suspended, &History::of(&backup, vec![done()]), now).unwrap(), None);
        // What the operator stored before.
        let operators = Some("2026-01-01T00:00:00Z".into());
        backup.status = Some(BackupStatus { last_snapshot_ts: operators, ..BackupStatus::default() });
        expects(&backup, vec![], Some("2026-01-01T02:00:00Z"));
    }

    #[test]
    fn a_one_time_backup_is_due_until_it_has_its_archive() {
        let mut backup = backup();
        backup.metadata.creation_timestamp = Some(Time(at("1970-01-01T00:30:00Z")));
        expects(&backup, vec![], Some("1970-01-01T00:30:00Z"));
        let done = || run(1, RunState::Completed, true);
        expects(&backup, vec![done()], None);
        backup.metadata.generation = Some(2);
        expects(&backup, vec![done()], None);
        let mut second = run(2, RunState::Failed, false);
        second.spec.generation = 2;
        let begun = second.spec.started_at.clone();
        expects(&backup, vec![done(), second], Some(&begun));
        backup.status = Some(BackupStatus {
            last_snapshot_ts: Some("2026-01-01T00:00:00Z".into()),
            observed_generation: Some(2),
            ..BackupStatus::default()
        });
        expects(&backup, vec![], None);
    }

    /// A run that is stored and lacks a type.
    fn lacking(number: i64) -> BackupRun {
        let mut run = run(number, RunState::Completed, true);
        let snapshot = run.status.as_mut().unwrap().snapshot.as_mut().unwrap();
        snapshot.missing_types = vec!["things.a.io".into()];
        run
    }

    #[test]
    fn an_archive_that_lacks_types_has_had_its_time_and_is_not_what_was_expected() {
        let mut backup = backup();
        backup.spec.schedule = Some("0 2 * * *".into());
        let runs = || {
            let mut second = lacking(2);
            "1970-01-13T02:00:00Z".clone_into(&mut second.spec.started_at);
            vec![run(1, RunState::Completed, true), second]
        };
        check(&backup, &History::of(&backup, runs()), at("1970-01-14T01:59:59Z"), None);
        expects(&backup, runs(), Some("1970-01-13T02:00:00Z"));
    }

    #[test]
    fn a_one_time_archive_that_lacks_types_is_due_again_once_none_may() {
        let (mut backup, now) = (backup(), at("2026-11-23T12:00:00Z"));
        backup.metadata.creation_timestamp = Some(Time(at("1970-01-01T00:30:00Z")));
        let began = lacking(1).spec.started_at;
        expects(&backup, vec![lacking(1)], Some(&began));
        check(&backup, &History::of(&backup, vec![lacking(1)]), now, Some(NOW));
        let allowed = [(crate::annotations::ALLOW_ANNOTATION.to_owned(), ALLOW_MISSING_TYPES.to_owned())];
        backup.metadata.annotations = Some(allowed.into());
        check(&backup, &History::of(&backup, vec![lacking(1)]), now, None);
        expects(&backup, vec![lacking(1)], Some(&began));
        backup.metadata.annotations = None;
        check(&backup, &History::of(&backup, vec![lacking(1), run(2, RunState::Completed, true)]), now, None);
    }

    /// A run that a node stamped days ahead, and that the API server stamped when it was made.
    fn of_a_wrong_clock(number: i64, stamped: Option<&str>) -> BackupRun {
        let mut run = run(number, RunState::Completed, true);
        "2026-11-30T02:00:00Z".clone_into(&mut run.spec.started_at);
        run.metadata.creation_timestamp = stamped.map(|text| Time(at(text)));
        run
    }

    #[test]
    fn a_time_in_the_future_makes_nothing_due_and_keeps_nothing_from_being_due() {
        let mut backup = backup();
        backup.metadata.creation_timestamp = Some(Time(at("2026-11-01T00:00:00Z")));
        backup.spec.schedule = Some("0 2 * * *".into());
        backup.status = Some(BackupStatus {
            last_snapshot_ts: Some("2026-11-30T02:00:00Z".into()),
            observed_generation: Some(1),
            ..BackupStatus::default()
        });
        let stamped = || of_a_wrong_clock(2, Some("2026-11-23T02:00:00Z"));
        let of = |runs| History::of(&backup, runs);
        check(&backup, &of(vec![stamped()]), at("2026-11-23T12:00:00Z"), None);
        let next = Some(Due { scheduled_for: Some(at("2026-11-24T02:00:00Z")) });
        check(&backup, &of(vec![stamped()]), at("2026-11-24T12:00:00Z"), next);
        expects(&backup, vec![stamped()], Some("2026-11-24T02:00:00Z"));
        // Without the stamp the run before it says when.
        let unstamped = vec![run(1, RunState::Completed, true), of_a_wrong_clock(2, None)];
        let since = Some(Due { scheduled_for: Some(at("1970-01-13T02:00:00Z")) });
        check(&backup, &of(unstamped.clone()), at("2026-11-23T12:00:00Z"), since);
        expects(&backup, unstamped, Some("1970-01-13T02:00:00Z"));
        // The one after it was opened in time.
        let mut after = run(3, RunState::Completed, true);
        "2026-11-23T02:00:00Z".clone_into(&mut after.spec.started_at);
        check(&backup, &of(vec![of_a_wrong_clock(2, None), after]), at("2026-11-23T12:00:00Z"), None);
    }

    #[test]
    fn a_one_time_backup_is_made_once_whatever_the_clock_was() {
        let backup = backup();
        check(&backup, &History::of(&backup, vec![of_a_wrong_clock(1, None)]), at("2026-11-23T12:00:00Z"), None);
        expects(&backup, vec![of_a_wrong_clock(1, None)], None);
    }

    #[test]
    fn schedule_that_cannot_be_read_is_an_error() {
        let mut backup = backup();
        backup.spec.schedule = Some("61 * * * *".into());
        assert!(due(&backup, &Settings::default(), &History::default(), at("2026-01-02T00:00:00Z")).is_err());
    }
}
