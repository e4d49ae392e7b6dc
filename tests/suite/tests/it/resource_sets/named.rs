//! Objects as users and Rancher name them: for each selector of the operator's sets at least one, and those of Kubewarden,
//! of Turtles and of Cluster API.

use std::collections::{BTreeMap, BTreeSet};

use drover::resources::ResourceSelector;
use drover::selection::{Discovery, ResourceType};
use drover_tests::inputs::{BASIC, FULL, Inputs};

use super::comparison::Selection;
use super::probes::Probe;
use super::types::resource_type;
use super::{IDLE, TURTLES, component, file, read};

/// API version, kind and plural name, name or namespace and name, a label `key=value` or the type of a Secret.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// The type and the place of an object.
type Place = (&'static str, &'static str);

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const DEFINITIONS: &str = "apiextensions.k8s.io/v1";
const MANAGEMENT: &str = "management.cattle.io/v3";
const CRD: &str = "CustomResourceDefinition customresourcedefinitions";
const ROLE: &str = "ClusterRole clusterroles";
const BINDING: &str = "ClusterRoleBinding clusterrolebindings";
const ACCOUNT: &str = "ServiceAccount serviceaccounts";
const DEPLOYMENT: &str = "Deployment deployments";
const NAMESPACE: &str = "Namespace namespaces";
const SECRET: &str = "Secret secrets";
const CONFIG_MAP: &str = "ConfigMap configmaps";

/// What the set without Secrets takes too.
const OF_RANCHER: [Row; 95] = [
    (DEFINITIONS, CRD, "aksclusterconfigs.aks.cattle.io", ""),
    (DEFINITIONS, CRD, "aliclusterconfigs.ali.cattle.io", ""),
    (DEFINITIONS, CRD, "eksclusterconfigs.eks.cattle.io", ""),
    (DEFINITIONS, CRD, "gkeclusterconfigs.gke.cattle.io", ""),
    (DEFINITIONS, CRD, "machineinventories.elemental.cattle.io", ""),
    (DEFINITIONS, CRD, "gitrepos.fleet.cattle.io", ""),
    (DEFINITIONS, CRD, "gitjobs.gitjob.cattle.io", ""),
    (DEFINITIONS, CRD, "clusters.provisioning.cattle.io", ""),
    (DEFINITIONS, CRD, "amazonec2configs.rke-machine-config.cattle.io", ""),
    (DEFINITIONS, CRD, "amazonec2machines.rke-machine.cattle.io", ""),
    (DEFINITIONS, CRD, "rkecontrolplanes.rke.cattle.io", ""),
    (DEFINITIONS, CRD, "machinedeployments.cluster.x-k8s.io", ""),
    (DEFINITIONS, CRD, "clusters.rancher.cattle.io", ""),
    (DEFINITIONS, CRD, "settings.management.cattle.io", ""),
    (DEFINITIONS, CRD, "apps.project.cattle.io", ""),
    (DEFINITIONS, CRD, "clusterrepos.catalog.cattle.io", ""),
    (DEFINITIONS, CRD, "backups.resources.cattle.io", ""),
    ("aks.cattle.io/v1", "AKSClusterConfig aksclusterconfigs", "cattle-global-data/c-7xk2p", ""),
    ("ali.cattle.io/v1", "AliClusterConfig aliclusterconfigs", "cattle-global-data/c-9bq4d", ""),
    ("eks.cattle.io/v1", "EKSClusterConfig eksclusterconfigs", "cattle-global-data/c-2mv8s", ""),
    ("gke.cattle.io/v1", "GKEClusterConfig gkeclusterconfigs", "cattle-global-data/c-6tn1w", ""),
    ("apps/v1", DEPLOYMENT, "cattle-system/aks-config-operator", ""),
    ("apps/v1", DEPLOYMENT, "cattle-system/ali-config-operator", ""),
    ("apps/v1", DEPLOYMENT, "cattle-system/eks-config-operator", ""),
    ("apps/v1", DEPLOYMENT, "cattle-system/gke-config-operator", ""),
    (RBAC, ROLE, "aks-operator", ""),
    (RBAC, ROLE, "ali-operator", ""),
    (RBAC, ROLE, "eks-operator", ""),
    (RBAC, ROLE, "gke-operator", ""),
    (RBAC, BINDING, "aks-operator", ""),
    (RBAC, BINDING, "ali-operator", ""),
    (RBAC, BINDING, "eks-operator", ""),
    (RBAC, BINDING, "gke-operator", ""),
    ("v1", ACCOUNT, "cattle-system/aks-operator", ""),
    ("v1", ACCOUNT, "cattle-system/ali-operator", ""),
    ("apps/v1", DEPLOYMENT, "cattle-elemental-system/elemental-operator", ""),
    (RBAC, ROLE, "elemental-operator", ""),
    (RBAC, BINDING, "elemental-operator", ""),
    ("v1", ACCOUNT, "cattle-elemental-system/elemental-operator", ""),
    ("elemental.cattle.io/v1beta1", "MachineInventory machineinventories", "fleet-default/m-4f1c9e02", ""),
    ("elemental.cattle.io/v1beta1", "MachineRegistration machineregistrations", "cattle-elemental-system/plants", ""),
    ("elemental.cattle.io/v1beta1", "SeedImage seedimages", "cattle-fleet-local-system/plants", ""),
    (RBAC, "Role roles", "fleet-default/m-registration-plants", "elemental.cattle.io/managed=true"),
    ("v1", ACCOUNT, "fleet-default/m-registration-plants", "elemental.cattle.io/managed=true"),
    ("v1", NAMESPACE, "fleet-default", ""),
    ("v1", NAMESPACE, "team-payments", "app.kubernetes.io/managed-by=rancher"),
    ("v1", ACCOUNT, "cattle-fleet-system/fleet-controller", ""),
    ("v1", CONFIG_MAP, "cattle-fleet-system/fleet-controller", ""),
    ("v1", CONFIG_MAP, "fleet-default/values-of-the-shop", ""),
    (RBAC, "RoleBinding rolebindings", "cattle-fleet-system/fleet-controller", ""),
    (RBAC, BINDING, "fleet-controller", ""),
    (RBAC, BINDING, "gitjob-binding", ""),
    (RBAC, ROLE, "fleet-controller", ""),
    (RBAC, ROLE, "gitjob", ""),
    ("fleet.cattle.io/v1alpha1", "GitRepo gitrepos", "fleet-default/shop", ""),
    ("gitjob.cattle.io/v1", "GitJob gitjobs", "fleet-default/shop", ""),
    ("apps/v1", DEPLOYMENT, "cattle-fleet-system/fleet-controller", ""),
    ("apps/v1", DEPLOYMENT, "cattle-fleet-system/gitjob", ""),
    ("provisioning.cattle.io/v1", "Cluster clusters", "fleet-default/frankfurt", ""),
    (
        "rke-machine-config.cattle.io/v1",
        "VmwarevsphereConfig vmwarevsphereconfigs",
        "fleet-default/nc-frankfurt-pool1-k7",
        "",
    ),
    (
        "rke-machine.cattle.io/v1",
        "VmwarevsphereMachine vmwarevspheremachines",
        "fleet-default/frankfurt-pool1-8xk2q",
        "",
    ),
    ("rke.cattle.io/v1", "RKEControlPlane rkecontrolplanes", "fleet-default/frankfurt", ""),
    ("cluster.x-k8s.io/v1beta2", "Machine machines", "fleet-default/frankfurt-pool1-8xk2q", ""),
    ("v1", CONFIG_MAP, "c-m-7bw4n2zq/provisioning-log", ""),
    ("rancher.cattle.io/v1", "Project projects", "default/shop", ""),
    ("apps/v1", DEPLOYMENT, "rancher-operator-system/rancher-operator", ""),
    ("v1", ACCOUNT, "rancher-operator-system/rancher-operator", ""),
    (RBAC, BINDING, "rancher-operator", ""),
    (RBAC, ROLE, "rancher-operator", ""),
    ("v1", NAMESPACE, "rancher-operator-system", ""),
    ("v1", NAMESPACE, "local", ""),
    ("v1", NAMESPACE, "cattle-system", ""),
    ("v1", NAMESPACE, "c-m-7bw4n2zq", ""),
    ("v1", NAMESPACE, "local-p-8xq4z", ""),
    ("v1", NAMESPACE, "p-8xq4z", ""),
    ("v1", NAMESPACE, "u-b4qkhsnliz", ""),
    ("v1", NAMESPACE, "user-ada", ""),
    ("v1", ACCOUNT, "cattle-impersonation-system/cattle-impersonation-u-b4qkhsnliz", ""),
    ("v1", CONFIG_MAP, "cattle-system/cattle-token", ""),
    ("v1", CONFIG_MAP, "cattle-kubeconfigs/kubeconfig-5rx7t", "cattle.io/kind=kubeconfig"),
    (RBAC, "Role roles", "p-8xq4z/p-8xq4z-projectowner", ""),
    (RBAC, BINDING, "globaladmin-user-ada", ""),
    (RBAC, BINDING, "cattle-globalrolebinding-grb-x2v9w", ""),
    (RBAC, BINDING, "crb-jx4p2", ""),
    (RBAC, ROLE, "c-m-7bw4n2zq-clusterowner", ""),
    (RBAC, ROLE, "project-owner", ""),
    (RBAC, ROLE, "create-ns", ""),
    ("scheduling.k8s.io/v1", "PriorityClass priorityclasses", "rancher-critical", ""),
    (MANAGEMENT, "Setting settings", "server-url", ""),
    (MANAGEMENT, "Token tokens", "kubeconfig-u-b4qkhsnliz", "authn.management.cattle.io/kind=kubeconfig"),
    ("project.cattle.io/v3", "App apps", "p-8xq4z/shop", ""),
    ("catalog.cattle.io/v1", "ClusterRepo clusterrepos", "rancher-charts", ""),
    ("catalog.cattle.io/v1", "UIPlugin uiplugins", "cattle-ui-plugin-system/elemental", ""),
    ("resources.cattle.io/v1", "ResourceSet resourcesets", "rancher-resource-set", ""),
    (MANAGEMENT, "Project projects", "c-m-7bw4n2zq/p-8xq4z", ""),
];

/// Plans and states have names that Rancher cut off: they end with a hash, and not with what they are.
const SECRETS: [Row; 13] = [
    ("v1", SECRET, "fleet-default/frankfurt-rz1-payments-production-large-memory-9f3d1", "rke.cattle.io/machine-plan"),
    ("v1", SECRET, "fleet-default/frankfurt-rz1-payments-production-large-memory-41c7e", "rke.cattle.io/machine-state"),
    ("v1", SECRET, "fleet-default/frankfurt-rz1-payments-production-cluster-st-b2a90", "rke.cattle.io/cluster-state"),
    ("v1", SECRET, "fleet-default/frankfurt-rke-state", "rke.cattle.io/cluster-state"),
    ("v1", SECRET, "fleet-default/frankfurt-pool1-8xk2q-machine-driver-secret", "Opaque"),
    ("v1", SECRET, "fleet-default/frankfurt-admission-configuration-psact", "Opaque"),
    ("v1", SECRET, "fleet-default/registryconfig-auth-j6tbr", "kubernetes.io/basic-auth"),
    ("v1", SECRET, "fleet-default/harvesterconfigq7d2m", "Opaque"),
    ("v1", SECRET, "fleet-default/m-4f1c9e02", "elemental.cattle.io/managed=true"),
    ("v1", SECRET, "fleet-default/auth-qk4n7", "fleet.cattle.io/managed=true"),
    ("v1", SECRET, "cattle-system/tls-rancher-ingress", "kubernetes.io/tls"),
    ("v1", SECRET, "cattle-global-data/cc-m8z2v", "Opaque"),
    ("v1", SECRET, "velero/cloud-credentials", "resources.cattle.io/backup=true"),
];

const OF_KUBEWARDEN: [Row; 6] = [
    (DEFINITIONS, CRD, "clusteradmissionpolicies.policies.kubewarden.io", ""),
    ("policies.kubewarden.io/v1", "AdmissionPolicy admissionpolicies", "shop/no-privileged-pod", ""),
    ("v1", NAMESPACE, "cattle-kubewarden-system", ""),
    ("apps/v1", DEPLOYMENT, "kubewarden/kubewarden-controller", ""),
    (DEFINITIONS, CRD, "targetconfigs.policyreporter.kyverno.io", ""),
    ("batch/v1", "CronJob cronjobs", "kubewarden/audit-scanner", "app.kubernetes.io/part-of=kubewarden"),
];

const OF_TURTLES: [Row; 27] = [
    (DEFINITIONS, CRD, "capiproviders.turtles-capi.cattle.io", ""),
    (DEFINITIONS, CRD, "awsclusters.infrastructure.cluster.x-k8s.io", ""),
    ("v1", NAMESPACE, "capi-system", ""),
    ("v1", NAMESPACE, "capi-kubeadm-control-plane-system", ""),
    ("v1", NAMESPACE, "capv-system", ""),
    ("v1", NAMESPACE, "rke2-bootstrap-system", ""),
    ("v1", NAMESPACE, "clouds", "cluster.x-k8s.io/provider=infrastructure-aws"),
    ("v1", NAMESPACE, "shop-clusters", "cluster-api.cattle.io/rancher-auto-import=true"),
    ("turtles-capi.cattle.io/v1alpha1", "CAPIProvider capiproviders", "capa-system/aws", ""),
    ("operator.cluster.x-k8s.io/v1alpha2", "CoreProvider coreproviders", "capi-system/cluster-api", ""),
    ("cluster.x-k8s.io/v1beta2", "ClusterClass clusterclasses", "shop-clusters/vsphere-rke2", ""),
    ("addons.cluster.x-k8s.io/v1beta2", "ClusterResourceSet clusterresourcesets", "shop-clusters/calico", ""),
    ("addons.cluster.x-k8s.io/v1alpha1", "FleetAddonConfig fleetaddonconfigs", "fleet-addon-config", ""),
    ("bootstrap.cluster.x-k8s.io/v1beta1", "RKE2ConfigTemplate rke2configtemplates", "shop-clusters/workers", ""),
    ("controlplane.cluster.x-k8s.io/v1beta2", "KubeadmControlPlane kubeadmcontrolplanes", "shop-clusters/shop", ""),
    ("infrastructure.cluster.x-k8s.io/v1beta2", "AWSCluster awsclusters", "shop-clusters/shop", ""),
    ("infrastructure.cluster.x-k8s.io/v1beta1", "VSphereClusterIdentity vsphereclusteridentities", "datacenter", ""),
    ("ipam.cluster.x-k8s.io/v1alpha2", "InClusterIPPool inclusterippools", "shop-clusters/nodes", ""),
    ("runtime.cluster.x-k8s.io/v1beta2", "ExtensionConfig extensionconfigs", "lifecycle-hooks", ""),
    ("v1", CONFIG_MAP, "capa-system/infrastructure-aws-v2.11.1", "provider.cluster.x-k8s.io/version=v2.11.1"),
    ("v1", CONFIG_MAP, "shop-clusters/calico", "clusterctl.cluster.x-k8s.io/move=true"),
    ("v1", SECRET, "shop-clusters/shop-ca", "cluster.x-k8s.io/secret"),
    ("v1", SECRET, "shop-clusters/shop-kubeconfig", "cluster.x-k8s.io/cluster-name=shop"),
    ("v1", SECRET, "shop-clusters/registry", "clusterctl.cluster.x-k8s.io/move=true"),
    ("v1", SECRET, "shop-clusters/cloud-controller", "addons.cluster.x-k8s.io/resource-set"),
    ("v1", SECRET, "capa-system/account-of-the-shop", "Opaque"),
    ("v1", SECRET, "fleet-addon-system/any", "cluster.x-k8s.io/cluster-name=shop"),
];

/// What belongs to one cluster, one API server or one installation, or is made anew.
const OF_ONE_CLUSTER: [Row; 12] = [
    ("v1", CONFIG_MAP, "capa-system/kube-root-ca.crt", ""),
    ("v1", CONFIG_MAP, "cattle-capi-system/core-cluster-api-v1.13.3", "managed-by.turtles.cattle.io=true"),
    ("v1", SECRET, "capa-system/capa-webhook-service-cert", "kubernetes.io/tls"),
    ("v1", SECRET, "capi-system/core-cluster-api-v1.13.3-cache", "Opaque"),
    ("v1", SECRET, "capi-system/sh.helm.release.v1.providers.v1", "owner=helm"),
    ("v1", SECRET, "shop/of-nobody", "Opaque"),
    ("v1", NAMESPACE, "capsule-system", ""),
    ("apps/v1", DEPLOYMENT, "capi-system/capi-controller-manager", ""),
    ("clusterctl.cluster.x-k8s.io/v1alpha3", "Provider providers", "capa-system/infrastructure-aws", ""),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration validatingwebhookconfigurations",
        "capi-validating-webhook-configuration",
        "cluster.x-k8s.io/provider=cluster-api",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration mutatingwebhookconfigurations",
        "kubewarden-controller-mutating-webhook-configuration",
        "app.kubernetes.io/part-of=kubewarden",
    ),
    (MANAGEMENT, "Token tokens", "token-of-a-node", "authn.management.cattle.io/kind=provisioning"),
];

/// An object of a row, with its type.
fn object((api_version, names, place, fact): &Row) -> (ResourceType, Probe) {
    let (kind, plural) = names.split_once(' ').unwrap();
    let (namespace, name) = place.split_once('/').map_or((None, *place), |(namespace, name)| (Some(namespace), name));
    let label = fact.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let field = (label.is_none() && !fact.is_empty()).then(|| ("type".to_owned(), (*fact).to_owned()));
    let probe = Probe {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        labels: label.into_iter().collect(),
        fields: field.into_iter().collect(),
    };
    (resource_type(api_version, kind, plural, namespace.is_some()), probe)
}

/// A cluster with the types of all rows.
fn discovery() -> Discovery {
    let rows = [&OF_RANCHER[..], &SECRETS, &OF_KUBEWARDEN, &OF_TURTLES, &OF_ONE_CLUSTER].concat();
    let types = rows.iter().map(|row| object(row).0).map(|of| ((of.api_version(), of.plural.clone()), of));
    types.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// The type and the place of the rows that a list of selectors takes.
fn taken(selectors: &[ResourceSelector], rows: &[Row]) -> BTreeSet<Place> {
    let selection = Selection::new(selectors, &discovery());
    let is_taken = |row: &&Row| {
        let (resource, probe) = object(row);
        selection.of(&resource)(&probe)
    };
    rows.iter().filter(is_taken).map(place).collect()
}

fn all_of(rows: &[Row]) -> BTreeSet<Place> {
    rows.iter().map(place).collect()
}

const fn place(row: &Row) -> Place {
    (row.1, row.2)
}

fn selectors(name: &str) -> Vec<ResourceSelector> {
    read(&file(name)).spec.resource_selectors
}

#[test]
fn objects_as_users_name_them_are_selected() {
    for set in [BASIC, FULL, TURTLES] {
        assert_eq!(taken(&selectors(set), &OF_RANCHER), all_of(&OF_RANCHER), "{set}");
    }
    for set in [FULL, TURTLES] {
        assert_eq!(taken(&selectors(set), &SECRETS), all_of(&SECRETS), "{set}");
    }
    assert_eq!(taken(&selectors(BASIC), &SECRETS), BTreeSet::new());
}

#[test]
fn the_component_adds_kubewarden_and_the_set_of_turtles_has_cluster_api() {
    let kubewarden = read(&component("kubewarden")).spec.resource_selectors;
    assert_eq!(taken(&kubewarden, &OF_KUBEWARDEN), all_of(&OF_KUBEWARDEN));
    assert_eq!(taken(&selectors(TURTLES), &OF_TURTLES), all_of(&OF_TURTLES));
}

#[test]
fn what_belongs_to_one_cluster_is_in_no_set() {
    let kubewarden = ["kubewarden", "kubewarden-secrets"].map(|name| read(&component(name)).spec.resource_selectors);
    let all = [selectors(TURTLES), kubewarden.concat()].concat();
    assert_eq!(taken(&all, &OF_ONE_CLUSTER), BTreeSet::new());
}

#[test]
fn every_selector_of_the_operator_takes_one_of_these_objects() {
    let rows = [&OF_RANCHER[..], &SECRETS].concat();
    for inputs in Inputs::all() {
        for selector in read(&inputs.resource_set(FULL)).spec.resource_selectors {
            let text = serde_json::json!(selector).to_string();
            let is_idle = IDLE.iter().any(|(piece, _)| text.contains(piece));
            assert!(is_idle || !taken(&[selector], &rows).is_empty(), "no object is known of {text}");
        }
    }
}
