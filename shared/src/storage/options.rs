use std::path::PathBuf;

use clap::Args;
use kube::Client;
use snafu::{ResultExt, Snafu};

use super::{DEFAULT_FOLDER, Location, LocationError};
use crate::cluster;
use crate::exit::{Exit, Fault};
use crate::resources::{S3Location, StorageLocation};

/// Where archives lie that name no bucket.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Storage")]
pub struct StorageOptions {
    /// The folder of archives without a bucket: where the volume is mounted.
    #[arg(long, env = "DROVER_FOLDER", default_value = DEFAULT_FOLDER, value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Why a place cannot be told.
#[derive(Debug, Snafu)]
pub enum LocateError {
    /// The Secret of its credentials.
    #[snafu(display("failed to read the credentials of the storage location"))]
    ReadCredentials {
        /// Why.
        source: cluster::Error,
    },
    /// The location itself.
    #[snafu(display("failed to use the storage location"))]
    Resolve {
        /// What is wrong with it.
        source: LocationError,
    },
}

impl Fault for LocateError {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadCredentials { source } => source.exit(),
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
        let secret = match location.and_then(|location| location.s3.as_ref()).and_then(|s3| named_secret(s3, namespace))
        {
            Some((namespace, name)) => {
                Some(cluster::secret(client, namespace, name).await.context(ReadCredentialsSnafu)?)
            }
            None => None,
        };
        Location::resolve(location, &self.folder, secret.as_ref()).context(ResolveSnafu)
    }
}

fn named_secret<'a>(s3: &'a S3Location, own_namespace: &'a str) -> Option<(&'a str, &'a str)> {
    let given = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
    let name = given(&s3.credential_secret_name)?;
    Some((given(&s3.credential_secret_namespace).unwrap_or(own_namespace), name))
}
