use std::path::PathBuf;

use clap::Args;
use kube::Client;
use snafu::{ResultExt, Snafu};

use super::default_bucket::{self, DefaultBucketError};
use super::location::{Location, LocationError, names_bucket};
use crate::cluster::{self, SecretData};
use crate::exit::{Exit, Fault};
use crate::resources::{FurtherLocation, S3Location, StorageLocation};

/// The folder of the default location: where the Rancher backup operator mounts its volume.
const DEFAULT_FOLDER: &str = "/var/lib/backups";

/// Where the volumes that further places name are mounted, each under its name.
const DEFAULT_VOLUMES: &str = "/var/lib/drover/volumes";

/// Where archives lie that name no bucket.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Storage")]
pub struct StorageOptions {
    /// The folder of archives without a bucket: where the volume is mounted.
    #[arg(long, env = "DROVER_FOLDER", default_value = DEFAULT_FOLDER, value_name = "FOLDER")]
    pub folder: PathBuf,

    /// The folder with the volumes that further places of a BackupPolicy name, each mounted under its name.
    #[arg(long, env = "DROVER_VOLUMES", default_value = DEFAULT_VOLUMES, value_name = "FOLDER")]
    pub volumes: PathBuf,

    /// The Secret in drover's namespace that names the bucket of archives without one, as the chart of the Rancher backup
    /// operator makes it (rancher-backup-s3). Without it they lie in the folder.
    #[arg(long, env = "DROVER_DEFAULT_S3_SECRET", value_name = "NAME")]
    pub default_s3_secret: Option<String>,
}

/// Why a place cannot be told.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum LocateError {
    #[snafu(display("failed to read the credentials of the storage location"))]
    ReadCredentials { source: cluster::Error },
    #[snafu(display("failed to read which bucket is the default location; see --default-s3-secret"))]
    ReadDefault { source: cluster::Error },
    #[snafu(display("failed to use the default location"))]
    UseDefault { source: DefaultBucketError },
    #[snafu(display("failed to use the storage location"))]
    Resolve { source: LocationError },
}

impl Fault for LocateError {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadCredentials { source } | Self::ReadDefault { source } => source.exit(),
            Self::UseDefault { source } => source.exit(),
            Self::Resolve { source } => source.exit(),
        }
    }
}

impl StorageOptions {
    /// The place that a Backup or Restore means, with the credentials of the Secret that it names; a Secret without a
    /// namespace is in drover's own, `namespace`.
    ///
    /// # Errors
    /// When the Secret cannot be read, or the location cannot be used.
    pub async fn locate(
        &self,
        client: &Client,
        namespace: &str,
        location: Option<&StorageLocation>,
    ) -> Result<Location, LocateError> {
        let default = self.default_location(client, namespace, location).await?;
        let location = default.as_ref().or(location);
        let secret = secret_of(client, namespace, location.and_then(|location| location.s3.as_ref())).await?;
        Location::resolve(location, &self.folder, secret.as_ref()).context(ResolveSnafu)
    }

    /// The place that a further location of a BackupPolicy means; for the rest as [`StorageOptions::locate`].
    ///
    /// # Errors
    /// As [`StorageOptions::locate`].
    pub(crate) async fn locate_further(
        &self,
        client: &Client,
        namespace: &str,
        location: &FurtherLocation,
    ) -> Result<Location, LocateError> {
        let secret = secret_of(client, namespace, location.s3.as_ref()).await?;
        Location::resolve_further(location, &self.folder, &self.volumes, secret.as_ref()).context(ResolveSnafu)
    }

    /// Whether archives without a bucket go to one all the same.
    #[must_use]
    pub fn default_is_bucket(&self) -> bool {
        self.default_secret().is_some()
    }

    /// The Secret that names the bucket of archives without one. A variable that is set and empty names none.
    #[must_use]
    pub fn default_secret(&self) -> Option<&str> {
        self.default_s3_secret.as_deref().filter(|name| !name.is_empty())
    }

    /// What stands for a location that names no bucket, where a Secret says so.
    async fn default_location(
        &self,
        client: &Client,
        namespace: &str,
        location: Option<&StorageLocation>,
    ) -> Result<Option<StorageLocation>, LocateError> {
        let Some(name) = self.default_secret().filter(|_| !names_bucket(location)) else { return Ok(None) };
        let data = cluster::secret(client, namespace, namespace, name).await.context(ReadDefaultSnafu)?;
        let s3 = default_bucket::read(name, &data).context(UseDefaultSnafu)?;
        Ok(Some(StorageLocation { s3: Some(s3) }))
    }
}

/// The `data` of the Secret that a bucket's location names, if it names one.
async fn secret_of(
    client: &Client,
    namespace: &str,
    location: Option<&S3Location>,
) -> Result<Option<SecretData>, LocateError> {
    let Some((of, name)) = location.and_then(|s3| s3.credential_secret(namespace)) else { return Ok(None) };
    cluster::secret(client, namespace, of, name).await.map(Some).context(ReadCredentialsSnafu)
}
