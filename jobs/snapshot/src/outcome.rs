pub(crate) mod taken;

use std::sync::Arc;
use std::time::Duration;

use drover::artifacts::{self, Put};
use drover::clock;
use drover::cluster;
use drover::digest::Sha256;
use drover::encryption::{self, Configuration};
use drover::events::Kind;
use drover::exit::{Exit, Failure, Fault};
use drover::job::name::SNAPSHOT as JOB;
use drover::resources::{
    Artifact, Backup, BackupRun, BackupRunStatus, BackupType, ResourceSet, RunState, SnapshotStage, StageState,
};
use drover::runs::{
    self, ALLOW_MISSING_TYPES, Allowed, History, Wholeness, artifact_name, check_sound, event, losses, now_text,
    schedule_of, status_of,
};
use kube::ResourceExt;
use snafu::Snafu;
use tracing::{info, warn};

use taken::{Taken, stage_of};

use crate::backup::begun::Begun;
use crate::backup::error::Error;
use crate::context::Context;
use crate::pipeline::{Counts, Made, write_archive};
use crate::selected::{MissingTypes, Selected};
use crate::{chunks, report, turn};

/// How often a run's record and the log say how far the snapshot is.
const RECORD_EVERY: Duration = Duration::from_secs(3);

/// Types that a run names which its archive lacks.
const MISSING_NAMED: usize = 50;

/// Why a Backup's wish cannot be fulfilled as it stands.
#[derive(Debug, Snafu)]
pub(crate) enum Refusal {
    #[snafu(display("failed to find the ResourceSet {name:?}; create it, or correct spec.resourceSetName"))]
    FindResourceSet { name: String },
}

impl Fault for Refusal {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// One try of the snapshot stage, with its record before and after.
pub(crate) async fn attempt(context: &Context, begun: &Begun) -> Result<(), Failure> {
    let Begun { backup, history, run, before } = begun;
    let (run, artifact) = begin(context, backup, run).await?;
    let counts = Arc::new(Counts::default());
    let making = async {
        let made = make(context, backup, history, &artifact, &run, &counts).await?;
        turn::no_restore_since(&context.restores, before).await?;
        Ok::<_, Failure>(made)
    };
    let made = tokio::select! {
        made = making => made,
        () = record_progress(context, &run, &counts) => return Ok(()),
        () = context.shutdown.cancelled() => return interrupted(context, &run, artifact).await,
    };
    match made {
        Ok(taken) => {
            let completed = complete(context, backup, &run, &taken).await;
            match completed {
                Err(failure) if is_gone(&failure) => deleted(context, backup, artifact).await,
                Err(failure) if can_never_be_recorded(&failure) => {
                    failed(context, backup, &run, failure, artifact).await
                }
                completed => completed,
            }
        }
        Err(failure) => failed(context, backup, &run, failure, artifact).await,
    }
}

async fn failed(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    failure: Failure,
    artifact: Artifact,
) -> Result<(), Failure> {
    let left = purge(context, artifact).await;
    report::failed(context, backup, run, &failure, left).await;
    Err(failure)
}

/// Purges what a dead job left, and records where the new artifact's chunks will lie before the first one is sent.
async fn begin(context: &Context, backup: &Backup, run: &BackupRun) -> Result<(BackupRun, Artifact), Failure> {
    if let Some(left) = status_of(run).waiting_artifact() {
        context.store.purge(&left.name, &left.chunks).await?;
        info!(artifact = left.name, "purged what a job that died had left");
    }
    let name = artifact_name(&backup.name_any(), run.spec.id);
    let chunks = artifacts::Store::new_id();
    let artifact = Artifact::new(artifacts::BUCKET, name, chunks);
    let started_at = now_text();
    let recorded = context.runs.record(run, |run| {
        let stage = SnapshotStage {
            state: StageState::InProgress,
            attempts: status_of(run).snapshot.unwrap_or_default().attempts.saturating_add(1),
            job_uid: context.options.job_uid.clone(),
            started_at: Some(started_at.clone()),
            ..SnapshotStage::default()
        };
        let status = BackupRunStatus::in_progress("reading the cluster's objects");
        Some(BackupRunStatus { artifact: Some(artifact.clone()), snapshot: Some(stage), ..status })
    });
    let run = recorded.await?;
    report::started(context, backup, &run).await?;
    Ok((run, artifact))
}

/// Streams the archive into the object store.
async fn make(
    context: &Context,
    backup: &Backup,
    history: &History,
    artifact: &Artifact,
    run: &BackupRun,
    counts: &Arc<Counts>,
) -> Result<Taken, Failure> {
    let configuration = configuration(context, backup).await?;
    if backup.kind_of_backup() == BackupType::Recurring {
        schedule_of(backup, &context.policies.settings(backup))?;
    }
    let set = resource_set(context, backup).await?;
    let allowed = Allowed::on(backup);
    let selected = Selected::of(&context.lister, &set, missing_types(context, allowed)).await?;
    let (writer, chunks) = chunks::channel();
    let modified = run.spec.started_at.parse().unwrap_or_else(|_| clock::now());
    let lister = context.lister.clone();
    let writing = write_archive(lister, selected, configuration.clone(), modified, writer, Arc::clone(counts));
    let (written, put) = tokio::join!(writing, context.store.put(&artifact.name, &artifact.chunks, chunks));
    let (made, put) = first_reason(written, put)?;
    let last_stored = history.last_stored().and_then(|run| status_of(run).snapshot).map(|stage| stage.objects);
    let last_stored = last_stored.and_then(|objects| u64::try_from(objects).ok());
    let lacks_types = made.contents.missing().next().is_some();
    check_sound(counts.objects(), last_stored, lacks_types, &set.name_any(), allowed)?;
    let mac = configuration.and_then(|configuration| configuration.mac(put.sha256));
    Ok(taken(backup, history, made, put, mac))
}

fn missing_types(context: &Context, allowed: Allowed<'_>) -> MissingTypes {
    let how = format!("run \"{}\"", allowed.command(ALLOW_MISSING_TYPES));
    MissingTypes { are_allowed: allowed.has(ALLOW_MISSING_TYPES), how, account: context.account() }
}

/// What a snapshot came to, held against those that it is measured by.
fn taken(backup: &Backup, history: &History, made: Made<()>, put: Put, mac: Option<Sha256>) -> Taken {
    let Made { whole: (), encryption, contents, counted } = made;
    let allowed = Allowed::on(backup);
    let losses = losses(history, &counted, allowed);
    let wholeness = Wholeness::of(&backup.name_any(), &contents, &losses, allowed);
    let stage = SnapshotStage {
        state: StageState::Completed,
        objects: to_i64(encryption.objects),
        encrypted: to_i64(encryption.encrypted),
        types: counted.remembered(),
        missing_types: contents.missing().take(MISSING_NAMED).map(|left_out| left_out.name.clone()).collect(),
        losses,
        keys_in_clear: encryption.keys_in_clear.first.clone(),
        bytes: to_i64(put.bytes),
        sha256: Some(put.sha256.to_string()),
        mac: mac.map(String::from),
        ..SnapshotStage::default()
    };
    Taken { put, encryption, wholeness, stage }
}

/// The encryption configuration that the Backup names, read and checked before the first byte of the archive.
async fn configuration(context: &Context, backup: &Backup) -> Result<Option<Arc<Configuration>>, Failure> {
    let Some(secret) = backup.encryption_secret() else { return Ok(None) };
    let configuration = encryption::from_secret(&context.client, &context.options.namespace, secret).await?;
    report::ambiguous_configuration(context, backup, configuration.warnings()).await;
    Ok(Some(configuration))
}

/// When one end of a pipe fails the other sees it close; the reason of the end that failed is the one to tell.
fn first_reason<T>(
    written: Result<T, crate::pipeline::error::Error>,
    put: Result<Put, artifacts::PutError>,
) -> Result<(T, Put), Failure> {
    match (written, put) {
        (Ok(written), Ok(put)) => Ok((written, put)),
        (Err(error), Err(put)) if error.is_closed_pipe() => Err(put.into()),
        (Err(error), _) => Err(error.into()),
        (Ok(_), Err(error)) => Err(error.into()),
    }
}

async fn resource_set(context: &Context, backup: &Backup) -> Result<ResourceSet, Failure> {
    let name = &backup.spec.resource_set_name;
    cluster::find(&context.client, name).await?.ok_or_else(|| Refusal::FindResourceSet { name: name.clone() }.into())
}

/// Records how far the snapshot is, for as long as it is polled.
async fn record_progress(context: &Context, run: &BackupRun, counts: &Counts) {
    let mut ticks = tokio::time::interval(RECORD_EVERY);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let (objects, bytes) = (counts.objects(), counts.bytes());
        info!(objects, bytes, "reading the cluster's objects");
        let recorded = context.runs.record(run, |run| {
            let encrypted = to_i64(counts.encrypted());
            let stage = SnapshotStage { objects: to_i64(objects), encrypted, bytes: to_i64(bytes), ..stage_of(run) };
            let status = BackupRunStatus::in_progress(format!("{objects} objects, {bytes} bytes so far"));
            Some(BackupRunStatus { artifact: status_of(run).artifact, snapshot: Some(stage), ..status })
        });
        if let Err(error) = recorded.await {
            warn!("failed to record the progress: {}", drover::exit::Chain(&error));
        }
    }
}

/// The archive lies in the object store, whole: says so in the run first, for the message only points to it.
async fn complete(context: &Context, backup: &Backup, run: &BackupRun, taken: &Taken) -> Result<(), Failure> {
    let Taken { put, encryption, stage, .. } = taken;
    let (ended_at, objects) = (now_text(), encryption.objects);
    let recorded = context.runs.record(run, |run| {
        let SnapshotStage { attempts, job_uid, started_at, .. } = stage_of(run);
        let stage = SnapshotStage { attempts, job_uid, started_at, ended_at: Some(ended_at.clone()), ..stage.clone() };
        let status = BackupRunStatus::in_progress(format!("{objects} objects, waiting for the upload"));
        Some(BackupRunStatus { artifact: status_of(run).artifact, snapshot: Some(stage), ..status })
    });
    let run = recorded.await?;
    context.connection.publish(&event(Kind::BackupSnapshotted, JOB, &run)).await?;
    report::snapshotted(context, backup, taken).await;
    info!(
        objects,
        encrypted = encryption.encrypted,
        bytes = put.bytes,
        sha256 = put.sha256.to_string(),
        "snapshot taken, handed to the upload"
    );
    Ok(())
}

/// The run stays open: the job's retry, or whoever comes next, goes on with it.
async fn interrupted(context: &Context, run: &BackupRun, artifact: Artifact) -> Result<(), Failure> {
    let left = purge(context, artifact).await;
    let recorded = context.runs.record(run, |run| {
        let stage =
            SnapshotStage { state: StageState::Pending, reason: Some("interrupted".to_owned()), ..stage_of(run) };
        let status = BackupRunStatus::in_progress("interrupted; the next snapshot goes on with this run");
        Some(BackupRunStatus { artifact: left.clone(), snapshot: Some(stage), ..status })
    });
    recorded.await?;
    Err(Error::Interrupted.into())
}

fn can_never_be_recorded(failure: &Failure) -> bool {
    failure.find::<runs::Error>().is_some() && failure.exit() == Exit::Usage
}

fn is_gone(failure: &Failure) -> bool {
    failure.find::<runs::Error>().is_some_and(runs::Error::is_gone)
}

/// The Backup was deleted meanwhile, and its run with it: nobody asks for the artifact any more.
async fn deleted(context: &Context, backup: &Backup, artifact: Artifact) -> Result<(), Failure> {
    purge(context, artifact).await;
    Err(Error::Deleted { backup: backup.name_any() }.into())
}

/// Purges an artifact, and gives back what could not be purged: it stays in the run's record, from where the next
/// snapshot purges it.
async fn purge(context: &Context, artifact: Artifact) -> Option<Artifact> {
    let purged = context.store.purge(&artifact.name, &artifact.chunks).await;
    purged.err().map(|error| {
        warn!(artifact = artifact.name, "failed to purge the artifact: {}", drover::exit::Chain(&error));
        artifact
    })
}

/// Purges what runs that failed could not: NATS was away then.
pub(crate) async fn purge_leftovers(context: &Context, history: &History) -> Result<(), Failure> {
    for run in history.iter().filter(|run| status_of(run).state == RunState::Failed && !is_last_trace(history, run)) {
        drop_artifact(context, run).await?;
    }
    Ok(())
}

/// Purges a run's artifact, and then forgets it: a kill between the two leaves a record that the next one finds.
pub(crate) async fn drop_artifact(context: &Context, run: &BackupRun) -> Result<Option<Artifact>, Failure> {
    let Some(artifact) = status_of(run).waiting_artifact().cloned() else { return Ok(None) };
    context.store.purge(&artifact.name, &artifact.chunks).await?;
    let recorded = context.runs.record(run, |run| {
        // What the upload says stays its own.
        Some(BackupRunStatus { upload: None, ..status_of(run).with_dropped_artifact(now_text())? })
    });
    recorded.await?;
    Ok(Some(artifact))
}

/// Whether a run's artifact is all that there is of its archive, for the places gave other bytes back each time. It stays
/// until there is a newer one, or its age takes it.
fn is_last_trace(history: &History, run: &BackupRun) -> bool {
    let is_newer_archive =
        |other: &BackupRun| other.spec.number > run.spec.number && stage_of(other).state == StageState::Completed;
    status_of(run).upload.is_some_and(|stage| stage.was_refused_everywhere()) && !history.iter().any(is_newer_archive)
}

fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
