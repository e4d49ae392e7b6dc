use drover::cluster;
use drover::events::Kind;
use drover::exit::Failure;
use drover::job::name::UPLOAD as JOB;
use drover::resources::Backup;
use drover::runs::{event, status_of};
use kube::ResourceExt;
use tracing::info;

use crate::context::Context;

/// Sends a new message for every run that waits for its upload and whose message has not come, and gives how many that were.
///
/// It is called when the queue is drained, so such a run has lost its message: NATS lost its volume, say. That other messages
/// wait for a place that is away keeps none from being found. The message has an id of its own for each try, since the
/// stream takes one id only once within its duplicate window.
pub(crate) async fn republish(context: &Context) -> Result<usize, Failure> {
    let mut sent = 0;
    for backup in cluster::list::<Backup>(&context.client).await? {
        let history = context.runs.history(&backup).await?;
        for run in history.awaiting_upload().filter(|run| !context.has_seen(run.spec.id)) {
            let attempts = status_of(run).upload.unwrap_or_default().attempts;
            let mut message = event(Kind::BackupSnapshotted, JOB, run);
            message.data.stage = Some(JOB.to_owned());
            message.data.attempt = Some(attempts.saturating_add(1));
            context.connection.publish(&message).await?;
            info!(backup = backup.name_any(), run = %run.spec.id, "found an archive that waits without a message");
            sent += 1;
        }
    }
    Ok(sent)
}
