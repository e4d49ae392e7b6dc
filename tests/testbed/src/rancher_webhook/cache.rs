//! What the webhook knows of the cluster: always a little late.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

/// What is looked up: plural name and kind; the first ones are of Rancher's group, the last one of the core.
const OF_RANCHER: [(&str, &str); 10] = [
    ("clusterproxyconfigs", "ClusterProxyConfig"),
    ("clusterroletemplatebindings", "ClusterRoleTemplateBinding"),
    ("clusters", "Cluster"),
    ("globalrolebindings", "GlobalRoleBinding"),
    ("globalroles", "GlobalRole"),
    ("projectroletemplatebindings", "ProjectRoleTemplateBinding"),
    ("projects", "Project"),
    ("roletemplates", "RoleTemplate"),
    ("settings", "Setting"),
    ("users", "User"),
];
const OF_THE_CORE: [(&str, &str); 1] = [("namespaces", "Namespace")];

/// The objects of each type by place: their name, or namespace and name with a slash between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(BTreeMap<&'static str, BTreeMap<String, Value>>);

impl Known {
    /// The object of this type at this place.
    pub(super) fn find(&self, plural: &str, place: &str) -> Option<&Value> {
        self.0.get(plural)?.get(place)
    }

    /// All objects of this type.
    pub(super) fn all(&self, plural: &str) -> impl Iterator<Item = &Value> {
        self.0.get(plural).into_iter().flat_map(BTreeMap::values)
    }

    #[cfg(test)]
    pub(super) fn of(objects: &[(&'static str, &str, Value)]) -> Self {
        let mut known = Self::default();
        for (plural, place, object) in objects {
            known.0.entry(*plural).or_default().insert((*place).to_owned(), object.clone());
        }
        known
    }
}

/// The cluster as it was a while ago.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Arc<Known>>);

impl Cache {
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn learn(&self, known: Known) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    /// Looks at the cluster and knows at once what it sees.
    pub(super) async fn fill(&self, client: &Client) -> Result<(), kube::Error> {
        self.learn(look(client).await?);
        Ok(())
    }

    /// Looks again and again, and knows what it saw only `lag` later. What cannot be seen stays as it was.
    pub(super) async fn follow(&self, client: &Client, lag: Duration) {
        loop {
            let seen = look(client).await;
            tokio::time::sleep(lag).await;
            if let Ok(seen) = seen {
                self.learn(seen);
            }
        }
    }
}

async fn look(client: &Client) -> Result<Known, kube::Error> {
    let mut known = Known::default();
    let of_rancher =
        OF_RANCHER.map(|(plural, kind)| (plural, GroupVersionKind::gvk("management.cattle.io", "v3", kind)));
    let of_the_core = OF_THE_CORE.map(|(plural, kind)| (plural, GroupVersionKind::gvk("", "v1", kind)));
    for (plural, kind) in of_rancher.into_iter().chain(of_the_core) {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural));
        let listed = match api.list(&ListParams::default()).await {
            // Rancher's definitions come later, or are never there.
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            listed => listed?,
        };
        let objects = known.0.entry(plural).or_default();
        for object in listed.items {
            let place =
                object.namespace().map_or_else(|| object.name_any(), |of| format!("{of}/{}", object.name_any()));
            objects.insert(place, serde_json::to_value(object).map_err(kube::Error::SerdeError)?);
        }
    }
    Ok(known)
}
