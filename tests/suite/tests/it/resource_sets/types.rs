//! The types of a cluster where Rancher runs.

use std::collections::BTreeSet;

use drover::resources::{ResourceSelector, definitions};
use drover::selection::{Discovery, ResourceType};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// API version, kind, plural name, whether it is namespaced.
type Row = (&'static str, &'static str, &'static str, bool);

/// Types of Kubernetes, of every API version that a ResourceSet of Rancher names.
const BUILT_IN: [Row; 36] = [
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Endpoints", "endpoints", true),
    ("v1", "Event", "events", true),
    ("v1", "LimitRange", "limitranges", true),
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Node", "nodes", false),
    ("v1", "PersistentVolume", "persistentvolumes", false),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("v1", "Pod", "pods", true),
    ("v1", "PodTemplate", "podtemplates", true),
    ("v1", "ReplicationController", "replicationcontrollers", true),
    ("v1", "ResourceQuota", "resourcequotas", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Service", "services", true),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    ("apps/v1", "ControllerRevision", "controllerrevisions", true),
    ("apps/v1", "DaemonSet", "daemonsets", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "ReplicaSet", "replicasets", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", false),
    ("batch/v1", "CronJob", "cronjobs", true),
    ("batch/v1", "Job", "jobs", true),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", false),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", false),
];

/// Types that a set names, and of which not all inputs have a definition.
const UNDEFINED: [Row; 3] = [
    ("management.cattle.io/v3", "Token", "tokens", false),
    ("management.cattle.io/v3", "RancherUserNotification", "rancherusernotifications", false),
    ("fleet.cattle.io/v1alpha1", "BundleDeployment", "bundledeployments", true),
];

/// The types of Kubernetes, those of these definitions, those of drover's own, and of each further API version that a
/// selector of these lists names a namespaced and a cluster-scoped type that nobody names.
pub(super) fn of(rancher: Vec<CustomResourceDefinition>, lists: &[&[ResourceSelector]]) -> Discovery {
    let named = lists.iter().copied().flatten().map(|selector| selector.api_version.as_str());
    let custom: BTreeSet<&str> = named.filter(|version| !BUILT_IN.iter().any(|row| row.0 == *version)).collect();
    let nameless = custom
        .into_iter()
        .flat_map(|version| [(version, "Gadget", "gadgets", false), (version, "Widget", "widgets", true)]);
    let defined: Vec<_> = rancher.into_iter().chain(definitions()).flat_map(|of| types_of(&of)).collect();
    let is_defined =
        |row: &(&str, &str, &str, bool)| defined.iter().any(|of| of.api_version() == row.0 && of.plural == row.2);
    let undefined = UNDEFINED.into_iter().filter(|row| !is_defined(row));
    let rows = BUILT_IN.into_iter().chain(undefined).chain(nameless);
    let rows = rows.map(|(version, kind, plural, namespaced)| resource_type(version, kind, plural, namespaced));
    rows.chain(defined.iter().cloned()).collect()
}

fn types_of(definition: &CustomResourceDefinition) -> Vec<ResourceType> {
    let spec = &definition.spec;
    let of = |version: &str| {
        let api_version = format!("{}/{version}", spec.group);
        resource_type(&api_version, &spec.names.kind, &spec.names.plural, spec.scope == "Namespaced")
    };
    spec.versions.iter().map(|version| of(&version.name)).collect()
}

pub(super) fn resource_type(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> ResourceType {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ResourceType {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        namespaced,
        can_list: true,
        can_get: true,
    }
}
