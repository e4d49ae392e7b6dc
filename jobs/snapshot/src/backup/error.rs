use drover::cluster::ApiError;
use drover::exit::{Exit, Fault};
use snafu::Snafu;

/// Why a Backup has no snapshot.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum Error {
    #[snafu(display("failed to read the Backups; are the CRDs of resources.cattle.io installed?"))]
    ReadBackups { source: ApiError },
    #[snafu(display("failed to find the Backup {name:?}; `kubectl get backups.resources.cattle.io` lists them"))]
    FindBackup { name: String },
    #[snafu(display("failed to begin: {message}"))]
    NotInCharge { message: String },
    #[snafu(display("failed to keep the Lease of the Backup {backup:?}; whoever took it goes on with the run"))]
    LoseLease { backup: String },
    #[snafu(display(
        "failed to finish: the Backup {backup:?} or its run was deleted meanwhile; the archive was dropped"
    ))]
    Deleted { backup: String },
    #[snafu(display("failed to finish: the job was asked to end; the next one goes on with the run"))]
    Interrupted,
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadBackups { source } => source.exit(),
            Self::FindBackup { .. } | Self::NotInCharge { .. } | Self::Deleted { .. } => Exit::Usage,
            Self::LoseLease { .. } => Exit::Unavailable,
            Self::Interrupted => Exit::Failure,
        }
    }
}
