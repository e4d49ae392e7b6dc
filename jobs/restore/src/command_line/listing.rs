//! The options of restore list.

use std::path::PathBuf;

use clap::Args;
use drover::resources::DEFAULT_NAMESPACE;
use drover::storage::StorageOptions;

use crate::command_line::output::Output;

/// Which place, and how it is shown.
#[derive(Args, Debug)]
pub(crate) struct Listing {
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
    /// How the result is shown.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// The context of the kubeconfig; without it the current one. `KUBECONFIG` names the file.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// The namespace that drover runs in, where the Secrets with credentials lie.
    #[arg(long = "drover-namespace", env = "DROVER_NAMESPACE", default_value = DEFAULT_NAMESPACE, value_name = "NAME")]
    pub(crate) namespace: String,
}

/// Which place; without one of these it is the default location: --default-s3-secret, or --folder, which needs no cluster.
#[derive(Args, Debug)]
#[command(next_help_heading = "Place")]
pub(crate) struct PlaceOptions {
    /// All places of this Backup: its own and the further ones of its BackupPolicy.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["restore", "bucket"])]
    pub(crate) backup: Option<String>,
    /// The place of this Restore.
    #[arg(long, value_name = "NAME", conflicts_with = "bucket")]
    pub(crate) restore: Option<String>,
    /// This bucket, without a cluster. The credentials come from the environment: `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY`, or a profile.
    #[arg(long, value_name = "NAME")]
    pub(crate) bucket: Option<String>,
    /// The folder in the bucket.
    #[arg(long, value_name = "FOLDER", requires = "bucket")]
    pub(crate) bucket_folder: Option<String>,
    /// Host and port of the bucket's service, with `http://` in front where it is not encrypted; without it AWS.
    #[arg(long, value_name = "HOST", requires = "bucket")]
    pub(crate) endpoint: Option<String>,
    /// The bucket's region; without it the service is asked.
    #[arg(long, requires = "bucket")]
    pub(crate) region: Option<String>,
    /// A file with the certificate of the service's authority, in PEM.
    #[arg(long, value_name = "FILE", requires = "bucket")]
    pub(crate) endpoint_ca: Option<PathBuf>,
}
