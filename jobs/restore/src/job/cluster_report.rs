//! What the job tells about a Restore: its status, its Events, the messages, the log.

use std::sync::Arc;
use std::time::Duration;

use drover::cluster::ApiError;
use drover::coexistence::{self, Operator};
use drover::conditions::{READY, reason};
use drover::events::{Data, Event, Kind};
use drover::exit::{Failure, warn_of};
use drover::resources::{Ready, Restore, RestoreStatus, rfc3339};
use drover::restores::{self, for_good, given_up};
use drover::runs::report::place_word;
use drover::{clock, status};
use jiff::Timestamp;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use tracing::{info, warn};
use uuid::Uuid;

use crate::job::context::Context;
use crate::job::name::JOB;
use crate::report::causes::Causes;
use crate::report::outcome::{Counts, Outcome};
use crate::report::progress::Gauge;
use crate::report::results;
use crate::restoration::Finished;

/// How often the status says how far the restore is.
const STATUS_EVERY: Duration = Duration::from_secs(3);

/// How often it is looked whether the Restore is still there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How a try of a Restore ended.
pub(crate) enum Ending {
    /// All is as in the archive, or what is not was to be ignored.
    Completed {
        /// The counts, and the causes of what failed.
        words: String,
    },
    /// It has ended and never runs again.
    Failed {
        /// Why.
        reason: String,
    },
    /// The next job tries again.
    Waiting {
        /// Why.
        reason: String,
    },
}

impl Ending {
    /// It has ended for this reason, which goes with what to do.
    pub(crate) fn failed(reason: &str) -> Self {
        Self::Failed { reason: for_good(reason) }
    }
}

/// It begins, unless it was deleted since it was listed: gives it as it is by now, for it may have been edited too.
pub(crate) async fn started(context: &Context, restore: &Restore) -> Result<Option<Restore>, Failure> {
    let begin = |status: &mut RestoreStatus| {
        in_progress(status, "reading the archive");
        let default_is_bucket = context.options.storage.default_is_bucket();
        let source = place_word(restore.spec.storage_location.as_ref(), default_is_bucket);
        status.backup_source = Some(source.to_owned());
    };
    let Some(restore) = set_status(&context.client, restore, begin).await? else {
        info!("the Restore was deleted before it began");
        return Ok(None);
    };
    let file = &restore.spec.backup_filename;
    publish(context, &restore, Kind::RestoreStarted, None).await?;
    context.events.normal(&restore, "RestoreStarted", format!("from {file}")).await;
    info!(file, "restore begins");
    Ok(Some(restore))
}

/// The queue cannot be reached, so no try begins; `words` say why. One whose time is over says that, and ends once it can be
/// told to monitors too.
pub(crate) async fn not_tried(client: &Client, restore: &Restore, words: &str) {
    let now = clock::now();
    let told = set_status(client, restore, |status| {
        let conditions = status.conditions.get_or_insert_default();
        coexistence::note(conditions, None, now);
        if restores::is_given_up(restore, now) {
            conditions.set_ready(Ready::Failed, &given_up(restore), now);
        } else {
            restores::set_waiting(conditions, restore, words, now);
        }
        conditions.renew(READY, now);
    });
    warn_of(told.await);
}

/// It is given up, for good: nothing of it is tried any more.
pub(crate) async fn ended_untried(context: &Context, restore: &Restore) -> Result<(), Failure> {
    let restores: Api<Restore> = Api::all(context.client.clone());
    let found = restores.get_metadata_opt(&restore.name_any()).await.map_err(ApiError::from)?;
    if !found.is_some_and(|found| is_there(&found, restore)) {
        info!("the Restore was deleted before it began");
        return Ok(());
    }
    let reason = given_up(restore);
    warn!("{reason}");
    ended(context, restore, &Ending::Failed { reason }).await
}

/// It waits for its turn, `words` say behind whom, unless somebody works on it, or it says what else it waits for as it is.
pub(crate) async fn waits_for_its_turn(client: &Client, restore: &Restore, words: &str) {
    warn_of(set_status(client, restore, |status| stand_in_line(status, restore, words, clock::now())).await);
}

/// The status as it is read now counts: whoever restores may have ended it since it was listed.
fn stand_in_line(status: &mut RestoreStatus, restore: &Restore, words: &str, now: Timestamp) {
    if status.restore_completion_ts.is_some() || restores::is_given_up(restore, now) {
        return;
    }
    let is_edited = status.observed_generation < restore.metadata.generation;
    let conditions = status.conditions.get_or_insert_default();
    if !conditions.is_in_progress() && (is_edited || !conditions.waits()) {
        conditions.set_ready(Ready::Pending, words, now);
    }
}

/// Waits until the Restore is deleted.
pub(crate) async fn deleted(context: &Context, restore: &Restore) {
    let restores: Api<Restore> = Api::all(context.client.clone());
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        // That the server does not answer says nothing of the Restore; the work itself will notice.
        let Ok(found) = restores.get_metadata_opt(&restore.name_any()).await else { continue };
        if !found.is_some_and(|found| is_there(&found, restore)) {
            return;
        }
    }
}

fn is_there(found: &PartialObjectMeta<Restore>, restore: &Restore) -> bool {
    found.uid() == restore.uid() && found.metadata.deletion_timestamp.is_none()
}

/// It was deleted while it ran, and is stopped.
pub(crate) async fn stopped(context: &Context, restore: &Restore, words: &str) -> Result<(), Failure> {
    info!("the Restore was deleted while it ran: {words}");
    publish(context, restore, Kind::RestoreFailed, Some("the Restore was deleted while it ran")).await
}

/// The Rancher backup operator is in charge of the Restore. Its own words about it stay as they are.
pub(crate) async fn not_in_charge(client: &Client, restore: &Restore, operator: &Operator) {
    let change = |status: &mut RestoreStatus| {
        coexistence::note(status.conditions.get_or_insert_default(), Some(operator), clock::now());
    };
    warn_of(set_status(client, restore, change).await);
}

/// The Restore is never carried out, and has ended with that.
pub(crate) async fn refused(client: &Client, restore: &Restore, reason: &str) -> Result<(), Failure> {
    warn!(restore = restore.name_any(), "not carried out: {reason}");
    let ending = Ending::failed(reason);
    set_status(client, restore, |status| end(status, restore, &ending, clock::now())).await?;
    Ok(())
}

fn in_progress(status: &mut RestoreStatus, detail: &str) {
    let (conditions, now) = (status.conditions.get_or_insert_default(), clock::now());
    coexistence::note(conditions, None, now);
    conditions.set_in_progress(detail, now);
}

/// Tells how far it is, for as long as it is polled.
pub(crate) async fn progress(context: &Context, restore: &Restore, gauge: &Arc<Gauge>) {
    let mut ticks = tokio::time::interval(STATUS_EVERY);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let detail = gauge.to_string();
        warn_of(set_status(&context.client, restore, |status| in_progress(status, &detail)).await);
    }
}

/// It has ended, or waits for the next job. The message first: a Restore whose status says that it has ended never runs
/// again, so a job that is killed between the two says it once more, and the stream takes it once.
pub(crate) async fn ended(context: &Context, restore: &Restore, ending: &Ending) -> Result<(), Failure> {
    match ending {
        Ending::Completed { words } => {
            info!("restore completed: {words}");
            publish(context, restore, Kind::RestoreCompleted, None).await?;
            context.events.normal(restore, "RestoreCompleted", words).await;
        }
        Ending::Failed { reason } => {
            publish(context, restore, Kind::RestoreFailed, Some(reason)).await?;
            context.events.warning(restore, "RestoreFailed", reason).await;
        }
        Ending::Waiting { reason } => context.events.warning(restore, "RestoreWaits", reason).await,
    }
    if set_status(&context.client, restore, |status| end(status, restore, ending, clock::now())).await?.is_none() {
        info!("the Restore was deleted as it ended");
    }
    Ok(())
}

fn end(status: &mut RestoreStatus, restore: &Restore, ending: &Ending, now: Timestamp) {
    let conditions = status.conditions.get_or_insert_default();
    match ending {
        Ending::Completed { words } => {
            conditions.set_completed(now);
            status.summary = Some(words.clone());
            status.restore_completion_ts = Some(rfc3339(now));
        }
        Ending::Failed { reason } => {
            conditions.set_stalled(reason::FAILED, reason, now);
            status.summary = Some(reason.clone());
            status.restore_completion_ts = Some(rfc3339(now));
        }
        Ending::Waiting { reason } => {
            restores::set_waiting(conditions, restore, reason, now);
            // A try that ends as the one before has spoken all the same.
            conditions.renew(READY, now);
        }
    }
}

/// Changes the status, where the Restore is still there: gives it as it then is. The status is about the Restore as it was
/// read, also where it was edited since.
async fn set_status(
    client: &Client,
    restore: &Restore,
    change: impl Fn(&mut RestoreStatus),
) -> Result<Option<Restore>, Failure> {
    let restores: Api<Restore> = Api::all(client.clone());
    let (uid, generation) = (restore.uid(), restore.metadata.generation);
    let another = |found: &Restore| {
        // A Restore that was deleted and applied again is another one, and runs by itself.
        if found.uid() != uid {
            return None;
        }
        let mut changed = found.status.clone().unwrap_or_default();
        change(&mut changed);
        changed.observed_generation = generation;
        (found.status.as_ref() != Some(&changed)).then_some(changed)
    };
    match status::update(&restores, &restore.name_any(), JOB, another).await {
        Ok(found) => Ok(Some(found).filter(|found| found.uid() == uid)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The run id of a Restore is its UID: it runs once.
async fn publish(context: &Context, restore: &Restore, kind: Kind, reason: Option<&str>) -> Result<(), Failure> {
    let uid = restore.uid().unwrap_or_default();
    let data = Data {
        name: restore.name_any(),
        run: Uuid::parse_str(&uid).unwrap_or_default(),
        uid,
        filename: restore.archive().map(str::to_owned),
        reason: reason.map(str::to_owned),
        ..Data::default()
    };
    context.connection.publish(&Event::new(kind, JOB, clock::now(), data)).await?;
    Ok(())
}

/// Logs every object of which there is something to say, with its reason, and gives the counts. What failed for one cause is
/// one warning, however many objects it was.
pub(crate) fn log_results(finished: &Finished) -> Counts {
    let failed = causes(finished, Outcome::Failed);
    for told in results::noted(finished) {
        let (object, reason) = (told.name(), told.reason);
        match told.outcome {
            Outcome::Failed if failed.count(&told) == 1 => warn!(object, "failed: {reason}"),
            outcome if reason.is_empty() => info!(object, "{}", outcome.word()),
            outcome => info!(object, "{}: {reason}", outcome.word()),
        }
    }
    for (_, words) in failed.told(Outcome::Failed.word()).filter(|(count, _)| *count > 1) {
        warn!("{words}");
    }
    results::counts(finished)
}

/// The counts, with the causes that somebody should look at. The way to all of it comes first: an Event holds no more than
/// the beginning.
pub(crate) fn with_causes(restore: &Restore, finished: &Finished, words: String) -> String {
    let told = [Outcome::Failed, Outcome::HeldBack].map(|outcome| causes(finished, outcome).in_words(outcome.word()));
    let told: Vec<String> = told.into_iter().filter(|told| !told.is_empty()).collect();
    if told.is_empty() {
        return words;
    }
    format!("{words}; all: `restore report {}`; {}", restore.name_any(), told.join("; "))
}

/// What objects came to `outcome` for.
fn causes(finished: &Finished, outcome: Outcome) -> Causes {
    Causes::of(results::noted(finished).filter(|told| told.outcome == outcome))
}

#[cfg(test)]
mod tests {
    use drover::resources::RestoreSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn one_that_has_ended_since_it_was_listed_does_not_stand_in_line() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut restore = Restore::new("r", RestoreSpec::default());
        restore.metadata.creation_timestamp = Some(Time(now));
        let mut status = RestoreStatus::default();
        stand_in_line(&mut status, &restore, "waits for another", now);
        assert_eq!(status.conditions.as_ref().unwrap().detail(), "waits for another");
        end(&mut status, &restore, &Ending::Completed { words: "done".to_owned() }, now);
        let ended = status.clone();
        stand_in_line(&mut status, &restore, "waits for another", now);
        assert_eq!(status, ended);
    }

    #[test]
    fn only_an_end_sets_the_time_of_completion() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut restore = Restore::new("r", RestoreSpec::default());
        restore.metadata.creation_timestamp = Some(Time(now));
        let ended = |ending: &Ending| {
            let mut status = RestoreStatus::default();
            end(&mut status, &restore, ending, now);
            let ready = status.conditions.unwrap().get("Ready").unwrap().message.clone().unwrap();
            (status.restore_completion_ts.is_some(), ready)
        };
        let text = || "why".to_owned();
        assert_eq!(ended(&Ending::Completed { words: text() }), (true, "Completed".to_owned()));
        assert_eq!(ended(&Ending::Failed { reason: text() }), (true, "Failed: why".to_owned()));
        let waits = "InProgress: why; it is tried again until 1970-01-12T14:46:40Z".to_owned();
        assert_eq!(ended(&Ending::Waiting { reason: text() }), (false, waits));
    }
}
