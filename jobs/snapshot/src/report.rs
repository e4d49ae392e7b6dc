//! What a snapshot tells about itself: the run's record, the Backup's status, its Events, and the messages.

use std::error::Error;

use drover::clock;
use drover::coexistence::Operator;
use drover::events::Kind;
use drover::exit::{Chain, Exit, Failure, warn_of};
use drover::job::name::SNAPSHOT as JOB;
use drover::resources::{Artifact, Backup, BackupRun, BackupRunStatus, BackupStatus, SnapshotStage};
use drover::runs::{Allowed, Encryption, event, failed_event, now_text, report, set_backup_status, status_of};
use kube::{Client, ResourceExt};
use tracing::{info, warn};

use crate::away;
use crate::context::Context;
use crate::outcome::taken::{Taken, stage_of};
use crate::pipeline;
use crate::turn::not_now::NotNow;

/// The run has begun.
pub(crate) async fn started(context: &Context, backup: &Backup, run: &BackupRun) -> Result<(), Failure> {
    set_status(context, backup, |backup| report::in_progress(backup, "taking the snapshot", clock::now())).await?;
    context.connection.publish(&event(Kind::BackupStarted, JOB, run)).await?;
    let note = format!("run {} began: {}", run.spec.number, run.spec.filename);
    context.events.normal(backup, "SnapshotStarted", note).await;
    if let Some(words) = clock::deviation() {
        context.events.warning(backup, "ClockDeviates", words).await;
    }
    Allowed::warn_of_unknown(&context.events, backup).await;
    Ok(())
}

/// What hardly anybody means in the encryption configuration, and what the snapshot takes as an API server does.
pub(crate) async fn ambiguous_configuration(context: &Context, backup: &Backup, warnings: &[String]) {
    if !warnings.is_empty() {
        context.events.warning(backup, "AmbiguousEncryption", warnings.join("; ")).await;
    }
}

/// The archive waits for its upload. What is wrong with its encryption and what it lacks is said now, for the archive is what
/// it is.
pub(crate) async fn snapshotted(context: &Context, backup: &Backup, taken: &Taken) {
    let Taken { put, encryption, wholeness, .. } = taken;
    let (objects, bytes) = (encryption.objects, put.bytes);
    let detail = format!("{objects} objects, waiting for the upload");
    let status = |backup: &Backup| report::snapshotted(backup, &detail, encryption, wholeness, clock::now());
    warn_of(set_status(context, backup, status).await);
    context.events.normal(backup, "SnapshotTaken", format!("{objects} objects, {bytes} bytes")).await;
    log_encryption(encryption);
    if let Some(words) = encryption.warning() {
        context.events.warning(backup, encryption.reason(), words).await;
    }
    if let Some(words) = wholeness.warning() {
        warn!("{words}");
        context.events.warning(backup, wholeness.reason, words).await;
    }
    if let Some(words) = &wholeness.no_place {
        context.events.warning(backup, "LeftOut", words.as_str()).await;
    }
}

/// Logs how much of an archive is encrypted, where that was wanted or is wrong.
pub(crate) fn log_encryption(encryption: &Encryption) {
    match encryption.warning() {
        Some(words) => warn!("{words}"),
        None if encryption.is_configured => info!("{}", encryption.message()),
        None => {}
    }
}

/// The try failed, and with it the run. None of these reports can fail the job once more; what is lost here is found by
/// the next job in the run's record, or, if that is lost too, by the Lease that expires.
///
/// `left` is an artifact that could not be purged.
pub(crate) async fn failed(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    failure: &Failure,
    left: Option<Artifact>,
) {
    let reason = failure.to_string();
    let missing_right = failure.find::<pipeline::error::Error>().and_then(pipeline::error::Error::missing_right);
    let ended_at = now_text();
    let recorded = context.runs.record(run, |run| {
        let stage = SnapshotStage { missing_right: missing_right.map(str::to_owned), ..stage_of(run) };
        let snapshot = Some(stage.failed(&reason, &ended_at));
        Some(BackupRunStatus { snapshot, artifact: left.clone(), ..BackupRunStatus::failed(&reason, &ended_at) })
    });
    warn_of(recorded.await);
    let status = |backup: &Backup| report::failed(backup, JOB, &reason, is_final(failure), clock::now());
    warn_of(set_status(context, backup, status).await);
    let attempt = status_of(run).snapshot.unwrap_or_default().attempts;
    warn_of(context.connection.publish(&failed_event(JOB, run, attempt, &reason)).await);
    context.events.warning(backup, "SnapshotFailed", reason).await;
}

/// Whether the next try fails too, unless somebody mends something.
fn is_final(failure: &Failure) -> bool {
    matches!(failure.exit(), Exit::Usage | Exit::DataRefused)
}

/// The Rancher backup operator is in charge of the Backup. Its own words about it stay as they are.
pub(crate) async fn not_in_charge(client: &Client, backup: &Backup, operator: &Operator) {
    let status = |backup: &Backup| Some(report::not_in_charge(backup, operator, clock::now()));
    warn_of(set_backup_status(client.clone(), &backup.name_any(), JOB, status).await);
}

/// A Backup that cannot run at all, so that no run of it is opened: its schedule cannot be read.
pub(crate) async fn refused(context: &Context, backup: &Backup, error: &(dyn Error + Send + Sync + 'static)) {
    let reason = Chain::of(error).to_string();
    tracing::error!(backup = backup.name_any(), "{reason}");
    tell_not_begun(context, backup, reason, true, "Refused").await;
}

/// No run of the Backup could be opened. Where it is another's turn the others say what they do.
pub(crate) async fn not_begun(context: &Context, backup: &Backup, failure: &Failure) {
    if failure.find::<NotNow>().is_some() || failure.find::<crate::backup::error::Error>().is_some() {
        return;
    }
    tell_not_begun(context, backup, failure.to_string(), is_final(failure), "NotBegun").await;
}

async fn tell_not_begun(context: &Context, backup: &Backup, reason: String, is_final: bool, event: &str) {
    let failed = |backup: &Backup| report::failed(backup, JOB, &reason, is_final, clock::now());
    warn_of(set_status(context, backup, |backup| report::not_begun(backup, failed(backup))).await);
    context.events.warning(backup, event, reason).await;
}

/// The snapshot waits for a restore. Whose it is the log says, for a status is to say the same from try to try. A Backup that
/// is not due, and that a person runs again, says nothing of it: nobody would take that back if the Job gives up.
pub(crate) async fn waits_for_restore(context: &Context, backup: &Backup) {
    if !away::is_due(backup, &context.policies, &context.runs).await.unwrap_or(false) {
        return;
    }
    let words = "waits for a restore of this cluster, which is at work";
    let status = |backup: &Backup| report::waiting(backup, words, clock::now());
    warn_of(set_status(context, backup, status).await);
}

/// The snapshot waits for somebody.
pub(crate) async fn waits(context: &Context, backup: &Backup, whom: &str) {
    let note = format!("waits for {whom}");
    info!("{note}");
    context.events.normal(backup, "SnapshotWaits", note).await;
}

async fn set_status(
    context: &Context,
    backup: &Backup,
    change: impl Fn(&Backup) -> BackupStatus,
) -> Result<(), Failure> {
    let change = |backup: &Backup| {
        let settings = context.policies.settings(backup);
        Some(report::with_next(change(backup), backup, &settings, clock::now()))
    };
    Ok(set_backup_status(context.client.clone(), &backup.name_any(), JOB, change).await?)
}
