use std::collections::BTreeMap;

use drover::resources::{BackupSpec, RestoreSpec};
use serde_json::{Value, json};

use super::*;

const RUN: &str = "019aaf00-0000-7000-8000-000000000001";

fn run(number: i64, status: &Value) -> BackupRun {
    let value = json!({
        "metadata": {"name": format!("daily-{number}")},
        "spec": {
            "backup": "daily", "backupUid": "u-1", "generation": 1, "id": RUN, "number": number,
            "trigger": {"kind": "Schedule", "by": "s"}, "startedAt": "2026-11-23T02:00:00Z", "filename": "daily.tar.gz"
        },
        "status": status
    });
    serde_json::from_value(value).unwrap()
}

fn history(runs: Vec<BackupRun>) -> History {
    let mut backup = Backup::new("daily", BackupSpec::default());
    backup.metadata.uid = Some("u-1".into());
    History::of(&backup, runs)
}

fn event(kind: Kind, stage: Option<&str>, reason: Option<&str>) -> Event {
    let data = Data {
        name: "daily".into(),
        run: RUN.parse().unwrap(),
        number: Some(7),
        stage: stage.map(str::to_owned),
        attempt: stage.map(|_| 2),
        reason: reason.map(str::to_owned),
        ..Data::default()
    };
    Event::new(kind, "upload", "2026-11-23T02:01:00Z".parse().unwrap(), data)
}

fn completed() -> Value {
    json!({
        "state": "Completed", "endedAt": "2026-11-23T02:00:42Z",
        "snapshot": {"state": "Completed", "objects": 12, "bytes": 34},
        "upload": {"places": [{"name": "default", "location": "s3://b/daily.tar.gz", "verifiedBytes": 34}]}
    })
}

#[track_caller]
fn check(runs: Vec<BackupRun>, number: Option<i64>, phase: Phase, expected: &str) {
    let data = Data { number, run: RUN.parse().unwrap(), ..Data::default() };
    let history = history(runs);
    let now = "2026-11-24T00:00:00Z".parse().unwrap();
    let found = match standing(&history, &data, phase, (Timestamp::UNIX_EPOCH, now)) {
        Standing::News(_) => "news",
        Standing::Old(_) => "old",
        Standing::Untrue(_) => "untrue",
    };
    assert_eq!(found, expected);
}

#[test]
fn an_event_is_held_against_the_runs() {
    use Phase::{Began, Done, Failed, FailedLater};
    let open = || run(7, &json!({"state": "InProgress"}));
    let done = || run(7, &completed());
    let later = |state: &str| run(8, &json!({"state": state}));
    check(vec![open()], Some(7), Began, "news");
    check(vec![done()], Some(7), Began, "news");
    check(vec![open()], Some(7), Failed, "news");
    check(vec![done()], Some(7), Failed, "old");
    check(vec![done()], Some(7), FailedLater, "news");
    check(vec![open()], Some(7), Done, "untrue");
    check(vec![done()], Some(7), Done, "news");
    check(vec![done(), later("InProgress")], Some(7), Done, "news");
    check(vec![done(), later("Failed")], Some(7), Done, "old");
    check(vec![done(), later("Completed")], Some(7), FailedLater, "old");
    check(vec![], Some(7), Done, "old");
    check(vec![], None, Failed, "news");
    check(vec![], None, Done, "untrue");
}

#[test]
fn an_event_without_a_run_is_placed_behind_the_newest() {
    let open = |number| run(number, &json!({"state": "InProgress"}));
    let known = |runs, number| newest_known(&history(runs), &Data { number, ..Data::default() });
    assert_eq!(known(vec![run(7, &completed()), open(8)], None), Some(8));
    assert_eq!(known(vec![], None), Some(0));
    assert_eq!(known(vec![open(8)], Some(7)), None);
}

#[test]
fn a_weekend_passes_before_something_is_too_old_to_be_told() {
    let friday: Timestamp = "2026-11-20T22:00:00Z".parse().unwrap();
    for (now, expected) in [
        ("2026-11-20T21:00:00Z", false),
        ("2026-11-21T22:00:00Z", false),
        ("2026-11-23T22:00:00Z", false),
        ("2026-11-23T22:00:01Z", true),
    ] {
        assert_eq!(is_too_old(friday, now.parse().unwrap()), expected, "{now}");
    }
}

#[test]
fn a_ping_says_what_the_run_says() {
    let run = run(7, &completed());
    let ping = of_run(&event(Kind::BackupUploaded, None, None), Phase::Done, Some(&run));
    assert_eq!(
        (ping.number, ping.objects, ping.bytes, ping.duration.map(|duration| duration.as_secs())),
        (Some(7), Some(12), Some(34), Some(42))
    );
    assert_eq!(ping.places, ["s3://b/daily.tar.gz"]);
    let begun = of_run(&event(Kind::BackupStarted, None, None), Phase::Began, Some(&run));
    assert_eq!((begun.duration, begun.objects, begun.run), (None, None, Some(RUN.parse().unwrap())));
}

#[test]
fn a_restore_of_the_latest_archive_names_the_one_that_was_chosen() {
    let spec = RestoreSpec { backup_filename: "latest".to_owned(), ..RestoreSpec::default() };
    let mut restore = Restore::new("back", spec);
    let event = event(Kind::RestoreCompleted, None, None);
    assert_eq!(about_restore(&event, Phase::Began, &restore).filename, None);
    let chosen = BTreeMap::from([("drover.dev/backup-filename".to_owned(), "daily-7.tar.gz".to_owned())]);
    restore.metadata.annotations = Some(chosen);
    assert_eq!(about_restore(&event, Phase::Done, &restore).filename.as_deref(), Some("daily-7.tar.gz"));
    "a.tar.gz".clone_into(&mut restore.spec.backup_filename);
    assert_eq!(about_restore(&event, Phase::Done, &restore).filename.as_deref(), Some("a.tar.gz"));
}

#[test]
fn a_failure_has_its_stage_and_its_reason() {
    let failed = run(7, &json!({"state": "Failed", "message": "no bucket"}));
    let ping = of_run(&event(Kind::BackupFailed, Some("upload"), Some("no answer")), Phase::Failed, Some(&failed));
    assert_eq!((ping.stage.as_deref(), ping.attempt), (Some("upload"), Some(2)));
    assert_eq!(ping.reason.as_deref(), Some("no answer"));
    let silent = of_run(&event(Kind::BackupFailed, Some("upload"), None), Phase::Failed, Some(&failed));
    assert_eq!(silent.reason.as_deref(), Some("no bucket"));
    let phase = |stage| failed_phase(&event(Kind::BackupFailed, Some(stage), None).data);
    let phases = ["snapshot", "upload", "retention-prune"].map(phase);
    assert_eq!(phases, [Phase::Failed, Phase::Failed, Phase::FailedLater]);
}
