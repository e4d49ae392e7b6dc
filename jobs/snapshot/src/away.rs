//! The queue, while it does not answer: no snapshot can be made, and each Backup whose turn it is says so.

use drover::clock;
use drover::exit::Failure;
use drover::job::name::SNAPSHOT as JOB;
use drover::policy::Policies;
use drover::resources::Backup;
use drover::runs::{self, RunStore};
use kube::Client;

use crate::backup::find::{find_backup, list_backups};

/// The Backup of that name or, without one, each, where it is due.
pub(crate) async fn waiting(client: &Client, name: Option<&str>) -> Result<Vec<Backup>, Failure> {
    let asked = match name {
        Some(name) => vec![find_backup(client, name).await?],
        None => list_backups(client).await?,
    };
    let policies = Policies::reload(client).await?;
    let store = RunStore::new(client.clone(), JOB);
    let mut due = Vec::new();
    for backup in asked {
        if is_due(&backup, &policies, &store).await? {
            due.push(backup);
        }
    }
    Ok(due)
}

/// Whether a Backup is tried until it is made. Of one whose schedule cannot be read that is said, and nothing else.
pub(crate) async fn is_due(backup: &Backup, policies: &Policies, store: &RunStore) -> Result<bool, Failure> {
    let history = store.history(backup).await?;
    Ok(runs::due(backup, &policies.settings(backup), &history, clock::now()).is_ok_and(|due| due.is_some()))
}
