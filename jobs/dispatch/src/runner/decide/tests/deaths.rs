use drover::resources::{Conditions, Ready, RunState, UploadStage, rfc3339};
use drover::runs::report::pruned;
use serde_json::json;

use super::{Fixture, at, failed};
use crate::runner::decide::{Action, Death, Victim};

fn deaths(fixture: &Fixture) -> Vec<Death> {
    let death = |action| match action {
        Action::Announce(death) => Some(death),
        _ => None,
    };
    fixture.decide().actions.into_iter().filter_map(death).collect()
}

/// A Backup whose Job failed at one o'clock, ten seconds after it was made.
fn failed_snapshot() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.settle();
    fixture.job("daily", "daily-1", failed(at(3600)), "1");
    fixture.now = at(3605);
    fixture
}

#[test]
fn a_job_that_died_in_the_middle_of_a_run_is_announced_once() {
    let mut fixture = failed_snapshot();
    fixture.run("daily", 1, at(3595), RunState::InProgress, false);
    let killed = json!({"containerStatuses": [{"name": "snapshot", "ready": false, "image": "", "imageID": "",
        "restartCount": 0, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]});
    fixture.pod("daily-1", &killed);
    let [death] = deaths(&fixture).try_into().unwrap();
    let words = "a Job of the CronJob \"daily\" failed (BackoffLimitExceeded): the container \"snapshot\" ended with 137 \
                 (OOMKilled)";
    assert_eq!((death.stage.as_str(), death.words.as_str()), ("snapshot", words));
    assert_eq!(death.victims, [Victim::Backup { name: "daily".to_owned(), run: Some("daily-1".to_owned()) }]);
    assert_eq!(fixture.ready("daily"), Some(format!("Failed: {words}")));
    assert_eq!(death.told(), format!("{words} (the Job \"daily-1\")"));
    fixture.state.announced.insert(death.job);
    assert!(deaths(&fixture).is_empty());
}

#[test]
fn what_a_job_last_wrote_has_time_to_be_seen() {
    let mut fixture = failed_snapshot();
    fixture.run("daily", 1, at(3595), RunState::InProgress, false);
    fixture.now = at(3604);
    assert!(deaths(&fixture).is_empty());
    assert_eq!(fixture.decide().wake, Some(at(3605)));
}

#[test]
fn a_job_that_died_before_its_run_began_is_announced() {
    let fixture = failed_snapshot();
    let [death] = deaths(&fixture).try_into().unwrap();
    assert_eq!(death.victims, [Victim::Backup { name: "daily".to_owned(), run: None }]);
}

#[test]
fn a_job_that_said_why_it_failed_is_not() {
    let mut fixture = failed_snapshot();
    fixture.run("daily", 1, at(3595), RunState::Failed, false);
    assert!(deaths(&fixture).is_empty());
    assert_eq!(fixture.ready("daily"), None);

    let mut fixture = failed_snapshot();
    fixture.edit("daily", |backup| {
        let mut conditions = Conditions::default();
        conditions.set_ready(Ready::Failed, "no schedule", at(3598));
        backup.status.get_or_insert_default().conditions = Some(conditions);
    });
    assert!(deaths(&fixture).is_empty());
}

#[test]
fn what_dispatch_itself_said_is_no_word_of_the_job() {
    let mut fixture = failed_snapshot();
    let status = fixture.told("daily").unwrap();
    fixture.edit("daily", |backup| backup.status = Some(status));
    assert_eq!(deaths(&fixture).len(), 1);
    assert_eq!(fixture.told("daily"), None);
}

#[test]
fn an_upload_that_died_is_announced_for_each_archive_that_it_did_not_speak_of() {
    let mut fixture = Fixture::new();
    for name in ["silent", "spoken"] {
        fixture.backup(name, None);
        fixture.run(name, 1, at(1900), RunState::InProgress, true);
    }
    let mut run = fixture.state.runs.get("spoken-1").unwrap().clone();
    let stage = UploadStage { ended_at: Some(rfc3339(at(3595))), ..UploadStage::default() };
    run.status.as_mut().unwrap().upload = Some(stage);
    fixture.state.runs.put("spoken-1".to_owned(), run);
    fixture.settle();
    fixture.consumer(0, 2, 2);
    fixture.job("upload", "upload-1", failed(at(3600)), "2");
    fixture.now = at(3605);
    let [death] = deaths(&fixture).try_into().unwrap();
    assert_eq!(death.victims, [Victim::Backup { name: "silent".to_owned(), run: Some("silent-1".to_owned()) }]);
    assert!(fixture.ready("silent").unwrap().starts_with("Failed: a Job of the CronJob \"upload\" failed"));
    assert_eq!(fixture.ready("spoken"), None);
}

/// A Restore whose Job failed at one o'clock.
fn failed_restore() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.restore("r", "uid-r", at(60), false);
    fixture.job("restore", "restore-1", failed(at(3600)), "uid-r");
    fixture.now = at(3605);
    fixture
}

#[test]
fn a_restore_that_died_is_announced_and_waits_for_the_next_try() {
    let mut fixture = failed_restore();
    let [death] = deaths(&fixture).try_into().unwrap();
    assert_eq!(death.victims, [Victim::Restore { name: "r".to_owned() }]);
    let status = fixture.told_of_restore("r").unwrap();
    let conditions = status.conditions.as_ref().unwrap();
    assert!(conditions.waits() && conditions.is_true("Blocked"), "{conditions:?}");
    let ready = conditions.get("Ready").unwrap().message.as_deref().unwrap();
    assert!(ready.starts_with("InProgress: a Job of the CronJob \"restore\" failed "), "{ready}");
    assert!(ready.ends_with("; it is tried again until 2026-01-01T01:01:00Z"), "{ready}");
    let tries = conditions.get("Reconciling").unwrap().message.as_deref().unwrap();
    assert!(tries.ends_with("; the next try begins at 2026-01-01T01:00:10Z"), "{tries}");
    fixture.edit_restore("r", |restore| restore.status = Some(status));
    fixture.now = at(3607);
    assert_eq!(fixture.told_of_restore("r"), None, "it is told once");
    assert_eq!(deaths(&fixture).len(), 1, "what dispatch said is no word of the Job");
}

#[test]
fn a_job_that_said_what_a_restore_or_a_backup_waits_for_did_not_die() {
    let mut fixture = failed_restore();
    fixture.edit_restore("r", |restore| {
        let conditions = restore.status.get_or_insert_default().conditions.get_or_insert_default();
        conditions.set_waiting("no Secret", at(3598));
    });
    assert!(deaths(&fixture).is_empty());

    let mut fixture = failed_snapshot();
    fixture.run("daily", 1, at(3000), RunState::InProgress, false);
    fixture.edit("daily", |backup| {
        let conditions = backup.status.get_or_insert_default().conditions.get_or_insert_default();
        conditions.set_waiting("NATS does not answer", at(3598));
    });
    assert!(deaths(&fixture).is_empty(), "though a run was left in the middle before");
}

#[test]
fn a_prune_that_died_is_announced_and_makes_no_backup_failed() {
    let mut fixture = Fixture::new();
    for (name, schedule) in
        [("due", Some("@daily")), ("pruned", Some("@daily")), ("told", Some("@daily")), ("once", None)]
    {
        fixture.backup(name, schedule);
        fixture.run(name, 1, at(1900), RunState::Completed, true);
    }
    fixture.backup("new", Some("@daily"));
    for (name, is_done) in [("pruned", true), ("told", false)] {
        fixture.edit(name, |backup| backup.status = Some(pruned(backup, is_done, "", "", at(3595))));
    }
    fixture.settle();
    fixture.consumer_of("retention-prune", 0, 2, 2);
    fixture.job("retention-prune", "retention-prune-1", failed(at(3600)), "2");
    fixture.now = at(3605);
    let [death] = deaths(&fixture).try_into().unwrap();
    assert_eq!(death.stage, "retention-prune");
    assert_eq!(death.victims, [Victim::Backup { name: "due".to_owned(), run: None }]);
    assert_eq!(fixture.ready("due"), None);

    // A place was away: that is said where it concerns somebody.
    let away = json!({"containerStatuses": [{"name": "retention-prune", "ready": false, "image": "", "imageID": "",
        "restartCount": 0, "state": {"terminated": {"exitCode": 69}}}]});
    fixture.pod("retention-prune-1", &away);
    assert!(deaths(&fixture).is_empty());
}
