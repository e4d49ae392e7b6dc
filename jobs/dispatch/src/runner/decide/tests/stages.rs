use std::collections::BTreeSet;

use drover::queue::Survey;
use drover::resources::RunState;
use jiff::SignedDuration;

use super::{Fixture, Outcome, at, failed};
use crate::runner::decide::Action;
use crate::runner::state::{Charge, Known, Queue};

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

#[test]
fn a_consumer_with_work_gets_one_job() {
    for (pending, in_flight, expected) in [(0, 0, 0), (1, 0, 1), (0, 1, 1), (3, 2, 1)] {
        let mut fixture = Fixture::new();
        fixture.consumer(pending, in_flight, 7);
        assert_eq!(fixture.starts().len(), expected, "{pending} pending, {in_flight} in flight");
        fixture.job("upload", "by-hand", Outcome::Active, "");
        assert!(fixture.starts().is_empty(), "a Job is at work");
    }
}

#[test]
fn the_job_of_a_consumer_drains_only_and_carries_the_work_it_was_started_for() {
    let mut fixture = Fixture::new();
    fixture.consumer(1, 0, 7);
    let first = fixture.decide().actions;
    assert_eq!(first, fixture.decide().actions, "whoever decides it decides the same");
    let [Action::Start { manifest, .. }] = first.as_slice() else { panic!("{first:?}") };
    let container = &manifest["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], serde_json::json!(["--drain-only"]));
    assert_eq!(manifest["metadata"]["annotations"]["drover.dev/attempted"], "7");
}

#[test]
fn archives_that_may_have_expired_get_a_job_that_drains_only() {
    let mut fixture = Fixture::new();
    fixture.consumer_of("retention-prune", 2, 0, 2);
    let [Action::Start { cron_job, manifest, .. }] = &fixture.decide().actions[..] else {
        panic!("{:?}", fixture.decide())
    };
    assert_eq!(cron_job, "retention-prune");
    assert_eq!(manifest["spec"]["template"]["spec"]["containers"][0]["args"], serde_json::json!(["--drain-only"]));
}

#[test]
fn an_archive_that_waits_without_a_message_gets_a_whole_job_once_its_message_is_missed() {
    let mut fixture = Fixture::new();
    fixture.backup("daily", None);
    fixture.run("daily", 1, at(3600), RunState::InProgress, true);
    fixture.settle();
    fixture.now = at(3629);
    assert!(fixture.starts().is_empty(), "its message may be on its way");
    assert_eq!(fixture.decide().wake, Some(at(3630)));
    fixture.now = at(3630);
    let [Action::Start { manifest, .. }] = &fixture.decide().actions[..] else { panic!("{:?}", fixture.decide()) };
    assert!(manifest["spec"]["template"]["spec"]["containers"][0]["args"].is_null(), "{manifest}");

    fixture.job("upload", "upload-1", Outcome::Completed { at: fixture.now }, &attempted(manifest));
    fixture.settle();
    assert!(fixture.starts().is_empty(), "it did not help, and is tried again later");
    fixture.now = at(3640);
    assert_eq!(fixture.starts(), ["upload"]);
    fixture.consumer(1, 0, 1);
    let [Action::Start { manifest, .. }, ..] = &fixture.decide().actions[..] else { panic!("{:?}", fixture.decide()) };
    let container = &manifest["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], serde_json::json!(["--drain-only"]), "its message is there again");
}

fn attempted(manifest: &serde_json::Value) -> String {
    manifest["metadata"]["annotations"]["drover.dev/attempted"].as_str().unwrap().to_owned()
}

#[test]
fn the_pause_grows_until_it_is_a_quarter_of_an_hour() {
    let mut fixture = Fixture::new();
    fixture.consumer(0, 1, 7);
    for (number, pause) in [10, 20, 40, 80, 160, 320, 640, 900, 900].into_iter().enumerate() {
        assert_eq!(fixture.starts(), ["upload"], "try {number}");
        fixture.job("upload", &format!("upload-{number}"), failed(fixture.now), "7");
        fixture.settle();
        let ended = fixture.now;
        for (passed, is_started) in [(0, false), (pause - 1, false), (pause, true)] {
            fixture.now = ended + seconds(passed);
            assert_eq!(!fixture.starts().is_empty(), is_started, "{passed} s after try {number}");
        }
    }
}

#[test]
fn the_pause_outlives_the_jobs_and_the_process() {
    let mut fixture = Fixture::new();
    fixture.consumer(0, 1, 7);
    fixture.job("upload", "upload-1", failed(fixture.now), "7");
    fixture.settle();
    let annotations = &fixture.state.cron_jobs.get("upload").unwrap().annotations;
    assert_eq!(annotations["drover.dev/attempts"], "1");
    assert_eq!(annotations["drover.dev/next-attempt"], "2026-01-01T01:00:10Z");
    fixture.state.jobs.remove("upload-1");
    assert!(fixture.starts().is_empty());
    assert_eq!(fixture.decide().wake, Some(at(3610)));
}

#[test]
fn a_pause_that_a_clock_days_ahead_noted_is_none() {
    let mut fixture = Fixture::new();
    fixture.consumer(0, 1, 7);
    let ahead = fixture.now + seconds(3 * 86_400);
    let mut cron_job = fixture.state.cron_jobs.get("upload").unwrap().clone();
    let counted = format!("{ahead}/uid-upload-0");
    let noted = [("attempts", "3"), ("next-attempt", &ahead.to_string()), ("counted", &counted), ("attempted", "7")];
    cron_job.annotations.extend(noted.map(|(name, text)| (format!("drover.dev/{name}"), text.to_owned())));
    fixture.state.cron_jobs.put("upload".to_owned(), cron_job);
    assert_eq!(fixture.starts(), ["upload"]);
    // What ends now counts, although the noted end is later.
    fixture.job("upload", "upload-1", failed(fixture.now), "7");
    fixture.settle();
    let annotations = &fixture.state.cron_jobs.get("upload").unwrap().annotations;
    assert_eq!(annotations["drover.dev/attempts"], "1");
    assert_eq!(annotations["drover.dev/next-attempt"], "2026-01-01T01:00:10Z");
}

#[test]
fn a_new_message_starts_a_job_at_once() {
    let mut fixture = Fixture::new();
    fixture.consumer(0, 1, 7);
    fixture.job("upload", "upload-1", failed(fixture.now), "7");
    assert!(fixture.starts().is_empty());
    fixture.consumer(1, 1, 8);
    assert_eq!(fixture.starts(), ["upload"]);
}

#[test]
fn success_ends_the_pause() {
    let mut fixture = Fixture::new();
    fixture.consumer(0, 1, 7);
    fixture.job("upload", "upload-1", failed(fixture.now), "7");
    fixture.settle();
    fixture.now = at(3700);
    fixture.job("upload", "upload-2", Outcome::Completed { at: at(3700) }, "7");
    fixture.consumer(0, 0, 7);
    fixture.settle();
    let annotations = &fixture.state.cron_jobs.get("upload").unwrap().annotations;
    let left: Vec<_> = annotations.keys().filter(|name| *name != "drover.dev/consumer").collect();
    assert_eq!(left, ["drover.dev/counted"]);
    assert!(fixture.decide().actions.is_empty(), "{:?}", fixture.decide());
}

#[test]
fn what_the_queue_said_before_a_job_ended_is_out_of_date() {
    let mut fixture = Fixture::new();
    fixture.consumer(0, 1, 7);
    fixture.state.ends += 1;
    assert!(fixture.starts().is_empty());
    fixture.state.queue = Queue::Away { reason: "no".to_owned(), words: String::new() };
    assert!(fixture.starts().is_empty());
}

#[test]
fn what_is_missing_in_the_queue_is_set_up_at_once_and_once() {
    let mut fixture = Fixture::new();
    let survey = |missing: &[&str]| {
        let missing = missing.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        Queue::Known(Known { survey: Survey { missing, ..Survey::default() }, ends: 0 })
    };
    fixture.state.queue = survey(&["stream DROVER"]);
    assert_eq!(fixture.starts(), ["setup"]);
    fixture.job("setup", "setup-1", Outcome::Completed { at: fixture.now }, "stream DROVER");
    assert!(fixture.starts().is_empty(), "it did not help, and is tried again later");
    fixture.now = at(3610);
    assert_eq!(fixture.starts(), ["setup"]);
    fixture.state.queue = survey(&[]);
    fixture.settle();
    fixture.state.queue = survey(&["stream DROVER"]);
    assert_eq!(fixture.starts(), ["setup"], "it was lost again");
}

#[test]
fn the_scheduled_jobs_of_the_setup_are_no_tries() {
    let mut fixture = Fixture::new();
    fixture.job("setup", "setup-1", Outcome::Completed { at: fixture.now }, "");
    let mut job = fixture.state.jobs.get("setup-1").unwrap().clone();
    job.is_ours = false;
    fixture.state.jobs.put("setup-1".to_owned(), job);
    assert!(fixture.decide().actions.is_empty());
}

#[test]
fn while_the_operator_is_at_work_nothing_is_started() {
    let mut fixture = Fixture::new();
    fixture.consumer(1, 0, 1);
    let (namespace, name) = ("n".to_owned(), "rancher-backup".to_owned());
    fixture.state.charge = Charge::Theirs(drover::coexistence::Operator { namespace, name, replicas: 1 });
    assert!(fixture.starts().is_empty());
}

#[test]
fn what_the_api_server_refuses_is_tried_again_after_a_pause() {
    let mut fixture = Fixture::new();
    fixture.consumer(1, 0, 1);
    fixture.state.refuse("upload", "denied".to_owned(), fixture.now);
    assert!(fixture.starts().is_empty());
    fixture.now = at(3610);
    assert_eq!(fixture.starts(), ["upload"]);
}
