//! Installing and removing drover, as people do it.

use std::collections::BTreeSet;

use drover::resources::DEFAULT_NAMESPACE;
use drover_testbed::{Options, Service, programs};
use drover_tests::Site;
use drover_tests::inputs::Inputs;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::built::{OVERLAYS, build, everything, overlay, pod_template, title};
use crate::kubectl;
use crate::nats::until;

/// What removing drover must leave, as kubectl names it.
const OUTLIVES: [&str; 5] =
    ["customresourcedefinitions", "namespaces", "secrets", "persistentvolumeclaims", "backups.resources.cattle.io"];

#[tokio::test(flavor = "multi_thread")]
async fn every_overlay_is_installed_twice_and_removed_without_what_outlives_it() {
    let site = Site::start_with(Options::only([Service::Controllers])).await;
    site.backup("kept", "any", None).await;
    site.secret("of-a-user", &[("accessKey", "a")]).await;
    for name in OVERLAYS {
        let foundation = overlay(&format!("{name}/foundation"));
        apply(&site, &foundation).await;
        keys_are_made(&site).await;
        apply(&site, &overlay(name)).await;
        unchanged(&site, &foundation).await;
        unchanged(&site, &overlay(name)).await;
        let claims: &[&str] = if name == "local" { &["data-nats-0", "data-versitygw-0"] } else { &["data-nats-0"] };
        until("the claims of the stateful sets", async || has_claims(&site, claims).await).await;
        let before = outliving(&site).await;
        assert!(before.contains("secret/of-a-user") && before.contains("secret/nats-server"), "{before:?}");
        kubectl::on(&site, &["delete", "-k", &overlay(name)]).await;
        let mut expected = before;
        // Made by the overlay, to try drover with.
        expected.remove("secret/versitygw-credentials");
        assert_eq!(outliving(&site).await, expected, "{name}");
        no_part_is_left(&site).await;
        keys_are_still_there(&site).await;
    }
    site.testbed.shutdown().await;
}

async fn apply(site: &Site, folder: &str) -> String {
    kubectl::on(site, &["apply", "--validate=strict", "-k", folder]).await
}

async fn unchanged(site: &Site, folder: &str) {
    let said = apply(site, folder).await;
    let changed: Vec<_> = said.lines().filter(|line| !line.ends_with(" unchanged")).collect();
    assert!(changed.is_empty(), "{folder}: {changed:?}");
}

/// What `dispatch setup secrets` does when NATS starts.
async fn keys_are_made(site: &Site) {
    site.secret("nats-server", &[("jetstream-key", "made-once")]).await;
}

async fn keys_are_still_there(site: &Site) {
    let arguments = ["-n", DEFAULT_NAMESPACE, "get", "secret", "nats-server", "-o", "jsonpath={.data.jetstream-key}"];
    assert!(!kubectl::on(site, &arguments).await.is_empty(), "an apply emptied a Secret");
}

async fn has_claims(site: &Site, names: &[&str]) -> bool {
    let found = kubectl::on(site, &["-n", DEFAULT_NAMESPACE, "get", "persistentvolumeclaims", "-o", "name"]).await;
    names.iter().all(|name| found.lines().any(|line| line.ends_with(name)))
}

async fn outliving(site: &Site) -> BTreeSet<String> {
    let arguments = ["-n", DEFAULT_NAMESPACE, "get", &OUTLIVES.join(","), "-o", "name"];
    kubectl::on(site, &arguments).await.lines().map(str::to_owned).collect()
}

/// What the deleted parts own, such as Jobs, goes a moment after them.
async fn no_part_is_left(site: &Site) {
    let kinds = "cronjobs,jobs,pods,deployments,replicasets,statefulsets,services,configmaps,serviceaccounts,roles,\
                 rolebindings,clusterroles,clusterrolebindings,validatingadmissionpolicies,\
                 validatingadmissionpolicybindings,networkpolicies";
    let arguments = ["get", kinds, "-A", "-l", "app.kubernetes.io/part-of=drover", "-o", "name"];
    until("the end of every part", async || kubectl::on(site, &arguments).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_every_field_and_every_pod_keeps_to_the_restricted_standard() {
    let site = Site::start_with(Options::only([Service::Controllers])).await;
    apply(&site, &overlay("local/foundation")).await;
    definitions_of_prometheus_are_there(&site).await;
    let folder = everything("");
    let folder = folder.path().to_str().unwrap();
    kubectl::on(&site, &["apply", "--validate=strict", "--dry-run=server", "-k", folder]).await;
    pods_are_restricted(&site).await;
    cron_jobs_of_users_are_admitted(&site).await;
    site.testbed.shutdown().await;
}

async fn definitions_of_prometheus_are_there(site: &Site) {
    for path in programs::of_prometheus_operator().await.unwrap() {
        kubectl::on(site, &["apply", "--server-side", "-f", path.to_str().unwrap()]).await;
    }
    let names = ["servicemonitors", "prometheusrules"].map(|name| format!("crd/{name}.monitoring.coreos.com"));
    kubectl::on(site, &["wait", "--for=condition=Established", &names[0], &names[1]]).await;
}

async fn pods_are_restricted(site: &Site) {
    let name = "restricted";
    let namespaces: Api<Namespace> = Api::all(site.client.clone());
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    account_is_there(site, name).await;
    for overlay in OVERLAYS.map(overlay) {
        for object in build(&overlay).await {
            if let Some(template) = pod_template(&object) {
                let created = create_pod(site, name, &with_claims(&object, template)).await;
                created.unwrap_or_else(|error| panic!("{overlay}: {}: {error}", title(&object)));
            }
        }
    }
    let careless = json!({"spec": {"containers": [{"name": "careless", "image": "any"}]}});
    assert!(create_pod(site, name, &careless).await.is_err(), "the standard is enforced");
}

/// A pod template with the volumes that a StatefulSet gives its pods.
fn with_claims(object: &Value, template: &Value) -> Value {
    let mut template = template.clone();
    let claims = object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
    let volumes = claims.map(|claim| {
        let name = &claim["metadata"]["name"];
        json!({"name": name, "persistentVolumeClaim": {"claimName": name}})
    });
    template["spec"]["volumes"].as_array_mut().unwrap().extend(volumes);
    template
}

async fn account_is_there(site: &Site, namespace: &str) {
    let accounts: Api<ServiceAccount> = Api::namespaced(site.client.clone(), namespace);
    until("the default ServiceAccount", async || accounts.get_opt("default").await.unwrap().is_some()).await;
}

/// Asks the API server for a pod of a template, without making it.
async fn create_pod(site: &Site, namespace: &str, template: &Value) -> Result<(), kube::Error> {
    let mut spec = template["spec"].clone();
    // Whose rights it has is another matter, and its own account is not in this namespace.
    let spec_fields = spec.as_object_mut().unwrap();
    spec_fields.remove("serviceAccountName");
    let pod = json!({"metadata": {"name": "tried", "labels": template["metadata"]["labels"]}, "spec": spec});
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), namespace);
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    pods.create(&parameters, &serde_json::from_value(pod).unwrap()).await.map(drop)
}

/// In drover's namespace, and with no word about how restricted its pods are.
async fn cron_jobs_of_users_are_admitted(site: &Site) {
    account_is_there(site, DEFAULT_NAMESPACE).await;
    for inputs in Inputs::all() {
        let mut admitted = 0;
        for file in std::fs::read_dir(inputs.manifests()).unwrap().map(|file| file.unwrap().path()) {
            let text = std::fs::read_to_string(&file).unwrap();
            let mut documents =
                text.split("\n---\n").map(|document| serde_saphyr::from_str::<Value>(document).unwrap());
            let Some(cron_job) = documents.find(|object| object["kind"] == "CronJob") else { continue };
            kubectl::on(site, &["apply", "--validate=strict", "-f", file.to_str().unwrap()]).await;
            create_pod(site, DEFAULT_NAMESPACE, pod_template(&cron_job).unwrap()).await.unwrap();
            admitted += 1;
        }
        assert_eq!(admitted, 1);
    }
}
