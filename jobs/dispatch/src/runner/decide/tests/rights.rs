use drover::resources::RunState;

use super::{Fixture, at, failed};

const RIGHT: &str = "get things.by-name.example.io";

/// A run that failed for the lack of a right, and its Job.
fn lacking(fixture: &mut Fixture, number: i64, ended: i64, attempted: &str) {
    fixture.run("once", number, at(ended), RunState::Failed, false);
    let name = format!("once-{number}");
    let mut run = fixture.state.runs.get(&name).unwrap().clone();
    run.status.as_mut().unwrap().snapshot.as_mut().unwrap().missing_right = Some(RIGHT.to_owned());
    fixture.state.runs.put(name.clone(), run);
    fixture.job("once", &name, failed(at(ended)), attempted);
    fixture.now = at(ended + 1);
    fixture.settle();
}

#[test]
fn a_snapshot_that_lacked_a_right_is_tried_again_once_as_soon_as_that_is_there() {
    let mut fixture = Fixture::new();
    fixture.backup("once", None);
    fixture.settle();
    lacking(&mut fixture, 1, 3600, "1");
    fixture.state.given.insert("list things.by-name.example.io".to_owned());
    assert!(fixture.starts().is_empty(), "it pauses");
    fixture.state.given.insert(RIGHT.to_owned());
    assert_eq!(fixture.starts(), ["once"]);

    lacking(&mut fixture, 2, 3603, &format!("1,{RIGHT}"));
    assert!(fixture.starts().is_empty(), "another server refuses");
    fixture.now = at(3623);
    assert_eq!(fixture.starts(), ["once"]);
}

#[test]
fn a_right_is_no_news_to_what_failed_for_another_cause() {
    let mut fixture = Fixture::new();
    fixture.backup("once", None);
    fixture.settle();
    lacking(&mut fixture, 1, 3600, "1");
    fixture.run("once", 2, at(3601), RunState::Failed, false);
    fixture.state.given.insert(RIGHT.to_owned());
    assert!(fixture.starts().is_empty());
}
