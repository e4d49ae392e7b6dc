use drover::resources::{
    BackupPolicy, BackupPolicySpec, BackupStatus, ConditionStatus, Conditions, Ready, RunState, SnapshotStage,
    StageState, UploadStage, rfc3339,
};

use drover::runs::report;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Fixture, at};
use crate::runner::metrics::render;
use crate::runner::state::{Charge, Queue};

/// The value of a figure, by its name and labels as they are written.
fn figure(fixture: &Fixture, name: &str) -> Option<f64> {
    let text = render(&fixture.state, fixture.now).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.map(|value| value.parse().unwrap())
}

#[track_caller]
fn check(fixture: &Fixture, name: &str, expected: Option<f64>) {
    let found = figure(fixture, name);
    let is_near = found.zip(expected).is_some_and(|(found, expected)| (found - expected).abs() < 0.001);
    assert!(is_near || found == expected, "{name}: {found:?}, and not {expected:?}");
}

fn seconds(after_midnight: i64) -> f64 {
    at(after_midnight).as_duration().as_secs_f64()
}

fn ready(fixture: &mut Fixture, backup: &str, ready: Ready) {
    fixture.edit(backup, |backup| {
        let mut conditions = Conditions::default();
        conditions.set_ready(ready, "", at(0));
        backup.status = Some(BackupStatus { conditions: Some(conditions), ..BackupStatus::default() });
    });
}

/// A Backup of every hour whose first run is stored, and whose second failed in its upload.
fn some() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.now = at(9000);
    fixture.backup("daily", Some("0 * * * *"));
    fixture.run("daily", 1, at(3600), RunState::Completed, true);
    let mut run = fixture.state.runs.get("daily-1").unwrap().clone();
    let status = run.status.as_mut().unwrap();
    let at = |second| Some(rfc3339(at(second)));
    let snapshot =
        SnapshotStage { objects: 700, bytes: 90_000, ended_at: at(3602), ..status.snapshot.clone().unwrap() };
    status.snapshot = Some(snapshot);
    status.upload = Some(UploadStage { started_at: at(3602), ended_at: at(3605), ..UploadStage::default() });
    fixture.state.runs.put("daily-1".to_owned(), run);

    fixture.run("daily", 2, super::at(7200), RunState::InProgress, true);
    let mut run = fixture.state.runs.get("daily-2").unwrap().clone();
    run.status.as_mut().unwrap().upload = Some(UploadStage { state: StageState::Failed, ..UploadStage::default() });
    fixture.state.runs.put("daily-2".to_owned(), run);
    ready(&mut fixture, "daily", Ready::Failed);
    fixture
}

#[test]
fn figures_are_of_the_newest_verified_archive_and_of_what_fails_since() {
    let fixture = some();
    let of = |name: &str| format!("drover_backup_{name}{{backup=\"daily\"}}");
    check(&fixture, &of("ready"), Some(0.0));
    check(&fixture, &of("suspended"), Some(0.0));
    check(&fixture, &of("last_success_timestamp_seconds"), Some(seconds(3600)));
    check(&fixture, &of("newest_verified_age_seconds"), Some(5400.0));
    check(&fixture, &of("due_timestamp_seconds"), Some(seconds(7200)));
    check(&fixture, &of("size_bytes"), Some(90_000.0));
    check(&fixture, &of("objects"), Some(700.0));
    check(&fixture, "drover_backup_stage_duration_seconds{backup=\"daily\",stage=\"snapshot\"}", Some(2.0));
    check(&fixture, "drover_backup_stage_duration_seconds{backup=\"daily\",stage=\"upload\"}", Some(3.0));
    check(&fixture, "drover_backup_failing{backup=\"daily\",reason=\"upload\"}", Some(1.0));
    check(&fixture, "drover_backup_failing{backup=\"daily\",reason=\"snapshot\"}", Some(0.0));
}

#[test]
fn a_backup_that_has_no_archive_is_due_since_it_was_made() {
    let mut fixture = Fixture::new();
    fixture.backup("once", None);
    check(&fixture, "drover_backup_due_timestamp_seconds{backup=\"once\"}", Some(seconds(1800)));
    check(&fixture, "drover_backup_last_success_timestamp_seconds{backup=\"once\"}", None);
    fixture.run("once", 1, at(1800), RunState::Completed, true);
    ready(&mut fixture, "once", Ready::Completed);
    check(&fixture, "drover_backup_due_timestamp_seconds{backup=\"once\"}", None);
    check(&fixture, "drover_backup_ready{backup=\"once\"}", Some(1.0));
}

#[test]
fn a_suspended_backup_is_not_due() {
    let mut fixture = some();
    let spec = BackupPolicySpec { suspend: Some(true), ..BackupPolicySpec::default() };
    fixture.state.policies.put("p".to_owned(), BackupPolicy::new("p", spec));
    fixture.state.read_policies();
    check(&fixture, "drover_backup_suspended{backup=\"daily\"}", Some(1.0));
    check(&fixture, "drover_backup_due_timestamp_seconds{backup=\"daily\"}", None);
}

#[test]
fn restores_and_messages_are_counted() {
    let mut fixture = Fixture::new();
    fixture.restore("waiting", "uid-1", at(3700), false);
    fixture.restore("failed", "uid-2", at(3700), true);
    fixture.consumer(3, 1, 4);
    check(&fixture, "drover_in_charge", Some(1.0));
    check(&fixture, "drover_restores{state=\"waiting\"}", Some(1.0));
    check(&fixture, "drover_restores{state=\"failed\"}", Some(1.0));
    check(&fixture, "drover_restores{state=\"completed\"}", Some(0.0));
    check(&fixture, "drover_queue_up", Some(1.0));
    if let Queue::Known(known) = &mut fixture.state.queue {
        known.survey.missing.insert("stream DROVER".to_owned());
    }
    check(&fixture, "drover_queue_up", Some(0.0));
    check(&fixture, "drover_queue_messages{consumer=\"upload\",state=\"pending\"}", Some(3.0));
    check(&fixture, "drover_queue_messages{consumer=\"upload\",state=\"in_flight\"}", Some(1.0));
    fixture.state.queue = Queue::Away { reason: "no answer".to_owned(), words: String::new() };
    check(&fixture, "drover_queue_up", Some(0.0));
}

/// What `drover_backup_failing` is 1 for, of the Backup "daily".
fn reasons(fixture: &Fixture) -> Vec<String> {
    let text = render(&fixture.state, fixture.now).unwrap();
    let failing = text.lines().filter_map(|line| line.strip_prefix("drover_backup_failing{backup=\"daily\",reason=\""));
    failing.filter_map(|line| line.strip_suffix("\"} 1.0")).map(str::to_owned).collect()
}

fn block(fixture: &mut Fixture, reason: &str) {
    fixture.edit("daily", |backup| {
        let conditions = backup.status.get_or_insert_default().conditions.get_or_insert_default();
        conditions.set("Blocked", ConditionStatus::True, reason, "why", at(0));
    });
}

#[test]
fn a_backup_is_failing_until_a_try_succeeds() {
    let mut fixture = some();
    assert_eq!(reasons(&fixture), ["upload"]);
    // The next try begins, and then the next run, whose upload nobody tries as long as its place is away.
    ready(&mut fixture, "daily", Ready::InProgress);
    let mut run = fixture.state.runs.get("daily-2").unwrap().clone();
    let again = UploadStage { state: StageState::InProgress, attempts: 2, ..UploadStage::default() };
    run.status.as_mut().unwrap().upload = Some(again);
    fixture.state.runs.put("daily-2".to_owned(), run);
    fixture.run("daily", 3, at(8000), RunState::InProgress, true);
    assert_eq!(reasons(&fixture), ["upload"]);
    fixture.run("daily", 4, at(8100), RunState::Completed, true);
    assert!(reasons(&fixture).is_empty());
    fixture.run("daily", 5, at(8200), RunState::Failed, false);
    assert_eq!(reasons(&fixture), ["snapshot"]);
}

#[test]
fn what_keeps_a_job_from_running_is_told_although_the_backup_is_pending() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("0 * * * *"));
    assert!(reasons(&fixture).is_empty());
    ready(&mut fixture, "daily", Ready::Pending);
    block(&mut fixture, "NoPod");
    assert_eq!(reasons(&fixture), ["blocked"]);
    block(&mut fixture, "JobFailed");
    assert_eq!(reasons(&fixture), ["snapshot"]);
    ready(&mut fixture, "daily", Ready::Failed);
    assert_eq!(reasons(&fixture), ["other"]);
}

#[test]
fn a_suspended_backup_is_not_failing_and_one_that_is_being_deleted_is_not_told() {
    let mut fixture = some();
    fixture.run("daily", 2, at(7200), RunState::Failed, true);
    let spec = BackupPolicySpec { suspend: Some(true), ..BackupPolicySpec::default() };
    fixture.state.policies.put("p".to_owned(), BackupPolicy::new("p", spec));
    fixture.state.read_policies();
    assert!(reasons(&fixture).is_empty());
    fixture.edit("daily", |backup| backup.metadata.deletion_timestamp = Some(Time(at(0))));
    check(&fixture, "drover_backup_ready{backup=\"daily\"}", None);
}

fn is_whole(fixture: &mut Fixture, status: ConditionStatus) {
    fixture.edit("daily", |backup| {
        let conditions = backup.status.get_or_insert_default().conditions.get_or_insert_default();
        conditions.set("Whole", status, "r", "m", at(0));
    });
}

#[test]
fn what_an_archive_lacks_is_told_until_it_is_confirmed_and_not_before_there_is_one() {
    let mut fixture = some();
    let whole = "drover_backup_whole{backup=\"daily\"}";
    check(&fixture, whole, None);
    for (status, expected) in [(ConditionStatus::False, 0.0), (ConditionStatus::True, 1.0)] {
        is_whole(&mut fixture, status);
        check(&fixture, whole, Some(expected));
    }
}

#[test]
fn retention_is_told_from_when_it_last_stood_well() {
    let mut fixture = some();
    let pruned = "drover_backup_last_prune_timestamp_seconds{backup=\"daily\"}";
    let look = |fixture: &mut Fixture, is_done: bool, second: i64| {
        fixture.edit("daily", |backup| backup.status = Some(report::pruned(backup, is_done, "r", "m", at(second))));
    };
    // The archive of 3600 is stored, and nobody has looked.
    check(&fixture, pruned, Some(seconds(3600)));
    look(&mut fixture, true, 4000);
    look(&mut fixture, true, 5000);
    check(&fixture, pruned, Some(seconds(5000)));
    look(&mut fixture, false, 6000);
    look(&mut fixture, false, 7000);
    check(&fixture, pruned, Some(seconds(6000)));
    fixture.edit("daily", |backup| backup.spec.schedule = None);
    check(&fixture, pruned, None);
}

#[test]
fn nothing_is_expected_of_drover_while_the_operator_is_in_charge() {
    let mut fixture = some();
    is_whole(&mut fixture, ConditionStatus::False);
    let (namespace, name) = ("cattle-resources-system".to_owned(), "rancher-backup".to_owned());
    fixture.state.charge = Charge::Theirs(drover::coexistence::Operator { namespace, name, replicas: 1 });
    check(&fixture, "drover_in_charge", Some(0.0));
    check(&fixture, "drover_backup_last_success_timestamp_seconds{backup=\"daily\"}", Some(seconds(3600)));
    for figure in ["due_timestamp_seconds{", "failing{", "whole{", "last_prune_timestamp_seconds{"] {
        let text = render(&fixture.state, fixture.now).unwrap();
        assert!(!text.contains(&format!("drover_backup_{figure}")), "{text}");
    }
}

#[test]
fn messages_that_no_job_drains_are_not_told() {
    let mut fixture = Fixture::new();
    let messages = "drover_queue_messages{consumer=\"heartbeat\",state=\"pending\"}";
    fixture.consumer_of("heartbeat", 7, 0, 7);
    check(&fixture, messages, None);
    fixture.stage("heartbeat", 1);
    check(&fixture, messages, Some(7.0));
}

#[test]
fn names_of_backups_cannot_break_a_line() {
    let mut fixture = Fixture::new();
    fixture.backup("a\"b\\c\nd", None);
    check(&fixture, "drover_backup_ready{backup=\"a\\\"b\\\\c\\nd\"}", Some(0.0));
}
