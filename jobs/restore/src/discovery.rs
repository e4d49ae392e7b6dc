//! What the cluster serves, as a restore needs it: with subresources, and in two requests, since it is asked again and
//! again while definitions become established.

use drover::exit::{Exit, Fault};
use kube::core::discovery::v2::{APIGroupDiscoveryList, APIResourceDiscovery};
use snafu::{ResultExt, Snafu, ensure};

use crate::request::Server;
use crate::types::{Type, status_rule};

/// Why it is not known what the cluster serves.
#[derive(Debug, Snafu)]
pub(crate) enum DiscoveryError {
    /// No answer, or no right to ask.
    #[snafu(display("failed to see what the cluster serves; does the kubeconfig name a cluster that runs?"))]
    Ask {
        /// The cause.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    /// An answer in the form of older servers, which looks like that of one that serves nothing.
    #[snafu(display("failed to see what the cluster serves: its API server is older than Kubernetes 1.30; update it"))]
    TooOld,
}

impl Fault for DiscoveryError {
    fn exit(&self) -> Exit {
        match self {
            Self::Ask { source } if matches!(**source, kube::Error::Api(_)) => Exit::Failure,
            Self::Ask { .. } => Exit::Unavailable,
            Self::TooOld => Exit::Usage,
        }
    }
}

/// What the cluster serves.
pub(crate) async fn served(server: &Server) -> Result<Vec<Type>, DiscoveryError> {
    let core = server.client().list_core_api_versions_aggregated().await.context(AskSnafu)?;
    let groups = server.client().list_api_groups_aggregated().await.context(AskSnafu)?;
    ensure!(!core.items.is_empty(), TooOldSnafu);
    Ok(types(core).chain(types(groups)).collect())
}

fn types(list: APIGroupDiscoveryList) -> impl Iterator<Item = Type> {
    list.items.into_iter().flat_map(|group| {
        let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
        group.versions.into_iter().flat_map(move |version| {
            let (group, version_name) = (name.clone(), version.version.unwrap_or_default());
            version.resources.into_iter().map(move |resource| one(&group, &version_name, resource))
        })
    })
}

fn one(group: &str, version: &str, resource: APIResourceDiscovery) -> Type {
    let plural = resource.resource.unwrap_or_default();
    let has = |name: &str| resource.subresources.iter().any(|found| found.subresource.as_deref() == Some(name));
    let (has_status, scales) = (has("status"), has("scale"));
    Type {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: resource.response_kind.and_then(|kind| kind.kind).unwrap_or_default(),
        namespaced: resource.scope.as_deref() == Some("Namespaced"),
        status: status_rule(group, has_status),
        lists: resource.verbs.iter().any(|verb| verb == "list"),
        gets: resource.verbs.iter().any(|verb| verb == "get"),
        scales,
        plural,
        served: true,
    }
}
