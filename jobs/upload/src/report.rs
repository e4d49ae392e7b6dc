//! What an upload tells about itself: the run's record, the Backup's status, its Events, and the messages.

use drover::clock;
use drover::conditions::{READY, RECONCILING, STALLED};
use drover::events::Kind;
use drover::exit::{Chain, Exit, Failure, warn_of};
use drover::job::name::UPLOAD as JOB;
use drover::ledger;
use drover::places::Target;
use drover::resources::{Backup, BackupRun, BackupRunStatus, BackupStatus, Place, RunState, StageState, UploadStage};
use drover::runs::{again, event, failed_event, missing_words, now_text, report, set_backup_status, status_of};
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::ResourceExt;
use tracing::warn;

use crate::context::Context;
use crate::transfer::{Archive, Tried};

pub(crate) fn stage_of(run: &BackupRun) -> UploadStage {
    status_of(run).upload.unwrap_or_default()
}

/// A try begins.
pub(crate) async fn started(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    is_overtaken: bool,
) -> Result<BackupRun, Failure> {
    let started_at = now_text();
    let recorded = context.runs.record(run, |run| {
        let before = stage_of(run);
        let stage = UploadStage {
            state: StageState::InProgress,
            attempts: before.attempts.saturating_add(1),
            refused_tries: before.refused_tries,
            started_at: Some(started_at.clone()),
            places: before.places,
            ..UploadStage::default()
        };
        Some(BackupRunStatus { upload: Some(stage), ..BackupRunStatus::in_progress("storing the archive") })
    });
    let run = recorded.await?;
    let change =
        |backup: &Backup| (!is_overtaken).then(|| report::in_progress(backup, "storing the archive", clock::now()));
    set_status(context, backup, change).await?;
    Ok(run)
}

/// One more place has the archive: that is recorded at once, and the rest when all have been tried. The ledger comes first,
/// for the run may be forgotten soon. Where it is not installed yet, retention-prune takes over what the run says.
pub(crate) fn place_done<'a>(
    context: &'a Context,
    run: &'a BackupRun,
    archive: &Archive,
    targets: &'a [Target],
    tried: &Tried<'_>,
) -> BoxFuture<'a, Result<(), Failure>> {
    let line = line_of(tried, archive, &now_text());
    async move {
        match context.ledger.record(run, &line).await {
            Err(error @ ledger::Error::NotInstalled) => warn!("{}", Chain(&error)),
            recorded => recorded?,
        }
        let recorded = context.runs.record(run, |run| {
            let mut stage = stage_of(run);
            stage.places = places_after(&stage.places, targets, std::slice::from_ref(&line));
            let BackupRunStatus { state, message, .. } = status_of(run);
            Some(BackupRunStatus { state, message, upload: Some(stage), ..BackupRunStatus::default() })
        });
        warn_of(recorded.await);
        Ok(())
    }
    .boxed()
}

/// What a try at a place makes of its line.
fn line_of(Tried { target, outcome }: &Tried<'_>, archive: &Archive, at: &str) -> Place {
    let name = target.name.clone();
    match outcome {
        Ok(location) => Place {
            name,
            location: location.clone(),
            verified_bytes: i64::try_from(archive.content.bytes).unwrap_or(i64::MAX),
            state: StageState::Completed,
            verified_at: Some(at.to_owned()),
            reason: None,
        },
        Err(failure) => Place {
            name,
            location: String::new(),
            verified_bytes: 0,
            state: StageState::Failed,
            verified_at: None,
            reason: Some(failure.to_string()),
        },
    }
}

/// What became of a try at each place: the run says so first, for everything else follows from it. It is completed when
/// every place has the archive.
pub(crate) async fn tried(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    archive: &Archive,
    targets: &[Target],
    tried: &[Tried<'_>],
) -> Result<BackupRun, Failure> {
    let at = now_text();
    let lines: Vec<_> = tried.iter().map(|tried| line_of(tried, archive, &at)).collect();
    let recorded = context.runs.record(run, |run| {
        let stage = stage_of(run);
        let places = places_after(&stage.places, targets, &lines);
        if !places.iter().all(Place::is_verified) {
            let (state, upload) = (RunState::InProgress, Some(UploadStage { places, ..stage }));
            return Some(BackupRunStatus { state, upload, ..BackupRunStatus::default() });
        }
        let lacks = missing_words(run).map(|words| format!("; {words}")).unwrap_or_default();
        let message = format!("stored and verified: {}{lacks}", locations(&places));
        let (state, ended_at) = (StageState::Completed, Some(at.clone()));
        let stage = UploadStage { state, ended_at: ended_at.clone(), places, reason: None, refused_tries: 0, ..stage };
        let (state, message, upload) = (RunState::Completed, Some(message), Some(stage));
        Some(BackupRunStatus { state, message, ended_at, upload, ..BackupRunStatus::default() })
    });
    let run = recorded.await?;
    let summary = format!("{} objects, {}", archive.objects, archive.content);
    for location in tried.iter().filter_map(|tried| tried.outcome.as_ref().ok()) {
        context.events.normal(backup, "Uploaded", format!("{location}: {summary}")).await;
    }
    Ok(run)
}

fn locations(places: &[Place]) -> String {
    places.iter().map(|place| place.location.as_str()).collect::<Vec<_>>().join(", ")
}

/// The line of each place after a try, in the order of the targets; behind them what lies at places that are no target any
/// more.
fn places_after(known: &[Place], targets: &[Target], tried: &[Place]) -> Vec<Place> {
    let of = |target: &Target| tried.iter().chain(known).find(|place| place.name == target.name).cloned();
    let is_target = |place: &&Place| targets.iter().any(|target| target.name == place.name);
    let left = known.iter().filter(|place| !is_target(place) && place.is_verified()).cloned();
    targets.iter().filter_map(of).chain(left).collect()
}

/// Why an archive is not at all of its places, for people: with the places' names where there are several.
pub(crate) fn reason_of(tried: &[Tried<'_>], targets: &[Target]) -> String {
    let failed = tried.iter().filter_map(|tried| Some((&tried.target.name, tried.outcome.as_ref().err()?)));
    let texts = failed.map(|(name, failure)| match targets {
        [_] => failure.to_string(),
        _ => format!("{name}: {failure}"),
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// What follows from a run that is stored, and is done again where a killed job may have left it out: the Backup's
/// status, the message, and that the artifact is dropped. Only then may the message that asked for it go.
pub(crate) async fn conclude(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    newer_is_open: bool,
    is_overtaken: bool,
) -> Result<(), Failure> {
    let status = status_of(run);
    let snapshot = status.snapshot.clone().unwrap_or_default();
    let sha256 = snapshot.sha256.unwrap_or_default();
    let summary = format!("{} objects, {} bytes, sha256 {sha256}", snapshot.objects, snapshot.bytes);
    let change = |backup: &Backup| {
        let stored = || report::stored(backup, run, &summary, newer_is_open, clock::now());
        if is_overtaken { None } else { stored() }
    };
    set_status(context, backup, change).await?;
    context.connection.publish(&event(Kind::BackupUploaded, JOB, run)).await?;
    drop_artifact(context, run).await
}

/// Purges the artifact, and then forgets where it was.
pub(crate) async fn drop_artifact(context: &Context, run: &BackupRun) -> Result<(), Failure> {
    let Some(artifact) = status_of(run).waiting_artifact().cloned() else { return Ok(()) };
    context.store.purge(&artifact.name, &artifact.chunks).await?;
    context
        .runs
        .record(run, |run| {
            // What the snapshot says stays its own.
            Some(BackupRunStatus { snapshot: None, ..status_of(run).with_dropped_artifact(now_text())? })
        })
        .await?;
    Ok(())
}

/// How a try failed.
pub(crate) struct Failed<'a> {
    pub(crate) reason: &'a str,
    pub(crate) exit: Exit,
    /// The run is over; any other waits for the next try, with its artifact.
    pub(crate) is_final: bool,
    /// A newer archive of the Backup is stored.
    pub(crate) is_overtaken: bool,
    /// Tries in a row, up to this one, that failed only since other bytes came back.
    pub(crate) refused_tries: i64,
}

/// The try failed.
pub(crate) async fn failed(context: &Context, backup: &Backup, run: &BackupRun, failed: &Failed<'_>) {
    let Failed { reason, exit, is_final, is_overtaken, refused_tries } = *failed;
    let ended_at = now_text();
    let attempts = stage_of(run).attempts;
    let recorded = context.runs.record(run, |run| {
        let stage = UploadStage { refused_tries, ..stage_of(run) }.failed(reason, &ended_at);
        let status = if is_final {
            BackupRunStatus::failed(reason, &ended_at)
        } else {
            BackupRunStatus::in_progress(waiting_message(&stage.places, reason))
        };
        Some(BackupRunStatus { upload: Some(stage), ..status })
    });
    warn_of(recorded.await);
    let needs_somebody = is_final || exit == Exit::Usage;
    let change =
        |backup: &Backup| (!is_overtaken).then(|| report::failed(backup, JOB, reason, needs_somebody, clock::now()));
    warn_of(set_status(context, backup, change).await);
    warn_of(context.connection.publish(&failed_event(JOB, run, attempts, reason)).await);
    context.events.warning(backup, "UploadFailed", reason.to_owned()).await;
}

/// The run ends, and its archive is nowhere: it has failed, and nobody is woken for it. The Backup says again what it said
/// before this try.
pub(crate) async fn superseded(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    words: &str,
    is_overtaken: bool,
) -> Result<(), Failure> {
    let ended_at = now_text();
    let recorded = context.runs.record(run, |run| {
        let upload = Some(stage_of(run).failed(words, &ended_at));
        Some(BackupRunStatus { upload, ..BackupRunStatus::failed(words, &ended_at) })
    });
    let run = recorded.await?;
    warn!("{words}");
    if !is_overtaken {
        set_status(context, backup, |current| as_before(current, backup)).await?;
    }
    context.events.warning(backup, "Superseded", words.to_owned()).await;
    drop_artifact(context, &run).await
}

/// A Backup's status with what it said of its runs before a try; none where it said nothing.
fn as_before(current: &Backup, before: &Backup) -> Option<BackupStatus> {
    let said = before.conditions()?;
    let mut status = current.status.clone()?;
    for condition in &mut status.conditions.as_mut()?.0 {
        let is_of_runs = [READY, RECONCILING, STALLED].contains(&condition.type_.as_str());
        if let Some(before) = said.get(&condition.type_).filter(|_| is_of_runs) {
            *condition = before.clone();
        }
    }
    Some(status)
}

/// Why no further try is made at places that give other bytes back each time, and what to do.
pub(crate) fn given_up_words(context: &Context, backup: &Backup, places: &[Place], reason: &str) -> String {
    let again = again(&context.options.namespace, backup);
    let tries = UploadStage::REFUSED_TRIES;
    let stored = verified(places);
    let stored =
        if stored.is_empty() { String::new() } else { format!("; it lies, verified, at {}", locations(&stored)) };
    format!(
        "{reason}; {tries} tries in a row ended so, and no further one is made of this archive{stored}: mend the place or \
         name another one, and make a new one: {again}"
    )
}

fn verified(places: &[Place]) -> Vec<Place> {
    places.iter().filter(|place| place.is_verified()).cloned().collect()
}

fn waiting_message(places: &[Place], reason: &str) -> String {
    let stored = verified(places);
    if stored.is_empty() {
        return format!("the upload is tried again: {reason}");
    }
    format!("stored and verified: {}; the upload to other places is tried again: {reason}", locations(&stored))
}

async fn set_status(
    context: &Context,
    backup: &Backup,
    change: impl Fn(&Backup) -> Option<BackupStatus>,
) -> Result<(), Failure> {
    Ok(set_backup_status(context.client.clone(), &backup.name_any(), JOB, change).await?)
}

#[cfg(test)]
mod tests {
    use drover::conditions::PRUNED;
    use drover::resources::{BackupSpec, ConditionStatus, Conditions, Ready};

    use super::*;

    #[test]
    fn a_backup_says_again_what_it_said_before_and_keeps_what_others_say() {
        let now = clock::now();
        let backup = |ready: Ready, pruned: &str| {
            let mut conditions = Conditions::default();
            conditions.set_ready(ready, "", now);
            conditions.set(PRUNED, ConditionStatus::True, pruned, "", now);
            let mut backup = Backup::new("daily", BackupSpec::default());
            backup.status = Some(BackupStatus { conditions: Some(conditions), ..BackupStatus::default() });
            backup
        };
        let (before, current) = (backup(Ready::Completed, "Then"), backup(Ready::InProgress, "Now"));
        let conditions = as_before(&current, &before).unwrap().conditions.unwrap();
        let reason = |type_: &str| conditions.get(type_).unwrap().reason.clone().unwrap();
        assert_eq!((reason("Ready"), reason(PRUNED)), (Ready::Completed.to_string(), "Now".to_owned()));
        assert_eq!(as_before(&current, &Backup::new("daily", BackupSpec::default())), None);
    }
}
