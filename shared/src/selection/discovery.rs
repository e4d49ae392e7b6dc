//! Which types the cluster serves.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResource, APIResourceList, APIVersions};
use kube::Client;
use serde::de::DeserializeOwned;
use snafu::{ResultExt, Snafu};

use super::matcher::is_api_version;
use super::{ResourceType, excerpt};
use crate::exit::{Exit, Fault};
use crate::listing::{Limits, RequestError, ask};

/// How many API versions are asked for at once.
const AT_ONCE: usize = 8;

/// The types that the cluster serves, by API version.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    served: BTreeMap<String, Vec<ResourceType>>,
    unavailable: BTreeMap<String, String>,
}

impl Discovery {
    /// The types of an API version, without subresources; `None` where the cluster does not serve it.
    #[must_use]
    pub fn types(&self, api_version: &str) -> Option<&[ResourceType]> {
        self.served.get(api_version).map(Vec::as_slice)
    }

    /// The type of this plural name, group (empty: the core group) and version.
    #[must_use]
    pub fn by_type_name(&self, plural: &str, group: &str, version: &str) -> Option<&ResourceType> {
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        self.types(&api_version)?.iter().find(|resource| resource.plural == plural)
    }

    /// Every type that is served.
    pub fn all(&self) -> impl Iterator<Item = &ResourceType> {
        self.served.values().flatten()
    }

    /// API versions that the cluster names and cannot answer for, each with the reason: aggregated APIs that are down.
    /// Only [`discover_all`] leaves any. What belongs to one of them is not "not served", it is not known.
    #[must_use]
    pub fn unavailable(&self) -> &BTreeMap<String, String> {
        &self.unavailable
    }
}

impl FromIterator<ResourceType> for Discovery {
    fn from_iter<I: IntoIterator<Item = ResourceType>>(types: I) -> Self {
        let mut discovery = Self::default();
        for resource in types {
            discovery.served.entry(resource.api_version()).or_default().push(resource);
        }
        discovery
    }
}

/// Why the cluster did not tell what it serves.
#[derive(Debug, Snafu)]
pub enum DiscoveryError {
    /// The request failed.
    #[snafu(display(
        "failed to find out which types {path:?} serves; if it is an aggregated API (kubectl get apiservices), its server \
         is down"
    ))]
    AskCluster {
        /// The path.
        path: String,
        /// What happened.
        source: RequestError,
    },
    /// The answer is not what Kubernetes answers.
    #[snafu(display("failed to read which types {path:?} serves; a proxy may stand in front of the API server"))]
    ReadAnswer {
        /// The path.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A text that is no API version.
    #[snafu(display("failed to read the API version {api_version:?}; give one such as \"apps/v1\", or \"v1\""))]
    ReadApiVersion {
        /// The text.
        api_version: String,
    },
}

impl Fault for DiscoveryError {
    fn exit(&self) -> Exit {
        match self {
            Self::AskCluster { source, .. } => source.exit(),
            Self::ReadAnswer { .. } => Exit::Failure,
            Self::ReadApiVersion { .. } => Exit::Usage,
        }
    }
}

/// Asks for the types of the API versions named, each once. One that is not served is left out; any other failure is an
/// error: what cannot be asked for must not look as if there were none of it.
///
/// # Errors
/// When the cluster does not answer for one of them.
pub async fn discover<'a>(
    client: &Client,
    api_versions: impl Iterator<Item = &'a str>,
) -> Result<Discovery, DiscoveryError> {
    let api_versions: BTreeSet<String> = api_versions.map(str::to_owned).collect();
    let answers: Vec<_> = futures::stream::iter(api_versions)
        .map(|api_version| async { types_of(client, &api_version).await.map(|types| (api_version, types)) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let served = answers.into_iter().filter_map(|(api_version, types)| Some((api_version, types?))).collect();
    Ok(Discovery { served, unavailable: BTreeMap::new() })
}

/// Asks for the types of every API version that the cluster names. One that cannot be asked for is kept in
/// [`Discovery::unavailable`]: a restore must not wait for a metrics server that the disaster took with it.
///
/// # Errors
/// When the cluster does not tell which API versions there are.
pub async fn discover_all(client: &Client) -> Result<Discovery, DiscoveryError> {
    let core: Option<APIVersions> = get(client, "/api").await?;
    let groups: Option<APIGroupList> = get(client, "/apis").await?;
    let grouped = groups.into_iter().flat_map(|list| list.groups).flat_map(|group| group.versions);
    let named: BTreeSet<String> =
        core.into_iter().flat_map(|core| core.versions).chain(grouped.map(|version| version.group_version)).collect();
    let answers: Vec<_> = futures::stream::iter(named)
        .map(|api_version| async { (types_of(client, &api_version).await, api_version) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut discovery = Discovery::default();
    for (answer, api_version) in answers {
        match answer {
            Ok(Some(types)) => {
                discovery.served.insert(api_version, types);
            }
            Ok(None) => {}
            Err(error) => {
                discovery.unavailable.insert(api_version, crate::exit::Chain(&error).to_string());
            }
        }
    }
    Ok(discovery)
}

async fn types_of(client: &Client, api_version: &str) -> Result<Option<Vec<ResourceType>>, DiscoveryError> {
    if !is_api_version(api_version) {
        return ReadApiVersionSnafu { api_version: excerpt(api_version) }.fail();
    }
    let root = if api_version.contains('/') { "/apis" } else { "/api" };
    let list: Option<APIResourceList> = get(client, &format!("{root}/{api_version}")).await?;
    Ok(list.map(|list| list.resources.into_iter().filter_map(|found| resource_type(api_version, found)).collect()))
}

fn resource_type(api_version: &str, found: APIResource) -> Option<ResourceType> {
    if found.name.contains('/') {
        return None;
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let can = |verb: &str| found.verbs.iter().any(|found| found == verb);
    Some(ResourceType {
        group: group.to_owned(),
        version: version.to_owned(),
        can_list: can("list"),
        can_get: can("get"),
        kind: found.kind,
        plural: found.name,
        namespaced: found.namespaced,
    })
}

/// `None` where the path is not served.
async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<Option<T>, DiscoveryError> {
    match ask(client, path, None, &Limits::default()).await {
        Ok(body) => serde_json::from_slice(&body).map(Some).context(ReadAnswerSnafu { path }),
        Err(error) if error.code() == Some(404) => Ok(None),
        Err(source) => Err(source).context(AskClusterSnafu { path }),
    }
}
