use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::api::{DynamicObject, ListParams};
use kube::discovery::{ApiGroup, ApiResource, Discovery, verbs};
use kube::{Api, Client, ResourceExt};

/// UID and resourceVersion of objects, by `<plural>.<group>/[<namespace>/]<name>`: two that are equal say that nobody
/// wrote the object, not even the same again.
pub type Versions = BTreeMap<String, (String, String)>;

/// Types listed at the same time.
const LISTS_AT_ONCE: usize = 8;

/// What the cluster itself writes all the time: the API server's own Lease, and what its controllers tell.
const RESTLESS: [&str; 3] = ["events.events.k8s.io/", "events/", "leases.coordination.k8s.io/kube-system/"];

/// The versions of every object of a cluster, once its controllers have nothing left to do.
///
/// # Panics
/// When the server does not answer, or its controllers do not come to rest.
pub async fn versions(client: &Client) -> Versions {
    let mut before = versions_now(client).await;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = versions_now(client).await;
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("somebody writes to the cluster all the time");
}

/// The objects that were made, written or deleted in between.
#[must_use]
pub fn written(before: &Versions, after: &Versions) -> BTreeSet<String> {
    let all = before.keys().chain(after.keys());
    all.filter(|object| before.get(*object) != after.get(*object)).cloned().collect()
}

async fn versions_now(client: &Client) -> Versions {
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let types: Vec<_> = discovery.groups().flat_map(ApiGroup::resources_by_stability).collect();
    let listed = types.into_iter().filter(|(_, can)| can.supports_operation(verbs::LIST));
    let lists = listed.map(|(resource, _)| versions_of(client, resource));
    let found: Vec<Versions> = stream::iter(lists).buffer_unordered(LISTS_AT_ONCE).collect().await;
    let is_restless = |object: &str| RESTLESS.iter().any(|restless| object.starts_with(restless));
    found.into_iter().flatten().filter(|(object, _)| !is_restless(object)).collect()
}

async fn versions_of(client: &Client, resource: ApiResource) -> Versions {
    let ApiResource { plural, group, .. } = &resource;
    let title = if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") };
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let objects = api.list_metadata(&ListParams::default()).await.unwrap().items;
    let version = |object: kube::core::PartialObjectMeta<DynamicObject>| {
        let namespace = object.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let name = format!("{title}/{namespace}{}", object.name_any());
        (name, (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default()))
    };
    objects.into_iter().map(version).collect()
}
