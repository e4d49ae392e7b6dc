use std::collections::HashSet;

use drover::cluster;
use drover::events::{Data, Event};
use drover::exit::{Exit, Failure};
use drover::lease::{self, Acquired, Wait};
use drover::places::{Target, split, targets};
use drover::queue::{Handler, Outcome};
use drover::resources::{Backup, BackupRun, RunState, StageState, UploadStage};
use drover::runs::{History, artifact_name, check_archive_name, run_name, status_of};
use kube::ResourceExt;
use tracing::{Instrument, info, info_span, warn};

use crate::context::Context;
use crate::holds;
use crate::report::{self, Failed};
use crate::superseded;
use crate::transfer::{Archive, Task, Tried, transfer};

impl Handler for Context {
    /// One place that is away holds up only what still has to go there and nowhere else.
    async fn places_of(&self, event: &Event) -> Vec<String> {
        self.note_seen(event.data.run);
        let Ok(Some((backup, run))) = find(self, &event.data).await else { return Vec::new() };
        let targets = targets(&backup, &self.policies.settings(&backup));
        split(&targets, &run).1.iter().map(|target| target.site()).collect()
    }

    /// A run is uploaded once, however many messages are about it.
    fn work_of(&self, event: &Event) -> Option<String> {
        Some(event.data.run.to_string())
    }

    /// Names and ids are taken from the message, and everything else from the Backup and its run.
    async fn handle(&self, event: &Event, away: &HashSet<String>) -> Outcome {
        self.note_seen(event.data.run);
        let span = info_span!("run", backup = event.data.name, run = %event.data.run, number = event.data.number);
        // Boxed here and below, for the compiler gives up on the layout of a future as deep as the S3 client's in all these.
        match Box::pin(try_handle(self, &event.data, away)).instrument(span).await {
            Ok(outcome) => outcome,
            Err(failure) => waits(failure.to_string(), failure.exit(), Vec::new()),
        }
    }
}

fn waits(reason: String, exit: Exit, away: Vec<String>) -> Outcome {
    Outcome::Failed { reason, exit, away }
}

async fn try_handle(context: &Context, data: &Data, away: &HashSet<String>) -> Result<Outcome, Failure> {
    let Some((backup, run)) = find(context, data).await? else {
        return drop_orphan(context, data).await;
    };
    let name = lease::of_backup(&backup.name_any());
    match context.holder.acquire(&name, Wait::No).await? {
        Acquired::Busy { holder } => {
            info!(holder, "another job works on this Backup; this archive waits");
            Ok(Outcome::Busy { holder })
        }
        Acquired::Held(held) => {
            let stored = held.during(Box::pin(under_lease(context, data, &backup, &run, away))).await;
            stored.unwrap_or_else(|| {
                warn!("the Lease was lost; this archive waits");
                Ok(Outcome::Busy { holder: "whoever took the Lease".to_owned() })
            })
        }
    }
}

/// The Backup and the run that a message names, if they are there and are of each other.
async fn find(context: &Context, data: &Data) -> Result<Option<(Backup, BackupRun)>, Failure> {
    let backup: Option<Backup> = cluster::find(&context.client, &data.name).await?;
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
    if let Some(backup) = cluster::find::<Backup>(&context.client, &data.name).await? {
        let history = context.runs.history(&backup).await?;
        if backup.uid().as_ref() == Some(&data.uid) && has_run_again(&history, data.number.unwrap_or_default()) {
            info!("nothing to do: the run was deleted, for newer ones have taken its place");
            return Ok(Outcome::Done);
        }
    }
    let reason = format!("the Backup {:?} or its run {} is gone; the artifact was dropped", data.name, data.run);
    Ok(Outcome::Refused { reason })
}

/// What is done while the Lease is held. The run is read again, for somebody may have done it in the meantime.
async fn under_lease(
    context: &Context,
    data: &Data,
    backup: &Backup,
    run: &BackupRun,
    away: &HashSet<String>,
) -> Result<Outcome, Failure> {
    let history = context.runs.history(backup).await?;
    let Some(run) = history.iter().find(|other| other.spec.id == run.spec.id) else {
        return drop_orphan(context, data).await;
    };
    let newer_is_open = newer_is_open(&history, run);
    // Of an older run the Backup, which has a newer archive, says nothing.
    let is_overtaken = history.has_newer_verified(run.spec.number);
    match status_of(run).state {
        RunState::Completed => {
            info!("nothing to do: this archive is stored and verified");
            report::conclude(context, backup, run, newer_is_open, is_overtaken).await?;
            Ok(Outcome::Done)
        }
        RunState::Failed => {
            if !report::stage_of(run).was_refused_everywhere() {
                report::drop_artifact(context, run).await?;
            }
            if has_run_again(&history, run.spec.number) {
                info!("nothing to do: the run has failed, and newer ones have taken its place");
                return Ok(Outcome::Done);
            }
            Ok(Outcome::Refused { reason: "the run has failed".to_owned() })
        }
        RunState::Pending | RunState::InProgress => {
            store(context, backup, run, &history, newer_is_open, is_overtaken, away).await
        }
    }
}

/// Whether the Backup has run again since: nobody waits for this run any more, and it was told how it ended.
fn has_run_again(history: &History, number: i64) -> bool {
    history.newest().is_some_and(|newest| newest.spec.number > number)
}

fn newer_is_open(history: &History, run: &BackupRun) -> bool {
    history.iter().any(|other| other.spec.number > run.spec.number && !status_of(other).state.is_final())
}

async fn store(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    history: &History,
    newer_is_open: bool,
    is_overtaken: bool,
    away: &HashSet<String>,
) -> Result<Outcome, Failure> {
    if status_of(run).snapshot.unwrap_or_default().state != StageState::Completed {
        return Ok(Outcome::Refused { reason: "the run has no snapshot".to_owned() });
    }
    let targets = targets(backup, &context.policies.settings(backup));
    let run = report::started(context, backup, run, is_overtaken).await?;
    let stored = async {
        // An earlier version may have opened it.
        check_archive_name(&run.spec.filename).map_err(|error| Failure::new(Exit::DataRefused, error))?;
        let archive = Archive::of(&run)?;
        holds::note(context, backup, &run).await?;
        let (verified, pending) = split(&targets, &run);
        let record = |tried: &Tried<'_>| report::place_done(context, &run, &archive, &targets, tried);
        let task = Task { archive: &archive, verified, pending, record: &record };
        let tried = transfer(context, &task, away).await?;
        let run = report::tried(context, backup, &run, &archive, &targets, &tried).await?;
        let told = (report::reason_of(&tried, &targets), worst(&tried), sites_away(&tried));
        Ok::<_, Failure>((run, told))
    };
    let (run, (reason, exit, away), ending) = match stored.await {
        Ok((run, _)) if status_of(&run).state == RunState::Completed => {
            report::conclude(context, backup, &run, newer_is_open, is_overtaken).await?;
            return Ok(Outcome::Done);
        }
        // Whatever a place says or gives back: the artifact is good, and the next try may store it.
        Ok((run, told)) => {
            let ending = Ending::of(&report::stage_of(&run), told.1);
            (run, told, ending)
        }
        // The artifact itself is damaged, or gone, and no place has the archive.
        Err(failure) => {
            if end_superseded(context, backup, &run, history, &targets, &failure, is_overtaken).await? {
                return Ok(Outcome::Done);
            }
            let exit = failure.exit();
            let ending = Ending { is_final: exit == Exit::DataRefused, refused_tries: 0 };
            (run.clone(), (failure.to_string(), exit, Vec::new()), ending)
        }
    };
    not_stored(context, backup, &run, (reason, exit, away), ending, is_overtaken).await
}

/// Ends a run whose archive nobody misses; says whether it was one.
async fn end_superseded(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    history: &History,
    targets: &[Target],
    failure: &Failure,
    is_overtaken: bool,
) -> Result<bool, Failure> {
    let Some(why) = superseded::why(context, history, run, failure).await? else { return Ok(false) };
    let pending: Vec<_> = split(targets, run).1.into_iter().map(|target| target.name.as_str()).collect();
    report::superseded(context, backup, run, &superseded::words(run, why, &pending), is_overtaken).await?;
    Ok(true)
}

/// Records that not every place has the archive, and drops the artifact where no further try would change that.
async fn not_stored(
    context: &Context,
    backup: &Backup,
    run: &BackupRun,
    (reason, exit, away): (String, Exit, Vec<String>),
    ending: Ending,
    is_overtaken: bool,
) -> Result<Outcome, Failure> {
    let Ending { is_final, refused_tries } = ending;
    let stage = UploadStage { refused_tries, ..report::stage_of(run) };
    let reason =
        if stage.was_refused() { report::given_up_words(context, backup, &stage.places, &reason) } else { reason };
    let failed = Failed { reason: &reason, exit, is_final, is_overtaken, refused_tries };
    report::failed(context, backup, run, &failed).await;
    if !is_final {
        return Ok(waits(reason, exit, away));
    }
    // Where no place has the archive the artifact is all that there is of it.
    if !stage.was_refused_everywhere() {
        report::drop_artifact(context, run).await?;
    }
    Ok(Outcome::Refused { reason })
}

/// Whether a try that failed was the last one.
struct Ending {
    is_final: bool,
    /// Tries in a row, up to this one, that failed only since other bytes came back.
    refused_tries: i64,
}

impl Ending {
    /// Of a try whose artifact is good. One wrong answer proves nothing, and many do: who tried on for ever would fill a
    /// bucket that keeps versions.
    fn of(before: &UploadStage, exit: Exit) -> Self {
        let refused_tries = if exit == Exit::DataRefused { before.refused_tries.saturating_add(1) } else { 0 };
        Self { is_final: refused_tries >= UploadStage::REFUSED_TRIES, refused_tries }
    }
}

/// How a try ends that failed at some places: as one that may help again, if it may at one of them.
fn worst(tried: &[Tried<'_>]) -> Exit {
    let exits = || tried.iter().filter_map(|tried| Some(tried.outcome.as_ref().err()?.exit()));
    let may_be_mended = exits().filter(|exit| *exit != Exit::DataRefused).max();
    may_be_mended.or_else(|| exits().max()).unwrap_or(Exit::Failure)
}

/// The places that are away. One that gave back other bytes than it got is none: it may be this one archive.
fn sites_away(tried: &[Tried<'_>]) -> Vec<String> {
    let is_away = |tried: &&Tried<'_>| tried.outcome.as_ref().is_err_and(|failure| failure.exit() == Exit::Unavailable);
    tried.iter().filter(is_away).map(|tried| tried.target.site()).collect()
}

#[cfg(test)]
mod tests {
    use drover::policy::Settings;
    use drover::resources::{BackupSpec, FurtherLocation, LocalLocation};

    use super::*;

    /// How a try ends, and how many places are away, when they say this; `Done` is a place that has it.
    #[track_caller]
    fn check(exits: &[Exit], expected: Exit, away: usize) {
        let further = |name: &str| FurtherLocation {
            name: name.to_owned(),
            s3: None,
            local: Some(LocalLocation { volume: Some(name.to_owned()) }),
        };
        let settings = Settings { further_locations: vec![further("far"), further("near")], ..Settings::default() };
        let targets = targets(&Backup::new("daily", BackupSpec::default()), &settings);
        let outcome = |exit: &Exit| match exit {
            Exit::Done => Ok("/backups/a.tar.gz".to_owned()),
            exit => Err(Failure::new(*exit, "no")),
        };
        let tried = targets.iter().zip(exits).map(|(target, exit)| Tried { target, outcome: outcome(exit) });
        let tried: Vec<_> = tried.collect();
        assert_eq!((worst(&tried), sites_away(&tried).len()), (expected, away), "{exits:?}");
    }

    #[test]
    fn a_run_ends_after_some_tries_in_a_row_that_gave_other_bytes_back() {
        let check = |before: i64, exit: Exit, expected: (bool, i64)| {
            let stage = UploadStage { refused_tries: before, ..UploadStage::default() };
            let Ending { is_final, refused_tries } = Ending::of(&stage, exit);
            assert_eq!((is_final, refused_tries), expected, "{exit:?} after {before}");
        };
        check(0, Exit::DataRefused, (false, 1));
        check(UploadStage::REFUSED_TRIES - 2, Exit::DataRefused, (false, UploadStage::REFUSED_TRIES - 1));
        check(UploadStage::REFUSED_TRIES - 1, Exit::DataRefused, (true, UploadStage::REFUSED_TRIES));
        check(UploadStage::REFUSED_TRIES - 1, Exit::Unavailable, (false, 0));
        check(UploadStage::REFUSED_TRIES - 1, Exit::Usage, (false, 0));
        check(i64::MAX, Exit::DataRefused, (true, i64::MAX));
    }

    #[test]
    fn a_try_ends_as_one_that_may_help_again_if_it_may_at_one_place() {
        use Exit::{DataRefused, Done, Failure, Unavailable, Usage};
        check(&[DataRefused], DataRefused, 0);
        check(&[DataRefused, DataRefused, DataRefused], DataRefused, 0);
        check(&[Usage, DataRefused], Usage, 0);
        check(&[Failure, DataRefused], Failure, 0);
        check(&[DataRefused, Unavailable, Usage], Unavailable, 1);
        check(&[Done, DataRefused], DataRefused, 0);
        check(&[Done, Unavailable], Unavailable, 1);
    }
}
