use std::time::Duration;

use snafu::Snafu;

use crate::exit::{Exit, Fault};

/// Why a lease could not be taken or given back.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum LeaseError {
    #[snafu(display(
        "failed to {verb} lease \"{namespace}/{name}\": not permitted; grant get, create and update on leases of \
         coordination.k8s.io in that namespace"
    ))]
    Permit { verb: &'static str, namespace: String, name: String, source: kube::Error },
    /// The API server refused it: the namespace is missing, or a name is not valid.
    #[snafu(display("failed to {verb} lease \"{namespace}/{name}\": refused; check that the namespace exists"))]
    Refuse { verb: &'static str, namespace: String, name: String, source: kube::Error },
    /// The API server cannot be reached or has trouble of its own.
    #[snafu(display(
        "failed to {verb} lease \"{namespace}/{name}\": the API server is away; try again when it answers"
    ))]
    Reach { verb: &'static str, namespace: String, name: String, source: kube::Error },
    #[snafu(display(
        "failed to {verb} lease \"{namespace}/{name}\": {} did not answer for {patience:?}; try again when it does",
        crate::cluster::api_server()
    ))]
    Silent { verb: &'static str, namespace: String, name: String, patience: Duration },
}

impl Fault for LeaseError {
    fn exit(&self) -> Exit {
        match self {
            Self::Permit { .. } | Self::Refuse { .. } => Exit::Usage,
            Self::Reach { .. } | Self::Silent { .. } => Exit::Unavailable,
        }
    }
}
