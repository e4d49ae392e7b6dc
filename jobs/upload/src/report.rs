//! What an upload tells about itself: the run's record, the Backup's status, its Events, and the messages.

use drover::events::Kind;
use drover::exit::{Exit, Failure};
use drover::resources::{Artifact, Backup, BackupRun, BackupStatus, Place, RunState, StageState, UploadStage};
use drover::runs::{event, failed_event, now_text, report, set_backup_status, status_of};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;
use tracing::warn;

use crate::context::{Context, JOB};
use crate::transfer::Archive;

fn stage_of(run: &BackupRun) -> UploadStage {
    status_of(run).upload.unwrap_or_default()
}

/// A try begins.
pub(crate) async fn started(context: &Context, backup: &Backup, run: &BackupRun) -> Result<BackupRun, Failure> {
    let started_at = now_text();
    let recorded = context.runs.record(run, |run| {
        let stage = UploadStage {
            state: StageState::InProgress,
            attempts: stage_of(run).attempts + 1,
            started_at: Some(started_at.clone()),
            ..UploadStage::default()
        };
        Some(json!({ "state": RunState::InProgress, "message": "storing the archive", "upload": stage }))
    });
    let run = recorded.await?;
    let change = |backup: &Backup| report::in_progress(backup, "storing the archive", Timestamp::now());
    set_status(context, backup, |backup| Some(change(backup))).await?;
    Ok(run)
}

/// The archive is stored and verified: the run says so first, for everything else follows from it.
pub(crate) async fn stored(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    archive: &Archive,
    location: &str,
) -> Result<BackupRun, Failure> {
    let ended_at = now_text();
    let summary = format!("{} objects, {}", archive.objects, archive.content);
    let verified_bytes = i64::try_from(archive.content.bytes).unwrap_or(i64::MAX);
    let place = Place {
        name: Place::DEFAULT.to_owned(),
        location: location.to_owned(),
        verified_bytes,
        state: StageState::Completed,
        verified_at: Some(ended_at.clone()),
        reason: None,
    };
    let recorded = context.runs.record(run, |run| {
        let stage = UploadStage {
            state: StageState::Completed,
            ended_at: Some(ended_at.clone()),
            places: vec![place.clone()],
            reason: None,
            ..stage_of(run)
        };
        let message = format!("stored and verified: {location}");
        Some(json!({ "state": RunState::Completed, "message": message, "endedAt": ended_at, "upload": stage }))
    });
    let run = recorded.await?;
    context.events.normal(backup, "Uploaded", format!("{location}: {summary}")).await;
    Ok(run)
}

/// What follows from a run that is stored, and is done again where a killed job may have left it out: the Backup's
/// status, the message, and that the artifact is dropped. Only then may the message that asked for it go.
pub(crate) async fn conclude(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    newer_is_open: bool,
) -> Result<(), Failure> {
    let status = status_of(run);
    let snapshot = status.snapshot.clone().unwrap_or_default();
    let sha256 = snapshot.sha256.unwrap_or_default();
    let summary = format!("{} objects, {} bytes, sha256 {sha256}", snapshot.objects, snapshot.bytes);
    set_status(context, backup, |backup| report::stored(backup, run, &summary, newer_is_open, Timestamp::now()))
        .await?;
    context.publish(&event(Kind::BackupUploaded, JOB, run)).await?;
    drop_artifact(context, run).await
}

/// Purges the artifact, and then forgets where it was.
pub(crate) async fn drop_artifact(context: &Context, run: &BackupRun) -> Result<(), Failure> {
    let Some(artifact) = status_of(run).waiting_artifact().cloned() else { return Ok(()) };
    context.store.purge(&artifact.name, &artifact.chunks).await?;
    // A field that another manager owns cannot be taken away by applying without it, so that it is gone is said in it.
    let dropped = Artifact { dropped_at: Some(now_text()), ..artifact };
    context
        .runs
        .record(run, |run| {
            let status = status_of(run);
            let (state, message) = (status.state, status.message);
            let (ended_at, upload) = (status.ended_at, status.upload);
            Some(json!({ "state": state, "message": message, "endedAt": ended_at, "upload": upload, "artifact": dropped }))
        })
        .await?;
    Ok(())
}

/// The try failed. A run whose data are refused is over; any other waits for the next try, with its artifact.
pub(crate) async fn failed(context: &Context, backup: &Backup, run: &BackupRun, failure: &Failure, is_final: bool) {
    let reason = failure.to_string();
    let ended_at = now_text();
    let attempts = stage_of(run).attempts;
    let recorded = context.runs.record(run, |run| {
        let stage = UploadStage {
            state: StageState::Failed,
            ended_at: Some(ended_at.clone()),
            reason: Some(reason.clone()),
            ..stage_of(run)
        };
        if is_final {
            let state = RunState::Failed;
            return Some(json!({ "state": state, "message": reason, "endedAt": ended_at, "upload": stage }));
        }
        let message = format!("the upload is tried again: {reason}");
        Some(json!({ "state": RunState::InProgress, "message": message, "upload": stage }))
    });
    warn_of(recorded.await);
    let needs_somebody = is_final || failure.exit() == Exit::Usage;
    let change = |backup: &Backup| Some(report::failed(backup, JOB, &reason, needs_somebody, Timestamp::now()));
    warn_of(set_status(context, backup, change).await);
    warn_of(context.publish(&failed_event(JOB, run, attempts, &reason)).await);
    context.events.warning(backup, "UploadFailed", reason).await;
}

async fn set_status(
    context: &Context,
    backup: &Backup,
    change: impl Fn(&Backup) -> Option<BackupStatus>,
) -> Result<(), Failure> {
    Ok(set_backup_status(context.client.clone(), &backup.name_any(), JOB, change).await?)
}

pub(crate) fn warn_of<T>(outcome: Result<T, impl Into<Failure>>) {
    if let Err(error) = outcome {
        let failure: Failure = error.into();
        warn!("{failure}");
    }
}
