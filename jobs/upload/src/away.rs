//! The queue, while it does not answer: no archive can be brought to its places, and each Backup that waits for that says so.

use drover::clock;
use drover::cluster::ApiError;
use drover::exit::{Failure, warn_of};
use drover::resources::{Backup, BackupRun};
use drover::runs::{History, RunStore, report, set_backup_status};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::context::JOB;

/// Says `words` on each Backup whose newest archive waits for its upload. Where that cannot be said the log has it.
pub(crate) async fn tell(client: &Client, words: &str) {
    let waiting = match waiting(client).await {
        Ok(waiting) => waiting,
        Err(failure) => return tracing::warn!("{failure}"),
    };
    for backup in waiting {
        let status = |backup: &Backup| Some(report::waiting(backup, words, clock::now()));
        warn_of(set_backup_status(client.clone(), &backup.name_any(), JOB, status).await);
    }
}

async fn waiting(client: &Client) -> Result<Vec<Backup>, Failure> {
    let backups: Api<Backup> = Api::all(client.clone());
    let mut backups = backups.list(&ListParams::default()).await.map_err(ApiError::from)?.items;
    let runs = RunStore::new(client.clone(), JOB).all().await?;
    backups.retain(|backup| waits(backup, &runs));
    Ok(backups)
}

/// Of an archive that a newer one has overtaken its Backup says nothing.
fn waits(backup: &Backup, runs: &[BackupRun]) -> bool {
    let is_its = |run: &&BackupRun| Some(&run.spec.backup_uid) == backup.metadata.uid.as_ref();
    let history = History::of(backup, runs.iter().filter(is_its).cloned());
    history.awaiting_upload().last().is_some_and(|run| !history.has_newer_verified(run.spec.number))
}
