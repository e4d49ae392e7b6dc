//! The job `snapshot` lists what a ResourceSet selects and streams it into an archive: for a Backup into the object store
//! of NATS, from where `upload` takes it, or on a kubeconfig alone into a file.
//!
//! ```text
//! API server ──pages──▶ listing ──bytes──▶ archive thread (select, normalise, tar, gzip) ──chunks──▶ artifact or file
//! ```

mod arguments;
mod away;
mod backup;
mod chunks;
mod context;
mod file;
mod no_place;
mod outcome;
mod pipeline;
mod report;
mod room;
mod selected;
mod turn;

use std::time::Duration;

use drover::exit::Failure;
use drover::lease::{self, Onlooker};
use tokio_util::sync::CancellationToken;

pub use arguments::Arguments;

/// Does what the arguments ask for.
///
/// # Errors
/// With the failure that the job exits with; of several Backups, the one with the highest exit code.
pub async fn run(arguments: Arguments, shutdown: CancellationToken) -> Result<(), Failure> {
    let Arguments { due: _, cluster, nats, backup, wait, resource_set, output, encryption_config, allow, telemetry: _ } =
        arguments;
    let client = drover::cluster::connect().await?;
    if let (Some(resource_set), Some(output)) = (resource_set, output) {
        let files = file::Files { resource_set, output, encryption_config };
        let restores = Onlooker::new(&cluster.lease_holder(&client), lease::RESTORES);
        return file::snapshot_to_file(&restores, files, allow.as_deref(), shutdown).await;
    }
    let patience = Duration::from_secs(wait.into());
    Box::pin(backup::snapshot_backups(client, cluster, nats, backup, patience, shutdown)).await
}
