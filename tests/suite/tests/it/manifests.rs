//! The manifests: those that users have, each taken as it stands with nothing lost, and drover's own,
//! as kustomize builds them and as a cluster takes them.

mod admission;
pub(crate) mod built;
mod default_bucket;
mod image;
mod installed;
mod others;
mod rights;
mod stateful_sets;

use drover_testbed::{Options, Service};
use drover_tests::Site;
use drover_tests::inputs::Inputs;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::Value;

use crate::kubectl;

#[tokio::test(flavor = "multi_thread")]
async fn manifests_of_users_are_accepted_unchanged_and_whole() {
    for inputs in Inputs::all() {
        are_accepted_unchanged_and_whole(&inputs).await;
    }
}

async fn are_accepted_unchanged_and_whole(inputs: &Inputs) {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    committed_definitions_are_installed(&site.client).await;
    let mut manifests: Vec<_> =
        std::fs::read_dir(inputs.manifests()).unwrap().map(|entry| entry.unwrap().path()).collect();
    manifests.sort();
    assert_eq!(manifests.len(), 11);
    for path in manifests {
        let text = std::fs::read_to_string(&path).unwrap();
        for document in text.split("\n---\n") {
            let sent: Value = serde_saphyr::from_str(document).unwrap();
            let stored = apply(&site.client, &sent).await.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let lost = lost(&expected(sent), &stored, "");
            assert!(lost.is_empty(), "{} lost {lost:?}", path.display());
        }
    }
    columns_are_those_of_rancher(&site).await;
    site.testbed.shutdown().await;
}

/// What is installed is what the files in `manifests/crds` say, apart from what the server adds.
async fn committed_definitions_are_installed(client: &Client) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/crds");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for name in ["backups.resources.cattle.io", "restores.resources.cattle.io", "resourcesets.resources.cattle.io"] {
        let file = std::fs::read_to_string(format!("{folder}/{name}.yaml")).unwrap();
        let file: Value = serde_saphyr::from_str(&file).unwrap();
        let live = serde_json::to_value(definitions.get(name).await.unwrap()).unwrap();
        let lost = lost(&file["spec"], &live["spec"], "/spec");
        assert!(lost.is_empty(), "{name} lacks {lost:?}");
    }
}

/// Applies an object as `kubectl apply --server-side --validate=strict` does, and gives what is stored.
async fn apply(client: &Client, object: &Value) -> Result<Value, kube::Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = GroupVersionKind::gvk(group, version, &kind);
    let resource = ApiResource::from_gvk(&kind);
    let name = text(&object["metadata"]["name"]);
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let mut parameters = PatchParams::apply("test");
    parameters.field_validation = Some(ValidationDirective::Strict);
    api.patch(&name, &parameters, &Patch::Apply(object)).await?;
    Ok(serde_json::to_value(api.get(&name).await?).unwrap())
}

/// The server stores a Secret's `stringData` as `data`.
fn expected(mut sent: Value) -> Value {
    use base64::Engine;
    let plain = sent.as_object_mut().and_then(|sent| sent.remove("stringData"));
    for (key, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let value = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap());
        sent["data"][key] = value.into();
    }
    sent
}

/// The members of `sent` that are not in `stored` as they were sent.
pub(crate) fn lost(sent: &Value, stored: &Value, at: &str) -> Vec<String> {
    match (sent, stored) {
        (Value::Object(sent), Value::Object(_)) => {
            sent.iter().flat_map(|(name, value)| lost(value, &stored[name], &format!("{at}/{name}"))).collect()
        }
        (Value::Array(sent), Value::Array(stored)) if sent.len() == stored.len() => {
            let pairs = sent.iter().zip(stored).enumerate();
            pairs.flat_map(|(index, (sent, stored))| lost(sent, stored, &format!("{at}/{index}"))).collect()
        }
        _ if sent == stored => Vec::new(),
        _ => vec![at.to_owned()],
    }
}

async fn columns_are_those_of_rancher(site: &Site) {
    for (plural, columns) in [
        ("backups", ["NAME", "LOCATION", "TYPE", "LATEST-BACKUP", "RESOURCESET", "AGE", "WHOLE", "STATUS"].as_slice()),
        ("restores", ["NAME", "BACKUP-SOURCE", "BACKUP-FILE", "AGE", "STATUS"].as_slice()),
    ] {
        let printed = kubectl::on(site, &["get", &format!("{plural}.resources.cattle.io")]).await;
        let header: Vec<_> = printed.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(header, columns);
    }
}
