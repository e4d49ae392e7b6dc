use drover::cluster;
use drover::resources::Backup;
use kube::Client;
use snafu::ResultExt;

use super::error::{Error, ReadBackupsSnafu};

pub(crate) async fn list_backups(client: &Client) -> Result<Vec<Backup>, Error> {
    let mut backups: Vec<Backup> = cluster::list(client).await.context(ReadBackupsSnafu)?;
    backups.retain(|backup| backup.metadata.deletion_timestamp.is_none());
    Ok(backups)
}

pub(crate) async fn find_backup(client: &Client, name: &str) -> Result<Backup, Error> {
    let found = cluster::find(client, name).await.context(ReadBackupsSnafu)?;
    found.ok_or_else(|| Error::FindBackup { name: name.to_owned() })
}
