//! The job: carries out the Restores of the cluster, one at a time.

use std::io::Read;
use std::sync::Arc;

use drover::archive::{Limits, ReadError, Spool, Unsealing};
use drover::cluster::{ApiError, Events};
use drover::encryption;
use drover::exit::{Exit, Failure, Fault};
use drover::lease::{self, Acquired, Wait};
use drover::queue::{self, Connection};
use drover::resources::Restore;
use drover::storage::{Content, Storage};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use snafu::{ResultExt, Snafu};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span};

use crate::cluster_report::{self as report, Ending};
use crate::ground::Ground;
use crate::outcome::Outcome;
use crate::request::Server;
use crate::restoration::{Finished, Restoration};
use crate::wishes::{WishError, Wishes};
use crate::{JobOptions, WorkLimits};

/// The job's name, and its field manager.
pub(crate) const JOB: &str = "restore";

/// The Lease of a restore, under the operator's own name for it: one restore of a cluster at a time, whoever runs it.
const LEASE: &str = "restore-controller";

/// Why a Restore was not carried out.
#[derive(Debug, Snafu)]
pub(crate) enum JobError {
    /// The Restores cannot be read.
    #[snafu(display("failed to read the Restores; are the CRDs of resources.cattle.io installed?"))]
    ReadRestores {
        /// What the server said.
        source: ApiError,
    },
    /// Its encryption configuration is missing or refused, and stays so until somebody mends it.
    #[snafu(display("failed to prepare the decryption; nothing was changed"))]
    Encryption {
        /// Why.
        source: encryption::SourceError,
    },
    /// The spool.
    #[snafu(display("failed to use the spool folder; give it room, or name another with --spool"))]
    UseSpool {
        /// What the system said.
        source: std::io::Error,
    },
    /// The archive's reading is gone.
    #[snafu(display("failed to wait for the archive to be read; this is a fault of drover"))]
    JoinReading {
        /// How it ended.
        source: tokio::task::JoinError,
    },
    /// The archive is refused.
    #[snafu(display("failed to read the archive {filename:?}; nothing was changed"))]
    ReadArchive {
        /// Its file name.
        filename: String,
        /// What is wrong with it.
        source: ReadError,
    },
    /// Objects failed.
    #[snafu(display("{words}; first: {first}"))]
    ObjectsFailed {
        /// The counts, in words.
        words: String,
        /// The first ones, by name and reason.
        first: String,
    },
    /// The Lease went to somebody else.
    #[snafu(display("failed to keep the Lease of restores; whoever took it goes on"))]
    LoseLease,
    /// Somebody ended it, or took the Lease.
    #[snafu(display("failed to finish: {words}; the next job goes on"))]
    Interrupted {
        /// The counts, in words.
        words: String,
    },
}

impl Fault for JobError {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadRestores { source } => source.exit(),
            Self::ReadArchive { source, .. } => source.exit(),
            Self::Encryption { source } => source.exit(),
            Self::LoseLease => Exit::Unavailable,
            _ => Exit::Failure,
        }
    }
}

/// What every Restore's work needs.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) options: JobOptions,
    pub(crate) events: Events,
    pub(crate) connection: Connection,
    server: Arc<Server>,
}

/// Carries out every Restore that has not run, oldest first. One that fails does not hold up the next.
pub(crate) async fn restore_all(options: JobOptions, shutdown: &CancellationToken) -> Result<(), Failure> {
    let client = drover::cluster::connect().await?;
    if waiting(&client).await?.is_empty() {
        info!("nothing to do: no Restore waits");
        return Ok(());
    }
    let identity = options.cluster.identity();
    let (namespace, settings) = (options.cluster.namespace.clone(), options.cluster.lease_settings());
    let acquired = lease::acquire(client.clone(), &namespace, LEASE, &identity, settings, Wait::No).await?;
    let held = match acquired {
        Acquired::Held(held) => held,
        Acquired::Busy { holder } => {
            info!(holder, "nothing to do: another restore is at work");
            return Ok(());
        }
    };
    let context = connect(client, options, &identity).await?;
    let stop = stop_when_lost(&held, shutdown);
    let mut outcome = restore_waiting(&context, &stop).await;
    if outcome.is_err() && held.lost().is_cancelled() {
        outcome = Err(JobError::LoseLease.into());
    }
    drop(
        held.release().await.inspect_err(|error| info!("the Lease expires by itself: {}", drover::exit::Chain(error))),
    );
    outcome
}

/// Whoever loses the Lease stops as if asked to end: what is being written is finished, and nothing more is begun.
fn stop_when_lost(held: &lease::Lease, shutdown: &CancellationToken) -> CancellationToken {
    let (stop, lost) = (shutdown.child_token(), held.lost());
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! { () = lost.cancelled() => token.cancel(), () = token.cancelled() => {} }
    });
    stop
}

async fn connect(client: Client, options: JobOptions, identity: &str) -> Result<Context, Failure> {
    let connection = queue::connect(&options.nats, JOB).await?;
    // The server's 429 must come through to the limiter.
    let writing = drover::cluster::connect_without_retries().await?;
    let server = Arc::new(Server::new(writing, options.limits.concurrency));
    Ok(Context { events: Events::new(client.clone(), JOB, identity), client, options, connection, server })
}

/// The Restores that have not run, oldest first.
async fn waiting(client: &Client) -> Result<Vec<Restore>, JobError> {
    let restores: Api<Restore> = Api::all(client.clone());
    let listed = restores.list(&ListParams::default()).await.map_err(ApiError::from).context(ReadRestoresSnafu)?;
    let mut waiting = listed.items;
    waiting.retain(|restore| !restore.has_ended() && restore.metadata.deletion_timestamp.is_none());
    waiting.sort_by_key(|restore| (restore.creation_timestamp().map(|time| time.0), restore.name_any()));
    Ok(waiting)
}

async fn restore_waiting(context: &Context, stop: &CancellationToken) -> Result<(), Failure> {
    let mut worst: Option<Failure> = None;
    for restore in waiting(&context.client).await? {
        if stop.is_cancelled() {
            break;
        }
        let span = info_span!("restore", restore = restore.name_any());
        if let Err(failure) = restore_one(context, &restore, stop).instrument(span.clone()).await {
            span.in_scope(|| error!("{failure}"));
            worst = worst.into_iter().chain([failure]).max_by_key(Failure::exit);
        }
    }
    worst.map_or(Ok(()), Err)
}

/// One Restore, with what it tells before and after.
async fn restore_one(context: &Context, restore: &Restore, stop: &CancellationToken) -> Result<(), Failure> {
    report::started(context, restore).await?;
    let done = carry_out(context, restore, stop).await;
    match done {
        Ok(words) => report::ended(context, restore, &Ending::Completed { words }).await,
        Err(failure) => {
            let reason = failure.to_string();
            report::ended(context, restore, &ending_of(&failure, reason)).await?;
            Err(failure)
        }
    }
}

/// A Restore has ended when its wish cannot be fulfilled or objects were refused; where a service was away, or somebody
/// can mend a Secret, the next job tries again.
fn ending_of(failure: &Failure, reason: String) -> Ending {
    let is_final = match failure.find::<JobError>() {
        _ if failure.find::<WishError>().is_some() => true,
        Some(JobError::Encryption { .. } | JobError::ObjectsFailed { .. }) => true,
        _ => failure.exit() == Exit::DataRefused,
    };
    if is_final { Ending::Failed { reason } } else { Ending::Waiting { reason } }
}

/// Downloads, checks, plans and applies; gives the counts in words.
async fn carry_out(context: &Context, restore: &Restore, stop: &CancellationToken) -> Result<String, Failure> {
    let wishes = Wishes::of(restore)?;
    let spool = tokio::select! {
        spool = Box::pin(fetch(context, restore)) => spool?,
        () = stop.cancelled() => return Err(JobError::Interrupted { words: "nothing was changed".to_owned() }.into()),
    };
    let objects = spool.len();
    info!(objects, bytes = spool.archive_bytes(), sha256 = spool.sha256(), "archive read and checked");
    let ground = Ground::survey(&context.client, &context.options.cluster.namespace, wishes.credentials).await?;
    let concurrency = context.options.limits.concurrency;
    let restoration = Restoration::new(Arc::clone(&context.server), spool, wishes, ground, concurrency);
    let gauge = restoration.gauge();
    let finished = tokio::select! {
        finished = restoration.apply(stop) => finished?,
        () = report::progress(context, restore, &gauge) => unreachable_progress()?,
    };
    conclude(restore, &finished, stop)
}

/// The progress is told until the restore has ended, and never ends by itself.
fn unreachable_progress() -> Result<Finished, Failure> {
    Err(JobError::Interrupted { words: "the progress ended".to_owned() }.into())
}

/// Fetches the archive into the spool and checks all of it: before this has ended well, nothing is applied.
async fn fetch(context: &Context, restore: &Restore) -> Result<Arc<Spool>, Failure> {
    let JobOptions { spool: folder, limits, storage, cluster, nats: _ } = &context.options;
    let wanted = restore.spec.storage_location.as_ref();
    let location = storage.locate(&context.client, &cluster.namespace, wanted).await?;
    let storage = Storage::open(location).await?;
    let unsealing = unsealing(context, restore).await?;
    let filename = restore.spec.backup_filename.clone();
    let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(folder).context(UseSpoolSnafu)?);
    let Content { bytes, .. } = storage.fetch_to(&filename, &mut file).await?;
    info!(location = storage.path_of(&filename), bytes, "archive fetched");
    let (file, folder, limits) = (file.into_std().await, folder.clone(), archive_limits(*limits));
    let reading = tokio::task::spawn_blocking(move || read(file, &folder, &limits, unsealing));
    let spool = reading.await.context(JoinReadingSnafu)?.context(ReadArchiveSnafu { filename })?;
    Ok(Arc::new(spool))
}

/// What becomes of encrypted objects: they are decrypted by the configuration that the Restore names, or refused.
async fn unsealing(context: &Context, restore: &Restore) -> Result<Unsealing, Failure> {
    let Some(secret) = restore.encryption_secret() else { return Ok(Unsealing::Refuse) };
    match encryption::from_secret(&context.client, &context.options.cluster.namespace, secret).await {
        Ok(configuration) => Ok(Unsealing::Decrypt(configuration)),
        Err(source) if source.is_final() => Err(JobError::Encryption { source }.into()),
        Err(source) => Err(source.into()),
    }
}

fn read(
    archive: impl Read,
    folder: &std::path::Path,
    limits: &Limits,
    unsealing: Unsealing,
) -> Result<Spool, ReadError> {
    let mut progress = crate::progress::Progress::new("objects read from the archive", 0);
    Spool::read_in(folder, archive, limits, unsealing, &mut |read| progress.advance_to(read.objects))
}

fn archive_limits(limits: WorkLimits) -> Limits {
    Limits { bytes: limits.unpacked_limit.unwrap_or(Limits::default().bytes), ..Limits::default() }
}

/// What the results come to.
fn conclude(restore: &Restore, finished: &Finished, stop: &CancellationToken) -> Result<String, Failure> {
    let counts = report::log_results(finished);
    let words = counts.in_words();
    if let Some(lost) = &finished.lost {
        return Err(Failure::new(Exit::Unavailable, format!("{words}; {}", drover::exit::Chain(lost))));
    }
    if stop.is_cancelled() && counts.of(Outcome::Untouched) > 0 {
        return Err(JobError::Interrupted { words }.into());
    }
    if counts.of(Outcome::Failed) > 0 && restore.spec.ignore_errors != Some(true) {
        return Err(JobError::ObjectsFailed { words, first: report::first_failed(finished) }.into());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_data_end_a_restore_and_a_service_that_is_away_does_not() {
        let ends = |failure: Failure| matches!(ending_of(&failure, String::new()), Ending::Failed { .. });
        assert!(ends(Failure::new(Exit::DataRefused, "cut off")));
        assert!(ends(JobError::ObjectsFailed { words: String::new(), first: String::new() }.into()));
        assert!(!ends(Failure::new(Exit::Unavailable, "away")));
        assert!(!ends(Failure::new(Exit::Usage, "no Secret")));
        assert!(!ends(JobError::Interrupted { words: String::new() }.into()));
    }
}
