pub(crate) mod begun;
pub(crate) mod error;
pub(crate) mod find;

use std::time::Duration;

use drover::annotations::known::check_backup;
use drover::clock;
use drover::cluster::ClusterOptions;
use drover::coexistence::{self, Operator};
use drover::events::Kind;
use drover::exit::Failure;
use drover::job::name::SNAPSHOT as JOB;
use drover::lease::Lease;
use drover::queue::NatsOptions;
use drover::resources::{Backup, BackupRun, Trigger};
use drover::runs::{self, Due, History, Opening, check_archive_name, event, status_of};
use futures::TryFutureExt;
use kube::{Client, ResourceExt};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span};

use begun::Begun;
use error::Error;
use find::{find_backup, list_backups};

use crate::context::Context;
use crate::{outcome, report, room, turn};

/// A snapshot that is asked for.
struct Asked {
    backup: Backup,
    trigger: Trigger,
    /// How long to wait for others, where the Backup was named; none where it is made because it is due.
    patience: Option<Duration>,
}

/// Makes the snapshot of one Backup, or of each that is due. One Backup's failure does not hold up another's.
pub(crate) async fn snapshot_backups(
    client: Client,
    options: ClusterOptions,
    nats: NatsOptions,
    name: Option<String>,
    patience: Duration,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    if let Some(operator) = coexistence::operator(&client, &options.namespace).await? {
        return leave_to(&operator, &client, name.as_deref()).await;
    }
    let context = Box::pin(Context::connect(client, options, &nats, name.as_deref(), shutdown)).await?;
    let mut worst: Option<Failure> = None;
    let wanted = match name {
        Some(name) => {
            let backup = find_backup(&context.client, &name).await?;
            vec![Asked { backup, trigger: context.trigger(false, None), patience: Some(patience) }]
        }
        None => due_backups(&context, &mut worst).await?,
    };
    if wanted.is_empty() {
        info!("no Backup is due");
    }
    for asked in wanted {
        let span = info_span!("backup", backup = asked.backup.name_any());
        if let Err(failure) = snapshot_backup(&context, &asked).instrument(span.clone()).await {
            span.in_scope(|| error!("{failure}"));
            worst = worst.into_iter().chain([failure]).max_by_key(Failure::exit);
        }
    }
    worst.map_or(Ok(()), Err)
}

/// While the operator is at work, each Backup says so and none runs. Whoever asked for a certain one gets an error, for
/// the backup that they want does not come about.
async fn leave_to(operator: &Operator, client: &Client, name: Option<&str>) -> Result<(), Failure> {
    let backups = match name {
        Some(name) => vec![find_backup(client, name).await?],
        None => list_backups(client).await?,
    };
    for backup in &backups {
        report::not_in_charge(client, backup, operator).await;
    }
    let message = operator.message();
    if name.is_some() {
        return Err(Error::NotInCharge { message }.into());
    }
    info!("nothing to do: {message}");
    Ok(())
}

/// Every Backup that is due, and why. One whose schedule cannot be read says so on itself, and the others go on.
async fn due_backups(context: &Context, worst: &mut Option<Failure>) -> Result<Vec<Asked>, Failure> {
    let mut wanted = Vec::new();
    for backup in list_backups(&context.client).await? {
        let history = context.runs.history(&backup).await?;
        context.republish(&history).await?;
        let settings = context.policies.settings(&backup);
        match runs::due(&backup, &settings, &history, clock::now()) {
            Ok(Some(Due { scheduled_for })) => {
                wanted.push(Asked { backup, trigger: context.trigger(true, scheduled_for), patience: None });
            }
            Ok(None) => {}
            Err(error) => {
                report::refused(context, &backup, &error).await;
                *worst = Some(error.into());
            }
        }
    }
    Ok(wanted)
}

/// Makes the snapshot of a Backup when it is its turn.
async fn snapshot_backup(context: &Context, asked: &Asked) -> Result<(), Failure> {
    let lease = tokio::select! {
        lease = wait_for_turn(context, asked) => lease?,
        () = context.shutdown.cancelled() => return Err(Error::Interrupted.into()),
    };
    let Some(lease) = lease else {
        info!("nothing to do: another job has begun what was due");
        return Ok(());
    };
    let outcome = lease.during(Box::pin(under_lease(context, asked))).await;
    outcome.unwrap_or_else(|| Err(Error::LoseLease { backup: asked.backup.name_any() }.into()))
}

/// The Backup's Lease. Whoever asked for the Backup by name waits for it; what is due the next look makes too, so a Backup
/// that is busy delays no other one. None where it is due no more: whoever is at work on it has begun that run.
async fn wait_for_turn(context: &Context, asked: &Asked) -> Result<Option<Lease>, Failure> {
    let Asked { backup, patience, .. } = asked;
    let patience = patience.unwrap_or_default();
    turn::after_restores(context, backup, patience).await?;
    let taken = turn::take(context, backup, patience).await;
    if taken.is_err() && !is_wanted(context, asked, backup, &context.runs.history(backup).await?)? {
        return Ok(None);
    }
    taken.map(Some)
}

/// Whether the snapshot is still to be made, by these runs of its Backup.
fn is_wanted(context: &Context, asked: &Asked, backup: &Backup, history: &History) -> Result<bool, Failure> {
    let settings = context.policies.settings(backup);
    Ok(asked.patience.is_some() || runs::due(backup, &settings, history, clock::now())?.is_some())
}

/// What is done while the Lease is held. What fails before there is a run is told on the Backup alone.
async fn under_lease(context: &Context, asked: &Asked) -> Result<(), Failure> {
    let begun = match begin(context, asked).await {
        Ok(Some(begun)) => begun,
        Ok(None) => return Ok(()),
        Err(failure) => {
            report::not_begun(context, &asked.backup, &failure).await;
            return Err(failure);
        }
    };
    let run = &begun.run.spec;
    let span = info_span!("run", run = %run.id, number = run.number);
    let outcome = outcome::attempt(context, &begun).instrument(span).await;
    context.runs.delete(&begun.history.expired()).await;
    outcome
}

/// Opens the run, or goes on with one that was left in the middle; none where there is nothing to do. The Backup is read
/// again, for it may have changed while the Lease was waited for.
async fn begin(context: &Context, asked: &Asked) -> Result<Option<Begun>, Failure> {
    let name = asked.backup.name_any();
    let backup = find_backup(&context.client, &name).map_err(Failure::from);
    let before = turn::after_restores(context, &asked.backup, Duration::ZERO);
    let (before, backup) = tokio::try_join!(before, backup)?;
    // What nobody knows may have been meant to say what is backed up, and how.
    check_backup(&backup)?;
    let history = context.runs.history_with_former(&backup).await?;
    context.republish(&history).await?;
    if !is_wanted(context, asked, &backup, &history)? {
        info!("nothing to do: another job has made what was due");
        return Ok(None);
    }
    let history = room::make(context, &backup, history).await?;
    let run = match history.opening(&backup, asked.trigger.clone(), &context.cluster_uid, clock::now()) {
        Opening::AlreadyDone(run) => {
            info!(run = %run.spec.id, "nothing to do: this Job has made its snapshot");
            return Ok(None);
        }
        Opening::Continue(run) => *run,
        Opening::New(spec) => {
            check_archive_name(&spec.filename)?;
            context.runs.open(&backup, *spec).await?
        }
    };
    Ok(Some(Begun { backup, history, run, before }))
}

impl Context {
    /// Sends the message of the newest run whose snapshot is done and whose upload has not begun: a job that was killed may
    /// have left it out. The stream takes it once within its window. Older ones had theirs sent when this one was opened.
    async fn republish(&self, history: &History) -> Result<(), Failure> {
        let newest = history.awaiting_upload().last();
        let untried = |run: &&BackupRun| status_of(run).upload.unwrap_or_default().attempts == 0;
        if let Some(run) = newest.filter(untried) {
            self.connection.publish(&event(Kind::BackupSnapshotted, JOB, run)).await?;
        }
        Ok(())
    }
}
