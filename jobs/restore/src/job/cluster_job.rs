//! The job: carries out the Restores of the cluster, one at a time.

use std::collections::HashSet;
use std::sync::Arc;

use drover::annotations::known::UnknownAnnotation;
use drover::cluster::Events;
use drover::exit::{Exit, Failure, Fault};
use drover::resources::Restore;
use drover::{clock, restores};
use kube::{Client, ResourceExt};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use crate::api::request::Server;
use crate::apply::controllers::{self, Hold, ScaledDown};
use crate::apply::copies::{self, When};
use crate::apply::exemption::{self, Exempt, Exemption};
use crate::command_line::arguments::JobOptions;
use crate::job::cluster_report::{self as report, Ending};
use crate::job::context::Context;
use crate::job::error::JobError;
use crate::job::exclusive::Turn;
use crate::job::fetch::{Fetched, fetch};
use crate::job::name::JOB;
use crate::job::waiting::{is_anything_left, to_carry_out};
use crate::job::{chosen, line};
use crate::plan::wishes::{self, WishError, Wishes};
use crate::report::outcome::{Counts, Outcome};
use crate::report::progress::{self, Doing, Gauge};
use crate::report::stored_report;
use crate::report::unchanged::unchanged;
use crate::restoration::{Finished, Restoration};
use crate::survey::ground::Ground;

/// Carries out every Restore that has not run, oldest first, after controllers that another try left scaled down have
/// their counts again, and what it had deleted to create it again is back. One that fails does not hold up the next.
pub(crate) async fn restore_all(options: JobOptions, shutdown: &CancellationToken) -> Result<(), Failure> {
    let client = drover::cluster::connect().await?;
    // The server's 429 must come through to the limiter.
    let writing = drover::cluster::connect_without_retries().await?;
    let server = Arc::new(Server::new(writing, options.limits.concurrency));
    let namespace = options.cluster.namespace.clone();
    let waiting = to_carry_out(&client, &namespace).await?;
    if waiting.is_empty() && !is_anything_left(&client, &server, &namespace).await? {
        exemption::tidy(&client, &server, &options.cluster, shutdown).await?;
        info!("nothing to do: no Restore waits");
        return Ok(());
    }
    let holder = options.cluster.lease_holder(&client);
    let turn = line::take_turn(&client, &waiting, &options, &holder, shutdown).await?;
    let mut outcome = Box::pin(work(client, server, options, holder.identity(), &turn)).await;
    if outcome.is_err() && turn.lost().is_cancelled() {
        outcome = Err(JobError::LoseLease.into());
    }
    turn.end().await;
    outcome
}

/// Nobody else restores, so what is scaled down was left behind. A Restore that still waits goes on with its own, and they
/// are put back after it, also where it did not come that far. What was deleted to be created again is put back first, for
/// the plans, and tried once more at the end.
async fn work(
    client: Client,
    server: Arc<Server>,
    options: JobOptions,
    identity: &str,
    turn: &Turn,
) -> Result<(), Failure> {
    let namespace = options.cluster.namespace.clone();
    let waiting = to_carry_out(&client, &namespace).await?;
    let left = controllers::scaled_down(&server).await?;
    let (later, now): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|left| waiting.iter().any(|restore| restore.uid().as_deref() == Some(left.holder())));
    let is_exempt = |name: &str| waiting.iter().all(|one| wishes::exempt(one).is_ok_and(|exempt| exempt.has(name)));
    let ended = exemption::end_left_but_for(&server, turn, is_exempt).await;
    let mut outcomes = vec![ended, put_back(&server, &now, turn).await];
    drop(copies::put_back_left(&server, &namespace, turn, When::BeforePlans).await);
    if !waiting.is_empty() {
        outcomes.push(Box::pin(restore_all_of(waiting, client, Arc::clone(&server), options, identity, turn)).await);
    }
    outcomes.push(put_back(&server, &later, turn).await);
    outcomes.push(copies::put_back_left(&server, &namespace, turn, When::AtTheEnd).await);
    outcomes.into_iter().filter_map(Result::err).max_by_key(Failure::exit).map_or(Ok(()), Err)
}

async fn put_back(server: &Server, left: &[ScaledDown], turn: &Turn) -> Result<(), Failure> {
    if turn.is_alone() {
        controllers::put_all_back(server, left).await?;
    }
    Ok(())
}

/// Carries these Restores out, and those that were made meanwhile: their own Jobs found the Lease taken.
async fn restore_all_of(
    mut waiting: Vec<Restore>,
    client: Client,
    server: Arc<Server>,
    options: JobOptions,
    identity: &str,
    turn: &Turn,
) -> Result<(), Failure> {
    let connection = line::connect(&client, &waiting, &options).await?;
    let events = Events::new(client.clone(), JOB, identity);
    let context = Context { client, options, events, connection, server, lost: turn.lost().clone() };
    let mut worst: Option<Failure> = None;
    let mut tried = HashSet::new();
    while !waiting.is_empty() {
        line::tell(&context.client, &waiting).await;
        for restore in &waiting {
            if turn.stop().is_cancelled() {
                return worst.map_or(Ok(()), Err);
            }
            let span = info_span!("restore", restore = restore.name_any());
            if let Err(failure) = restore_one(&context, restore, turn).instrument(span.clone()).await {
                span.in_scope(|| error!("{failure}"));
                worst = worst.into_iter().chain([failure]).max_by_key(Failure::exit);
            }
            tried.insert(restore.uid());
        }
        waiting = to_carry_out(&context.client, &context.options.cluster.namespace).await?;
        waiting.retain(|restore| !tried.contains(&restore.uid()));
    }
    worst.map_or(Ok(()), Err)
}

/// One Restore, with what it tells before and after.
async fn restore_one(context: &Context, restore: &Restore, turn: &Turn) -> Result<(), Failure> {
    if restores::is_given_up(restore, clock::now()) {
        return report::ended_untried(context, restore).await;
    }
    // What others wrote is none of this one's.
    context.server.take_writes();
    let Some(found) = report::started(context, restore).await? else { return Ok(()) };
    let restore = &found;
    let resolved = tokio::select! {
        resolved = chosen::resolve(context, restore) => resolved,
        () = turn.stop().cancelled() => Err(JobError::Interrupted { words: "nothing was changed".to_owned() }.into()),
    };
    let restore = &match resolved {
        Ok(resolved) => resolved,
        Err(failure) => return end_badly(context, restore, failure).await,
    };
    let stop = turn.stop().child_token();
    let work = Box::pin(carry_out(context, restore, turn, &stop));
    let (done, is_deleted) = until_deleted(context, restore, &stop, work).await;
    match done {
        // Whoever took the Lease tells how it ends.
        _ if context.lost.is_cancelled() => Err(JobError::LoseLease.into()),
        Err(failure) if is_deleted && matches!(failure.find::<JobError>(), Some(JobError::Interrupted { .. })) => {
            report::stopped(context, restore, &failure.to_string()).await
        }
        Ok(words) => report::ended(context, restore, &Ending::Completed { words }).await,
        Err(failure) => end_badly(context, restore, failure).await,
    }
}

async fn end_badly(context: &Context, restore: &Restore, failure: Failure) -> Result<(), Failure> {
    let has_written = context.server.take_writes();
    let reason = if has_written { failure.to_string() } else { unchanged(&failure).to_string() };
    report::ended(context, restore, &ending_of(&failure, reason.clone())).await?;
    Err(Failure::new(failure.exit(), reason))
}

/// Does the work; a Restore that is deleted meanwhile stops it as a signal would. Gives whether that was so.
async fn until_deleted<T>(
    context: &Context,
    restore: &Restore,
    stop: &CancellationToken,
    mut work: impl Future<Output = T> + Unpin,
) -> (T, bool) {
    tokio::select! {
        done = &mut work => return (done, false),
        () = report::deleted(context, restore) => stop.cancel(),
    }
    (work.await, true)
}

/// A Restore has ended when its wish cannot be fulfilled or objects were refused; where a service was away, or somebody
/// can mend a Secret, the next job tries again.
fn ending_of(failure: &Failure, reason: String) -> Ending {
    let is_final = match failure.find::<JobError>() {
        _ if failure.find::<WishError>().is_some() || failure.find::<UnknownAnnotation>().is_some() => true,
        Some(JobError::Encryption { .. } | JobError::ObjectsFailed { .. }) => true,
        _ => failure.exit() == Exit::DataRefused,
    };
    if is_final { Ending::failed(&reason) } else { Ending::Waiting { reason } }
}

/// Downloads, checks, plans and applies; gives the counts in words.
async fn carry_out(
    context: &Context,
    restore: &Restore,
    turn: &Turn,
    stop: &CancellationToken,
) -> Result<String, Failure> {
    let wishes = Wishes::of(restore)?;
    let filename = restore.archive().unwrap_or_default().to_owned();
    let Fetched { spool, note } = tokio::select! {
        fetched = Box::pin(fetch(context, restore, &wishes, &filename)) => fetched?,
        () = stop.cancelled() => return Err(JobError::Interrupted { words: "nothing was changed".to_owned() }.into()),
    };
    let objects = spool.len();
    info!(objects, bytes = spool.archive_bytes(), sha256 = spool.sha256().to_string(), "archive read and checked");
    let JobOptions { cluster, storage, .. } = &context.options;
    let ground = Ground::survey(&context.server, &cluster.namespace, wishes.credentials, Some(storage)).await?;
    let exempt = wishes.exempt.clone();
    let passed = Box::pin(end_left(context, restore, turn, &exempt)).await;
    let concurrency = context.options.limits.concurrency;
    let restoration = Restoration::new(Arc::clone(&context.server), spool, wishes, ground, concurrency);
    let restoration = restoration.noting(note).noting(passed);
    let gauge = restoration.gauge();
    let patience = context.options.patience.for_pods();
    let hold = Hold::of_restore(restore, &context.events, patience, context.lost.clone());
    let exemption = Exemption::of_restore(exempt, restore, &context.events, context.lost.clone());
    let exemption = exemption.shown_by(Arc::clone(&gauge));
    let work = async {
        let finished = tokio::select! {
            finished = restoration.apply(&hold, stop) => finished,
            () = report::progress(context, restore, &gauge) => unreachable_progress(),
        };
        gauge.begin(Doing::Ending, 0);
        finished
    };
    let work = exemption::during(&context.server, exemption, Box::pin(work));
    let (finished, notes) = progress::telling(&gauge, Box::pin(work)).await;
    let finished = Arc::new(finished?.noting(notes));
    if let Some(note) = &finished.from_elsewhere {
        context.events.warning(restore, "FromElsewhere", note.as_str()).await;
    }
    let counts = report::log_results(&finished);
    if !counts.is_only(Outcome::Untouched) && !context.lost.is_cancelled() {
        let storing = Box::pin(store_report(context, restore, &finished));
        progress::telling(&Gauge::of(Doing::Reporting), storing).await;
    }
    conclude(restore, &finished, &counts, stop)
}

/// Before the first write: what a Restore before left behind would exempt this one too. Gives what is told where it stays.
async fn end_left(context: &Context, restore: &Restore, turn: &Turn, exempt: &Exempt) -> Option<String> {
    let note = exemption::end_left_before(&context.server, turn, exempt).await;
    // That is no change by this one.
    context.server.take_writes();
    if let Some(note) = &note {
        warn!("{note}");
        context.events.warning(restore, "ExemptionLeft", note.as_str()).await;
    }
    note
}

/// The progress is told until the restore has ended, and never ends by itself.
fn unreachable_progress() -> Result<Finished, Failure> {
    Err(JobError::Interrupted { words: "the progress ended".to_owned() }.into())
}

/// A restore is none the worse for a report that cannot be stored; the log has all that matters of it.
async fn store_report(context: &Context, restore: &Restore, finished: &Arc<Finished>) {
    let JobOptions { spool: folder, cluster, .. } = &context.options;
    let stored = stored_report::store(&context.client, &cluster.namespace, restore, finished, folder).await;
    if let Err(error) = stored {
        warn!("`restore report` has nothing to show of this try: {}", drover::exit::Chain(&error));
    }
}

/// What the results come to.
fn conclude(
    restore: &Restore,
    finished: &Finished,
    counts: &Counts,
    stop: &CancellationToken,
) -> Result<String, Failure> {
    let words = counts.in_words();
    if let Some(error) = finished.left_down.as_ref().or(finished.given_up.as_ref()) {
        return Err(Failure::new(error.exit(), format!("{words}; {}", drover::exit::Chain(error))));
    }
    if let Some(failure) = &finished.failed {
        return Err(Failure::new(failure.exit(), format!("{words}; {failure}")));
    }
    if let Some(lost) = &finished.lost {
        return Err(Failure::new(Exit::Unavailable, format!("{words}; {}", drover::exit::Chain(lost))));
    }
    if stop.is_cancelled() && counts.of(Outcome::Untouched) > 0 {
        return Err(JobError::Interrupted { words }.into());
    }
    let words = report::with_causes(restore, finished, words);
    let is_well = counts.of(Outcome::Failed) == 0 || restore.spec.ignore_errors == Some(true);
    if is_well { Ok(words) } else { Err(JobError::ObjectsFailed { words }.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_data_end_a_restore_and_a_service_that_is_away_does_not() {
        let ends = |failure: Failure| matches!(ending_of(&failure, String::new()), Ending::Failed { .. });
        assert!(ends(Failure::new(Exit::DataRefused, "cut off")));
        assert!(ends(JobError::ObjectsFailed { words: String::new() }.into()));
        assert!(!ends(Failure::new(Exit::Unavailable, "away")));
        assert!(!ends(Failure::new(Exit::Usage, "no Secret")));
        assert!(!ends(JobError::Interrupted { words: String::new() }.into()));
    }
}
