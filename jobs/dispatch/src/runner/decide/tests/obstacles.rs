use drover::annotations::ALLOW_ANNOTATION;
use drover::conditions::WHOLE;
use drover::resources::{BackupStatus, ConditionStatus, Conditions, Losses, Ready, RunState};
use drover::runs::report::inspected;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{Fixture, Outcome, Queue, at, failed};
use crate::runner::decide::Action;

/// A Backup whose Job is there.
fn blocked() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.settle();
    fixture.job("daily", "daily-1", Outcome::Active, "1");
    fixture
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"containerStatuses": [{"name": "snapshot", "ready": false, "image": "", "imageID": "", "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}}}]})
}

#[test]
fn what_keeps_a_pod_from_being_made_is_told() {
    let mut fixture = blocked();
    fixture.event("uid-daily-1", "FailedCreate", "Error creating: pods is forbidden: exceeded quota: none");
    let expected =
        "Pending: its Job gets no pod: FailedCreate: Error creating: pods is forbidden: exceeded quota: none";
    assert_eq!(fixture.ready("daily").as_deref(), Some(expected));
}

#[test]
fn what_keeps_a_pod_from_running_is_told() {
    let mut fixture = blocked();
    fixture.pod("daily-1", &waiting("ErrImagePull", "not found"));
    let expected = "Pending: the container \"snapshot\" does not start: ErrImagePull: not found";
    assert_eq!(fixture.ready("daily").as_deref(), Some(expected));
    fixture.pod("daily-1", &waiting("ContainerCreating", ""));
    fixture.event("uid-daily-1-x", "FailedMount", "secret \"nats-snapshot\" not found");
    let expected = "Pending: its pod does not start: FailedMount: secret \"nats-snapshot\" not found";
    assert_eq!(fixture.ready("daily").as_deref(), Some(expected));
}

#[test]
fn what_kept_the_pod_of_an_earlier_job_of_the_same_name_is_not_told() {
    let mut fixture = blocked();
    fixture.pod("daily-1", &waiting("ErrImagePull", "not found"));
    let mut job = fixture.state.jobs.get("daily-1").unwrap().clone();
    job.uid = "another".to_owned();
    fixture.state.jobs.put("daily-1".to_owned(), job);
    assert_eq!(fixture.ready("daily"), None);
}

#[test]
fn a_pod_that_is_slow_is_told_after_a_while() {
    let mut fixture = blocked();
    fixture.pod("daily-1", &json!({"phase": "Pending"}));
    assert_eq!(fixture.ready("daily"), None);
    assert_eq!(fixture.decide().wake, Some(at(3645)));
    fixture.now = at(3645);
    assert!(fixture.ready("daily").unwrap().contains("has not begun after 45 s"));
    fixture.state.pods.remove("daily-1-x");
    assert!(fixture.ready("daily").unwrap().contains("has no pod yet"));
}

#[test]
fn it_is_taken_back_when_the_pod_runs_and_what_a_job_said_stays() {
    let mut fixture = blocked();
    fixture.run("daily", 1, at(100), RunState::Completed, true);
    fixture.pod("daily-1", &waiting("ErrImagePull", "not found"));
    let status = fixture.told("daily").unwrap();
    fixture.edit("daily", |backup| backup.status = Some(status));
    let running = json!({"containerStatuses": [{"name": "snapshot", "ready": true, "image": "", "imageID": "",
        "restartCount": 0, "state": {"running": {}}}]});
    fixture.pod("daily-1", &running);
    let conditions = fixture.told("daily").unwrap().conditions.unwrap();
    assert!(!conditions.is_true("Blocked"));
    assert_eq!(fixture.ready("daily").as_deref(), Some("Completed"), "as its last run left it");

    fixture.edit("daily", |backup| {
        let conditions: &mut Conditions = backup.status.as_mut().unwrap().conditions.as_mut().unwrap();
        conditions.set_ready(Ready::InProgress, "taking the snapshot", at(3600));
    });
    assert_eq!(fixture.ready("daily").as_deref(), Some("InProgress: taking the snapshot"));
}

fn of_status(fixture: &mut Fixture, change: impl FnOnce(BackupStatus) -> BackupStatus) {
    fixture.edit("daily", |backup| backup.status = Some(change(backup.status.take().unwrap_or_default())));
}

#[test]
fn a_damaged_archive_is_told_through_an_obstacle_and_after_it() {
    let damaged = "Failed: it has 8 bytes";
    let mut fixture = blocked();
    fixture.run("daily", 1, at(100), RunState::Completed, true);
    of_status(&mut fixture, |mut status| {
        status.conditions.get_or_insert_default().set_ready(Ready::Completed, "", at(200));
        inspected(status, "a", "it has 8 bytes", at(300))
    });
    fixture.pod("daily-1", &waiting("ErrImagePull", "not found"));
    let status = fixture.told("daily").unwrap();
    assert!(status.conditions.as_ref().unwrap().is_true("Blocked"));
    assert_eq!(fixture.ready("daily").as_deref(), Some(damaged));

    // It is found while something is in the way.
    let mut fixture = blocked();
    fixture.run("daily", 1, at(100), RunState::Completed, true);
    fixture.pod("daily-1", &waiting("ErrImagePull", "not found"));
    let status = fixture.told("daily").unwrap();
    of_status(&mut fixture, |_| inspected(status, "a", "it has 8 bytes", at(3600)));
    let running = json!({"containerStatuses": [{"name": "snapshot", "ready": true, "image": "", "imageID": "",
        "restartCount": 0, "state": {"running": {}}}]});
    fixture.pod("daily-1", &running);
    assert_eq!(fixture.ready("daily").as_deref(), Some(damaged));
    let status = fixture.told("daily").unwrap();
    of_status(&mut fixture, |_| inspected(status, "a", "", at(3700)));
    let conditions = fixture.state.backups.get("daily").unwrap().status.as_ref().unwrap().conditions.as_ref().unwrap();
    assert!(conditions.is_true("Ready"), "{conditions:?}");
}

#[test]
fn what_the_upload_waits_for_is_told_on_the_backups_that_wait_for_it() {
    let mut fixture = Fixture::new();
    for (name, state) in [("waits", RunState::InProgress), ("done", RunState::Completed)] {
        fixture.backup(name, None);
        fixture.run(name, 1, at(1900), state, true);
    }
    fixture.settle();
    fixture.consumer(1, 0, 1);
    fixture.job("upload", "upload-1", Outcome::Active, "1");
    fixture.pod("upload-1", &waiting("ImagePullBackOff", "no"));
    assert!(fixture.ready("waits").unwrap().contains("does not start: ImagePullBackOff: no"));
    assert_eq!(fixture.ready("done"), None);
}

#[test]
fn what_the_api_server_refuses_is_told() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", None);
    fixture.settle();
    fixture.state.refuse("daily", "its Job was refused: denied".to_owned(), fixture.now);
    assert_eq!(fixture.ready("daily").as_deref(), Some("Pending: its Job was refused: denied"));
}

#[test]
fn a_cron_job_that_makes_no_job_is_told_until_it_makes_one() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.run("daily", 1, at(1900), RunState::Completed, true);
    fixture.settle();
    fixture.event("uid-cron-daily", "FailedCreate", "Error creating job: denied");
    assert!(fixture.ready("daily").unwrap().contains("makes no Job: FailedCreate: Error creating job: denied"));
    fixture.now = at(3700);
    fixture.job("daily", "daily-2", Outcome::Completed { at: at(3720) }, "");
    assert_eq!(fixture.ready("daily"), None);
}

#[test]
fn what_is_told_of_one_job_is_told_of_the_next_in_the_same_words() {
    let told = ["daily-1", "daily-2"].map(|job| {
        let mut fixture = blocked();
        fixture.state.jobs.remove("daily-1");
        fixture.job("daily", job, Outcome::Active, "1");
        let forbidden = format!("Error creating: pods \"{job}-\" is forbidden: exceeded quota");
        fixture.event(&format!("uid-{job}"), "FailedCreate", &forbidden);
        fixture.ready("daily").unwrap()
    });
    assert!(told[0] == told[1] && told[0].ends_with("pods \"daily\" is forbidden: exceeded quota"), "{told:?}");
}

#[test]
fn a_job_of_before_that_has_not_begun_is_told_before_it_is_slow() {
    let mut fixture = blocked();
    fixture.pod("daily-1", &waiting("ContainerCreating", ""));
    assert_eq!(fixture.ready("daily"), None, "it is what its CronJob says");
    let mut job = fixture.state.jobs.get("daily-1").unwrap().clone();
    job.pod = "another".to_owned();
    fixture.state.jobs.put("daily-1".to_owned(), job);
    let ready = fixture.ready("daily").unwrap();
    assert!(ready.contains("made before the CronJob \"daily\" was changed has not begun"), "{ready}");
}

fn nats_away(fixture: &mut Fixture) {
    let words = "NATS at nats://nats:4222 does not answer".to_owned();
    fixture.state.queue = Queue::Away { reason: "connection refused".to_owned(), words };
}

#[test]
fn what_needs_nats_says_that_it_is_away_and_nothing_else_does() {
    let mut fixture = Fixture::new();
    for (name, state) in [("waits", RunState::InProgress), ("done", RunState::Completed)] {
        fixture.backup(name, None);
        fixture.run(name, 1, at(1900), state, true);
    }
    fixture.backup("due", None);
    fixture.settle();
    nats_away(&mut fixture);
    let expected = Some("Pending: NATS at nats://nats:4222 does not answer".to_owned());
    assert_eq!((fixture.ready("waits"), fixture.ready("due")), (expected.clone(), expected));
    assert_eq!(fixture.ready("done"), None);
}

#[test]
fn what_a_job_says_of_nats_that_is_away_stays_until_it_answers() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", None);
    fixture.settle();
    nats_away(&mut fixture);
    let status = fixture.told("daily").unwrap();
    of_status(&mut fixture, |_| status);
    of_status(&mut fixture, |mut status| {
        let conditions = status.conditions.get_or_insert_default();
        conditions.set_waiting("NATS at nats://nats:4222 does not answer", at(3598));
        status
    });
    for outcome in [Outcome::Active, failed(at(3600))] {
        fixture.job("daily", "daily-1", outcome, "1");
        fixture.now = at(3605);
        assert_eq!(fixture.ready("daily"), None, "neither taken back nor told in other words");
    }
    fixture.consumer(0, 0, 0);
    let again = "InProgress: nothing stands in its way any more; it is tried again";
    assert_eq!(fixture.ready("daily").as_deref(), Some(again));
    let status = fixture.told("daily").unwrap();
    of_status(&mut fixture, |_| status);
    assert_eq!(fixture.ready("daily"), None, "the Job has spoken all the same");
}

#[test]
fn an_annotation_that_nobody_knows_is_told_and_starts_nothing() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.edit("daily", |backup| drop(backup.annotations_mut().insert("drover.dev/alow".to_owned(), String::new())));
    fixture.settle();
    let ready = fixture.ready("daily").unwrap();
    assert!(ready.starts_with("Failed: ") && ready.contains("the nearest there: \"drover.dev/allow\""), "{ready}");
    assert!(fixture.starts().is_empty());
    fixture.edit("daily", |backup| backup.annotations_mut().clear());
    fixture.settle();
    assert_eq!(fixture.starts(), ["daily"]);
}

#[test]
fn what_failed_says_when_it_is_tried_again() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", None);
    fixture.settle();
    of_status(&mut fixture, |mut status| {
        let conditions = status.conditions.get_or_insert_default();
        conditions.set_ready(Ready::Failed, "no ResourceSet", at(3598));
        conditions.set("Reconciling", ConditionStatus::True, "Failed", "snapshot", at(3598));
        status
    });
    fixture.job("daily", "daily-1", failed(at(3600)), "1");
    fixture.now = at(3605);
    let tries = |fixture: &Fixture| {
        let status = fixture.told("daily").or(fixture.state.backups.get("daily").unwrap().status.clone()).unwrap();
        status.conditions.unwrap().get("Reconciling").unwrap().message.clone().unwrap()
    };
    let expected = "snapshot; the next try begins at 2026-01-01T01:00:10Z";
    assert_eq!(tries(&fixture), expected);
    let status = fixture.told("daily").unwrap();
    of_status(&mut fixture, |_| status);
    fixture.now = at(3607);
    assert_eq!(fixture.told("daily"), None, "it is told once");
}

/// An upload that waits for an image, and a CronJob that has another one by now.
fn left_over() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.consumer(1, 0, 1);
    fixture.job("upload", "upload-1", Outcome::Active, "1");
    fixture.pod("upload-1", &waiting("ImagePullBackOff", "no"));
    assert!(fixture.decide().actions.is_empty(), "it is what its CronJob says: {:?}", fixture.decide());
    fixture.stage("upload", 2);
    fixture
}

#[test]
fn a_job_that_cannot_start_and_is_not_what_its_cron_job_says_makes_room_for_one_that_is() {
    let fixture = left_over();
    let [Action::Delete { name, uid }, Action::Start { cron_job, manifest, .. }] = &fixture.decide().actions[..] else {
        panic!("{:?}", fixture.decide())
    };
    assert_eq!((name.as_str(), uid.as_str(), cron_job.as_str()), ("upload-1", "uid-upload-1", "upload"));
    assert_eq!(manifest["spec"]["template"]["spec"]["containers"][0]["image"], "drover:2");
}

#[test]
fn a_job_of_another_template_that_may_yet_start_or_is_at_work_is_left_alone() {
    let mut fixture = left_over();
    let running = json!({"containerStatuses": [{"name": "snapshot", "ready": true, "image": "", "imageID": "",
        "restartCount": 0, "state": {"running": {}}}]});
    for status in [waiting("ContainerCreating", ""), json!({"phase": "Pending"}), running] {
        fixture.pod("upload-1", &status);
        assert!(fixture.decide().actions.is_empty(), "{status}: {:?}", fixture.decide());
    }
    fixture.pod("upload-1", &json!({"phase": "Pending"}));
    fixture.now = at(3645);
    assert_eq!(fixture.starts(), ["upload"], "it took too long to begin");
}

#[test]
fn a_job_by_hand_that_cannot_start_is_in_nobodys_way_and_stays() {
    let mut fixture = left_over();
    let mut job = fixture.state.jobs.get("upload-1").unwrap().clone();
    job.is_by_hand = true;
    fixture.state.jobs.put("upload-1".to_owned(), job);
    let [Action::Start { .. }] = &fixture.decide().actions[..] else { panic!("{:?}", fixture.decide()) };
}

#[test]
fn a_scheduled_job_that_cannot_start_goes_also_where_there_is_no_work() {
    let mut fixture = left_over();
    fixture.consumer(0, 0, 1);
    let [Action::Delete { .. }] = &fixture.decide().actions[..] else { panic!("{:?}", fixture.decide()) };
}

#[test]
fn that_a_loss_was_confirmed_is_told_at_once() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", Some("@daily"));
    fixture.run("daily", 1, at(1900), RunState::Completed, true);
    let losses = Losses { kept: "a".to_owned(), confirmation: "loss-1".to_owned(), ..Losses::default() };
    let mut run = fixture.state.runs.get("daily-1").unwrap().clone();
    run.status.as_mut().unwrap().snapshot.as_mut().unwrap().losses = vec![losses];
    fixture.state.runs.put("daily-1".to_owned(), run);
    of_status(&mut fixture, |mut status| {
        let conditions = status.conditions.get_or_insert_default();
        conditions.set(WHOLE, ConditionStatus::False, "ObjectsLost", "drover.dev/allow=loss-1", at(2000));
        status
    });
    fixture.settle();
    let is_whole = |fixture: &Fixture| {
        let status = fixture.told("daily").or(fixture.state.backups.get("daily").unwrap().status.clone());
        status.unwrap().conditions.unwrap().is_true(WHOLE)
    };
    assert!(!is_whole(&fixture));
    fixture.edit("daily", |backup| {
        backup.annotations_mut().insert(ALLOW_ANNOTATION.to_owned(), "loss-1".to_owned());
    });
    assert!(is_whole(&fixture));
}
