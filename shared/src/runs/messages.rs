use super::status_of;
use crate::clock;
use crate::events::{Data, Event, Kind};
use crate::resources::{BackupRun, Place};

/// The event that `job` publishes about a run, with what the run's record says.
#[must_use]
pub fn event(kind: Kind, job: &str, run: &BackupRun) -> Event {
    let status = status_of(run);
    let snapshot = status.snapshot.clone().unwrap_or_default();
    let places = status.upload.as_ref().map(|stage| stage.places.clone()).unwrap_or_default();
    let count = |count: i64| u64::try_from(count).ok().filter(|count| *count > 0);
    let data = Data {
        name: run.spec.backup.clone(),
        uid: run.spec.backup_uid.clone(),
        run: run.spec.id,
        number: Some(run.spec.number),
        filename: Some(run.spec.filename.clone()),
        artifact: status.waiting_artifact().cloned(),
        objects: count(snapshot.objects),
        bytes: count(snapshot.bytes),
        sha256: snapshot.sha256,
        places: places.into_iter().filter(Place::is_verified).map(|place| place.location).collect(),
        started_at: Some(run.spec.started_at.clone()),
        ..Data::default()
    };
    Event::new(kind, job, clock::now(), data)
}

/// The event that the stage `job` of a run failed at its try number `attempt`.
#[must_use]
pub fn failed_event(job: &str, run: &BackupRun, attempt: i64, reason: &str) -> Event {
    let mut event = event(Kind::BackupFailed, job, run);
    event.data.stage = Some(job.to_owned());
    event.data.attempt = Some(attempt);
    event.data.reason = Some(reason.to_owned());
    event
}
