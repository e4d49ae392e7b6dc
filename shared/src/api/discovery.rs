//! Asks which types the cluster serves.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResource, APIResourceList, APIVersions};
use kube::Client;
use serde::de::DeserializeOwned;
use snafu::{ResultExt, Snafu, ensure};

use super::{ApiService, Limits, RequestError, RestClient};
use crate::exit::{Chain, Exit, Fault};
use crate::selection::{Discovery, ResourceType, Unavailable, excerpt, group_of, is_api_version};

/// How many API versions are asked for at once.
const AT_ONCE: u32 = 8;

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
    let client = RestClient::new(client.clone(), AT_ONCE);
    let mut named = api_versions_of(&client).await?;
    named.retain(|api_version| groups.contains(group_of(api_version)));
    ask_for(&client, named).await
}

/// Every API version that the cluster names, of each group the preferred one first.
async fn api_versions_of(client: &RestClient) -> Result<Vec<String>, DiscoveryError> {
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
async fn ask_for(client: &RestClient, named: Vec<String>) -> Result<Discovery, DiscoveryError> {
    let answers: Vec<_> = futures::stream::iter(named.clone())
        .map(|api_version| async { (types_of(client, &api_version).await, api_version) })
        .buffer_unordered(AT_ONCE as usize)
        .collect()
        .await;
    let (mut served, mut unavailable) = (BTreeMap::new(), BTreeMap::new());
    for (answer, api_version) in answers {
        match answer {
            Ok(types) => drop(served.insert(api_version, types)),
            Err(error) if error.is_of_one_api() => {
                let reason = with_api_service(client, &api_version, &error).await;
                unavailable.insert(api_version, Unavailable { reason, exit: error.exit() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Discovery::new(named, served, unavailable))
}

/// Why an API version cannot be asked for, with what its APIService says where that is away.
async fn with_api_service(client: &RestClient, api_version: &str, error: &DiscoveryError) -> String {
    let words = Chain(error).to_string();
    let Some(path) = ApiService::path_of(api_version) else { return words };
    // Whoever may not read it, or gets no answer, has the words all the same.
    let limits = Limits { retries: 0, ..Limits::default() };
    let answer = client.get(&path, &limits).await.ok();
    let api = answer.and_then(|body| serde_json::from_slice::<ApiService>(&body).ok());
    match api.and_then(|api| api.why_away()) {
        Some(why) => format!("{why}; {words}"),
        None => words,
    }
}

async fn types_of(client: &RestClient, api_version: &str) -> Result<Vec<ResourceType>, DiscoveryError> {
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
async fn get<T: DeserializeOwned>(client: &RestClient, path: &str) -> Result<Option<T>, DiscoveryError> {
    match ask_and_read(client, path).await {
        Err(DiscoveryError::AskCluster { source, .. }) if source.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}

async fn ask_and_read<T: DeserializeOwned>(client: &RestClient, path: &str) -> Result<T, DiscoveryError> {
    let body = client.get(path, &Limits::default()).await.context(AskClusterSnafu { path })?;
    serde_json::from_slice(&body).context(ReadAnswerSnafu { path })
}
