//! Which types the cluster serves.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResource, APIResourceList, APIVersions};
use kube::Client;
use serde::de::DeserializeOwned;
use snafu::{ResultExt, Snafu, ensure};

use super::matcher::is_api_version;
use super::{ApiService, ResourceType, excerpt};
use crate::exit::{Chain, Exit, Fault};
use crate::listing::{Limits, RequestError, ask};

/// How many API versions are asked for at once.
const AT_ONCE: usize = 8;

/// The types that the cluster serves, by API version.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    served: BTreeMap<String, Vec<ResourceType>>,
    /// The API versions of each group, the preferred one first.
    preference: BTreeMap<String, Vec<String>>,
    unavailable: BTreeMap<String, Unavailable>,
}

/// Why it is not known which types an API version has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unavailable {
    /// The reason, with its causes.
    pub reason: String,
    /// How a job exits that cannot do without.
    pub exit: Exit,
}

impl Discovery {
    /// The types of an API version, without subresources; `None` where the cluster does not serve it.
    #[must_use]
    pub fn types(&self, api_version: &str) -> Option<&[ResourceType]> {
        self.served.get(api_version).map(Vec::as_slice)
    }

    /// The names of the types of a group that are served in any version, as kubectl names them.
    pub fn names_of(&self, group: &str) -> impl Iterator<Item = String> {
        let names: BTreeSet<_> =
            self.offers(group).into_values().filter_map(|offers| Some(offers.first()?.type_name())).collect();
        names.into_iter()
    }

    /// Every type that is served.
    pub fn all(&self) -> impl Iterator<Item = &ResourceType> {
        self.served.values().flatten()
    }

    /// API versions that the cluster names and cannot answer for, each with the reason: aggregated APIs that are down. What
    /// belongs to one of them is not "not served", it is not known.
    #[must_use]
    pub fn unavailable(&self) -> &BTreeMap<String, Unavailable> {
        &self.unavailable
    }

    /// The types of a group by plural name, each in all the versions that serve it, the preferred one first.
    pub(super) fn offers(&self, group: &str) -> BTreeMap<&str, Vec<&ResourceType>> {
        let mut offers: BTreeMap<&str, Vec<&ResourceType>> = BTreeMap::new();
        let versions = self.preference.get(group).into_iter().flatten();
        for resource in versions.filter_map(|api_version| self.types(api_version)).flatten() {
            offers.entry(&resource.plural).or_default().push(resource);
        }
        offers
    }

    /// The first API version of the group that the cluster names and cannot answer for.
    pub(super) fn unavailable_of(&self, group: &str) -> Option<(&String, &Unavailable)> {
        self.unavailable.iter().find(|(api_version, _)| group_of(api_version) == group)
    }

    /// The same cluster, that cannot answer for one more API version.
    #[cfg(test)]
    pub(super) fn without(mut self, api_version: &str, why: Unavailable) -> Self {
        self.prefer([api_version.to_owned()]);
        self.unavailable.insert(api_version.to_owned(), why);
        self
    }

    fn prefer(&mut self, api_versions: impl IntoIterator<Item = String>) {
        for api_version in api_versions {
            self.preference.entry(group_of(&api_version).to_owned()).or_default().push(api_version);
        }
    }
}

/// The group of an API version; empty for the core group.
#[must_use]
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Of several versions of a group the one that comes first is the preferred one.
impl FromIterator<ResourceType> for Discovery {
    fn from_iter<I: IntoIterator<Item = ResourceType>>(types: I) -> Self {
        let mut discovery = Self::default();
        for resource in types {
            let api_version = resource.api_version();
            if !discovery.served.contains_key(&api_version) {
                discovery.prefer([api_version.clone()]);
            }
            discovery.served.entry(api_version).or_default().push(resource);
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

impl DiscoveryError {
    /// Whether it is about the one API that was asked for, and says nothing of the others.
    fn is_of_one_api(&self) -> bool {
        match self {
            Self::AskCluster { source, .. } => source.is_of_question(),
            Self::ReadAnswer { .. } => true,
            Self::ReadApiVersion { .. } => false,
        }
    }
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

/// Asks for the types of the groups of the API versions named, in every version: what one version does not serve another
/// may. A group that the cluster does not serve is left out. A version that it names and cannot answer for is kept in
/// [`Discovery::unavailable`]: what cannot be asked for must not look as if there were none of it.
///
/// # Errors
/// When the cluster does not answer at all, or a text is no API version.
pub async fn discover<'a>(
    client: &Client,
    api_versions: impl Iterator<Item = &'a str>,
) -> Result<Discovery, DiscoveryError> {
    let mut groups = BTreeSet::new();
    for api_version in api_versions {
        ensure!(is_api_version(api_version), ReadApiVersionSnafu { api_version: excerpt(api_version) });
        groups.insert(group_of(api_version).to_owned());
    }
    let mut named = api_versions_of(client).await?;
    named.retain(|api_version| groups.contains(group_of(api_version)));
    ask_for(client, named).await
}

/// Every API version that the cluster names, of each group the preferred one first.
async fn api_versions_of(client: &Client) -> Result<Vec<String>, DiscoveryError> {
    let (core, groups): (Option<APIVersions>, Option<APIGroupList>) =
        tokio::try_join!(get(client, "/api"), get(client, "/apis"))?;
    let grouped = groups.into_iter().flat_map(|list| list.groups).flat_map(|group| {
        let preferred = group.preferred_version.map(|version| version.group_version);
        let mut versions: Vec<_> = group.versions.into_iter().map(|version| version.group_version).collect();
        versions.sort_by_key(|version| Some(version) != preferred.as_ref());
        versions
    });
    Ok(core.into_iter().flat_map(|core| core.versions).chain(grouped).collect())
}

/// The types of these API versions, of which the cluster has said that it serves them.
async fn ask_for(client: &Client, named: Vec<String>) -> Result<Discovery, DiscoveryError> {
    let answers: Vec<_> = futures::stream::iter(named.clone())
        .map(|api_version| async { (types_of(client, &api_version).await, api_version) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut discovery = Discovery::default();
    discovery.prefer(named);
    for (answer, api_version) in answers {
        match answer {
            Ok(types) => drop(discovery.served.insert(api_version, types)),
            Err(error) if error.is_of_one_api() => {
                let reason = with_api_service(client, &api_version, &error).await;
                discovery.unavailable.insert(api_version, Unavailable { reason, exit: error.exit() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(discovery)
}

/// Why an API version cannot be asked for, with what its APIService says where that is away.
async fn with_api_service(client: &Client, api_version: &str, error: &DiscoveryError) -> String {
    let words = Chain(error).to_string();
    let Some(path) = ApiService::path_of(api_version) else { return words };
    // Whoever may not read it, or gets no answer, has the words all the same.
    let limits = Limits { retries: 0, ..Limits::default() };
    let answer = ask(client, &path, None, &limits).await.ok();
    let api = answer.and_then(|body| serde_json::from_slice::<ApiService>(&body).ok());
    match api.and_then(|api| api.why_away()) {
        Some(why) => format!("{why}; {words}"),
        None => words,
    }
}

async fn types_of(client: &Client, api_version: &str) -> Result<Vec<ResourceType>, DiscoveryError> {
    ensure!(is_api_version(api_version), ReadApiVersionSnafu { api_version: excerpt(api_version) });
    let root = if api_version.contains('/') { "/apis" } else { "/api" };
    let list: APIResourceList = ask_and_read(client, &format!("{root}/{api_version}")).await?;
    Ok(list.resources.into_iter().filter_map(|found| resource_type(api_version, found)).collect())
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
    match ask_and_read(client, path).await {
        Err(DiscoveryError::AskCluster { source, .. }) if source.code() == Some(404) => Ok(None),
        answer => answer.map(Some),
    }
}

async fn ask_and_read<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, DiscoveryError> {
    let body = ask(client, path, None, &Limits::default()).await.context(AskClusterSnafu { path })?;
    serde_json::from_slice(&body).context(ReadAnswerSnafu { path })
}
