use drover::resources::{BackupPolicy, BackupPolicySpec, BackupStatus, RunState, rfc3339};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::{Fixture, Outcome, at, failed};
use crate::runner::decide::Action;
use crate::runner::facts::Template;
use crate::runner::state::Charge;

/// The spec of a Backup's CronJob as it is made now.
fn made(fixture: &Fixture, name: &str) -> Option<serde_json::Value> {
    fixture.decide().actions.into_iter().find_map(|action| match action {
        Action::Make { name: made, manifest, .. } if made == name => Some(manifest["spec"].clone()),
        _ => None,
    })
}

#[track_caller]
fn check_timing(schedule: Option<&str>, zone: Option<&str>, expected: (&str, &str, bool)) {
    let mut fixture = Fixture::new();
    let spec = BackupPolicySpec { time_zone: zone.map(str::to_owned), ..BackupPolicySpec::default() };
    fixture.state.policies.put("p".to_owned(), BackupPolicy::new("p", spec));
    fixture.state.read_policies();
    fixture.backup("daily", schedule);
    let spec = made(&fixture, "daily").unwrap();
    let (text, zone, is_suspended) = expected;
    assert_eq!(
        (&spec["schedule"], &spec["timeZone"], &spec["suspend"]),
        (&json!(text), &json!(zone), &json!(is_suspended))
    );
    let container = &spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["--backup=daily"]));
}

#[test]
fn a_backups_cron_job_runs_by_its_schedule_and_time_zone() {
    check_timing(Some("0 2 * * *"), None, ("0 2 * * *", "Etc/UTC", false));
    check_timing(Some("@every 90m"), Some("Europe/Berlin"), ("@every 90m", "Etc/UTC", false));
    check_timing(Some("@midnight"), Some("Europe/Berlin"), ("@midnight", "Europe/Berlin", false));
    check_timing(Some("CRON_TZ=Asia/Tokyo 30 4 * * *"), Some("Europe/Berlin"), ("30 4 * * *", "Asia/Tokyo", false));
    check_timing(Some("TZ=Asia/Tokyo  @daily "), None, ("@daily", "Asia/Tokyo", false));
    check_timing(None, None, ("0 0 1 1 *", "Etc/UTC", true));
    check_timing(Some("61 * * * *"), None, ("0 0 1 1 *", "Etc/UTC", true));
    check_timing(Some("@every 10s"), None, ("0 0 1 1 *", "Etc/UTC", true));
}

#[test]
fn a_policy_and_the_operator_suspend() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    let (namespace, name) = ("n".to_owned(), "rancher-backup".to_owned());
    fixture.state.charge = Charge::Theirs(drover::coexistence::Operator { namespace, name, replicas: 1 });
    assert_eq!(made(&fixture, "daily").unwrap()["suspend"], true);
    fixture.settle();
    assert!(fixture.starts().is_empty());
    fixture.state.charge = Charge::Ours;
    let spec = BackupPolicySpec { suspend: Some(true), ..BackupPolicySpec::default() };
    fixture.state.policies.put("p".to_owned(), BackupPolicy::new("p", spec));
    fixture.state.read_policies();
    fixture.settle();
    assert!(fixture.starts().is_empty());
    fixture.state.policies.remove("p");
    fixture.state.read_policies();
    fixture.settle();
    assert_eq!(fixture.starts(), ["daily"]);
}

#[test]
fn a_schedule_that_is_refused_is_told_and_taken_back() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("61 * * * *"));
    fixture.settle();
    assert!(fixture.starts().is_empty());
    let status = fixture.told("daily").unwrap();
    let conditions = status.conditions.clone().unwrap();
    assert!(conditions.is_true("Blocked") && conditions.is_true("Stalled"));
    let ready = conditions.get("Ready").unwrap().message.clone().unwrap();
    assert!(ready.starts_with("Failed: failed to read the schedule \"61 * * * *\""), "{ready}");
    fixture.edit("daily", |backup| backup.status = Some(status));
    assert_eq!(fixture.told("daily"), None, "once is enough");
    fixture.edit("daily", |backup| backup.spec.schedule = Some("1 * * * *".to_owned()));
    let conditions = fixture.told("daily").unwrap().conditions.unwrap();
    assert!(!conditions.is_true("Blocked") && !conditions.is_true("Stalled"));
    assert_eq!(fixture.ready("daily").as_deref(), Some("Pending"));
}

#[test]
fn a_name_that_leaves_no_room_for_an_archives_is_told_and_starts_nothing() {
    let name = "x".repeat(200);
    for schedule in [None, Some("@daily")] {
        let mut fixture = Fixture::new();
        fixture.backup(&name, schedule);
        fixture.settle();
        assert!(fixture.starts().is_empty());
        let conditions = fixture.told(&name).unwrap().conditions.unwrap();
        assert!(conditions.is_true("Blocked") && conditions.is_true("Stalled"));
        let ready = fixture.ready(&name).unwrap();
        assert!(ready.starts_with("Failed: failed to name the archive \"xxx"), "{ready}");
    }
}

#[test]
fn a_change_of_the_template_or_of_the_cron_job_is_put_right() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.settle();
    let changes = |fixture: &Fixture| {
        let actions = fixture.decide().actions.into_iter();
        actions.filter(|action| matches!(action, Action::Change { .. })).count()
    };
    assert_eq!(changes(&fixture), 0);
    fixture.stage("snapshot", 2);
    assert_eq!(changes(&fixture), 1);
    fixture.settle();
    assert_eq!(changes(&fixture), 0);
    let mut drifted = fixture.state.cron_jobs.get("daily").unwrap().clone();
    let asked = std::mem::replace(&mut drifted.digest, "another".to_owned());
    fixture.state.cron_jobs.put("daily".to_owned(), drifted.clone());
    assert_eq!(changes(&fixture), 1);
    fixture.state.accepted.insert(drifted.uid, (asked, "another".to_owned()));
    assert_eq!(changes(&fixture), 0, "a webhook makes it so");
}

#[test]
fn a_cron_job_that_is_not_the_backups_is_left_alone() {
    let mut fixture = Fixture::new();
    fixture.cron_job(json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "daily", "uid": "x"}}));
    fixture.backup("daily", Some("@daily"));
    fixture.backup("upload", None);
    fixture.settle();
    let names: Vec<_> = fixture.state.cron_jobs.iter().filter(|job| job.owner.is_some()).map(|job| &job.name).collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].starts_with("daily-") && names[1].starts_with("upload-"), "{names:?}");
    let mut starts = fixture.starts();
    starts.sort();
    assert_eq!(starts.iter().collect::<Vec<_>>(), names);
}

#[test]
fn a_backup_that_is_applied_again_waits_until_the_cron_job_of_before_is_gone() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.settle();
    fixture.edit("daily", |backup| backup.metadata.uid = Some("another".to_owned()));
    assert_eq!(made(&fixture, "daily"), None);
    fixture.state.cron_jobs.remove("daily");
    assert!(made(&fixture, "daily").is_some());
}

#[test]
fn the_cron_job_that_an_earlier_backup_left_becomes_the_new_ones_and_holds_nothing_up() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.settle();
    fixture.job("daily", "daily-1", failed(at(3600)), "1");
    fixture.now = at(3606);
    fixture.settle();
    assert!(fixture.starts().is_empty(), "there is a pause");
    let mut left = fixture.state.cron_jobs.get("daily").unwrap().clone();
    left.left_by = left.owner.take();
    fixture.state.cron_jobs.put("daily".to_owned(), left);
    fixture.edit("daily", |backup| {
        backup.metadata.uid = Some("another".to_owned());
        backup.metadata.creation_timestamp = Some(Time(at(3605)));
    });
    fixture.settle();
    let owned: Vec<_> = fixture.state.cron_jobs.iter().filter_map(|cron_job| cron_job.owner.as_ref()).collect();
    assert_eq!(owned.iter().map(|owner| owner.uid.as_str()).collect::<Vec<_>>(), ["another"]);
    assert_eq!(fixture.starts(), ["daily"]);
    assert_eq!(fixture.ready("daily"), None, "of the Job of before nothing is said");
}

#[test]
fn a_new_backup_runs_at_once_and_only_once() {
    for schedule in [None, Some("@daily")] {
        let mut fixture = Fixture::new();
        fixture.backup("daily", schedule);
        assert!(fixture.starts().is_empty(), "its CronJob comes first");
        fixture.settle();
        assert_eq!(fixture.starts(), ["daily"]);
        fixture.job("daily", "daily-1", Outcome::Active, "1");
        assert!(fixture.starts().is_empty());
        fixture.run("daily", 1, fixture.now, RunState::InProgress, true);
        fixture.job("daily", "daily-1", Outcome::Completed { at: fixture.now }, "1");
        fixture.now = at(4500);
        assert!(!fixture.starts().contains(&"daily".to_owned()));
    }
}

#[test]
fn an_edited_one_time_backup_runs_again_at_once() {
    let mut fixture = Fixture::new();
    fixture.backup("once", None);
    fixture.settle();
    fixture.run("once", 1, at(1900), RunState::Completed, true);
    fixture.job("once", "once-1", Outcome::Completed { at: at(1900) }, "1");
    assert!(fixture.starts().is_empty());
    fixture.settle();
    fixture.edit("once", |backup| backup.metadata.generation = Some(2));
    assert_eq!(fixture.starts(), ["once"]);
    fixture.job("once", "once-2", failed(fixture.now), "2");
    assert!(fixture.starts().is_empty());
    fixture.now = at(3610);
    assert_eq!(fixture.starts(), ["once"]);
}

#[test]
fn an_edited_one_time_backup_that_failed_is_tried_again_whatever_its_status_names() {
    let mut fixture = Fixture::new();
    fixture.backup("once", None);
    fixture.settle();
    fixture.run("once", 1, at(1900), RunState::Completed, true);
    fixture.run("once", 2, at(3000), RunState::Failed, false);
    let mut run = fixture.state.runs.get("once-2").unwrap().clone();
    run.spec.generation = 2;
    fixture.state.runs.put("once-2".to_owned(), run);
    let status = BackupStatus {
        last_snapshot_ts: Some(rfc3339(at(1900))),
        observed_generation: Some(2),
        ..BackupStatus::default()
    };
    fixture.edit("once", |backup| {
        backup.metadata.generation = Some(2);
        backup.status = Some(status);
    });
    assert_eq!(fixture.starts(), ["once"]);
}

#[test]
fn what_the_operator_made_does_not_run_again() {
    let mut fixture = Fixture::new();
    fixture.backup("once", None);
    let status = BackupStatus {
        last_snapshot_ts: Some(rfc3339(at(-100))),
        observed_generation: Some(1),
        ..BackupStatus::default()
    };
    fixture.edit("once", |backup| backup.status = Some(status));
    fixture.settle();
    assert!(fixture.starts().is_empty());
}

#[test]
fn the_cron_job_starts_what_is_scheduled_and_dispatch_what_was_missed() {
    let mut fixture = Fixture::new();
    fixture.backup("hourly", Some("@hourly"));
    fixture.settle();
    fixture.run("hourly", 1, at(1900), RunState::Completed, true);
    fixture.now = at(3600);
    assert!(fixture.starts().is_empty(), "it is its CronJob's turn");
    assert_eq!(fixture.decide().wake, Some(at(3900)));
    fixture.now = at(3900);
    assert_eq!(fixture.starts(), ["hourly"]);
    fixture.run("hourly", 2, at(3600), RunState::Completed, true);
    assert!(fixture.starts().is_empty());
}

#[test]
fn runs_that_fail_although_their_jobs_do_not_are_paused_too() {
    let mut fixture = Fixture::new();
    fixture.backup("once", None);
    fixture.settle();
    fixture.run("once", 1, at(1900), RunState::Failed, true);
    fixture.run("once", 2, at(3600), RunState::Failed, true);
    fixture.job("once", "once-2", Outcome::Completed { at: at(3500) }, "1");
    for (now, is_started) in [(3600, false), (3619, false), (3620, true)] {
        fixture.now = at(now);
        assert_eq!(!fixture.starts().is_empty(), is_started, "{now}");
    }
}

#[test]
fn a_run_that_a_job_left_in_the_middle_is_gone_on_with() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.settle();
    fixture.run("daily", 1, at(3595), RunState::InProgress, false);
    fixture.job("daily", "daily-1", failed(at(3600)), "1");
    assert!(fixture.starts().is_empty());
    fixture.now = at(3610);
    assert_eq!(fixture.starts(), ["daily"]);
    fixture.job("snapshot", "nobody", Outcome::Active, "");
    assert!(fixture.starts().is_empty(), "the Job that made it is at work on it");
}

#[test]
fn another_job_of_the_same_name_is_not_at_work_on_a_run() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.settle();
    fixture.run("daily", 1, at(3595), RunState::InProgress, false);
    let mut run = fixture.state.runs.get("daily-1").unwrap().clone();
    run.spec.trigger.job_uid = Some("uid-of-the-first".to_owned());
    fixture.state.runs.put("daily-1".to_owned(), run.clone());
    fixture.job("upload", "nobody", Outcome::Active, "");
    assert_eq!(fixture.starts(), ["daily"]);
    run.status.as_mut().unwrap().snapshot.as_mut().unwrap().job_uid = Some("uid-nobody".to_owned());
    fixture.state.runs.put("daily-1".to_owned(), run);
    assert!(fixture.starts().is_empty(), "it goes on with it");
}

#[test]
fn the_next_time_follows_schedule_and_policy() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("30 2 * * *"));
    let next = |fixture: &Fixture| fixture.told("daily").and_then(|status| status.next_snapshot_at);
    assert_eq!(next(&fixture).as_deref(), Some("2026-01-01T02:30:00Z"));
    fixture.edit("daily", |backup| {
        let next_snapshot_at = Some("2026-01-01T02:30:00Z".to_owned());
        backup.status = Some(BackupStatus { next_snapshot_at, ..BackupStatus::default() });
    });
    assert_eq!(next(&fixture), None);
    let spec = BackupPolicySpec { time_zone: Some("Europe/Berlin".to_owned()), ..BackupPolicySpec::default() };
    fixture.state.policies.put("p".to_owned(), BackupPolicy::new("p", spec));
    fixture.state.read_policies();
    assert_eq!(next(&fixture).as_deref(), Some("2026-01-01T01:30:00Z"));
    fixture.edit("daily", |backup| backup.spec.schedule = None);
    assert_eq!(next(&fixture).as_deref(), Some(""));
    fixture.edit("daily", |backup| backup.spec.schedule = Some("@every 2h".to_owned()));
    assert_eq!(next(&fixture), None, "what it says lies within the interval");
    fixture.now = at(9001);
    assert_eq!(next(&fixture).as_deref(), Some("2026-01-01T04:30:01Z"));
}

#[test]
fn a_template_that_is_missing_is_told() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", None);
    fixture.state.cron_jobs.remove("snapshot");
    let ready = fixture.ready("daily").unwrap();
    assert!(ready.contains("CronJob \"snapshot\"") && ready.starts_with("Failed: "), "{ready}");
}

#[test]
fn a_template_keeps_its_fields() {
    let fixture = Fixture::new();
    let template: &Template = fixture.state.cron_jobs.get("snapshot").unwrap().template.as_deref().unwrap();
    assert_eq!(template.spec["schedule"], "*/5 * * * *");
}
