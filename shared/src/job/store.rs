//! The object store of artifacts, for the jobs that cannot work without it.

use kube::{Client, ResourceExt};
use tracing::warn;

use crate::artifacts::Store;
use crate::clock;
use crate::exit::{Failure, warn_of};
use crate::queue::{self, Connection, NatsOptions};
use crate::resources::Backup;
use crate::runs::{report, set_backup_status};

/// Connects to the queue, and opens the object store. While they do not answer each Backup of those that are `waiting` for
/// the job says so.
///
/// # Errors
/// When they cannot be reached.
pub async fn connect_to_store<F>(
    client: &Client,
    nats: &NatsOptions,
    job: &str,
    waiting: impl Fn() -> F,
) -> Result<(Connection, Store), Failure>
where
    F: Future<Output = Result<Vec<Backup>, Failure>>,
{
    let waiting = &waiting;
    let tell = move |words: String| async move { tell(client, job, waiting().await, &words).await };
    let connection = queue::connect_telling(nats, job, tell).await?;
    match Store::open(&connection.jetstream).await.map_err(Failure::from) {
        Ok(store) => Ok((connection, store)),
        Err(failure) => {
            tell(failure.to_string()).await;
            Err(failure)
        }
    }
}

/// Says `words` on each Backup that waits. Where that cannot be said the log has it.
async fn tell(client: &Client, job: &str, waiting: Result<Vec<Backup>, Failure>, words: &str) {
    let waiting = match waiting {
        Ok(waiting) => waiting,
        Err(failure) => return warn!("{failure}"),
    };
    for backup in waiting {
        let status = |backup: &Backup| Some(report::waiting(backup, words, clock::now()));
        warn_of(set_backup_status(client.clone(), &backup.name_any(), job, status).await);
    }
}
