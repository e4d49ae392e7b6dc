//! What the cluster serves, as a restore needs it: with subresources, and in two requests, since it is asked again and
//! again while definitions become established.

use drover::api::{Request, RequestError};
use drover::exit::{Exit, Fault};
use drover::selection::ResourceType;
use kube::core::discovery::v2::{ACCEPT_AGGREGATED_DISCOVERY_V2, APIGroupDiscoveryList, APIResourceDiscovery};
use snafu::{ResultExt, Snafu, ensure};

use crate::api::request::Server;
use crate::survey::types::{Type, status_rule};

/// How large the answer may be, in bytes: a thousand types take about half a MiB.
const MAX_BYTES: usize = 64 << 20;

/// Why it is not known what the cluster serves.
#[derive(Debug, Snafu)]
pub(crate) enum DiscoveryError {
    /// No answer, or no right to ask.
    #[snafu(display("failed to see what the cluster serves; does the kubeconfig name a cluster that runs?"))]
    Ask {
        /// The cause.
        source: RequestError,
    },
    /// The server sent something else.
    #[snafu(display("failed to read what the cluster serves; a proxy may stand in front of the API server"))]
    Read {
        /// The cause.
        source: serde_json::Error,
    },
    /// An answer in the form of older servers, which looks like that of one that serves nothing.
    #[snafu(display("failed to see what the cluster serves: its API server is older than Kubernetes 1.30; update it"))]
    TooOld,
}

impl Fault for DiscoveryError {
    fn exit(&self) -> Exit {
        match self {
            Self::Ask { source } => source.exit(),
            Self::Read { .. } => Exit::Failure,
            Self::TooOld => Exit::Usage,
        }
    }
}

/// What the cluster serves.
pub(crate) async fn served(server: &Server) -> Result<Vec<Type>, DiscoveryError> {
    Ok(served_and_unknown(server).await?.0)
}

/// What the cluster serves, and the API versions of which it does not know what they serve, for their server is away.
pub(crate) async fn served_and_unknown(server: &Server) -> Result<(Vec<Type>, Vec<String>), DiscoveryError> {
    let core = ask(server, "/api").await?;
    let groups = ask(server, "/apis").await?;
    ensure!(!core.items.is_empty(), TooOldSnafu);
    let unknown = unknown(&groups);
    Ok((types(core).chain(types(groups)).collect(), unknown))
}

/// API versions that are told of without anything that they serve. What the server remembers of one that is away is known.
fn unknown(list: &APIGroupDiscoveryList) -> Vec<String> {
    let groups = list.items.iter().flat_map(|group| {
        let name = group.metadata.as_ref().and_then(|metadata| metadata.name.as_deref()).unwrap_or_default();
        group.versions.iter().map(move |version| (name, version))
    });
    let unknown =
        groups.filter(|(_, version)| version.freshness.as_deref() == Some("Stale") && version.resources.is_empty());
    unknown.map(|(name, version)| format!("{name}/{}", version.version.as_deref().unwrap_or_default())).collect()
}

async fn ask(server: &Server, path: &str) -> Result<APIGroupDiscoveryList, DiscoveryError> {
    let request = Request { accept: ACCEPT_AGGREGATED_DISCOVERY_V2, ..Request::get(path) };
    let answer = server.read(request, MAX_BYTES).await.context(AskSnafu)?;
    serde_json::from_slice(&answer).context(ReadSnafu)
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
    let can = |wanted: &str| resource.verbs.iter().any(|verb| verb == wanted);
    let deletes = can("delete");
    let resource = ResourceType {
        group: group.to_owned(),
        version: version.to_owned(),
        can_list: can("list"),
        can_get: can("get"),
        kind: resource.response_kind.and_then(|kind| kind.kind).unwrap_or_default(),
        namespaced: resource.scope.as_deref() == Some("Namespaced"),
        plural,
    };
    Type { resource, status: status_rule(group, has_status), deletes, scales, served: true }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_api_that_is_away_is_unknown_where_nobody_remembers_what_it_serves() {
        let things = json!([{"resource": "things", "scope": "Namespaced", "verbs": ["list", "delete"]}]);
        let group = |name: &str, freshness: &str, resources: serde_json::Value| {
            json!({"metadata": {"name": name},
                "versions": [{"version": "v1", "freshness": freshness, "resources": resources}]})
        };
        let list = json!({"items": [
            group("a.io", "Current", json!([])), group("b.io", "Stale", things.clone()),
            group("c.io", "Stale", json!([])), group("d.io", "Current", things),
        ]});
        let list: APIGroupDiscoveryList = serde_json::from_value(list).unwrap();
        assert_eq!(unknown(&list), ["c.io/v1"]);
        let served: Vec<_> =
            types(list).map(|known| (known.group.clone(), known.can_list, known.can_get, known.deletes)).collect();
        assert_eq!(served, [("b.io".to_owned(), true, false, true), ("d.io".to_owned(), true, false, true)]);
    }
}
