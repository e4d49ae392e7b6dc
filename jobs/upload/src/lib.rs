//! The job `upload` drains the queue of finished snapshots: it brings each archive from the object store to where its Backup
//! wants it, reads it back, compares its SHA-256, and only then says that the Backup is Ready and drops the artifact.

mod arguments;
mod away;
mod context;
mod holds;
mod message;
mod refusals;
mod report;
mod spool;
mod superseded;
mod sweep;
mod transfer;
mod unknown;

use drover::exit::Failure;
use drover::job::StageOptions;
use drover::queue::{self, UPLOAD_CONSUMER};
use tokio_util::sync::CancellationToken;

pub use arguments::Arguments;
use context::Context;

/// Drains the queue, looks for runs that have lost their message, and drops artifacts that have lost their run.
///
/// # Errors
/// With the failure that the job exits with: the worst of all messages.
pub async fn run(arguments: Arguments, shutdown: CancellationToken) -> Result<(), Failure> {
    let Arguments { drain: _, drain_only, spool, stage } = arguments;
    let StageOptions { storage, cluster, nats, telemetry: _ } = stage;
    let client = drover::cluster::connect().await?;
    let context = Box::pin(Context::connect(client, cluster, &nats, storage, spool)).await?;
    let jetstream = &context.connection.jetstream;
    let mut summary = queue::drain(jetstream, UPLOAD_CONSUMER, &context, &shutdown).await?;
    if !drain_only && !summary.interrupted && sweep::republish(&context).await? > 0 {
        let swept = queue::drain(jetstream, UPLOAD_CONSUMER, &context, &shutdown).await?;
        summary.worst = summary.worst.max(swept.worst);
        // What the first drain gave back the second one had again.
        summary.failed = swept.failed;
        summary.untried = swept.untried;
        summary.refused += swept.refused;
    }
    let tidied = if drain_only || summary.interrupted { Ok(()) } else { unknown::drop_unknown(&context).await };
    summary.conclude(|waiting, refused| {
        format!("failed to store every archive: {waiting} wait for the next try, {refused} were refused")
    })?;
    tidied
}
