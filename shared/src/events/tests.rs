use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const RUN: &str = "019aaf00-0000-7000-8000-000000000001";
const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn snapshotted() -> Event {
    let data = Data {
        name: "rancher.daily".to_owned(),
        uid: "u-1".to_owned(),
        run: RUN.parse().expect("a UUID"),
        number: Some(7),
        filename: Some("rancher.daily.tar.gz".to_owned()),
        artifact: Some(Artifact::new("b", "n".to_owned(), "c".to_owned())),
        objects: Some(3),
        bytes: Some(1024),
        sha256: Some(DIGEST.to_owned()),
        ..Data::default()
    };
    Event::new(Kind::BackupSnapshotted, "snapshot", "2026-11-23T06:00:00Z".parse().expect("a time"), data)
}

fn json() -> Value {
    serde_json::from_slice(&snapshotted().encode().expect("an event")).expect("JSON")
}

#[test]
fn an_event_is_a_cloud_event() {
    let expected = json!({
        "specversion": "1.0",
        "id": format!("{RUN}.snapshotted"),
        "source": "drover/snapshot",
        "type": "dev.drover.backup.snapshotted",
        "subject": "rancher.daily",
        "time": "2026-11-23T06:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "name": "rancher.daily", "uid": "u-1", "run": RUN, "number": 7, "filename": "rancher.daily.tar.gz",
            "artifact": {"bucket": "b", "name": "n", "chunks": "c"},
            "objects": 3, "bytes": 1024, "sha256": DIGEST
        }
    });
    assert_eq!(json(), expected);
    assert_eq!(snapshotted().subject(), "drover.backup.snapshotted.rancher=2Edaily");
}

#[test]
fn an_event_comes_back_as_it_was() {
    for kind in Kind::ALL {
        let mut event = snapshotted();
        event.kind = kind;
        assert_eq!(Event::parse(&event.encode().expect("bytes")).expect("an event"), event);
    }
}

#[test]
fn types_and_subjects_are_the_documented_ones() {
    let names: Vec<_> = Kind::ALL.into_iter().map(|kind| (kind.type_name(), kind.subject("x"))).collect();
    for (what, (type_name, subject)) in [
        "backup.started",
        "backup.snapshotted",
        "backup.uploaded",
        "backup.pruned",
        "backup.failed",
        "restore.started",
        "restore.completed",
        "restore.failed",
    ]
    .iter()
    .zip(names)
    {
        assert_eq!((type_name, subject), (format!("dev.drover.{what}"), format!("drover.{what}.x")));
    }
}

#[test]
fn tries_of_two_stages_have_different_ids() {
    let mut event = snapshotted();
    event.kind = Kind::BackupFailed;
    let mut id = |stage: &str, attempt| {
        event.data.stage = Some(stage.to_owned());
        event.data.attempt = Some(attempt);
        event.id()
    };
    assert_eq!(id("snapshot", 1), format!("{RUN}.failed.snapshot.1"));
    assert_eq!(id("upload", 1), format!("{RUN}.failed.upload.1"));
    assert_eq!(id("upload", 2), format!("{RUN}.failed.upload.2"));
}

#[test]
fn fields_that_are_not_known_are_ignored() {
    let mut value = json();
    value["traceparent"] = json!("00-0-0-00");
    value["data"]["later"] = json!({"deep": [1, 2]});
    assert_eq!(Event::parse(value.to_string().as_bytes()).expect("an event"), snapshotted());
}

#[test]
fn a_long_reason_is_cut() {
    let mut event = snapshotted();
    event.data.reason = Some("ü".repeat(100_000));
    let parsed = Event::parse(&event.encode().expect("bytes")).expect("an event");
    assert_eq!(parsed.data.reason, Some("ü".repeat(REASON_LIMIT) + "…"));
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Value), expected: &str) {
    let mut value = json();
    change(&mut value);
    let error = Event::parse(value.to_string().as_bytes()).expect_err("refused");
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(error.exit(), Exit::DataRefused);
}

#[test]
fn what_is_no_event_of_ours_is_refused() {
    check_refused(|value| value["specversion"] = json!("2.0"), "specversion \"2.0\"");
    check_refused(|value| value["type"] = json!("dev.drover.backup.eaten"), "type \"dev.drover.backup.eaten\"");
    check_refused(|value| value["id"] = json!("else"), "id \"else\"");
    check_refused(|value| value["data"]["name"] = json!(""), "the name has 0 bytes");
    check_refused(|value| value["data"]["name"] = json!("n".repeat(254)), "the name has 254 bytes");
    check_refused(|value| value["data"]["sha256"] = json!("../../etc"), "no SHA-256");
    check_refused(|value| value["data"]["run"] = json!("../x"), "no CloudEvent");
    check_refused(|value| value["data"]["bytes"] = json!(-1), "no CloudEvent");
    check_refused(|value| value["time"] = json!("yesterday"), "no CloudEvent");
    check_refused(|value| value["data"] = Value::Null, "no CloudEvent");
    check_refused(|value| value["data"]["reason"] = json!("r".repeat(SIZE_LIMIT)), "more than");
}

#[test]
fn an_event_without_a_name_is_not_sent() {
    let mut event = snapshotted();
    event.data.name.clear();
    assert!(matches!(event.encode(), Err(EventError::Name { length: 0 })));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Event::parse(&bytes).is_err());
    }

    #[test]
    fn no_nesting_makes_the_reader_fall_over(depth in 1_usize..30_000) {
        let mut value = json().to_string();
        value.insert_str(1, &format!("\"x\":{}{},", "[".repeat(depth), "]".repeat(depth)));
        let _ = Event::parse(value.as_bytes());
    }
}
