//! A small Rancher: what the archives of [`Inputs::Own`](super::Inputs) hold of it, what a ResourceSet of Rancher leaves
//! out, and what is hard to put back.

use drover::resources::DEFAULT_NAMESPACE;
use drover_testbed::rancher::{Type, definition, management, noise};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::object;

const MANAGEMENT: &str = "management.cattle.io/v3";
const FLEET: &str = "fleet.cattle.io/v1alpha1";
const PROVISIONING: &str = "provisioning.cattle.io/v1";
const RKE: &str = "rke.cattle.io/v1";
const CATALOG: &str = "catalog.cattle.io/v1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";
const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// The types of Rancher that have a definition here.
pub(super) const TYPES: [Type; 20] = [
    management("Setting", "settings", false, false),
    management("Feature", "features", false, true),
    management("User", "users", false, false),
    management("Token", "tokens", false, false),
    management("GlobalRole", "globalroles", false, false),
    management("GlobalRoleBinding", "globalrolebindings", false, false),
    management("RoleTemplate", "roletemplates", false, false),
    management("Cluster", "clusters", false, true),
    management("Project", "projects", true, false),
    management("ClusterRoleTemplateBinding", "clusterroletemplatebindings", true, false),
    management("ProjectRoleTemplateBinding", "projectroletemplatebindings", true, false),
    management("RancherUserNotification", "rancherusernotifications", false, false),
    of("catalog.cattle.io", "v1", "ClusterRepo", "clusterrepos", false),
    of("catalog.cattle.io", "v1", "UIPlugin", "uiplugins", true),
    of("fleet.cattle.io", "v1alpha1", "Bundle", "bundles", true),
    of("fleet.cattle.io", "v1alpha1", "BundleDeployment", "bundledeployments", true),
    of("fleet.cattle.io", "v1alpha1", "Cluster", "clusters", true),
    of("provisioning.cattle.io", "v1", "Cluster", "clusters", true),
    of("rke.cattle.io", "v1", "RKECluster", "rkeclusters", true),
    of("rke.cattle.io", "v1", "RKEControlPlane", "rkecontrolplanes", true),
];

const fn of(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
) -> Type {
    Type { group, version, kind, plural, namespaced, status: true }
}

pub(super) fn definitions() -> Vec<Value> {
    TYPES.iter().map(definition).collect()
}

/// The UID that an owner had when its archive was made.
pub(super) fn archived_uid(kind: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{kind} {name}"));
    Uuid::from_slice(&digest.as_slice()[..16]).unwrap().to_string()
}

fn owned_by(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"metadata": {"ownerReferences": [{"apiVersion": api_version, "kind": kind, "name": name,
        "uid": archived_uid(kind, name), "controller": true, "blockOwnerDeletion": true}]}})
}

/// The content of an object, and who owns it.
fn with(mut owner: Value, content: Value) -> Value {
    let Value::Object(content) = content else { panic!("{content} is no object") };
    owner.as_object_mut().unwrap().extend(content);
    owner
}

/// What Rancher's ResourceSet selects, owners before what they own.
pub(super) fn selected() -> Vec<Value> {
    [namespaces(), management_objects(), downstream(), rights(), configuration(), secrets()].concat()
}

fn namespaces() -> Vec<Value> {
    let of_rancher = [
        "cattle-system",
        "cattle-global-data",
        "cattle-fleet-system",
        DEFAULT_NAMESPACE,
        "cattle-ui-plugin-system",
        "fleet-local",
        "fleet-default",
        "local",
        "c-m-harbour",
        "p-crane",
        "p-quay",
        "u-ada",
        "u-ben",
        "user-ada",
    ];
    let annotations = json!({"field.cattle.io/projectId": "local:p-quay"});
    let mut namespaces: Vec<_> = of_rancher
        .map(|name| object("v1", "Namespace", name, json!({"metadata": {"annotations": annotations}})))
        .into();
    let labelled = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "rancher"}}});
    namespaces.push(object("v1", "Namespace", "team-apps", labelled));
    namespaces
}

fn management_objects() -> Vec<Value> {
    let rules = json!([{"apiGroups": ["*"], "resources": ["pods", "secrets"], "verbs": ["get", "list"]}]);
    let mut objects = vec![
        object(MANAGEMENT, "Setting", "server-url", json!({"value": "https://rancher.example.com", "source": "db"})),
        object(MANAGEMENT, "Setting", "setting-001", json!({"value": "a", "default": "", "customized": true})),
        object(MANAGEMENT, "Setting", "setting-002", json!({"value": "", "default": "b", "customized": false})),
        object(MANAGEMENT, "Feature", "fleet", json!({"spec": {"value": true}, "status": {"default": true}})),
        object(MANAGEMENT, "Feature", "harvester", json!({"spec": {"value": false}, "status": {"dynamic": false}})),
    ];
    for (name, builtin) in [("admin", true), ("tower-watch", false)] {
        let role = json!({"builtin": builtin, "displayName": format!("{name} – für alle 団"), "rules": rules});
        objects.push(object(MANAGEMENT, "GlobalRole", name, role.clone()));
        objects.push(object(MANAGEMENT, "RoleTemplate", name, role));
    }
    for (name, role) in [("ada", "admin"), ("ben", "tower-watch")] {
        let id = format!("u-{name}");
        let user = json!({"username": name, "principalIds": [format!("local://{id}")], "enabled": true});
        let binding = json!({"globalRoleName": role, "userName": id});
        let token = json!({"metadata": {"labels": {"authn.management.cattle.io/kind": "session"}}, "userId": id});
        objects.push(object(MANAGEMENT, "User", &id, user));
        let binding = with(owned_by(MANAGEMENT, "User", &id), binding);
        objects.push(object(MANAGEMENT, "GlobalRoleBinding", &format!("grb-{name}"), binding));
        objects.push(object(MANAGEMENT, "Token", &format!("token-{name}"), token));
    }
    let repository = json!({"spec": {"url": "https://charts.example.com"}, "status": {"downloadTime": "never"}});
    objects.push(object(CATALOG, "ClusterRepo", "charts", repository));
    let plugin = json!({"spec": {"plugin": {"name": "harbour-view"}}});
    objects.push(object(CATALOG, "UIPlugin", "cattle-ui-plugin-system/harbour-view", plugin));
    objects
}

/// A cluster that Rancher made: as its management, its provisioning and Fleet know it.
fn downstream() -> Vec<Value> {
    let kubernetes = "v1.34.4+rke2r1";
    let cluster = json!({"metadata": {"finalizers": ["controller.cattle.io/cluster-agent-controller-cleanup"]},
        "spec": {"displayName": "harbour", "fleetWorkspaceName": "fleet-default"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let provisioned = json!({"spec": {"kubernetesVersion": kubernetes, "rkeConfig": {}},
        "status": {"ready": true, "clusterName": "c-m-harbour"}});
    let control_plane = json!({"spec": {"clusterName": "harbour", "kubernetesVersion": kubernetes},
        "status": {"initialized": true}});
    let binding = json!({"clusterName": "c-m-harbour", "roleTemplateName": "admin", "userName": "u-ada"});
    let state = json!({"type": "rke.cattle.io/cluster-state", "data": {"clusterState": noise(1, 2400)}});
    let agent = json!({"metadata": {"labels": {"management.cattle.io/cluster-name": "c-m-harbour"}},
        "spec": {"clientID": "harbour-agent"}, "status": {"display": {"readyBundles": "1/1"}}});
    let bundle = json!({"spec": {"resources": [{"name": "manifest.yaml", "content": noise(2, 40_000)}]},
        "status": {"summary": {"ready": 1}}});
    let project = |name: &str| json!({"spec": {"clusterName": "c-m-harbour", "displayName": name}});
    let member = json!({"projectName": "c-m-harbour:p-crane", "roleTemplateName": "tower-watch", "userName": "u-ben"});
    let by_cluster = |content| with(owned_by(MANAGEMENT, "Cluster", "c-m-harbour"), content);
    let by_provisioned = |content| with(owned_by(PROVISIONING, "Cluster", "harbour"), content);
    vec![
        object(MANAGEMENT, "Cluster", "c-m-harbour", cluster),
        object(MANAGEMENT, "Project", "c-m-harbour/p-crane", project("Crane")),
        object(MANAGEMENT, "Project", "c-m-harbour/p-quay", project("Quay")),
        object(MANAGEMENT, "ClusterRoleTemplateBinding", "c-m-harbour/crtb-ada", by_cluster(binding)),
        object(MANAGEMENT, "ProjectRoleTemplateBinding", "p-crane/prtb-ben", member),
        object(PROVISIONING, "Cluster", "fleet-default/harbour", provisioned),
        object(RKE, "RKECluster", "fleet-default/harbour", by_provisioned(json!({"spec": {}}))),
        object(RKE, "RKEControlPlane", "fleet-default/harbour", by_provisioned(control_plane)),
        // Its name was too long, and Rancher cut it off.
        object(
            "v1",
            "Secret",
            "fleet-default/harbour-of-the-north-8d2f1",
            with(owned_by(RKE, "RKECluster", "harbour"), state),
        ),
        object(FLEET, "Cluster", "fleet-default/harbour", agent),
        object(FLEET, "Bundle", "fleet-default/monitoring", bundle),
    ]
}

fn rights() -> Vec<Value> {
    let rules = json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let user = json!({"kind": "User", "apiGroup": RBAC_GROUP, "name": "u-ada"});
    let binding = |kind: &str, role: &str| json!({"roleRef": {"apiGroup": RBAC_GROUP, "kind": kind, "name": role}, "subjects": [user]});
    let critical = json!({"value": 1_000_000_000, "preemptionPolicy": "PreemptLowerPriority"});
    vec![
        object(RBAC, "ClusterRole", "cattle-globalrole-admin", rules.clone()),
        object(RBAC, "ClusterRole", "u-ada:view", rules.clone()),
        object(RBAC, "ClusterRoleBinding", "globaladmin-user-ada", binding("ClusterRole", "cattle-globalrole-admin")),
        object(RBAC, "Role", "p-crane/project-owner", rules),
        object(RBAC, "RoleBinding", "p-crane/rb-ada", binding("Role", "project-owner")),
        object("v1", "ServiceAccount", "cattle-system/rancher", json!({})),
        object("scheduling.k8s.io/v1", "PriorityClass", "rancher-critical", critical),
    ]
}

fn configuration() -> Vec<Value> {
    let of_rancher = |name: &str, content| object("v1", "ConfigMap", &format!("cattle-system/{name}"), content);
    let held = json!({"metadata": {"finalizers": ["example.cattle.io/hold"]}, "data": {"k": "v"}});
    vec![
        of_rancher("config-05", json!({"data": {"config.yaml": "harbour: 5\nships:\n- tug\n"}})),
        of_rancher("config-06", json!({"data": {"config.yaml": "harbour: 6\n"}})),
        of_rancher("large", json!({"binaryData": {"blob": noise(3, 400_000)}})),
        of_rancher("traffic-filters", json!({"data": {"note": "the operator takes this for a part of its own"}})),
        of_rancher("held-by-finalizer", held),
    ]
}

fn secrets() -> Vec<Value> {
    let opaque = |place: &str, content: Value| object("v1", "Secret", place, with(json!({"type": "Opaque"}), content));
    let key = |seed| json!({"data": {"tls.crt": noise(seed, 1200), "tls.key": noise(seed + 1, 1600)}});
    let marked = json!({"metadata": {"labels": {"resources.cattle.io/backup": "true"}}});
    vec![
        opaque("cattle-system/tls-rancher", key(10)),
        opaque("cattle-system/tls-03", key(20)),
        opaque("cattle-system/tls-04", key(30)),
        opaque("cattle-system/empty", json!({})),
        opaque("u-ada/user-secret", json!({"data": {"password": noise(40, 32)}})),
        opaque("u-ben/user-secret", json!({"data": {"password": noise(41, 32)}})),
        opaque("team-apps/marked-for-the-backup", marked),
    ]
}

/// What Rancher's ResourceSet leaves out.
pub(super) fn left_out() -> Vec<Value> {
    let labelled = |key: &str, value: &str| json!({"metadata": {"labels": {key: value}}});
    let deployment = |name: &str, replicas: u8| {
        let template = json!({"metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": name, "image": "registry.example.com/pause:1"}]}});
        let spec = json!({"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template});
        object("apps/v1", "Deployment", &format!("cattle-system/{name}"), json!({"spec": spec}))
    };
    vec![
        deployment("rancher", 3),
        deployment("rancher-webhook", 1),
        object("v1", "Secret", "cattle-system/bootstrap-secret", json!({"data": {"bootstrapPassword": "YWRtaW4="}})),
        object("v1", "Secret", "cattle-system/sh.helm.release.v1.rancher.v1", labelled("owner", "helm")),
        object("v1", "Secret", "fleet-default/import-token-harbour", labelled("fleet.cattle.io/managed", "true")),
        object("v1", "Secret", "default/of-nobody", json!({})),
        object("v1", "ConfigMap", "team-apps/of-a-team", json!({})),
        object(MANAGEMENT, "Token", "token-node", labelled("authn.management.cattle.io/kind", "provisioning")),
        object(MANAGEMENT, "RancherUserNotification", "welcome", json!({"message": "Rancher tells it again"})),
        object(FLEET, "BundleDeployment", "fleet-default/monitoring", json!({})),
        object(RBAC, "ClusterRole", "harbour-master", json!({})),
    ]
}

/// What is selected and hard to put back, and what users made in namespaces that are selected: no archive holds it.
pub(super) fn awkward() -> Vec<Value> {
    let account = json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token"});
    let text = "línea\u{2028} \u{1f4be}\t\\ \"quoted\" </script>";
    let group = json!([{"kind": "Group", "apiGroup": RBAC_GROUP, "name": "ops"}]);
    let view = json!({"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": "view"});
    let owned_by_each_other = |name: &str| with(owned_by("v1", "ConfigMap", name), json!({"data": {"k": "v"}}));
    vec![
        object("v1", "ServiceAccount", "cattle-system/robot", json!({})),
        object("v1", "Secret", "cattle-system/robot-token", account),
        object("v1", "Secret", "cattle-system/sealed", json!({"immutable": true, "data": {"k": "djE="}})),
        object("v1", "ConfigMap", "cattle-system/sealed", json!({"immutable": true, "data": {"k": "v1"}})),
        object("v1", "ConfigMap", "cattle-system/words", json!({"data": {"text": text, "empty": ""}})),
        object(RBAC, "ClusterRoleBinding", "crb-ops", json!({"roleRef": view, "subjects": group})),
        object("v1", "Namespace", "c-team-shop", json!({"metadata": {"labels": {"owner": "users"}}})),
        object("v1", "ConfigMap", "c-team-shop/app", json!({"data": {"k": "v"}})),
        object("v1", "Namespace", "user-portal", json!({"metadata": {"labels": {"owner": "users"}}})),
        object("v1", "ConfigMap", "user-portal/app", json!({"data": {"k": "v"}})),
        object("v1", "ConfigMap", "cattle-system/cycle-a", owned_by_each_other("cycle-b")),
        object("v1", "ConfigMap", "cattle-system/cycle-b", owned_by_each_other("cycle-a")),
    ]
}
