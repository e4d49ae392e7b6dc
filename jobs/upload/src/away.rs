//! The queue, while it does not answer: no archive can be brought to its places, and each Backup that waits for that says so.

use drover::cluster;
use drover::exit::Failure;
use drover::job::name::UPLOAD as JOB;
use drover::resources::{Backup, BackupRun};
use drover::runs::{History, RunStore};
use kube::Client;

/// Each Backup whose newest archive waits for its upload.
pub(crate) async fn waiting(client: &Client) -> Result<Vec<Backup>, Failure> {
    let mut backups: Vec<Backup> = cluster::list(client).await?;
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
