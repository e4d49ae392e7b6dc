use drover::resources::{Conditions, Ready, Restore};
use drover::restores;
use serde_json::json;

use super::{Fixture, Outcome, Queue, at, failed};
use crate::runner::decide::Action;
use crate::runner::state::Charge;

#[test]
fn a_restore_that_has_not_run_gets_a_job() {
    for (created, has_ended, expected) in [(60, false, 1), (60, true, 0), (-1, false, 0), (0, false, 1)] {
        let mut fixture = Fixture::new();
        fixture.restore("r", "uid-r", at(created), has_ended);
        assert_eq!(fixture.starts().len(), expected, "made at {created}, ended: {has_ended}");
    }
}

#[test]
fn restores_run_one_after_the_other() {
    let mut fixture = Fixture::new();
    fixture.restore("r", "uid-r", at(60), false);
    fixture.job("restore", "restore-1", Outcome::Active, "uid-r");
    fixture.restore("s", "uid-s", at(70), false);
    assert!(fixture.starts().is_empty());
    fixture.job("restore", "restore-1", Outcome::Completed { at: fixture.now }, "uid-r");
    fixture.restore("r", "uid-r", at(60), true);
    assert_eq!(fixture.starts(), ["restore"], "the other is new");
}

#[test]
fn one_that_waits_is_tried_again_after_a_pause_and_one_that_is_applied_again_at_once() {
    let mut fixture = Fixture::new();
    fixture.restore("r", "uid-1", at(60), false);
    fixture.job("restore", "restore-1", failed(fixture.now), "uid-1");
    assert!(fixture.starts().is_empty());
    fixture.restore("r", "uid-2", at(3590), false);
    assert_eq!(fixture.starts(), ["restore"]);
}

#[test]
fn restores_that_went_well_do_not_make_the_pause_of_the_next_one_longer() {
    let mut fixture = Fixture::new();
    for number in 0..5 {
        let name = format!("restore-{number}");
        fixture.job("restore", &name, Outcome::Completed { at: at(100 + number) }, &format!("uid-{number}"));
        fixture.settle();
    }
    fixture.restore("r", "uid-r", at(3500), false);
    fixture.job("restore", "restore-r", failed(fixture.now), "uid-r");
    fixture.now = at(3609);
    assert!(fixture.starts().is_empty());
    fixture.now = at(3610);
    assert_eq!(fixture.starts(), ["restore"]);
}

#[test]
fn the_job_says_which_restores_it_was_started_for() {
    let mut fixture = Fixture::new();
    fixture.restore("r", "uid-r", at(60), false);
    fixture.restore("s", "uid-s", at(70), false);
    let actions = fixture.decide().actions;
    let Some(Action::Start { manifest, .. }) = actions.first() else { panic!("{actions:?}") };
    assert_eq!(manifest["metadata"]["annotations"]["drover.dev/attempted"], "uid-r,uid-s");
}

#[test]
fn each_that_waits_says_that_the_operator_is_at_work() {
    let mut fixture = Fixture::new();
    fixture.restore("r", "uid-r", at(60), false);
    fixture.restore("old", "uid-old", at(-60), false);
    let (namespace, name) = ("n".to_owned(), "rancher-backup".to_owned());
    fixture.state.charge = Charge::Theirs(drover::coexistence::Operator { namespace, name, replicas: 1 });
    let actions = fixture.decide().actions;
    let [Action::TellRestore { name, wish, .. }] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!(name, "r");
    let status = wish.status(fixture.state.restores.get("r").unwrap(), fixture.now).unwrap();
    let conditions = status.conditions.unwrap();
    assert!(!conditions.is_true("DroverActive") && conditions.get("Ready").is_none(), "{conditions:?}");
}

/// What `Ready` of a Restore is to say.
fn ready(fixture: &Fixture, name: &str) -> Option<String> {
    fixture.told_of_restore(name)?.conditions?.get("Ready")?.message.clone()
}

fn conditions(restore: &mut Restore) -> &mut Conditions {
    restore.status.get_or_insert_default().conditions.get_or_insert_default()
}

#[test]
fn one_whose_time_is_over_gets_a_job_that_says_so_at_once() {
    let mut fixture = Fixture::new();
    fixture.restore("r", "uid-r", at(60), false);
    fixture.job("restore", "restore-1", failed(at(3600)), "uid-r");
    fixture.now = at(3605);
    assert!(fixture.starts().is_empty(), "it pauses");
    fixture.state.announced.insert("uid-restore-1".to_owned());
    fixture.now = at(3659);
    // The pause is over by then, and the same Job is made by whoever decides the same.
    fixture.job("restore", "restore-2", failed(at(3655)), "uid-r");
    assert!(fixture.starts().is_empty(), "it pauses again");
    assert_eq!(fixture.decide().wake, Some(at(3660)));
    fixture.now = at(3660);
    assert_eq!(fixture.starts(), ["restore"]);
    fixture.job("restore", "restore-3", failed(at(3661)), "uid-r.over");
    fixture.now = at(3662);
    assert!(fixture.starts().is_empty(), "once");
}

#[test]
fn one_that_is_edited_while_it_waits_forgets_what_it_waited_for_and_gets_a_job_at_once() {
    let mut fixture = Fixture::new();
    fixture.restore("r", "uid-r", at(60), false);
    fixture.edit_restore("r", |restore| {
        restore.metadata.generation = Some(1);
        conditions(restore).set_waiting("no file \"old.tar.gz\"", at(3595));
        restore.status.as_mut().unwrap().observed_generation = Some(1);
    });
    fixture.job("restore", "restore-1", failed(at(3600)), "uid-r");
    assert_eq!((fixture.starts().len(), ready(&fixture, "r")), (0, None));
    fixture.edit_restore("r", |restore| restore.metadata.generation = Some(2));
    assert_eq!(fixture.starts(), ["restore"]);
    let status = fixture.told_of_restore("r").unwrap();
    let said = status.conditions.as_ref().unwrap().get("Ready").unwrap().message.clone().unwrap();
    assert!(said.starts_with("Pending: it was edited") && !said.contains("old.tar.gz"), "{said}");
    assert_eq!(status.observed_generation, Some(2));
    fixture.edit_restore("r", |restore| restore.status = Some(status));
    fixture.job("restore", "restore-2", failed(at(3601)), "uid-r,uid-r.2");
    assert!(fixture.starts().is_empty());
}

#[test]
fn those_behind_another_name_the_one_before_them_while_a_job_is_at_work() {
    let mut fixture = Fixture::new();
    for (name, created) in [("a", 60), ("b", 70), ("c", 80)] {
        fixture.restore(name, &format!("uid-{name}"), at(created), false);
    }
    fixture.job("restore", "restore-1", Outcome::Active, "uid-a,uid-b,uid-c");
    let running = json!({"containerStatuses": [{"name": "restore", "ready": true, "image": "", "imageID": "",
        "restartCount": 0, "state": {"running": {}}}]});
    fixture.pod("restore-1", &running);
    assert_eq!(ready(&fixture, "b"), None, "nobody is carried out yet");
    fixture.edit_restore("a", |restore| conditions(restore).set_ready(Ready::InProgress, "1 of 3 written", at(3600)));
    let expected = |name: &str| Some(format!("Pending: waits for the Restore {name:?}, which is carried out first"));
    assert_eq!((ready(&fixture, "b"), ready(&fixture, "c")), (expected("a"), expected("b")));
    assert_eq!(ready(&fixture, "a"), None);
    let status = fixture.told_of_restore("b").unwrap();
    fixture.edit_restore("b", |restore| restore.status = Some(status));
    fixture.restore("a", "uid-a", at(60), true);
    fixture.edit_restore("b", |restore| conditions(restore).set_ready(Ready::InProgress, "0 of 3 written", at(3601)));
    let conditions = fixture.told_of_restore("b").unwrap().conditions.unwrap();
    assert!(!conditions.is_true("Blocked") && conditions.is_in_progress(), "{conditions:?}");
}

#[test]
fn one_that_waits_for_nats_says_so_and_when_it_is_tried_again() {
    let mut fixture = Fixture::new();
    fixture.restore("r", "uid-r", at(600), false);
    fixture.state.queue = Queue::Away { reason: "refused".to_owned(), words: "NATS does not answer".to_owned() };
    assert_eq!(ready(&fixture, "r").as_deref(), Some("Pending: NATS does not answer"));
    let status = fixture.told_of_restore("r").unwrap();
    fixture.edit_restore("r", |restore| {
        restore.status = Some(status);
        let written = restore.clone();
        restores::set_waiting(conditions(restore), &written, "NATS does not answer", at(3598));
    });
    fixture.job("restore", "restore-1", failed(at(3600)), "uid-r");
    fixture.now = at(3605);
    let conditions = fixture.told_of_restore("r").unwrap().conditions.unwrap();
    assert!(conditions.waits(), "{conditions:?}");
    let tries = conditions.get("Reconciling").unwrap().message.as_deref();
    let expected = "first tried at 2026-01-01T00:59:58Z; given up at 2026-01-01T01:10:00Z; the next try begins at \
                    2026-01-01T01:00:10Z";
    assert_eq!(tries, Some(expected));
}
