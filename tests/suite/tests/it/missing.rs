//! Types that an archive lacks: in another version than named, gone, shrunken, or served and not to be had or not permitted.

mod losses;
mod permitted;
mod refused;
mod versions;

use std::path::{Path, PathBuf};
use std::time::Duration;

use drover::archive::{Contents, Limits, Spool, Unsealing};
use drover_tests::{Finished, Site};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition as Definition;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::items::make;
use crate::nats::until;

/// A definition of cluster-scoped things, with these versions: each with whether it is served; the first is stored.
fn definition(group: &str, versions: &[(&str, bool)]) -> Value {
    let version = |(index, (name, served)): (usize, &(&str, bool))| {
        json!({
            "name": name, "served": served, "storage": index == 0,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        })
    };
    let versions: Vec<Value> = versions.iter().enumerate().map(version).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {"group": group, "scope": "Cluster", "versions": versions,
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}},
    })
}

/// Makes or changes a definition, and waits until the server serves what it says.
async fn define(site: &Site, definition: &Value) {
    let definitions: Api<Definition> = Api::all(site.client.clone());
    let name = definition["metadata"]["name"].as_str().unwrap();
    definitions.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(definition)).await.unwrap();
    let group = definition["spec"]["group"].as_str().unwrap();
    for version in definition["spec"]["versions"].as_array().unwrap() {
        let path = format!("/apis/{group}/{}/things", version["name"].as_str().unwrap());
        let is_wanted = version["served"].as_bool().unwrap();
        until("its versions are served as it says", async || is_served(site, &path).await == is_wanted).await;
    }
}

async fn is_served(site: &Site, path: &str) -> bool {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    site.client.request::<Value>(request).await.is_ok()
}

fn thing(api_version: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": "Thing", "metadata": {"name": name}})
}

async fn make_things(site: &Site, api_version: &str, count: usize) {
    for index in 0..count {
        make(site, &thing(api_version, &format!("thing-{index}"))).await;
    }
}

/// A ResourceSet of some namespaces and of what these selectors take.
fn set(name: &str, selectors: &[Value]) -> Value {
    let namespaces = json!({"apiVersion": "v1", "kindsRegexp": "^namespaces$", "resourceNameRegexp": "^kube-"});
    let selectors: Vec<Value> = std::iter::once(&namespaces).chain(selectors).cloned().collect();
    json!({
        "apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": name},
        "resourceSelectors": selectors,
    })
}

fn all_of(api_version: &str) -> Value {
    json!({"apiVersion": api_version, "kindsRegexp": "."})
}

/// Runs the job with a file of this set, which must end with this code; gives its end and where its archive is.
async fn to_file(site: &Site, set: &Value, more: &[&str], code: i32) -> (Finished, PathBuf) {
    let name = format!("{}-{}", set["metadata"]["name"].as_str().unwrap(), uuid::Uuid::now_v7());
    let [file, output] = ["yaml", "tar.gz"].map(|ending| site.testbed.folder().join(format!("{name}.{ending}")));
    std::fs::write(&file, set.to_string()).unwrap();
    let arguments = ["--resource-set".as_ref(), file.as_os_str(), "--output".as_ref(), output.as_os_str()];
    let finished = site.job("snapshot").arguments(arguments).arguments(more).end_with(code).await;
    (finished, output)
}

/// What an archive says of itself.
fn contents(archive: &Path) -> Contents {
    let spool = Spool::read_in(
        &std::env::temp_dir(),
        std::fs::File::open(archive).unwrap(),
        &Limits::default(),
        Unsealing::Refuse,
        &mut |_| {},
    )
    .unwrap();
    spool.contents().unwrap().unwrap()
}
