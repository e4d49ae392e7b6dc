//! Rancher's objects and the archives of its operator: what drover selects, brings back, and takes over.

use std::collections::BTreeSet;
use std::path::Path;

use drover::archive::Key;
use drover_testbed::{Options, Service};
use drover_tests::inputs::{BASIC, FULL, Inputs, Kind};
use drover_tests::{Finished, Site, differing_members, objects};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::populate::populate;

/// What the operator's cluster had and one that is populated has not.
const ONLY_THERE: [(&str, &str); 3] = [
    ("secrets.#v1/cattle-resources-system/enc-aescbc.json", "the key of the operator's aescbc archive"),
    ("secrets.#v1/cattle-resources-system/enc-aesgcm.json", "the key of an archive that was not kept"),
    ("secrets.#v1/cattle-resources-system/enc-secretbox.json", "the key of the operator's secretbox archive"),
];

/// What is not as it was after a restore, on purpose or because no client can write it.
const CHANGED: [(&str, &str); 4] = [
    ("clusters.fleet.cattle.io /spec/redeployAgentGeneration", "raised, so that Fleet deploys its agent again"),
    ("clusters.management.cattle.io /metadata/annotations", "io.cattle.agent.force.deploy, for the same of Rancher"),
    ("clusters.provisioning.cattle.io /spec/redeploySystemAgentGeneration", "raised, for the system agent"),
    (
        "customresourcedefinitions.apiextensions.k8s.io /status/conditions/*/lastTransitionTime",
        "the API server tells when it took the definition up",
    ),
];

/// What the test's cluster keeps instead of what the operator's archive holds.
pub(crate) const KEPT: [(&str, &str); 8] = [
    ("configmaps.#v1/cattle-fleet-system/kube-root-ca.crt.json", "the certificate of the cluster itself"),
    ("configmaps.#v1/cattle-system/kube-root-ca.crt.json", "the certificate of the cluster itself"),
    ("configmaps.#v1/fleet-default/kube-root-ca.crt.json", "the certificate of the cluster itself"),
    ("configmaps.#v1/fleet-local/kube-root-ca.crt.json", "the certificate of the cluster itself"),
    (
        "customresourcedefinitions.apiextensions.k8s.io#v1/backups.resources.cattle.io.json",
        "drover's own takes a Backup without an endpoint, the operator's does not",
    ),
    (
        "customresourcedefinitions.apiextensions.k8s.io#v1/resourcesets.resources.cattle.io.json",
        "drover works with the live one",
    ),
    (
        "customresourcedefinitions.apiextensions.k8s.io#v1/restores.resources.cattle.io.json",
        "drover works with the live one",
    ),
    ("namespaces.#v1/cattle-resources-system.json", "drover runs in it"),
];

#[tokio::test(flavor = "multi_thread")]
async fn backup_holds_what_the_operator_selects_and_all_of_it_comes_back() {
    for inputs in Inputs::all() {
        holds_what_the_operator_selects_and_comes_back(&inputs).await;
    }
}

async fn holds_what_the_operator_selects_and_comes_back(inputs: &Inputs) {
    let site = Site::start_with(Options::only([Service::Controllers])).await;
    populate(&site, inputs).await;
    install_sets(&site, inputs).await;
    let before = site.folder().join("before.tar.gz");
    snapshot(&site, inputs, &before).await.succeeded();
    holds_what_the_operator_selects(inputs, &before);

    delete_all(&site, &before).await;
    let nothing = snapshot(&site, inputs, &site.folder().join("nothing.tar.gz")).await;
    assert!(nothing.code == 65 && nothing.log.contains("failed to find any object"), "{}", nothing.log);
    assert!(!site.folder().join("nothing.tar.gz").exists());

    apply(&site, &before).await;
    let after = site.folder().join("after.tar.gz");
    snapshot(&site, inputs, &after).await.succeeded();
    let [before, after] = [before, after].map(|path| objects(&path));
    assert!(before.keys().eq(after.keys()), "{:?} before, {:?} after", before.keys(), after.keys());
    assert_eq!(differing_members(&before, &after), changed());
    site.testbed.shutdown().await;
}

trait Succeeded {
    fn succeeded(&self);
}

impl Succeeded for Finished {
    #[track_caller]
    fn succeeded(&self) {
        assert_eq!(self.code, 0, "{}", self.log);
    }
}

/// Makes the two ResourceSets that Rancher's chart installs.
async fn install_sets(site: &Site, inputs: &Inputs) {
    for set in [FULL, BASIC] {
        site.resource_set(&std::fs::read_to_string(inputs.resource_set(set)).unwrap()).await;
    }
}

pub(crate) async fn snapshot(site: &Site, inputs: &Inputs, output: &Path) -> Finished {
    let set = inputs.set_of_archives();
    let arguments = [Path::new("--resource-set"), &set, Path::new("--output"), output];
    site.job("snapshot").arguments(arguments).run().await
}

/// Restores an archive, which must succeed, and gives the counts.
async fn apply(site: &Site, archive: &Path) -> Value {
    let arguments = [Path::new("apply"), archive, Path::new("--output"), Path::new("json")];
    let finished = site.job("restore").arguments(arguments).run().await;
    assert_eq!(finished.code, 0, "{}\n{}", finished.log, finished.output);
    let mut report: Value = serde_json::from_str(&finished.output).unwrap();
    report["counts"].take()
}

fn holds_what_the_operator_selects(inputs: &Inputs, archive: &Path) {
    let (theirs, ours) = (inputs.paths(Kind::Plain), objects(archive).into_keys().collect::<BTreeSet<_>>());
    let only_ours: Vec<_> = ours.difference(&theirs).collect();
    assert!(only_ours.is_empty(), "{only_ours:?}");
    let only_theirs: Vec<&str> = theirs.difference(&ours).map(String::as_str).collect();
    assert_eq!(only_theirs, ONLY_THERE.map(|(path, _)| path));
}

/// Deletes every object of an archive, those with finalizers too, and waits until all are gone.
async fn delete_all(site: &Site, archive: &Path) {
    let objects = objects(archive);
    // Definitions last: with them their objects would go before their finalizers are taken off.
    let (definitions, others): (Vec<_>, Vec<_>) =
        objects.iter().partition(|(path, _)| path.starts_with("customresourcedefinitions."));
    for part in [others, definitions] {
        let deleting = part.into_iter().map(async |(path, object)| delete(&site.client, path, object).await);
        stream::iter(deleting).buffer_unordered(16).collect::<()>().await;
    }
}

/// Deletes an object and waits until it is gone.
async fn delete(client: &Client, path: &str, object: &Value) {
    let key = Key::from_path(path).unwrap();
    let api = api(client, &key, object["kind"].as_str().unwrap());
    let freed = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    loop {
        // Not found, or not yet gone: either way the next look tells.
        drop(api.patch(&key.name, &PatchParams::default(), &freed).await);
        drop(api.delete(&key.name, &DeleteParams::default()).await);
        let gone = api.get_opt(&key.name).await.is_ok_and(|object| object.is_none());
        // Kubernetes makes its certificate anew as long as the namespace is there.
        if gone || key.name == "kube-root-ca.crt" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

fn api(client: &Client, key: &Key, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(&key.type_name.group, &key.type_name.version, kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &key.type_name.plural);
    match &key.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archive_of_the_operator_comes_back_in_an_empty_cluster() {
    for inputs in Inputs::all() {
        comes_back_in_an_empty_cluster(&inputs).await;
    }
}

async fn comes_back_in_an_empty_cluster(inputs: &Inputs) {
    let archive = inputs.archive(Kind::Plain);
    let site = Site::start_with(Options::only([Service::Controllers])).await;
    let first = apply(&site, &archive).await;
    let missing = inputs.paths(Kind::Plain).len() - KEPT.len();
    assert_eq!([&first["created"], &first["updated"], &first["kept"]], [missing, 0, KEPT.len()], "{first}");
    everything_is_there_and_equal(&site, inputs).await;
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "cattle-system");
    assert!(maps.get_opt("traffic-filters").await.unwrap().is_some());

    let again = apply(&site, &archive).await;
    assert_eq!([&again["created"], &again["updated"], &again["failed"]], [0, 0, 0], "{again}");
    backup_without_an_endpoint_is_still_accepted(&site).await;
    site.testbed.shutdown().await;
}

async fn everything_is_there_and_equal(site: &Site, inputs: &Inputs) {
    let live = site.folder().join("live.tar.gz");
    snapshot(site, inputs, &live).await.succeeded();
    let live = objects(&live);
    assert_eq!(live.keys().cloned().collect::<BTreeSet<_>>(), inputs.paths(Kind::Plain));
    let mut theirs = objects(&inputs.archive(Kind::Plain));
    for (path, _) in KEPT {
        let kept = theirs.remove(path).unwrap();
        assert_ne!(kept, live[path], "{path} differs and is kept");
    }
    assert_eq!(differing_members(&theirs, &live), changed());
}

pub(crate) fn changed() -> BTreeSet<String> {
    CHANGED.iter().map(|(member, _)| (*member).to_owned()).collect()
}

async fn backup_without_an_endpoint_is_still_accepted(site: &Site) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/backup-to-s3.yaml");
    let text = std::fs::read_to_string(example).unwrap();
    let backup: Value = serde_saphyr::from_str(&text).unwrap();
    let parameters =
        PatchParams { field_validation: Some(kube::api::ValidationDirective::Strict), ..PatchParams::apply("test") };
    let name = backup["metadata"]["name"].as_str().unwrap();
    let accepted = site.backups().patch(name, &parameters, &Patch::Apply(&backup)).await.unwrap();
    let endpoint = accepted.spec.storage_location.and_then(|location| location.s3).and_then(|s3| s3.endpoint);
    assert_eq!(endpoint.as_deref(), Some(""));
}
