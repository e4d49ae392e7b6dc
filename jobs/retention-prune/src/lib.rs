//! The job `retention-prune` deletes the archives of Backups that have expired: after each new archive, and of every Backup
//! on its schedule.
//!
//! ```text
//! backup.uploaded ──▶ message ─┐              ┌─ place: list, labels ─▶ retention::plan ─▶ one deletion after the other
//!        schedule ──▶ sweep ───┴─▶ Pruner ────┤  place: …
//!                                  (Lease)    └─▶ condition Pruned, Event, backup.pruned
//!       --dry-run ──▶ table ◀── the same plan
//! ```

mod arguments;
mod case;
mod message;
mod outcome;
mod place;
mod prune;
mod pruner;
mod report;
mod sweep;
mod table;
mod trouble;

use drover::clock;
use drover::exit::{Exit, Failure, Fault};
use drover::job::StageOptions;
use drover::job::name::RETENTION_PRUNE as JOB;
use drover::queue::{self, RETENTION_PRUNE_CONSUMER};
use tokio_util::sync::CancellationToken;

pub use arguments::Arguments;
use message::Stage;
pub use outcome::{Deletion, Outcome, Retained};
pub use prune::Turn;
pub use pruner::Pruner;
pub use sweep::sweep;
pub use table::print as print_plans;

/// Does what the arguments ask for.
///
/// # Errors
/// With the failure that the job exits with: the worst of all Backups.
pub async fn run(arguments: Arguments, shutdown: CancellationToken) -> Result<(), Failure> {
    let Arguments { drain: _, drain_only, dry_run, backup, stage } = arguments;
    let StageOptions { storage, cluster, nats, telemetry: _ } = stage;
    let client = drover::cluster::connect().await?;
    let pruner = Pruner::connect(client, cluster, storage).await?;
    if dry_run {
        return Box::pin(table::print(&pruner, backup.as_deref(), &mut drover::pipe::stdout())).await;
    }
    if let Some(operator) = pruner.operator().await? {
        tracing::info!("nothing is deleted: {}", operator.message());
        return Ok(());
    }
    if clock::of_server().is_none() {
        let words = "failed to learn the time: the API server's answers have no Date; nothing is deleted by this machine's clock";
        Box::pin(pruner.refuse(Exit::Unavailable, words)).await?;
        return Err(Failure::new(Exit::Unavailable, words));
    }
    let connection = match queue::connect(&nats, JOB).await {
        Ok(connection) => connection,
        Err(error) => {
            Box::pin(pruner.refuse(error.exit(), &error.words())).await?;
            return Err(error.into());
        }
    };
    let pruner = pruner.telling(connection);
    Box::pin(prune(&pruner, drain_only, &shutdown)).await
}

async fn prune(pruner: &Pruner, drain_only: bool, shutdown: &CancellationToken) -> Result<(), Failure> {
    let Some(connection) = pruner.connection() else { return Ok(()) };
    let stage = Stage::new(pruner);
    let summary = queue::drain(&connection.jetstream, RETENTION_PRUNE_CONSUMER, &stage, shutdown).await?;
    let mut worst = summary.exit().max(stage.worst());
    if !drain_only && !summary.interrupted {
        worst = worst.max(sweep(pruner, shutdown).await?);
    }
    match worst {
        Exit::Done => Ok(()),
        exit => Err(Failure::new(
            exit,
            "failed to prune every Backup; the log and the condition Pruned of each one say why",
        )),
    }
}
