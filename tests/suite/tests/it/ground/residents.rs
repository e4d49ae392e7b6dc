//! Who lives in a cluster that an older archive does not know: drover, its users' Backups, and users with things of
//! their own in namespaces that Rancher's ResourceSet catches.

use drover::labels::PART_OF_LABEL;
use drover::resources::{BackupSpec, DEFAULT_NAMESPACE, S3Location, StorageLocation};
use drover_testbed::rancher;
use drover_tests::{BUCKET, Site, object};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::CLUSTERS_OWN;
use crate::nats::until;

/// What drover stands on. Rancher's ResourceSet selects all but the Lease, and the archive holds the ConfigMap
/// `config-05` with other content.
pub(super) const OF_DROVER: [&str; 12] = [
    "backups.resources.cattle.io/daily",
    "backups.resources.cattle.io/weekly",
    "clusterrolebindings.rbac.authorization.k8s.io/cattle-drover",
    "clusterroles.rbac.authorization.k8s.io/cattle-drover",
    "configmaps/cattle-system/config-05",
    "leases.coordination.k8s.io/cattle-resources-system/dispatch",
    "namespaces/cattle-resources-system",
    "rolebindings.rbac.authorization.k8s.io/cattle-resources-system/upload",
    "roles.rbac.authorization.k8s.io/cattle-resources-system/upload",
    "secrets/cattle-fleet-system/webhook-of-drover",
    "secrets/cattle-resources-system/nats-upload",
    "serviceaccounts/cattle-resources-system/upload",
];

/// Secrets that nobody may write: those of [`NEEDED_BY_BACKUPS`], and one of a user in drover's namespace.
pub(super) const NEEDED_SECRETS: [&str; 5] = [
    "secrets/cattle-resources-system/enc-aescbc",
    "secrets/cattle-resources-system/enc-aesgcm",
    "secrets/cattle-system/tls-03",
    ELSEWHERE,
    "secrets/cattle-resources-system/of-a-user",
];

/// Secrets that live Backups name, as logs name them. The archive holds all but the last, with other content.
pub(super) const NEEDED_BY_BACKUPS: [&str; 4] = [
    "secrets.#v1/cattle-resources-system/enc-aescbc",
    "secrets.#v1/cattle-resources-system/enc-aesgcm",
    "secrets.#v1/cattle-system/tls-03",
    "secrets.#v1/cattle-global-data/s3",
];

/// A Secret that a Backup names by `credentialSecretNamespace`, and that the archive lacks.
pub(super) const ELSEWHERE: &str = "secrets/cattle-global-data/s3";

/// What would be lost with namespaces and a definition that the archive lacks.
pub(super) const IN_USE: [&str; 14] = [
    "configmaps/c-team-shop/app",
    "configmaps/user-portal/app",
    "customresourcedefinitions.apiextensions.k8s.io/widgets.management.cattle.io",
    "namespaces/c-team-shop",
    "namespaces/u-volumes",
    "namespaces/user-portal",
    "persistentvolumeclaims/u-volumes/data",
    "pods/c-team-shop/app",
    "pods/user-portal/app",
    "secrets/c-team-shop/app",
    "secrets/u-volumes/app",
    "secrets/user-portal/app",
    "widgets.management.cattle.io/first",
    "widgets.management.cattle.io/second",
];

/// What the archive lacks and nobody needs, each also as logs name it.
pub(super) const STRAYS: [(&str, &str); 6] = [
    ("clusterroles.rbac.authorization.k8s.io/cattle-stray", "clusterroles.rbac.authorization.k8s.io#v1/cattle-stray"),
    ("configmaps/cattle-system/cycle-a", "configmaps.#v1/cattle-system/cycle-a"),
    ("configmaps/cattle-system/sealed", "configmaps.#v1/cattle-system/sealed"),
    ("namespaces/c-stray", "namespaces.#v1/c-stray"),
    ("secrets/cattle-fleet-system/stray", "secrets.#v1/cattle-fleet-system/stray"),
    ("serviceaccounts/cattle-system/robot", "serviceaccounts.#v1/cattle-system/robot"),
];

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Everything moves into a cluster that is populated.
pub(super) async fn move_in(site: &Site) {
    for object in [of_drover(), of_users(), strays()].concat() {
        // A definition is served, and a namespace has its account, a moment after it was made.
        until("it is made", async || rancher::make(&site.client, &object).await.is_ok()).await;
    }
    backups(site).await;
    label_the_clusters_own(site).await;
    change_what_the_archive_holds(site).await;
}

fn of_drover() -> Vec<Value> {
    let ours = || json!({"metadata": {"labels": {PART_OF_LABEL: "drover"}}});
    let binding = |kind: &str, role: &str| {
        let subject = json!({"kind": "ServiceAccount", "name": "upload", "namespace": DEFAULT_NAMESPACE});
        let mut binding = ours();
        binding["roleRef"] = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role});
        binding["subjects"] = json!([subject]);
        binding
    };
    let home = |name: &str| format!("{DEFAULT_NAMESPACE}/{name}");
    vec![
        object("v1", "ServiceAccount", &home("upload"), ours()),
        object(RBAC, "Role", &home("upload"), ours()),
        object(RBAC, "RoleBinding", &home("upload"), binding("Role", "upload")),
        object("v1", "Secret", &home("nats-upload"), ours()),
        object("v1", "Secret", "cattle-fleet-system/webhook-of-drover", ours()),
        object(RBAC, "ClusterRole", "cattle-drover", ours()),
        object(RBAC, "ClusterRoleBinding", "cattle-drover", binding("ClusterRole", "cattle-drover")),
        object("coordination.k8s.io/v1", "Lease", &home("dispatch"), json!({"spec": {"holderIdentity": "dispatch-0"}})),
    ]
}

fn of_users() -> Vec<Value> {
    let container = json!({"name": "app", "image": "registry.example.com/app:1"});
    let pod = || json!({"spec": {"automountServiceAccountToken": false, "containers": [container]}});
    let storage = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let mut objects = vec![
        object("v1", "Secret", &format!("{DEFAULT_NAMESPACE}/of-a-user"), json!({})),
        object("v1", "Pod", "c-team-shop/app", pod()),
        object("v1", "Pod", "user-portal/app", pod()),
        object("v1", "Namespace", "u-volumes", json!({})),
        object("v1", "PersistentVolumeClaim", "u-volumes/data", json!({"spec": storage})),
        widgets(),
    ];
    let namespaces = ["c-team-shop", "user-portal", "u-volumes"];
    objects.extend(namespaces.map(|namespace| object("v1", "Secret", &format!("{namespace}/app"), json!({}))));
    objects.extend(["first", "second"].map(|name| object("management.cattle.io/v3", "Widget", name, json!({}))));
    objects
}

fn widgets() -> Value {
    let names = json!({"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"});
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let spec = json!({"group": "management.cattle.io", "scope": "Cluster", "names": names,
        "versions": [{"name": "v3", "served": true, "storage": true, "schema": schema}]});
    let name = "widgets.management.cattle.io";
    object("apiextensions.k8s.io/v1", "CustomResourceDefinition", name, json!({"spec": spec}))
}

/// Those of [`STRAYS`] that populating does not make.
fn strays() -> Vec<Value> {
    vec![
        object(RBAC, "ClusterRole", "cattle-stray", json!({})),
        object("v1", "Namespace", "c-stray", json!({})),
        object("v1", "Secret", "cattle-fleet-system/stray", json!({})),
    ]
}

/// Two Backups that name an encryption Secret and credentials in three namespaces.
async fn backups(site: &Site) {
    let at = |secret: &str, namespace: Option<&str>| {
        let s3 = S3Location {
            bucket_name: BUCKET.to_owned(),
            credential_secret_name: Some(secret.to_owned()),
            credential_secret_namespace: namespace.map(str::to_owned),
            ..S3Location::default()
        };
        Some(StorageLocation { s3: Some(s3) })
    };
    let spec = |encryption: Option<&str>, storage_location| BackupSpec {
        resource_set_name: "rancher-resource-set-full".to_owned(),
        encryption_config_secret_name: encryption.map(str::to_owned),
        storage_location,
        ..BackupSpec::default()
    };
    for name in ["enc-aescbc", "enc-aesgcm"] {
        site.secret(name, &[("encryption-provider-config.yaml", "the live one")]).await;
    }
    let elsewhere = object("v1", "Secret", "cattle-global-data/s3", json!({}));
    rancher::make(&site.client, &elsewhere).await.unwrap();
    site.make_backup("daily", spec(Some("enc-aescbc"), at("tls-03", Some("cattle-system")))).await;
    site.make_backup("weekly", spec(Some("enc-aesgcm"), at("s3", Some("cattle-global-data")))).await;
}

/// With it the archive's ResourceSet selects a namespace of any name.
async fn label_the_clusters_own(site: &Site) {
    let namespaces: Api<Namespace> = Api::all(site.client.clone());
    let label = Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "rancher"}}}));
    for name in CLUSTERS_OWN {
        namespaces.patch(name, &PatchParams::default(), &label).await.unwrap();
    }
}

async fn change_what_the_archive_holds(site: &Site) {
    let parameters = PatchParams::default();
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), "cattle-system");
    let live = Patch::Merge(json!({"data": {"accessKey": "bGl2ZQ==", "secretKey": "bGl2ZQ=="}}));
    secrets.patch("tls-03", &parameters, &live).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "cattle-system");
    let ours = Patch::Merge(json!({"metadata": {"labels": {PART_OF_LABEL: "drover"}}, "data": {"live": "one"}}));
    maps.patch("config-05", &parameters, &ours).await.unwrap();
    let setting = object("management.cattle.io/v3", "Setting", "setting-001", json!({}));
    let changed = Patch::Merge(json!({"value": "changed"}));
    drover_tests::api_of(&site.client, &setting).patch("setting-001", &parameters, &changed).await.unwrap();
}
