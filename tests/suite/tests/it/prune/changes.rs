//! 50 objects added to the testbed's Rancher-like cluster, 50 changed and 50 deleted.

use drover_testbed::rancher;
use drover_tests::{api_of, key_of};
use futures::{StreamExt, stream};
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::nats::until;

/// A finalizer that nobody takes away.
pub(super) const NOBODY: &str = "example.io/nobody";

/// The first number that no object of the testbed has.
const FREE: usize = 90_000;

/// "changed", in base64.
const CHANGED: &str = "Y2hhbmdlZA==";

/// Requests at once.
const AT_ONCE: usize = 8;

/// An object without content.
fn named(api_version: &str, kind: &str, place: &str) -> Value {
    let (namespace, name) = place.split_once('/').map_or((None, place), |(namespace, name)| (Some(namespace), name));
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}})
}

fn management(kind: &str, name: &str) -> Value {
    named("management.cattle.io/v3", kind, name)
}

fn held(mut object: Value) -> Value {
    object["metadata"]["finalizers"] = json!([NOBODY]);
    object
}

/// The owner's UID is filled in when the object is made.
fn owned(mut object: Value, owner: &Value) -> Value {
    let name = &owner["metadata"]["name"];
    object["metadata"]["ownerReferences"] =
        json!([{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name}]);
    object
}

/// `count` objects, each of its number: five digits, as the testbed's.
fn of(count: usize, first: usize, make: impl Fn(String) -> Value) -> impl Iterator<Item = Value> {
    (first..first + count).map(move |number| make(format!("{number:05}")))
}

/// Objects that the ResourceSet selects and the archive lacks. Owners come before what they own.
pub(super) fn added() -> Vec<Value> {
    let mut added: Vec<Value> = Vec::new();
    added.extend(of(20, FREE, |number| named("v1", "Secret", &format!("cattle-system/tls-{number}"))));
    added.extend(of(5, FREE, |number| held(named("v1", "ConfigMap", &format!("cattle-system/config-{number}")))));
    added.extend(of(5, FREE, |number| held(management("Setting", &format!("setting-{number}")))));
    added.extend(of(3, FREE, |number| management("User", &format!("u-{number}"))));
    added.extend(of(3, FREE, |number| {
        let owner = management("User", &format!("u-{number}"));
        owned(management("GlobalRoleBinding", &format!("grb-{number}")), &owner)
    }));
    let of_the_archive = named("v1", "ConfigMap", "cattle-system/config-00010");
    added.extend(of(3, FREE, |number| {
        owned(named("v1", "ConfigMap", &format!("cattle-system/owned-{number}")), &of_the_archive)
    }));
    added.extend(of(3, FREE, |number| named("v1", "Namespace", &format!("u-{number}"))));
    added.extend(of(3, FREE, |number| held(named("v1", "Secret", &format!("u-{number}/user-secret")))));
    added.extend(of(3, FREE, |number| {
        named("rbac.authorization.k8s.io/v1", "ClusterRole", &format!("u-{number}:view"))
    }));
    added.push(named("v1", "ServiceAccount", "cattle-system/robot"));
    added.push(definition());
    added
}

/// A definition that has no objects.
fn definition() -> Value {
    let names = json!({"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"});
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let mut definition = named("apiextensions.k8s.io/v1", "CustomResourceDefinition", "gadgets.management.cattle.io");
    definition["spec"] = json!({"group": "management.cattle.io", "scope": "Cluster", "names": names,
        "versions": [{"name": "v3", "served": true, "storage": true, "schema": schema}]});
    definition
}

/// Makes the objects, one after the other.
pub(super) async fn add(client: &Client, objects: &[Value]) {
    for object in objects {
        let mut object = object.clone();
        if let Some(owner) = object.pointer("/metadata/ownerReferences/0").cloned() {
            let mut place = owner.clone();
            place["metadata"] = json!({"name": owner["name"], "namespace": object["metadata"]["namespace"]});
            let live = api_of(client, &place).get(owner["name"].as_str().unwrap()).await.unwrap();
            object["metadata"]["ownerReferences"][0]["uid"] = live.metadata.uid.into();
        }
        rancher::make(client, &object).await.unwrap();
    }
}

/// Changes 50 objects of the archive and deletes 50 others.
pub(super) async fn change_and_delete(client: &Client) {
    let (changes, deleted) = (changes(), deleted());
    assert_eq!((changes.len(), deleted.len()), (50, 50));
    let parameters = PatchParams::default();
    let changing = changes.iter().map(async |(object, change)| {
        let (api, name) = (api_of(client, object), key_of(object).name);
        api.patch(&name, &parameters, &Patch::Merge(change)).await.unwrap();
        if change.get("status").is_some() {
            api.patch_status(&name, &parameters, &Patch::Merge(change)).await.unwrap();
        }
    });
    stream::iter(changing).buffer_unordered(AT_ONCE).collect::<()>().await;
    stream::iter(deleted.iter().map(async |object| delete(client, object).await))
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}

/// Deletes an object and waits until it is gone.
async fn delete(client: &Client, object: &Value) {
    let (api, name) = (api_of(client, object), key_of(object).name);
    // One that garbage collection was quicker with is not found.
    drop(api.delete(&name, &DeleteParams::default()).await);
    until("it is gone", async || api.get_opt(&name).await.unwrap().is_none()).await;
}

/// Objects of the archive, each with a merge patch.
fn changes() -> Vec<(Value, Value)> {
    let each = |objects: Vec<Value>, change: Value| objects.into_iter().map(move |object| (object, change.clone()));
    let settings = of(20, 0, |number| management("Setting", &format!("setting-{number}"))).collect();
    let secrets = of(10, 0, |number| named("v1", "Secret", &format!("cattle-system/tls-{number}"))).collect();
    let maps = of(10, 0, |number| named("v1", "ConfigMap", &format!("cattle-system/config-{number}"))).collect();
    let roles = of(5, 0, |number| management("GlobalRole", &format!("role-{number}"))).collect();
    let clusters = of(3, 0, |number| management("Cluster", &format!("c-m-{number}"))).collect();
    let bundle = |number| named("fleet.cattle.io/v1alpha1", "Bundle", &format!("fleet-default/bundle-{number}"));
    let bundles = of(2, 0, bundle).collect();
    let (data, labels) = (json!({"data": {"more": CHANGED}}), json!({"metadata": {"labels": {"changed": "true"}}}));
    let cluster = json!({"spec": {"displayName": "changed"}, "status": {"changed": true}});
    each(settings, json!({"value": "changed"}))
        .chain(each(secrets, data.clone()))
        .chain(each(maps, data))
        .chain(each(roles, labels))
        .chain(each(clusters, cluster))
        .chain(each(bundles, json!({"spec": null})))
        .collect()
}

/// Objects of the archive.
fn deleted() -> Vec<Value> {
    of(20, 20, |number| management("Setting", &format!("setting-{number}")))
        .chain(of(10, 20, |number| named("v1", "Secret", &format!("cattle-system/tls-{number}"))))
        .chain(of(9, 11, |number| named("v1", "ConfigMap", &format!("cattle-system/config-{number}"))))
        .chain(of(5, 0, |number| named("rbac.authorization.k8s.io/v1", "ClusterRole", &format!("u-{number}:view"))))
        .chain(of(3, 0, |number| management("User", &format!("u-{number}"))))
        // Those that these Users own: garbage collection deletes them as well.
        .chain(of(3, 0, |number| management("GlobalRoleBinding", &format!("grb-{number}"))))
        .collect()
}
