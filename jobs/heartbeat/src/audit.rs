//! The audit of freshness: for each Backup that has a monitor, whether its newest archive is there, whole, young enough and
//! can be decrypted. It relies on nothing that the chain says of itself but the record of what was verified, and finds a
//! dead chain, a lost key and a deleted file.

mod facts;
mod judge;
mod sites;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drover::clock;
use drover::cluster;
use drover::coexistence;
use drover::conditions::{FRESH, reason};
use drover::exit::{Exit, Failure, warn_of};
use drover::job::name::HEARTBEAT as JOB;
use drover::policy::Policies;
use drover::resources::{Backup, BackupStatus, ConditionStatus, Restore};
use drover::runs::set_backup_status;
use futures::{Stream, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use self::judge::{Facts, Verdict, judge};
use self::sites::Sites;
use self::telling::Finding;
use crate::context::Context;
use crate::memories::known;
use crate::memory::{self, Memory};
use crate::monitor::Monitor;
use crate::monitors::{OfBackup, annotated_name};
use crate::ping::Concern;
use crate::tell::refused;

/// How long it is remembered what was told of a Restore: longer than anything is told that happened to it.
const RESTORES_REMEMBERED: SignedDuration = SignedDuration::from_hours(4 * 24);

/// How many Backups are looked at at a time: one whose place does not answer holds up few others, and of each no more than
/// an object of its archive is in memory.
const AT_ONCE: usize = 8;

/// How long all looks may take together. With the drain before them it is less than the deadline of the Job: what was found
/// by then is to be told, and who was not looked at.
const LIMIT: Duration = Duration::from_mins(8);

/// How long it may take after that to say so in the conditions.
const DISCLAIMING: Duration = Duration::from_secs(30);

/// What came of one Backup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Audited {
    Unwatched,
    Fresh,
    Stale,
}

/// Looks at every Backup that has a monitor, and tells it. Each gets its verdict, whatever the places of others do.
///
/// # Errors
/// With 1 where a Backup is not fresh; else with the worst failure of what could not be looked at or told.
pub(crate) async fn audit(context: &Context, shutdown: &CancellationToken) -> Result<(), Failure> {
    if let Some(operator) = coexistence::operator(&context.client, &context.options.namespace).await? {
        info!("nobody is told: {}", operator.message());
        return Ok(());
    }
    let policies = Policies::load(&context.client).await?;
    // Before the Backups, so that what is not among those is none that was made in between.
    let (memories, unread) = known(context.memories.all().await);
    let backups: Vec<Backup> = cluster::list(&context.client).await?;
    let round = Round { context, policies, memories, sites: Sites::default() };
    let names = backups.iter().map(ResourceExt::name_any).collect();
    let looks = stream::iter(&backups).map(|backup| round.look_at(backup)).buffer_unordered(AT_ONCE);
    let tally = tokio::select! {
        tally = tally(looks, names, LIMIT) => tally,
        () = shutdown.cancelled() => {
            return Err(Failure::new(Exit::Unavailable, "failed to look at every Backup: the job was asked to end"));
        }
    };
    disclaim(context, &backups, &tally.unseen).await;
    let Some(unread) = unread else {
        forget_others(context, &backups, &round.memories).await;
        return tally.conclude();
    };
    error!("{unread}");
    tally.and(unread).conclude()
}

/// What comes of the looks at all Backups of these names that end within the limit.
async fn tally(
    looks: impl Stream<Item = (String, Audited, Option<Failure>)>,
    names: BTreeSet<String>,
    limit: Duration,
) -> Tally {
    let tally = Tally { unseen: names, ..Tally::default() };
    let looks = looks.take_until(sleep(limit));
    looks.fold(tally, async |tally, (name, result, failure)| tally.with(name, result, failure)).await
}

/// What came of all Backups.
#[derive(Debug, Default)]
struct Tally {
    /// The Backups that were not looked at.
    unseen: BTreeSet<String>,
    stale: Vec<String>,
    looked_at: usize,
    worst: Option<Failure>,
}

impl Tally {
    fn with(mut self, name: String, result: Audited, failure: Option<Failure>) -> Self {
        self.unseen.remove(&name);
        self.looked_at += usize::from(result != Audited::Unwatched);
        self.stale.extend((result == Audited::Stale).then_some(name));
        self.worst = self.worst.into_iter().chain(failure).max_by_key(Failure::exit);
        self
    }

    /// With what else failed.
    fn and(mut self, failure: Failure) -> Self {
        self.worst = self.worst.into_iter().chain([failure]).max_by_key(Failure::exit);
        self
    }

    fn conclude(self) -> Result<(), Failure> {
        let unseen = self.unseen();
        let Self { mut stale, looked_at, worst, unseen: names } = self;
        info!(looked_at, stale = stale.len(), unseen = names.len(), "audit done");
        if stale.is_empty() {
            let unseen = unseen.map(|words| Failure::new(Exit::Unavailable, words));
            return unseen.or(worst).map_or(Ok(()), Err);
        }
        // What else failed was said where it did.
        stale.sort();
        let words = format!("failed to find fresh: {} of {looked_at} Backups: {}", stale.len(), stale.join(", "));
        let words = [Some(words), unseen].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Err(Failure::new(Exit::Failure, words))
    }

    /// Which Backups were not looked at, in words.
    fn unseen(&self) -> Option<String> {
        let names: Vec<_> = self.unseen.iter().map(String::as_str).collect();
        let (count, seconds) = (names.len(), LIMIT.as_secs());
        let words = || format!("failed to look at {count} Backups within {seconds} s: {}", names.join(", "));
        (count > 0).then(words)
    }
}

/// What all looks of an audit share.
struct Round<'a> {
    context: &'a Context,
    policies: Policies,
    /// What monitors had been told before it.
    memories: BTreeMap<String, String>,
    sites: Sites,
}

impl Round<'_> {
    /// Looks at one Backup; with its name, and with what went wrong on the way, where something did.
    async fn look_at(&self, backup: &Backup) -> (String, Audited, Option<Failure>) {
        let name = backup.name_any();
        let member = memory::member(Concern::Backup, &backup.uid().unwrap_or_default());
        let memory = memory::read(self.memories.get(&member));
        let span = info_span!("audit", backup = name);
        let (result, failure) = Box::pin(look_at(self, backup, &memory)).instrument(span).await;
        (name, result, failure)
    }
}

/// Looks at one Backup; with what went wrong on the way, where something did.
async fn look_at(round: &Round<'_>, backup: &Backup, memory: &Memory) -> (Audited, Option<Failure>) {
    let context = round.context;
    let found = context.monitors.of_backup(backup).await;
    let mut failures = Vec::new();
    failures.extend(forget_unwatching(context, backup, &found, memory).await.err());
    let is_refused = found.refused.is_some();
    if let Some(error) = found.refused {
        failures.push(refused(context, backup, error).await);
    }
    let result = if found.monitors.is_empty() {
        let unknown = if is_refused { Unknown::NotLookedAt } else { Unknown::NotWatched };
        failures.extend(set_unknown(context, backup, unknown).await.err());
        Ok(Audited::Unwatched)
    } else {
        Box::pin(judge_and_tell(round, backup, &found.monitors, memory, &mut failures)).await
    };
    let result = result.unwrap_or_else(|failure| {
        failures.push(failure);
        Audited::Unwatched
    });
    for failure in &failures {
        error!("{failure}");
    }
    (result, failures.into_iter().max_by_key(Failure::exit))
}

/// Forgets what monitors were told of a Backup that watch it no more: a failure among it would withhold the successes of
/// others from them for ever.
async fn forget_unwatching(
    context: &Context,
    backup: &Backup,
    found: &OfBackup,
    memory: &Memory,
) -> Result<(), Failure> {
    let annotated = annotated_name(backup).filter(|_| found.refused.is_some());
    let gone = unwatching(memory, &found.monitors, annotated.as_deref());
    if gone.is_empty() {
        return Ok(());
    }
    info!("forgotten, for they watch it no more: {}", gone.join(", "));
    let change = |memory: &mut Memory| memory.retain(|name, _| !gone.contains(name));
    Ok(context.memories.note(Concern::Backup, &backup.uid().unwrap_or_default(), change).await?)
}

/// The names in a memory that are none of these monitors, nor the one whose Secret cannot be used now.
fn unwatching(memory: &Memory, monitors: &[Monitor], unusable: Option<&str>) -> Vec<String> {
    let is_there = |name: &str| Some(name) == unusable || monitors.iter().any(|monitor| monitor.name == name);
    memory.keys().filter(|name| !is_there(name)).cloned().collect()
}

async fn judge_and_tell(
    Round { context, policies, sites, .. }: &Round<'_>,
    backup: &Backup,
    monitors: &[Monitor],
    memory: &Memory,
    failures: &mut Vec<Failure>,
) -> Result<Audited, Failure> {
    let (facts, run) = match facts::gather(context, policies, sites, backup).await {
        Ok(gathered) => gathered,
        Err(failure) => {
            failures.extend(set_unknown(context, backup, Unknown::NotLookedAt).await.err());
            return Err(failure);
        }
    };
    let now = clock::now();
    let verdicts: Vec<_> = monitors.iter().map(|monitor| (monitor, judge(&facts, monitor.freshness, now))).collect();
    let reasons = reasons(&verdicts);
    for reason in &reasons {
        warn!("not fresh: {reason}");
    }
    let finding = Finding { facts: &facts, run: run.as_ref(), verdicts: &verdicts, before: memory, now };
    failures.extend(telling::tell(context, backup, &finding).await.err());
    if verdicts.iter().all(|(_, verdict)| *verdict == Verdict::TooEarly) {
        info!("too new to be judged");
        return Ok(Audited::Fresh);
    }
    let change = |backup: &Backup| Some(with_condition(backup, &facts, &reasons, now));
    let noted = set_backup_status(context.client.clone(), &backup.name_any(), JOB, change).await;
    failures.extend(noted.err().map(Failure::from));
    if reasons.is_empty() {
        info!("fresh");
        return Ok(Audited::Fresh);
    }
    Ok(Audited::Stale)
}

/// Why the Backup is not fresh, for the strictest of its monitors; nothing where it is.
fn reasons(verdicts: &[(&Monitor, Verdict)]) -> Vec<String> {
    let of = |verdict: &Verdict| match verdict {
        Verdict::Stale(reasons) => reasons.clone(),
        Verdict::Fresh | Verdict::TooEarly => Vec::new(),
    };
    verdicts.iter().map(|(_, verdict)| of(verdict)).max_by_key(Vec::len).unwrap_or_default()
}

/// The Backup's status with the condition. Its words say nothing of how old the archive is, so that they stay as long as
/// the verdict does.
fn with_condition(backup: &Backup, facts: &Facts, reasons: &[String], now: Timestamp) -> BackupStatus {
    let mut status = backup.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    if reasons.is_empty() {
        let filename = facts.archive.as_ref().map(|archive| archive.filename.as_str()).unwrap_or_default();
        conditions.set(FRESH, ConditionStatus::True, FRESH, filename, now);
    } else {
        conditions.set(FRESH, ConditionStatus::False, reason::NOT_FRESH, &reasons.join("; "), now);
    }
    status
}

/// Why it is not known whether a Backup is fresh.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unknown {
    NotWatched,
    NotLookedAt,
}

impl Unknown {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotWatched => (reason::NOT_WATCHED, "no monitor watches it"),
            Self::NotLookedAt => {
                (reason::NOT_LOOKED_AT, "the last audit could not look at it; the log of the job heartbeat says why")
            }
        }
    }
}

/// Takes back what the condition of a Backup says, where it says anything: that nobody has looked is no verdict.
async fn set_unknown(context: &Context, backup: &Backup, unknown: Unknown) -> Result<(), Failure> {
    let change = |backup: &Backup| with_unknown(backup, unknown, clock::now());
    if change(backup).is_none() {
        return Ok(());
    }
    Ok(set_backup_status(context.client.clone(), &backup.name_any(), JOB, change).await?)
}

/// The Backup's status with a condition that says nothing; none where it has none and nobody waits for one.
fn with_unknown(backup: &Backup, unknown: Unknown, now: Timestamp) -> Option<BackupStatus> {
    let mut status = backup.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    if unknown == Unknown::NotWatched && conditions.get(FRESH).is_none() {
        return None;
    }
    let (reason, message) = unknown.words();
    conditions.set(FRESH, ConditionStatus::Unknown, reason, message, now);
    Some(status)
}

/// Takes back what the conditions say of Backups that there was no time for.
async fn disclaim(context: &Context, backups: &[Backup], unseen: &BTreeSet<String>) {
    let has_condition = |backup: &&Backup| backup.condition(FRESH).is_some();
    let unseen = backups.iter().filter(has_condition).filter(|backup| unseen.contains(&backup.name_any()));
    let disclaiming = stream::iter(unseen).for_each_concurrent(AT_ONCE, async |backup| {
        if let Err(failure) = set_unknown(context, backup, Unknown::NotLookedAt).await {
            warn!(backup = backup.name_any(), "{failure}");
        }
    });
    if timeout(DISCLAIMING, disclaiming).await.is_err() {
        warn!(
            "failed to say of every Backup that was not looked at that it is not known to be fresh: no time was left"
        );
    }
}

/// Whether it is still remembered what was told of a Restore of that time.
fn is_remembered(created: Timestamp, now: Timestamp) -> bool {
    now.duration_since(created) < RESTORES_REMEMBERED
}

/// Forgets what was told of Backups that are gone, and of Restores of long ago. What fails is done the next time.
async fn forget_others(context: &Context, backups: &[Backup], memories: &BTreeMap<String, String>) {
    let restores: Vec<Restore> = match cluster::list(&context.client).await {
        Ok(restores) => restores,
        Err(error) => return warn!("failed to list the Restores: {error}"),
    };
    let now = clock::now();
    let is_recent = |restore: &&Restore| restore.creation_timestamp().is_some_and(|time| is_remembered(time.0, now));
    let of_backups = backups.iter().filter_map(ResourceExt::uid).map(|uid| memory::member(Concern::Backup, &uid));
    let of_restores = restores.iter().filter(is_recent).filter_map(ResourceExt::uid);
    let kept: BTreeSet<_> = of_backups.chain(of_restores.map(|uid| memory::member(Concern::Restore, &uid))).collect();
    let gone = memories.keys().filter(|member| !kept.contains(*member)).cloned().collect();
    warn_of(context.memories.forget(gone).await);
}

#[cfg(test)]
mod tests;
