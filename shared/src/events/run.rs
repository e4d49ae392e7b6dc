//! The events of a run of a Backup, made from its record.

use super::{Data, Event, Kind};
use crate::clock;
use crate::resources::BackupRun;

impl Event {
    /// The run began.
    #[must_use]
    pub fn backup_started(run: &BackupRun) -> Self {
        let attempt = run.status.as_ref().and_then(|status| Some(status.snapshot.as_ref()?.attempts));
        // Of the tries of one stage each one begins; the first needs no number to be told from those of other runs.
        let data = Data { attempt: attempt.filter(|attempt| *attempt > 1), ..data(run) };
        Self::new(Kind::BackupStarted, "snapshot", clock::now(), data)
    }

    /// The run's archive lies in the object store. The event is the same whenever it is made from one record, but for
    /// its time, so that it can be published again.
    #[must_use]
    pub fn backup_snapshotted(run: &BackupRun) -> Self {
        Self::new(Kind::BackupSnapshotted, "snapshot", clock::now(), data(run))
    }

    /// The run's archive lies at its places and was read back.
    #[must_use]
    pub fn backup_uploaded(run: &BackupRun) -> Self {
        let upload = run.status.as_ref().and_then(|status| status.upload.as_ref());
        let places = upload.map(|upload| upload.places.iter().map(|place| place.location.clone()).collect());
        let data = Data { places: places.unwrap_or_default(), artifact: None, ..data(run) };
        Self::new(Kind::BackupUploaded, "upload", clock::now(), data)
    }

    /// A try of a stage failed.
    #[must_use]
    pub fn backup_failed(run: &BackupRun, stage: &str, attempt: i64, reason: &str) -> Self {
        let data = Data {
            stage: Some(stage.to_owned()),
            attempt: Some(attempt),
            reason: Some(reason.to_owned()),
            ..data(run)
        };
        Self::new(Kind::BackupFailed, stage, clock::now(), data)
    }
}

/// What all events of a run say.
fn data(run: &BackupRun) -> Data {
    let (spec, status) = (&run.spec, run.status.as_ref());
    let snapshot = status.and_then(|status| status.snapshot.as_ref()).filter(|snapshot| snapshot.sha256.is_some());
    Data {
        name: spec.backup.clone(),
        uid: spec.backup_uid.clone(),
        run: spec.id,
        number: Some(spec.number),
        filename: Some(spec.filename.clone()),
        started_at: Some(spec.started_at.clone()),
        artifact: status.and_then(|status| status.artifact.clone()),
        objects: snapshot.and_then(|snapshot| u64::try_from(snapshot.objects).ok()),
        bytes: snapshot.and_then(|snapshot| u64::try_from(snapshot.bytes).ok()),
        sha256: snapshot.and_then(|snapshot| snapshot.sha256.clone()),
        ..Data::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(status: &Value) -> BackupRun {
        let run = json!({
            "metadata": {"name": "daily-7"},
            "spec": {
                "backup": "daily", "backupUid": "u-1", "generation": 1, "id": "019aaf00-0000-7000-8000-000000000001",
                "number": 7, "trigger": {"kind": "Schedule", "by": "snapshot-1"}, "startedAt": "2026-11-23T06:00:00Z",
                "filename": "daily.tar.gz"
            },
            "status": status
        });
        serde_json::from_value(run).expect("a run")
    }

    fn whole() -> BackupRun {
        run(&json!({
            "state": "InProgress",
            "artifact": {"bucket": "b", "name": "n", "chunks": "c"},
            "snapshot": {"state": "Completed", "attempts": 2, "objects": 3, "bytes": 9, "sha256": "0".repeat(64)},
            "upload": {"places": [{"name": "default", "location": "s3://bucket/daily.tar.gz", "verifiedBytes": 9}]}
        }))
    }

    #[test]
    fn an_event_says_what_the_record_says() {
        let event = Event::backup_snapshotted(&whole());
        assert_eq!(event.subject(), "drover.backup.snapshotted.daily");
        assert_eq!(event.id(), "019aaf00-0000-7000-8000-000000000001.snapshotted");
        assert_eq!((event.data.objects, event.data.bytes, event.data.number), (Some(3), Some(9), Some(7)));
        assert_eq!(event.data.artifact.as_ref().map(|artifact| artifact.name.as_str()), Some("n"));
        assert_eq!(Event::parse(&event.encode().expect("bytes")).expect("an event").data, event.data);
    }

    #[test]
    fn an_uploaded_archive_is_at_its_places_and_no_artifact_any_more() {
        let event = Event::backup_uploaded(&whole());
        assert_eq!((event.data.places, event.data.artifact), (vec!["s3://bucket/daily.tar.gz".to_owned()], None));
    }

    #[test]
    fn each_try_has_an_id_of_its_own() {
        let (first, second) = (json!({"snapshot": {"attempts": 1}}), json!({"snapshot": {"attempts": 2}}));
        assert_ne!(Event::backup_started(&run(&first)).id(), Event::backup_started(&run(&second)).id());
        let failed = |attempt| Event::backup_failed(&whole(), "upload", attempt, "no").id();
        assert_ne!(failed(1), failed(2));
    }

    #[test]
    fn counts_of_a_snapshot_that_is_not_done_are_not_told() {
        let data = Event::backup_started(&run(&json!({"snapshot": {"attempts": 1, "objects": 3, "bytes": 9}}))).data;
        assert_eq!((data.objects, data.bytes, data.sha256), (None, None, None));
    }
}
