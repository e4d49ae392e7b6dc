//! Room for the next artifact. While a place is away for long, artifacts wait for it; they must not keep other Backups, or
//! this one, from being snapshotted.

use std::collections::BTreeMap;

use drover::clock;
use drover::exit::Failure;
use drover::resources::{Backup, BackupRun, BackupRunStatus, Place};
use drover::runs::{
    History, Known, Spare, WAITING_RUNS, is_awaiting_upload, now_text, room_for, spare_artifacts, status_of,
};
use kube::ResourceExt;
use tracing::{info, warn};

use crate::backup::find::list_backups;
use crate::context::Context;
use crate::outcome::{drop_artifact, purge_leftovers};

/// Ends the Backup's runs that have waited for a place too long, and drops artifacts until there is room for the next one.
/// Gives the Backup's runs as they are then.
pub(crate) async fn make(context: &Context, backup: &Backup, history: History) -> Result<History, Failure> {
    let superseded = history.superseded();
    for run in &superseded {
        let reason = format!("{WAITING_RUNS} newer archives of this Backup wait for their upload");
        end(context, backup, run, &reason).await?;
    }
    let history = if superseded.is_empty() { history } else { context.runs.history_with_former(backup).await? };
    purge_leftovers(context, &history).await?;
    if drop_spare(context, backup, &history).await? {
        return Ok(context.runs.history_with_former(backup).await?);
    }
    Ok(history)
}

/// Drops spare artifacts, one by one, until there is room. Gives whether one was. One of another Backup that cannot be
/// dropped, for that one is deleted just now or its run was edited, is that Backup's trouble: the next one goes instead.
async fn drop_spare(context: &Context, backup: &Backup, history: &History) -> Result<bool, Failure> {
    let fill = context.store.fill().await?;
    let Some(limit) = fill.limit else { return Ok(false) };
    // An eighth is free in any case: only then is more than this Backup looked at.
    if fill.bytes.saturating_add(room_for(history, &[], limit)) <= limit && history.newest().is_some() {
        return Ok(false);
    }
    let known = known(context).await?;
    let room = room_for(history, &known, limit);
    let mut dropped = false;
    for (why, run) in spare_artifacts(&known, clock::now()) {
        if context.store.fill().await?.bytes.saturating_add(room) <= limit {
            break;
        }
        match drop_one(context, &known, why, run).await {
            Ok(()) => dropped = true,
            Err(failure) if backup.uid().as_deref() != Some(run.spec.backup_uid.as_str()) => {
                warn!(run = run.name_any(), "failed to drop the artifact of another Backup, going on: {failure}");
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(dropped)
}

/// Drops a spare artifact, and ends its run where no place has the archive.
async fn drop_one(context: &Context, known: &[Known], why: Spare, run: &BackupRun) -> Result<(), Failure> {
    let backup = known.iter().map(|known| &known.backup).find(|backup| backup.name_any() == run.spec.backup);
    match (why, backup) {
        (Spare::Stored, _) => drop_stored(context, run).await,
        (Spare::Superseded, None) => Ok(()),
        (Spare::Superseded, Some(backup)) => {
            end(context, backup, run, "the object store had no room, and newer archives of this Backup wait").await?;
            purge_leftovers(context, &History::of(backup, context.runs.find(&run.name_any()).await?)).await
        }
    }
}

/// All Backups, each with its own runs.
async fn known(context: &Context) -> Result<Vec<Known>, Failure> {
    let mut runs: BTreeMap<String, Vec<BackupRun>> = BTreeMap::new();
    for run in context.runs.all().await? {
        runs.entry(run.spec.backup_uid.clone()).or_default().push(run);
    }
    let backups = list_backups(&context.client).await?;
    let of = |backup: Backup| Known {
        history: History::of(&backup, runs.remove(&backup.uid().unwrap_or_default()).unwrap_or_default()),
        settings: context.policies.settings(&backup),
        backup,
    };
    Ok(backups.into_iter().map(of).collect())
}

/// Drops the artifact of an archive that a place has. Its run may be in work all the same: an upload that finds the artifact
/// gone takes the archive from that place.
async fn drop_stored(context: &Context, run: &BackupRun) -> Result<(), Failure> {
    if let Some(artifact) = drop_artifact(context, run).await? {
        info!(
            artifact = artifact.name,
            "dropped to make room: a place has the archive, from where other copies are made"
        );
    }
    Ok(())
}

/// Ends a run that waits. It has failed, for not all of its places have the archive; where it lies it stays, and is named.
async fn end(context: &Context, backup: &Backup, run: &BackupRun, reason: &str) -> Result<(), Failure> {
    let ended_at = now_text();
    let mut words = None;
    let recorded = context.runs.record(run, |run| {
        let status = status_of(run);
        words = is_awaiting_upload(run).then(|| superseded_words(run, reason));
        let failed = BackupRunStatus::failed(words.as_ref()?, &ended_at);
        Some(BackupRunStatus { snapshot: status.snapshot, artifact: status.artifact, ..failed })
    });
    recorded.await?;
    if let Some(words) = words {
        warn!(run = run.name_any(), "{words}");
        context.events.warning(backup, "Superseded", words).await;
    }
    Ok(())
}

fn superseded_words(run: &BackupRun, reason: &str) -> String {
    let (name, number) = (&run.spec.filename, run.spec.number);
    let places = status_of(run).upload.unwrap_or_default().places;
    let locations: Vec<_> = places.iter().filter(|place| place.is_verified()).map(|place| &*place.location).collect();
    let missing: Vec<_> = places.iter().filter(|place| !Place::is_verified(place)).map(|place| &*place.name).collect();
    if locations.is_empty() {
        return format!("run {number} is superseded: {reason}, and no place has {name:?}");
    }
    let (locations, missing) = (locations.join(", "), missing.join(", "));
    format!("run {number} is superseded: {reason}; {name:?} lies, verified, at {locations}, and not at: {missing}")
}
