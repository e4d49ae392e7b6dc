//! What a Backup's status says about its runs, in Rancher's terms.

use jiff::Timestamp;

use super::{Encryption, Wholeness, missing_words, schedule_of};
use crate::clock::is_future;
use crate::coexistence;
use crate::conditions::{ENCRYPTED, PRUNED, READY, RECONCILING, STALLED, UPLOADED, VERIFIED, WHOLE, reason};
use crate::job::name::UPLOAD;
use crate::policy::Settings;
use crate::resources::{
    Backup, BackupRun, BackupStatus, BackupType, ConditionStatus, Conditions, Place, Ready, StorageLocation, rfc3339,
};
use crate::storage::names_bucket;

/// The status of a Backup whose run is at work; `detail` says at what.
#[must_use]
pub fn in_progress(backup: &Backup, detail: &str, now: Timestamp) -> BackupStatus {
    change(backup, now, |conditions| conditions.set_in_progress(detail, now))
}

/// The status of a Backup whose archive is made and waits for its upload, with the conditions [`ENCRYPTED`] and [`WHOLE`]
/// about it.
#[must_use]
pub fn snapshotted(
    backup: &Backup,
    detail: &str,
    encryption: &Encryption,
    wholeness: &Wholeness,
    now: Timestamp,
) -> BackupStatus {
    let mut status = in_progress(backup, detail, now);
    let conditions = status.conditions.get_or_insert_default();
    conditions.set(ENCRYPTED, encryption.status(), encryption.reason(), &encryption.message(), now);
    conditions.set(WHOLE, wholeness.status, wholeness.reason, &wholeness.message, now);
    status
}

/// The status of a Backup of which a stage failed. `is_final`: nothing is tried again before somebody mends something.
#[must_use]
pub fn failed(backup: &Backup, stage: &str, reason: &str, is_final: bool, now: Timestamp) -> BackupStatus {
    change(backup, now, |conditions| {
        conditions.set_ready(Ready::Failed, reason, now);
        // A try that fails as the one before has spoken all the same.
        conditions.renew(READY, now);
        conditions.set(RECONCILING, (!is_final).into(), reason::FAILED, stage, now);
        conditions.set(STALLED, is_final.into(), reason::FAILED, &format!("{stage}: {reason}"), now);
        if stage == UPLOAD {
            conditions.set(UPLOADED, ConditionStatus::False, reason::FAILED, reason, now);
        }
    })
}

/// The status of a Backup that waits for somebody else, and is tried again by itself; `why` says for whom, and what helps.
#[must_use]
pub fn waiting(backup: &Backup, why: &str, now: Timestamp) -> BackupStatus {
    let status = change(backup, now, |conditions| {
        conditions.set_waiting(why, now);
        conditions.renew(READY, now);
        conditions.set(RECONCILING, ConditionStatus::True, reason::WAITING, "", now);
        conditions.set(STALLED, ConditionStatus::False, reason::WAITING, "", now);
    });
    not_begun(backup, status)
}

/// The status of a Backup of which no run was begun: a one-time Backup with a generation that was observed is one whose wish
/// was fulfilled, so what was observed stays.
#[must_use]
pub fn not_begun(backup: &Backup, status: BackupStatus) -> BackupStatus {
    let observed_generation = backup.status.as_ref().and_then(|status| status.observed_generation);
    BackupStatus { observed_generation, ..status }
}

/// The status of a Backup with the condition [`PRUNED`]. Nothing else of it changes: whether old archives go says nothing
/// about the new ones.
#[must_use]
pub fn pruned(backup: &Backup, is_done: bool, reason: &str, message: &str, now: Timestamp) -> BackupStatus {
    let mut status = backup.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    conditions.set(PRUNED, is_done.into(), reason, message, now);
    conditions.renew(PRUNED, now);
    status
}

/// The status with the condition [`VERIFIED`] about the newest archive, `filename`; `damage` says what is wrong with it, and
/// is empty where nothing is. A Backup whose newest archive is damaged is not Ready, until it is whole or a newer one is
/// stored. What a run that is at work or failed says of `Ready` stays.
#[must_use]
pub fn inspected(mut status: BackupStatus, filename: &str, damage: &str, now: Timestamp) -> BackupStatus {
    let conditions = status.conditions.get_or_insert_default();
    let is_ours = tells_damage(conditions);
    if damage.is_empty() {
        conditions.set(VERIFIED, ConditionStatus::True, reason::COMPLETED, filename, now);
        if is_ours {
            conditions.set_ready(Ready::Completed, "", now);
        }
    } else {
        conditions.set(VERIFIED, ConditionStatus::False, reason::DAMAGED, damage, now);
        if is_ours || conditions.is_true(READY) {
            conditions.set_ready(Ready::Failed, damage, now);
        }
    }
    status
}

/// What is wrong with the newest archive, as the condition [`VERIFIED`] says it.
#[must_use]
pub fn damage(conditions: &Conditions) -> Option<&str> {
    let verified = conditions.get(VERIFIED).filter(|verified| verified.status == ConditionStatus::False);
    verified.and_then(|verified| verified.message.as_deref())
}

/// Whether `Ready` says what is wrong with the newest archive.
#[must_use]
pub fn tells_damage(conditions: &Conditions) -> bool {
    let said = conditions.get(READY).and_then(|ready| ready.message.as_deref()).unwrap_or_default();
    damage(conditions).is_some_and(|damage| said == format!("{}: {damage}", Ready::Failed))
}

/// The status of a Backup whose run `run` is stored and verified. An older run than the one that the status already
/// names changes nothing; `newer_is_open`: a later run is at work, to which `Ready` belongs. An archive that lacks types is
/// stored, but no backup: the status goes on to name the one before.
#[must_use]
pub fn stored(
    backup: &Backup,
    run: &BackupRun,
    summary: &str,
    newer_is_open: bool,
    now: Timestamp,
) -> Option<BackupStatus> {
    let known = backup.status.as_ref().and_then(|status| status.last_snapshot_ts.as_deref()?.parse::<Timestamp>().ok());
    let started_at: Option<Timestamp> = run.spec.started_at.parse().ok();
    // What a wrong clock put into the future is not newer.
    if known.filter(|known| !is_future(*known, now)) > started_at {
        return None;
    }
    let lacking = missing_words(run);
    let mut status = change(backup, now, |conditions| {
        conditions.set(UPLOADED, ConditionStatus::True, reason::COMPLETED, &run.spec.filename, now);
        if lacking.is_none() {
            conditions.set(VERIFIED, ConditionStatus::True, reason::COMPLETED, &run.spec.filename, now);
        }
        match &lacking {
            _ if newer_is_open => {}
            Some(words) => conditions.set_stalled(reason::MISSING_TYPES, words, now),
            None => conditions.set_completed(now),
        }
    });
    if lacking.is_some() {
        return Some(status);
    }
    status.last_snapshot_ts = Some(run.spec.started_at.clone());
    status.filename = Some(run.spec.filename.clone());
    status.summary = Some(summary.to_owned());
    status.storage_location = Some(stored_word(run).to_owned());
    Some(status)
}

/// The word for where a run's archive lies at the Backup's own place. A Backup that names no bucket does not tell: its
/// default location may be one.
fn stored_word(run: &BackupRun) -> &'static str {
    let places = run.status.as_ref().and_then(|status| status.upload.as_ref()).map(|upload| upload.places.as_slice());
    let own = places.unwrap_or_default().iter().find(|place| place.name == Place::DEFAULT);
    if own.is_some_and(|place| place.location.starts_with("s3://")) { BUCKET_WORD } else { VOLUME_WORD }
}

/// The status as it is, with the conditions changed and with what follows from the spec.
fn change(backup: &Backup, now: Timestamp, conditions: impl FnOnce(&mut Conditions)) -> BackupStatus {
    let mut status = backup.status.clone().unwrap_or_default();
    let mut changed = status.conditions.take().unwrap_or_default();
    coexistence::note(&mut changed, None, now);
    conditions(&mut changed);
    status.conditions = Some(changed);
    status.observed_generation = backup.metadata.generation;
    status.backup_type = Some(backup.kind_of_backup());
    if names_bucket(backup.spec.storage_location.as_ref()) {
        status.storage_location = Some(BUCKET_WORD.to_owned());
    }
    status
}

/// The status with the time at which the Backup runs next by itself. Where it does not, the time of before becomes empty:
/// a field that another manager wrote cannot be taken away.
#[must_use]
pub fn with_next(mut status: BackupStatus, backup: &Backup, settings: &Settings, now: Timestamp) -> BackupStatus {
    let is_scheduled = backup.kind_of_backup() == BackupType::Recurring && !settings.is_suspended();
    let next = is_scheduled.then(|| schedule_of(backup, settings).ok()?.next(now)).flatten();
    status.next_snapshot_at = next.map(rfc3339).or_else(|| status.next_snapshot_at.map(|_| String::new()));
    status
}

/// The status of a Backup of which drover starts nothing: the operator is in charge, as the message says.
#[must_use]
pub fn not_in_charge(backup: &Backup, operator: &coexistence::Operator, now: Timestamp) -> BackupStatus {
    let mut status = backup.status.clone().unwrap_or_default();
    coexistence::note(status.conditions.get_or_insert_default(), Some(operator), now);
    status
}

/// The words for a location in a status.
const BUCKET_WORD: &str = "S3";
const VOLUME_WORD: &str = "PV";

/// The word for a location in a status, where `default_is_bucket` tells what one without a bucket is: `S3` or `PV`.
#[must_use]
pub fn place_word(location: Option<&StorageLocation>, default_is_bucket: bool) -> &'static str {
    if names_bucket(location) || default_is_bucket { BUCKET_WORD } else { VOLUME_WORD }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{backup, run};
    use super::super::{Allowed, status_of};
    use super::*;
    use crate::archive::Contents;
    use crate::conditions::DROVER_ACTIVE;
    use crate::resources::RunState;

    fn now() -> Timestamp {
        "2026-11-23T02:00:00Z".parse().unwrap()
    }

    fn stored_after(number: i64, newer_is_open: bool) -> (Backup, Option<BackupStatus>) {
        let mut backup = backup();
        backup.status = stored(&backup, &run(2, RunState::Completed, true), "700 objects", false, now());
        let status = stored(&backup, &run(number, RunState::Completed, true), "", newer_is_open, now());
        (backup, status)
    }

    #[test]
    fn stored_run_makes_the_backup_ready() {
        let (backup, _) = stored_after(2, false);
        let status = backup.status.unwrap();
        let conditions = status.conditions.unwrap();
        assert!(conditions.is_true("Ready") && conditions.is_true("Uploaded"));
        assert_eq!(conditions.get("Ready").unwrap().message.as_deref(), Some("Completed"));
        assert_eq!(status.backup_type, Some(BackupType::OneTime));
        assert_eq!(status.storage_location.as_deref(), Some("PV"));
    }

    #[test]
    fn whether_old_archives_go_says_nothing_about_the_backup() {
        let (mut backup, _) = stored_after(2, false);
        for is_done in [true, false] {
            let status = pruned(&backup, is_done, "Failed", "the bucket is away", now());
            let mut conditions = status.conditions.clone().unwrap();
            assert_eq!(conditions.is_true(PRUNED), is_done);
            conditions.0.retain(|condition| condition.type_ != PRUNED);
            let before = backup.status.clone().unwrap();
            let mut others = before.conditions.clone().unwrap();
            others.0.retain(|condition| condition.type_ != PRUNED);
            assert_eq!(
                BackupStatus { conditions: Some(conditions), ..status.clone() },
                BackupStatus { conditions: Some(others), ..before }
            );
            backup.status = Some(status);
        }
    }

    fn ready_of(status: &BackupStatus) -> String {
        status.conditions.as_ref().unwrap().get("Ready").unwrap().message.clone().unwrap()
    }

    #[test]
    fn a_backup_whose_newest_archive_is_damaged_is_not_ready_until_it_is_whole_again() {
        let whole = stored_after(2, false).0.status.unwrap();
        let mut status = inspected(whole.clone(), "a", "it has 8 bytes", now());
        assert_eq!(ready_of(&status), "Failed: it has 8 bytes");
        status = inspected(status, "a", "it has 7 bytes", now());
        assert_eq!(ready_of(&status), "Failed: it has 7 bytes");
        status = inspected(status, "a", "", now());
        assert_eq!(ready_of(&status), "Completed");
        assert!(status.conditions.unwrap().is_true(VERIFIED));
        let mut damaged = backup();
        damaged.status = Some(inspected(whole, "a", "it has 8 bytes", now()));
        let next = stored(&damaged, &run(3, RunState::Completed, true), "", false, now()).unwrap();
        assert!(next.conditions.unwrap().is_true(VERIFIED));
    }

    #[test]
    fn what_runs_say_of_ready_stays_whatever_the_newest_archive_is() {
        let backup = backup();
        for status in [in_progress(&backup, "snapshot", now()), failed(&backup, "upload", "no bucket", true, now())] {
            let said = ready_of(&status);
            let status = inspected(status, "a", "it has 8 bytes", now());
            assert_eq!(ready_of(&status), said);
            assert_eq!(ready_of(&inspected(status, "a", "", now())), said);
        }
    }

    #[test]
    fn each_try_that_waits_or_fails_has_spoken_though_it_says_the_same() {
        type Tell = fn(&Backup, Timestamp) -> BackupStatus;
        let later = now() + jiff::SignedDuration::from_mins(5);
        let cases: [(Tell, &str); 2] = [
            (|backup, now| waiting(backup, "NATS is away", now), "InProgress: NATS is away"),
            (|backup, now| failed(backup, "snapshot", "no ResourceSet", true, now), "Failed: no ResourceSet"),
        ];
        for (tell, words) in cases {
            let mut backup = backup();
            for time in [now(), later] {
                let status = tell(&backup, time);
                assert_eq!(ready_of(&status), words);
                let ready = status.conditions.as_ref().unwrap().get("Ready").unwrap();
                assert_eq!(ready.last_update_time, Some(rfc3339(time)));
                assert_eq!(ready.last_transition_time, Some(rfc3339(now())), "it is as it was");
                backup.status = Some(status);
            }
        }
    }

    #[test]
    fn older_run_changes_nothing_that_a_newer_one_set() {
        assert_eq!(stored_after(1, false).1, None);
        assert!(stored_after(3, false).1.is_some());
    }

    #[test]
    fn an_archive_that_lacks_types_is_stored_and_no_backup() {
        let (mut backup, _) = stored_after(2, false);
        let before = backup.status.clone().unwrap();
        let mut lacking = run(3, RunState::Completed, true);
        let mut snapshot = status_of(&lacking).snapshot.unwrap();
        snapshot.missing_types = vec!["things.a.io".into()];
        lacking.status.as_mut().unwrap().snapshot = Some(snapshot);
        backup.status = stored(&backup, &lacking, "", false, now());
        let status = backup.status.unwrap();
        let conditions = status.conditions.unwrap();
        assert!(conditions.is_true("Uploaded") && conditions.is_true("Stalled") && !conditions.is_true("Ready"));
        assert!(conditions.get("Ready").unwrap().message.as_ref().unwrap().contains("things.a.io"));
        assert_eq!((status.filename, status.last_snapshot_ts), (before.filename, before.last_snapshot_ts));
        let verified = conditions.get(VERIFIED).unwrap().message.clone();
        assert_eq!(verified, before.conditions.unwrap().get(VERIFIED).unwrap().message, "it is of the one before");
    }

    #[test]
    fn a_run_of_the_future_is_overtaken_by_the_next() {
        let mut backup = backup();
        let mut ahead = run(2, RunState::Completed, true);
        "2026-11-30T02:00:00Z".clone_into(&mut ahead.spec.started_at);
        backup.status = stored(&backup, &ahead, "", false, now());
        assert_eq!(backup.status.as_ref().unwrap().last_snapshot_ts.as_deref(), Some("2026-11-30T02:00:00Z"));
        let next = run(3, RunState::Completed, true);
        let status = stored(&backup, &next, "", false, now()).unwrap();
        assert_eq!(status.last_snapshot_ts, Some(next.spec.started_at));
    }

    #[test]
    fn ready_belongs_to_the_run_that_is_at_work() {
        let mut backup = backup();
        backup.status = Some(in_progress(&backup, "snapshot", now()));
        let status = stored(&backup, &run(1, RunState::Completed, true), "", true, now()).unwrap();
        let conditions = status.conditions.unwrap();
        assert!(!conditions.is_true("Ready"));
        assert!(conditions.is_true("Uploaded"));
    }

    #[test]
    fn what_the_snapshot_said_of_the_encryption_outlives_the_upload() {
        let mut backup = backup();
        let encryption = Encryption { is_configured: true, objects: 3, encrypted: 2, ..Encryption::default() };
        let wholeness = Wholeness::of("daily", &Contents::default(), &[], Allowed::default());
        backup.status = Some(snapshotted(&backup, "3 objects", &encryption, &wholeness, now()));
        backup.status = stored(&backup, &run(2, RunState::Completed, true), "", false, now());
        let conditions = backup.status.unwrap().conditions.unwrap();
        assert!(["Encrypted", WHOLE, "Ready"].iter().all(|type_| conditions.is_true(type_)), "{conditions:?}");
        assert_eq!(conditions.get("Encrypted").unwrap().message.as_deref(), Some("2 of 3 objects are encrypted"));
    }

    #[test]
    fn scheduled_backup_tells_its_next_time() {
        let mut backup = backup();
        backup.spec.schedule = Some("30 2 * * *".into());
        let next = |status, settings| with_next(status, &backup, &settings, now()).next_snapshot_at;
        let status = in_progress(&backup, "", now());
        assert_eq!(status.backup_type, Some(BackupType::Recurring));
        assert_eq!(next(status.clone(), Settings::default()).as_deref(), Some("2026-11-23T02:30:00Z"));
        let berlin = Settings { time_zone: Some("Europe/Berlin".into()), ..Settings::default() };
        assert_eq!(next(status.clone(), berlin).as_deref(), Some("2026-11-24T01:30:00Z"));
        let suspended = Settings { suspended_by: Some("p".into()), ..Settings::default() };
        assert_eq!(next(status.clone(), suspended.clone()), None);
        let known = BackupStatus { next_snapshot_at: Some("2026-11-23T02:30:00Z".into()), ..status };
        assert_eq!(next(known, suspended).as_deref(), Some(""));
    }

    #[test]
    fn who_is_in_charge_is_told_until_drover_is() {
        let mut backup = backup();
        let operator = coexistence::Operator { namespace: "n".into(), name: "rancher-backup".into(), replicas: 1 };
        let active = |status: &BackupStatus| status.conditions.clone().unwrap().get(DROVER_ACTIVE).cloned();
        assert_eq!(active(&in_progress(&backup, "", now())), None);
        backup.status = Some(not_in_charge(&backup, &operator, now()));
        let told = active(backup.status.as_ref().unwrap()).unwrap();
        assert_eq!((told.status, told.message), (ConditionStatus::False, Some(operator.message())));
        let taken_over = active(&in_progress(&backup, "", now())).unwrap();
        assert_eq!(taken_over.status, ConditionStatus::True);
    }

    #[test]
    fn final_failure_is_stalled_and_another_try_is_reconciling() {
        for is_final in [true, false] {
            let conditions = failed(&backup(), "upload", "no bucket", is_final, now()).conditions.unwrap();
            assert_eq!(conditions.is_true("Stalled"), is_final);
            assert_eq!(conditions.is_true("Reconciling"), !is_final);
            assert_eq!(conditions.get("Ready").unwrap().message.as_deref(), Some("Failed: no bucket"));
        }
    }
}
