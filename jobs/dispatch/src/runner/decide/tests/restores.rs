use super::{Fixture, Outcome, at, failed};
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
