use drover::events::{Data, Event};
use drover::exit::{Exit, Failure};
use drover::lease::{self, Acquired, Wait};
use drover::queue::{Handler, Outcome};
use drover::resources::{Backup, BackupRun, RunState, S3Location, StageState};
use drover::runs::{History, artifact_name, run_name, status_of};
use kube::{Api, ResourceExt};
use tracing::{Instrument, info, info_span, warn};

use crate::context::Context;
use crate::report;
use crate::transfer::{Archive, transfer};

impl Handler for Context {
    /// One place that is away holds up only what goes there.
    async fn place_of(&self, event: &Event) -> Option<String> {
        let backups: Api<Backup> = Api::all(self.client.clone());
        let backup = backups.get_opt(&event.data.name).await.ok().flatten()?;
        Some(place_of(&backup))
    }

    /// Names and ids are taken from the message, and everything else from the Backup and its run.
    async fn handle(&self, event: &Event) -> Outcome {
        let span = info_span!("run", backup = event.data.name, run = %event.data.run, number = event.data.number);
        // Boxed, for the compiler gives up on the layout of a future as deep as the S3 client's in all these.
        match Box::pin(try_handle(self, &event.data)).instrument(span).await {
            Ok(outcome) => outcome,
            Err(failure) => failed(&failure, None),
        }
    }
}

fn failed(failure: &Failure, place: Option<String>) -> Outcome {
    Outcome::Failed { reason: failure.to_string(), exit: failure.exit(), place }
}

async fn try_handle(context: &Context, data: &Data) -> Result<Outcome, Failure> {
    let Some((backup, run)) = find(context, data).await? else {
        return drop_orphan(context, data).await;
    };
    let name = lease::name_for("backup", &backup.name_any());
    let (client, namespace) = (context.client.clone(), &context.options.namespace);
    let settings = context.options.lease_settings();
    match lease::acquire(client, namespace, &name, &context.identity, settings, Wait::No).await? {
        Acquired::Busy { holder } => {
            info!(holder, "another job works on this Backup; this archive waits");
            Ok(Outcome::Busy { holder })
        }
        Acquired::Held(held) => {
            let outcome = tokio::select! {
                outcome = under_lease(context, &backup, &run) => outcome,
                () = lost(&held) => Ok(Outcome::Busy { holder: "whoever took the Lease".to_owned() }),
            };
            report::warn_of(held.release().await);
            outcome
        }
    }
}

async fn lost(lease: &lease::Lease) {
    lease.lost().cancelled().await;
    warn!("the Lease was lost; this archive waits");
}

/// The Backup and the run that a message names, if they are there and are of each other.
async fn find(context: &Context, data: &Data) -> Result<Option<(Backup, BackupRun)>, Failure> {
    let backups: Api<Backup> = Api::all(context.client.clone());
    let backup = backups.get_opt(&data.name).await.map_err(drover::cluster::ApiError::from)?;
    let run = context.runs.find(&run_name(&data.name, data.number.unwrap_or_default())).await?;
    let both = backup.zip(run);
    Ok(both.filter(|(backup, run)| run.spec.id == data.run && Some(&run.spec.backup_uid) == backup.uid().as_ref()))
}

/// A Backup or a run that is gone wants no archive. The artifact's name follows from the Backup's name and the run id;
/// which chunks are its own the object store says, not the message.
async fn drop_orphan(context: &Context, data: &Data) -> Result<Outcome, Failure> {
    let name = artifact_name(&data.name, data.run);
    if let Some(artifact) = context.store.info(&name).await? {
        context.store.purge(&name, &artifact.id).await?;
    }
    let reason = format!("the Backup {:?} or its run {} is gone; the artifact was dropped", data.name, data.run);
    Ok(Outcome::Refused { reason })
}

/// What is done while the Lease is held. The run is read again, for somebody may have done it in the meantime.
async fn under_lease(context: &Context, backup: &Backup, run: &BackupRun) -> Result<Outcome, Failure> {
    let history = context.runs.history(backup).await?;
    let Some(run) = history.iter().find(|other| other.spec.id == run.spec.id) else {
        return Ok(Outcome::Refused { reason: "the run was deleted".to_owned() });
    };
    let newer_is_open = newer_is_open(&history, run);
    match status_of(run).state {
        RunState::Completed => {
            info!("nothing to do: this archive is stored and verified");
            report::conclude(context, backup, run, newer_is_open).await?;
            Ok(Outcome::Done)
        }
        RunState::Failed => {
            report::drop_artifact(context, run).await?;
            Ok(Outcome::Refused { reason: "the run has failed".to_owned() })
        }
        RunState::Pending | RunState::InProgress => store(context, backup, run, newer_is_open).await,
    }
}

fn newer_is_open(history: &History, run: &BackupRun) -> bool {
    history.iter().any(|other| other.spec.number > run.spec.number && !status_of(other).state.is_final())
}

async fn store(context: &Context, backup: &Backup, run: &BackupRun, newer_is_open: bool) -> Result<Outcome, Failure> {
    if status_of(run).snapshot.unwrap_or_default().state != StageState::Completed {
        return Ok(Outcome::Refused { reason: "the run has no snapshot".to_owned() });
    }
    let run = report::started(context, backup, run).await?;
    let stored = async {
        let archive = Archive::of(&run)?;
        let location = transfer(context, backup, &archive).await?;
        report::stored(context, backup, &run, &archive, &location).await
    };
    match stored.await {
        Ok(run) => {
            report::conclude(context, backup, &run, newer_is_open).await?;
            Ok(Outcome::Done)
        }
        Err(failure) => {
            let is_final = failure.exit() == Exit::DataRefused;
            report::failed(context, backup, &run, &failure, is_final).await;
            if is_final {
                report::drop_artifact(context, &run).await?;
                return Ok(Outcome::Refused { reason: failure.to_string() });
            }
            Ok(failed(&failure, Some(place_of(backup))))
        }
    }
}

/// What two Backups share when one is away: the host of their bucket, or the volume.
fn place_of(backup: &Backup) -> String {
    let s3 = backup.spec.storage_location.as_ref().and_then(|location| location.s3.as_ref());
    let place = |s3: &S3Location| format!("{}/{}", s3.endpoint.as_deref().unwrap_or_default(), s3.bucket_name);
    s3.map_or_else(|| "the volume".to_owned(), place)
}
