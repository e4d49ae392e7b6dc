//! ConfigMaps `item-…` in the namespace `default`, archives of them, and Restores of those.

use drover::resources::{Restore, RestoreSpec, RestoreStatus};
use drover_testbed::rancher;
use drover_tests::{Finished, Site, api_of, key_of, write_archive};
use serde_json::{Value, json};

use crate::nats::until;

/// An item of this name.
pub(crate) fn item(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}})
}

/// An item that waits for somebody, once it is deleted, to take this finalizer away.
pub(crate) fn held_by(finalizer: &str, name: &str) -> Value {
    let mut item = item(name);
    item["metadata"]["finalizers"] = json!([finalizer]);
    item
}

/// An item that no server takes.
pub(crate) fn refused(name: &str) -> Value {
    let mut item = item(name);
    item["data"] = json!({"no key": "as it must be"});
    item
}

/// Writes an archive into the site's folder, of the ResourceSet of all items, that holds these.
pub(crate) fn archive(site: &Site, filename: &str, items: &[Value]) {
    let selector =
        json!({"apiVersion": "v1", "kinds": ["ConfigMap"], "namespaces": ["default"], "resourceNameRegexp": "^item-"});
    let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "items"},
        "resourceSelectors": [selector]});
    write_archive(&site.folder().join(filename), items, &set);
}

/// A Restore that says no more than which archive.
pub(crate) fn of(filename: &str) -> RestoreSpec {
    RestoreSpec { backup_filename: filename.to_owned(), ..RestoreSpec::default() }
}

/// Makes a Restore and runs the job once, which must end with this code.
pub(crate) async fn restore(site: &Site, name: &str, spec: RestoreSpec, code: i32) -> (Finished, RestoreStatus) {
    site.make_restore(&Restore::new(name, spec)).await;
    let finished = site.job("restore").end_with(code).await;
    (finished, site.restore_status(name).await)
}

/// Makes an object.
pub(crate) async fn make(site: &Site, object: &Value) {
    rancher::make(&site.client, object).await.unwrap();
}

pub(crate) async fn is_there(site: &Site, object: &Value) -> bool {
    api_of(&site.client, object).get_opt(&key_of(object).name).await.unwrap().is_some()
}

/// Waits until an object is being deleted.
pub(crate) async fn is_going(site: &Site, object: &Value) {
    let (api, name) = (api_of(&site.client, object), key_of(object).name);
    until("it is being deleted", async || api.get(&name).await.unwrap().metadata.deletion_timestamp.is_some()).await;
}

/// Does what finalizers wait for: takes them away.
pub(crate) async fn let_go(site: &Site, object: &Value) {
    use kube::api::{Patch, PatchParams};
    let freed = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api_of(&site.client, object).patch(&key_of(object).name, &PatchParams::default(), &freed).await.unwrap();
}
