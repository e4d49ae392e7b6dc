//! What Restores say that are not carried out yet: each waits for the one before it, all of them for whoever else restores
//! this cluster, and for the queue.

use std::time::Duration;

use drover::exit::Failure;
use drover::lease::Holder;
use drover::queue::{self, Connection};
use drover::resources::Restore;
use drover::restores::behind;
use kube::{Client, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::command_line::arguments::JobOptions;
use crate::job::cluster_report as report;
use crate::job::error::JobError;
use crate::job::exclusive::{self, Taken, Turn};
use crate::job::name::JOB;

/// What the first of a line says while somebody restores who is none of them: a person with the command line.
const BEHIND_SOMEBODY: &str = "waits for another restore of this cluster, which is at work";

/// Takes the right to restore. While somebody else has it that is waited for, and said.
///
/// # Errors
/// When it cannot be had in the time that the options give, or the Lease not be read or written.
pub(crate) async fn take_turn(
    client: &Client,
    waiting: &[Restore],
    options: &JobOptions,
    holder: &Holder,
    shutdown: &CancellationToken,
) -> Result<Turn, Failure> {
    let take = |patience| exclusive::take(holder, patience, shutdown);
    let mut taken = take(Duration::ZERO).await?;
    if matches!(taken, Taken::Busy { .. }) {
        if let Some(first) = waiting.first() {
            report::waits_for_its_turn(client, first, BEHIND_SOMEBODY).await;
        }
        tell(client, waiting).await;
        taken = take(Duration::from_secs(options.wait.into())).await?;
    }
    match taken {
        Taken::Ours(turn) => Ok(turn),
        Taken::Busy { holder } => Err(JobError::Busy { holder }.into()),
    }
}

/// Says on each but the first behind whom it is.
pub(crate) async fn tell(client: &Client, waiting: &[Restore]) {
    let line: Vec<&Restore> = waiting.iter().collect();
    for (restore, words) in behind(&line) {
        report::waits_for_its_turn(client, restore, &words).await;
    }
}

/// Connects to the queue, without which no Restore is carried out: each says so while it does not answer.
///
/// # Errors
/// When it cannot be reached.
pub(crate) async fn connect(client: &Client, waiting: &[Restore], options: &JobOptions) -> Result<Connection, Failure> {
    let tell = move |words: String| async move {
        for restore in waiting {
            tracing::info!(restore = restore.name_any(), "not tried: {words}");
            report::not_tried(client, restore, &words).await;
        }
    };
    Ok(queue::connect_telling(&options.nats, JOB, tell).await?)
}
