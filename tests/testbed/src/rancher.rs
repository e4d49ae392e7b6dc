//! Objects like Rancher's, for the demo and the tests: the input that a backup exists for.
//!
//! Small, always the same, and with what is hard to put back: owners and owned, status subresources, finalizers, names
//! with colons, unicode, a ConfigMap whose name holds the word `filters`.

use futures::stream::{self, TryStreamExt};
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use snafu::{ResultExt, Snafu};

/// The ResourceSet that selects these objects, under the name that Rancher's guide uses.
pub const RESOURCE_SET: &str = include_str!("rancher/resource-set.yaml");

/// Requests at once: enough that two cores are busy.
const AT_ONCE: usize = 16;

/// Why the objects could not be made.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to make {kind} {name:?}"))]
    Make { kind: String, name: String, source: kube::Error },
}

/// A type of Rancher's, as its definition makes it.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// The group.
    pub group: &'static str,
    /// The only version.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The plural name.
    pub plural: &'static str,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    /// Whether status is a subresource.
    pub status: bool,
}

const TYPES: [Type; 7] = [
    management("Setting", "settings", false, false),
    management("User", "users", false, false),
    management("GlobalRole", "globalroles", false, false),
    management("GlobalRoleBinding", "globalrolebindings", false, false),
    management("Cluster", "clusters", false, true),
    management("Project", "projects", true, false),
    Type {
        group: "fleet.cattle.io",
        version: "v1alpha1",
        kind: "Bundle",
        plural: "bundles",
        namespaced: true,
        status: true,
    },
];

/// A type of Rancher's own group.
#[must_use]
pub const fn management(kind: &'static str, plural: &'static str, namespaced: bool, status: bool) -> Type {
    Type { group: "management.cattle.io", version: "v3", kind, plural, namespaced, status }
}

/// Makes the definitions and the objects; what exists is left as it is. Gives how many objects there are of it.
///
/// `scale` 1 makes about 200 objects; it grows linearly.
///
/// # Errors
/// When the API server refuses one of them.
pub async fn populate(client: &Client, scale: usize) -> Result<usize, Error> {
    let definitions: Vec<_> = TYPES.iter().map(definition).collect();
    make_all(client, &definitions).await?;
    wait_until_served(client, &TYPES).await?;
    let mut made = definitions.len();
    for step in [namespaces(scale), independent(scale)] {
        make_all(client, &step).await?;
        made += step.len();
    }
    made += owned(client, scale).await?;
    Ok(made)
}

/// The definition of a type, which takes any content, as those of Rancher's older types do.
#[must_use]
pub fn definition(of: &Type) -> Value {
    let mut version = json!({
        "name": of.version, "served": true, "storage": true,
        "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
    });
    if of.status {
        version["subresources"] = json!({ "status": {} });
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{}", of.plural, of.group) },
        "spec": {
            "group": of.group, "scope": if of.namespaced { "Namespaced" } else { "Cluster" },
            "names": { "kind": of.kind, "plural": of.plural, "singular": of.kind.to_lowercase(), "listKind": format!("{}List", of.kind) },
            "versions": [version],
        },
    })
}

fn object(api_version: &str, kind: &str, name: &str, namespace: Option<&str>, rest: Value) -> Value {
    let mut object = rest;
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"]["name"] = name.into();
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

const MANAGEMENT: &str = "management.cattle.io/v3";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn namespaces(scale: usize) -> Vec<Value> {
    let fixed = ["cattle-system", "cattle-global-data", "fleet-default", "local"].map(str::to_owned);
    let users = (0..10 * scale).map(|number| format!("u-{number:05}"));
    let clusters = (0..3 * scale).map(|number| format!("c-m-{number:05}"));
    let project = json!({ "metadata": { "annotations": { "field.cattle.io/projectId": "local:p-00001" } } });
    let names = fixed.into_iter().chain(users).chain(clusters);
    names.map(|name| object("v1", "Namespace", &name, None, project.clone())).collect()
}

/// Objects that no other one needs.
fn independent(scale: usize) -> Vec<Value> {
    let mut objects = Vec::new();
    for number in 0..40 * scale {
        let setting = json!({ "value": format!("value {number}"), "default": "", "customized": number % 2 == 0 });
        objects.push(object(MANAGEMENT, "Setting", &format!("setting-{number:05}"), None, setting));
        let secret = json!({ "type": "Opaque", "data": { "tls.key": noise(number, 1700) } });
        objects.push(object("v1", "Secret", &format!("tls-{number:05}"), Some("cattle-system"), secret));
    }
    for number in 0..20 * scale {
        let config = json!({ "data": { "config.yaml": format!("a: {number}\nb: für Teams 団\n") } });
        objects.push(object("v1", "ConfigMap", &format!("config-{number:05}"), Some("cattle-system"), config));
        let rules = json!({ "rules": [{ "apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"] }] });
        objects.push(object(RBAC, "ClusterRole", &format!("u-{number:05}:view"), None, rules.clone()));
        objects.push(object(MANAGEMENT, "GlobalRole", &format!("role-{number:05}"), None, rules));
    }
    objects.push(object("v1", "ServiceAccount", "rancher", Some("cattle-system"), json!({})));
    let note = json!({ "data": { "note": "a name with the word filters in it" } });
    objects.push(object("v1", "ConfigMap", "traffic-filters", Some("cattle-system"), note));
    objects
}

/// Users with their bindings, and clusters with their projects: the owned ones carry their owner's UID.
async fn owned(client: &Client, scale: usize) -> Result<usize, Error> {
    let mut made = 0;
    for number in 0..10 * scale {
        let name = format!("u-{number:05}");
        let user = json!({ "username": name, "enabled": true });
        let owner = make(client, &object(MANAGEMENT, "User", &name, None, user)).await?;
        let binding = json!({
            "metadata": { "ownerReferences": [reference(&owner)] }, "userName": name, "globalRoleName": "role-00000",
        });
        make(client, &object(MANAGEMENT, "GlobalRoleBinding", &format!("grb-{number:05}"), None, binding)).await?;
        let password = json!({ "type": "Opaque", "data": { "password": noise(number, 32) } });
        make(client, &object("v1", "Secret", "user-secret", Some(&name), password)).await?;
        made += 3;
    }
    for number in 0..3 * scale {
        let name = format!("c-m-{number:05}");
        let finalizer = "controller.cattle.io/cluster-agent-controller-cleanup";
        let cluster = json!({
            "metadata": { "finalizers": [finalizer] }, "spec": { "displayName": format!("downstream-{number}") },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        let owner = make(client, &object(MANAGEMENT, "Cluster", &name, None, cluster)).await?;
        let project = json!({
            "metadata": { "ownerReferences": [reference(&owner)] }, "spec": { "clusterName": name },
        });
        make(client, &object(MANAGEMENT, "Project", &format!("p-{number:05}"), Some(&name), project)).await?;
        let bundle = json!({ "spec": { "resources": [{ "content": noise(number, 20_000) }] }, "status": { "summary": { "ready": 1 } } });
        make(
            client,
            &object(
                "fleet.cattle.io/v1alpha1",
                "Bundle",
                &format!("bundle-{number:05}"),
                Some("fleet-default"),
                bundle,
            ),
        )
        .await?;
        made += 3;
    }
    Ok(made)
}

fn reference(owner: &DynamicObject) -> Value {
    let types = owner.types.clone().unwrap_or_default();
    json!({
        "apiVersion": types.api_version, "kind": types.kind, "name": owner.name_any(), "uid": owner.uid(),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Base64 text that does not compress, always the same for one seed.
#[must_use]
pub fn noise(seed: usize, characters: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let length = characters / 4 * 4;
    let mut next = || {
        // Xorshift64: nothing here needs better randomness than "gzip finds no pattern".
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(ALPHABET[(state >> 32) as usize % ALPHABET.len()])
    };
    (0..length).map(|_| next()).collect()
}

async fn make_all(client: &Client, objects: &[Value]) -> Result<(), Error> {
    stream::iter(objects.iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, async |object| make(client, object).await.map(drop))
        .await
}

/// Makes one object, and its status where it has one; one that exists is given as it is.
///
/// # Errors
/// When the API server refuses it.
pub async fn make(client: &Client, object: &Value) -> Result<DynamicObject, Error> {
    let types: TypeMeta = serde_json::from_value(object.clone()).unwrap_or_default();
    let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
    let kind = GroupVersionKind::gvk(group, version, &types.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural_of(&types.kind));
    let (name, namespace) = (&object["metadata"]["name"], object["metadata"]["namespace"].as_str());
    let name = name.as_str().unwrap_or_default();
    let context = MakeSnafu { kind: &types.kind, name };
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let wanted: DynamicObject = match serde_json::from_value(object.clone()) {
        Ok(wanted) => wanted,
        Err(error) => return Err(kube::Error::SerdeError(error)).context(context),
    };
    let mut made = match api.create(&PostParams::default(), &wanted).await {
        Err(kube::Error::Api(status)) if status.code == 409 => return api.get(name).await.context(context),
        made => made.context(context)?,
    };
    if let Some(status) = object.get("status") {
        made.data["status"] = status.clone();
        made = api.replace_status(name, &PostParams::default(), &made).await.context(context)?;
    }
    Ok(made)
}

/// The plural name of a kind: all that tests make end so.
#[must_use]
pub fn plural_of(kind: &str) -> String {
    format!("{}{}", kind.to_lowercase(), if kind.ends_with('s') { "es" } else { "s" })
}

/// Waits for types whose definitions were made: they are served a moment later, and until then their objects are "not
/// found".
///
/// # Errors
/// When one is not served in time.
pub async fn wait_until_served(client: &Client, types: &[Type]) -> Result<(), Error> {
    for of in types {
        let kind = GroupVersionKind::gvk(of.group, of.version, of.kind);
        let api: Api<DynamicObject> =
            Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, of.plural));
        let mut tries = 0;
        while let Err(error) = api.list(&kube::api::ListParams::default().limit(1)).await {
            tries += 1;
            if tries > 300 {
                return Err(error).context(MakeSnafu { kind: "CustomResourceDefinition", name: of.plural });
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
