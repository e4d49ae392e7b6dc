//! The Secrets that drover works with, whoever names them, and where drover is to be looked for.

use std::path::Path;

use drover::labels::PART_OF_LABEL;
use drover::resources::{BackupPolicy, BackupPolicySpec, DEFAULT_NAMESPACE, FurtherLocation, Restore, S3Location};
use drover_testbed::{Options, Service, rancher};
use drover_tests::{Site, message, object, versions, write_archive};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::discovery::ApiResource;
use serde_json::{Value, json};

use super::are_untouched;
use crate::items::{is_there, make, of, restore};
use crate::nats::until;

/// The archive in the site's own folder: of before the Secrets were rotated, and before there was a policy.
const FILE: &str = "before-the-rotation.tar.gz";

/// What drover works with. The archive holds the first two with other content, and lacks the others.
const NEEDED: [&str; 6] = [
    "secrets/cattle-resources-system/rancher-backup-s3",
    "secrets/cattle-resources-system/registry",
    "secrets/vault-of-chart/keys",
    "secrets/vault-of-policy/keys",
    "namespaces/vault-of-chart",
    "namespaces/vault-of-policy",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_drover_works_with_outlives_a_restore_that_prunes() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    move_in(&site).await;
    archive(&site);
    what_is_named_is_neither_put_back_nor_pruned(&site).await;
    drover_is_not_looked_for_where_it_is_not(&site).await;
    nothing_is_written_while_a_policy_cannot_be_read(&site).await;
    site.testbed.shutdown().await;
}

fn secret(place: &str, data: &Value) -> Value {
    object("v1", "Secret", place, json!({"stringData": data}))
}

fn home(name: &str) -> String {
    format!("{DEFAULT_NAMESPACE}/{name}")
}

/// What an administrator has rotated and made since the archive: the Secret of the default bucket, one to pull images with,
/// and the place of a policy.
async fn move_in(site: &Site) {
    let bucket =
        json!({"bucketName": "new", "credentialSecretName": "keys", "credentialSecretNamespace": "vault-of-chart"});
    let account = json!({"imagePullSecrets": [{"name": "registry"}]});
    for object in [
        object("v1", "Namespace", "vault-of-chart", json!({})),
        object("v1", "Namespace", "vault-of-policy", json!({})),
        secret("vault-of-chart/keys", &json!({"accessKey": "new"})),
        secret("vault-of-policy/keys", &json!({"accessKey": "new"})),
        secret(&home("rancher-backup-s3"), &bucket),
        secret(&home("registry"), &json!({"token": "new"})),
        object("v1", "ServiceAccount", &home("drover-upload"), account),
        stray("stray"),
    ] {
        make(site, &object).await;
    }
    let s3 = S3Location {
        bucket_name: "far".to_owned(),
        credential_secret_name: Some("keys".to_owned()),
        credential_secret_namespace: Some("vault-of-policy".to_owned()),
        ..S3Location::default()
    };
    let far = FurtherLocation { name: "far".to_owned(), s3: Some(s3), local: None };
    let spec = BackupPolicySpec { additional_storage_locations: Some(vec![far]), ..BackupPolicySpec::default() };
    let policies: Api<BackupPolicy> = Api::all(site.client.clone());
    policies.create(&PostParams::default(), &BackupPolicy::new("far", spec)).await.unwrap();
}

/// A Secret that nobody names, beside that of the policy.
fn stray(name: &str) -> Value {
    secret(&format!("vault-of-policy/{name}"), &json!({}))
}

fn archive(site: &Site) {
    let selectors = json!([
        {"apiVersion": "v1", "kindsRegexp": "^namespaces$", "resourceNameRegexp": "^vault-"},
        {"apiVersion": "v1", "kindsRegexp": "^secrets$", "namespaceRegexp": "^vault-|^cattle-resources-system$"},
    ]);
    let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "vaults"},
        "resourceSelectors": selectors});
    let old = |name: &str, data: &Value| object("v1", "Secret", &home(name), json!({"data": data}));
    let objects = [
        object("v1", "Namespace", "vault-of-old", json!({})),
        old("rancher-backup-s3", &json!({"bucketName": "b2xk"})),
        old("registry", &json!({"token": "b2xk"})),
    ];
    write_archive(&site.folder().join(FILE), &objects, &set);
}

async fn what_is_named_is_neither_put_back_nor_pruned(site: &Site) {
    let before = versions(&site.client).await;
    let (finished, _) = restore(site, "rotated", of(FILE), 0).await;
    let after = versions(&site.client).await;
    are_untouched(&NEEDED, &before, &after);
    for (name, reason) in [
        ("secrets.#v1/cattle-resources-system/rancher-backup-s3", "the default location, names this Secret"),
        ("secrets.#v1/cattle-resources-system/registry", "drover's pods are pulled with this Secret"),
        ("secrets.#v1/vault-of-chart/keys", "the default location, names this Secret"),
        ("secrets.#v1/vault-of-policy/keys", "a live Backup, Restore or BackupPolicy"),
        ("namespaces.#v1/vault-of-policy", "a Secret that drover works with"),
    ] {
        assert!(finished.says(name, &["kept", reason]), "{name}: {reason}\n{}", finished.log);
    }
    assert!(after.contains_key("namespaces/vault-of-old"), "the archive was restored");
    assert!(!is_there(site, &stray("stray")).await, "the prune took what nobody needs");
}

/// With another namespace, what drover stands on would pass for others' things.
async fn drover_is_not_looked_for_where_it_is_not(site: &Site) {
    let path = site.folder().join(FILE);
    let job = |command: &str, arguments: &[&str]| {
        site.job("restore").arguments([Path::new(command), &path]).arguments(arguments)
    };
    job("plan", &["--drover-namespace", "shop"]).succeed().await;
    rancher::make(&site.client, &cron_job()).await.unwrap();
    let before = versions(&site.client).await;
    for command in ["plan", "apply"] {
        let refused = job(command, &["--prune=all", "--drover-namespace", "shop"]).end_with(64).await;
        let words = "failed to find drover in the namespace \"shop\": it runs in \"cattle-resources-system\"";
        assert!(refused.log.contains(words), "{}", refused.log);
        let unknown = job(command, &["--namespace", "shop"]).end_with(64).await;
        assert!(unknown.log.contains("'--drover-namespace'"), "{}", unknown.log);
    }
    assert_eq!(versions(&site.client).await, before);
    job("plan", &[]).succeed().await;
}

/// One as drover's manifests have it.
fn cron_job() -> Value {
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "upload", "image": "drover"}]});
    let content = json!({"metadata": {"labels": {PART_OF_LABEL: "drover"}}, "spec": {
        "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}});
    object("batch/v1", "CronJob", &home("upload"), content)
}

/// What it names is unknown then, and unknown is never none.
async fn nothing_is_written_while_a_policy_cannot_be_read(site: &Site) {
    make(site, &stray("another")).await;
    garbled_policy(site).await;
    ends_before_its_first_write(site, "garbled", "the BackupPolicy \"garbled\"").await;

    let definitions: Api<CustomResourceDefinition> = Api::all(site.client.clone());
    definitions.delete("backuppolicies.drover.dev", &DeleteParams::default()).await.unwrap();
    let policies: Api<BackupPolicy> = Api::all(site.client.clone());
    until("policies are not served", async || policies.list(&ListParams::default()).await.is_err()).await;
    ends_before_its_first_write(site, "undefined", "the definition of BackupPolicy").await;
}

/// A policy as an earlier definition may have let one through.
async fn garbled_policy(site: &Site) {
    let definitions: Api<CustomResourceDefinition> = Api::all(site.client.clone());
    let mut definition = definitions.get("backuppolicies.drover.dev").await.unwrap();
    for version in &mut definition.spec.versions {
        let anything = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        version.schema = Some(serde_json::from_value(anything).unwrap());
    }
    definitions.replace("backuppolicies.drover.dev", &PostParams::default(), &definition).await.unwrap();
    let garbled = json!({"apiVersion": "drover.dev/v1", "kind": "BackupPolicy", "metadata": {"name": "garbled"},
        "spec": {"additionalStorageLocations": "far"}});
    let garbled: DynamicObject = serde_json::from_value(garbled).unwrap();
    let policies: Api<DynamicObject> = Api::all_with(site.client.clone(), &ApiResource::erase::<BackupPolicy>(&()));
    let made = async || policies.create(&PostParams::default(), &garbled).await.is_ok();
    until("the definition lets it through", made).await;
}

async fn ends_before_its_first_write(site: &Site, name: &str, words: &str) {
    let needed = versions(&site.client).await;
    site.make_restore(&Restore::new(name, of(FILE))).await;
    let finished = site.job("restore").end_with(64).await;
    assert!(finished.log.contains(words), "{}", finished.log);
    let status = site.restore_status(name).await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.contains(words) && status.restore_completion_ts.is_none(), "it waits: {ready}");
    are_untouched(&NEEDED, &needed, &versions(&site.client).await);
    assert!(is_there(site, &stray("another")).await);
    site.restores().delete(name, &DeleteParams::default()).await.unwrap();
}
