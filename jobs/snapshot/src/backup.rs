use drover::cluster::{ApiError, ClusterOptions};
use drover::coexistence::{self, Operator};
use drover::events::Kind;
use drover::exit::{Exit, Failure, Fault};
use drover::lease::{self, Acquired, Wait};
use drover::queue::NatsOptions;
use drover::resources::{Backup, Trigger};
use drover::runs::{self, Due, History, Opening, event};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use snafu::{ResultExt, Snafu};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span};

use crate::context::Context;
use crate::outcome;
use crate::report;

/// The job's name, and its field manager.
pub(crate) const JOB: &str = "snapshot";

/// The Lease that a restore of this cluster holds, the operator's own name for it.
const RESTORE_LEASE: &str = "restore-controller";

/// Why a Backup has no snapshot.
#[derive(Debug, Snafu)]
pub(crate) enum Error {
    /// The Backups cannot be read.
    #[snafu(display("failed to read the Backups; are the CRDs of resources.cattle.io installed?"))]
    ReadBackups {
        /// What the server said.
        source: ApiError,
    },
    /// There is no such Backup.
    #[snafu(display("failed to find the Backup {name:?}; `kubectl get backups.resources.cattle.io` lists them"))]
    FindBackup {
        /// Its name.
        name: String,
    },
    /// The Rancher backup operator is at work.
    #[snafu(display("failed to begin: {message}"))]
    NotInCharge {
        /// Which Deployment it is, and what to do.
        message: String,
    },
    /// A restore is at work.
    #[snafu(display("failed to begin: {holder:?} restores this cluster; it runs when that has ended"))]
    RestoreRuns {
        /// Who holds the restore's Lease.
        holder: String,
    },
    /// The Lease went to somebody else.
    #[snafu(display("failed to keep the Lease of the Backup {backup:?}; whoever took it goes on with the run"))]
    LoseLease {
        /// The Backup.
        backup: String,
    },
    /// Somebody ended it.
    #[snafu(display("failed to finish: the job was asked to end; the next one goes on with the run"))]
    Interrupted,
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadBackups { source } => source.exit(),
            Self::FindBackup { .. } | Self::NotInCharge { .. } => Exit::Usage,
            Self::RestoreRuns { .. } | Self::LoseLease { .. } => Exit::Unavailable,
            Self::Interrupted => Exit::Failure,
        }
    }
}

/// Makes the snapshot of one Backup, or of each that is due. One Backup's failure does not hold up another's.
pub(crate) async fn snapshot_backups(
    client: Client,
    options: ClusterOptions,
    nats: NatsOptions,
    name: Option<String>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    if let Some(operator) = coexistence::operator(&client, &options.namespace).await? {
        return leave_to(&operator, &client, name.as_deref()).await;
    }
    let context = Context::connect(client, options, &nats, shutdown).await?;
    let mut worst: Option<Failure> = None;
    let wanted = match name {
        Some(name) => vec![(find_backup(&context.client, &name).await?, context.trigger(false, None))],
        None => due_backups(&context, &mut worst).await?,
    };
    if wanted.is_empty() {
        info!("no Backup is due");
    }
    for (backup, trigger) in wanted {
        let span = info_span!("backup", backup = backup.name_any());
        if let Err(failure) = snapshot_backup(&context, &backup, trigger).instrument(span.clone()).await {
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

async fn list_backups(client: &Client) -> Result<Vec<Backup>, Error> {
    let backups: Api<Backup> = Api::all(client.clone());
    let listed = backups.list(&ListParams::default()).await.map_err(ApiError::from).context(ReadBackupsSnafu)?;
    Ok(listed.items.into_iter().filter(|backup| backup.metadata.deletion_timestamp.is_none()).collect())
}

async fn find_backup(client: &Client, name: &str) -> Result<Backup, Error> {
    let backups: Api<Backup> = Api::all(client.clone());
    let found = backups.get_opt(name).await.map_err(ApiError::from).context(ReadBackupsSnafu)?;
    found.ok_or_else(|| Error::FindBackup { name: name.to_owned() })
}

/// Every Backup that is due, and why. One whose schedule cannot be read says so on itself, and the others go on.
async fn due_backups(context: &Context, worst: &mut Option<Failure>) -> Result<Vec<(Backup, Trigger)>, Failure> {
    let mut wanted = Vec::new();
    for backup in list_backups(&context.client).await? {
        let history = context.runs.history(&backup).await?;
        context.republish(&history).await?;
        let settings = context.policies.settings(&backup);
        match runs::due(&backup, &settings, &history, jiff::Timestamp::now()) {
            Ok(Some(Due { scheduled_for })) => wanted.push((backup, context.trigger(true, scheduled_for))),
            Ok(None) => {}
            Err(error) => {
                report::refused(context, &backup, &error).await;
                *worst = Some(error.into());
            }
        }
    }
    Ok(wanted)
}

/// Takes the Backup's Lease and makes its snapshot. Somebody else's Lease is no failure: that run is the run.
async fn snapshot_backup(context: &Context, backup: &Backup, trigger: Trigger) -> Result<(), Failure> {
    refuse_during_restore(context).await?;
    let name = lease::name_for("backup", &backup.name_any());
    let settings = context.options.lease_settings();
    let namespace = &context.options.namespace;
    let acquired =
        lease::acquire(context.client.clone(), namespace, &name, &context.identity, settings, Wait::No).await?;
    let lease = match acquired {
        Acquired::Held(lease) => lease,
        Acquired::Busy { holder } => {
            info!(holder, "nothing to do: another job works on this Backup");
            return Ok(());
        }
    };
    if let Some(dead) = lease.taken_over_from() {
        info!(dead, "took over from a job that died");
    }
    let backup_name = backup.name_any();
    let outcome = tokio::select! {
        outcome = under_lease(context, &backup_name, trigger) => outcome,
        () = lost(&lease) => return Err(Error::LoseLease { backup: backup_name }.into()),
    };
    if let Err(error) = lease.release().await {
        info!("the Lease expires by itself: {}", drover::exit::Chain(&error));
    }
    outcome
}

async fn lost(lease: &lease::Lease) {
    lease.lost().cancelled().await;
}

/// "No snapshot starts while a restore holds its Lease": what it reads would be half of the one and half of the other.
async fn refuse_during_restore(context: &Context) -> Result<(), Failure> {
    let (client, namespace) = (context.client.clone(), &context.options.namespace);
    match lease::live_holder(client, namespace, RESTORE_LEASE, context.options.lease_settings()).await? {
        Some(holder) => Err(Error::RestoreRuns { holder }.into()),
        None => Ok(()),
    }
}

/// What is done while the Lease is held. The Backup is read again, for it may have changed while the Lease was waited for.
async fn under_lease(context: &Context, name: &str, trigger: Trigger) -> Result<(), Failure> {
    let backup = find_backup(&context.client, name).await?;
    let history = context.runs.history(&backup).await?;
    context.republish(&history).await?;
    outcome::purge_leftovers(context, &history).await?;
    let run = match history.opening(&backup, trigger, &context.cluster_uid, jiff::Timestamp::now()) {
        Opening::AlreadyDone(run) => {
            info!(run = %run.spec.id, "nothing to do: this Job has made its snapshot");
            return Ok(());
        }
        Opening::Continue(run) => *run,
        Opening::New(spec) => context.runs.open(&backup, *spec).await?,
    };
    let span = info_span!("run", run = %run.spec.id, number = run.spec.number);
    let outcome = outcome::attempt(context, &backup, &history, run).instrument(span).await;
    context.runs.delete(&history.expired()).await;
    outcome
}

impl Context {
    /// Sends the message of every run whose snapshot is done and whose upload is not. The stream takes each one once.
    async fn republish(&self, history: &History) -> Result<(), Failure> {
        for run in history.awaiting_upload() {
            self.publish(&event(Kind::BackupSnapshotted, JOB, run)).await?;
        }
        Ok(())
    }
}
