use serde_json::json;

use super::*;

#[test]
fn what_failed_says_so_beside_what_it_says_already() {
    let ended_at = "2026-11-23T02:00:00Z";
    let stage = UploadStage { attempts: 3, refused_tries: 2, ..UploadStage::default() }.failed("away", ended_at);
    let upload = json!({"state": "Failed", "attempts": 3, "refusedTries": 2, "endedAt": ended_at, "reason": "away"});
    let status = BackupRunStatus { upload: Some(stage), ..BackupRunStatus::failed("away", ended_at) };
    let expected = json!({"state": "Failed", "message": "away", "endedAt": ended_at, "upload": upload});
    assert_eq!(json!(status), expected);
    let stage = SnapshotStage { objects: 7, ..SnapshotStage::default() }.failed("away", ended_at);
    let expected = json!({"state": "Failed", "attempts": 0, "objects": 7, "encrypted": 0, "bytes": 0,
        "endedAt": ended_at, "reason": "away"});
    assert_eq!(json!(stage), expected);
}

#[test]
fn an_artifact_is_dropped_once() {
    let artifact = Some(Artifact::new("b", "a".to_owned(), "c".to_owned()));
    let status = BackupRunStatus { artifact, ..BackupRunStatus::in_progress("waits") };
    let dropped = status.with_dropped_artifact("2026-11-23T02:00:00Z".to_owned()).unwrap();
    let artifact = json!({"bucket": "b", "name": "a", "chunks": "c", "droppedAt": "2026-11-23T02:00:00Z"});
    assert_eq!(json!(dropped), json!({"state": "InProgress", "message": "waits", "artifact": artifact}));
    assert_eq!(dropped.with_dropped_artifact("2026-11-24T02:00:00Z".to_owned()), None);
}

#[track_caller]
fn check(refused_tries: i64, state: StageState, was_refused: bool, everywhere: bool) {
    let place = Place {
        name: Place::DEFAULT.to_owned(),
        location: String::new(),
        verified_bytes: 0,
        state,
        verified_at: None,
        reason: None,
    };
    let stage = UploadStage { refused_tries, places: vec![place], ..UploadStage::default() };
    assert_eq!((stage.was_refused(), stage.was_refused_everywhere()), (was_refused, everywhere), "{stage:?}");
}

#[test]
fn an_artifact_is_all_that_there_is_where_every_place_refused_its_archive() {
    check(0, StageState::Failed, false, false);
    check(UploadStage::REFUSED_TRIES - 1, StageState::Failed, false, false);
    check(UploadStage::REFUSED_TRIES, StageState::Failed, true, true);
    check(UploadStage::REFUSED_TRIES, StageState::Completed, true, false);
}
