//! What each ServiceAccount may do, as the API server's authorizer says.

use drover::resources::DEFAULT_NAMESPACE;
use drover_tests::Site;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

/// A right: who, verb, group, resource (with its subresource), namespace, name.
type Right = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const OWN: &str = DEFAULT_NAMESPACE;

const GIVEN: [Right; 66] = [
    ("snapshot", "list", "", "secrets", "any", ""),
    ("snapshot", "list", "management.cattle.io", "clusters", "", ""),
    ("snapshot", "list", "example.com", "anything", "any", ""),
    ("snapshot", "get", "resources.cattle.io", "backups", "", "a"),
    ("snapshot", "get", "resources.cattle.io", "resourcesets", "", "a"),
    ("snapshot", "get", "drover.dev", "backupruns", "", "a"),
    ("snapshot", "get", "coordination.k8s.io", "leases", OWN, "restore-controller"),
    ("snapshot", "get", "", "secrets", OWN, "any"),
    ("snapshot", "get", "", "namespaces", "", "kube-system"),
    ("snapshot", "get", "apiregistration.k8s.io", "apiservices", "", "v1.example.com"),
    ("snapshot", "patch", "resources.cattle.io", "backups/status", "", "a"),
    ("snapshot", "create", "drover.dev", "backupruns", "", ""),
    ("snapshot", "delete", "drover.dev", "backupruns", "", "a"),
    ("snapshot", "update", "coordination.k8s.io", "leases", OWN, "backup-a"),
    ("snapshot", "create", "events.k8s.io", "events", "default", ""),
    ("upload", "get", "", "secrets", OWN, "any"),
    ("upload", "list", "resources.cattle.io", "backups", "", ""),
    ("upload", "patch", "resources.cattle.io", "backups/status", "", "a"),
    ("upload", "patch", "drover.dev", "backupruns/status", "", "a"),
    ("upload", "patch", "drover.dev", "backuparchives", "", "a"),
    ("upload", "create", "drover.dev", "backuparchives", "", ""),
    ("upload", "patch", "drover.dev", "backuparchives/status", "", "a"),
    ("upload", "create", "coordination.k8s.io", "leases", OWN, ""),
    ("upload", "create", "events.k8s.io", "events", "default", ""),
    ("retention-prune", "get", "", "secrets", OWN, "any"),
    ("retention-prune", "list", "resources.cattle.io", "backups", "", ""),
    ("retention-prune", "list", "resources.cattle.io", "restores", "", ""),
    ("retention-prune", "list", "drover.dev", "backuppolicies", "", ""),
    ("retention-prune", "patch", "resources.cattle.io", "backups/status", "", "a"),
    ("retention-prune", "list", "drover.dev", "backuparchives", "", ""),
    ("retention-prune", "delete", "drover.dev", "backuparchives", "", "a"),
    ("retention-prune", "patch", "drover.dev", "backuparchives/status", "", "a"),
    ("retention-prune", "update", "coordination.k8s.io", "leases", OWN, "backup-a"),
    ("retention-prune", "create", "events.k8s.io", "events", "default", ""),
    ("restore", "delete", "", "namespaces", "", "any"),
    ("restore", "escalate", "rbac.authorization.k8s.io", "clusterroles", "", "any"),
    ("heartbeat", "get", "", "secrets", OWN, "any"),
    ("heartbeat", "list", "resources.cattle.io", "backups", "", ""),
    ("heartbeat", "patch", "resources.cattle.io", "backups/status", "", "a"),
    ("heartbeat", "list", "resources.cattle.io", "restores", "", ""),
    ("heartbeat", "list", "drover.dev", "backupruns", "", ""),
    ("heartbeat", "list", "drover.dev", "backuppolicies", "", ""),
    ("heartbeat", "get", "", "configmaps", OWN, "heartbeat-told"),
    ("heartbeat", "patch", "", "configmaps", OWN, "heartbeat-told"),
    ("heartbeat", "create", "coordination.k8s.io", "leases", OWN, ""),
    ("heartbeat", "update", "coordination.k8s.io", "leases", OWN, "heartbeat-backup.a"),
    ("heartbeat", "list", "apps", "deployments", OWN, ""),
    ("heartbeat", "create", "events.k8s.io", "events", "default", ""),
    ("setup", "create", "resources.cattle.io", "resourcesets", "", ""),
    ("setup", "get", "resources.cattle.io", "resourcesets", "", "a"),
    ("nats", "get", "", "secrets", OWN, "nats-server"),
    ("nats", "patch", "", "secrets", OWN, "nats-upload"),
    ("dispatch", "create", "batch", "jobs", OWN, ""),
    ("dispatch", "delete", "batch", "jobs", OWN, "any"),
    ("dispatch", "create", "batch", "cronjobs", OWN, ""),
    ("dispatch", "update", "batch", "cronjobs", OWN, "rancher-daily-backup"),
    ("dispatch", "patch", "batch", "cronjobs", OWN, "upload"),
    ("dispatch", "watch", "resources.cattle.io", "restores", "", ""),
    ("dispatch", "patch", "resources.cattle.io", "restores/status", "", "a"),
    ("dispatch", "watch", "drover.dev", "backuppolicies", "", ""),
    ("dispatch", "create", "authorization.k8s.io", "subjectaccessreviews", "", ""),
    ("dispatch", "watch", "", "pods", OWN, ""),
    ("dispatch", "watch", "", "events", OWN, ""),
    ("dispatch", "update", "coordination.k8s.io", "leases", OWN, "drover-dispatch"),
    ("dispatch", "create", "events.k8s.io", "events", "default", ""),
    ("dispatch", "start", "drover.dev", "images", OWN, "registry.example.com:5000/backup/drover:1"),
];

const WITHHELD: [Right; 79] = [
    ("snapshot", "watch", "", "secrets", OWN, ""),
    ("snapshot", "update", "", "secrets", OWN, "any"),
    ("snapshot", "create", "batch", "jobs", OWN, ""),
    ("snapshot", "create", "", "pods", OWN, ""),
    ("snapshot", "patch", "resources.cattle.io", "backups", "", "a"),
    ("snapshot", "patch", "resources.cattle.io", "restores/status", "", "a"),
    ("snapshot", "update", "coordination.k8s.io", "leases", "kube-system", "any"),
    ("snapshot", "get", "", "pods/log", OWN, "any"),
    ("snapshot", "get", "", "nodes/log", "", "any"),
    ("snapshot", "get", "", "nodes/metrics", "", "any"),
    ("snapshot", "get", "", "nodes/pods", "", "any"),
    ("snapshot", "get", "", "nodes/configz", "", "any"),
    ("snapshot", "get", "", "nodes", "", "any"),
    ("snapshot", "get", "", "pods", OWN, "any"),
    ("snapshot", "get", "", "secrets", "default", "any"),
    ("snapshot", "get", "", "namespaces", "", "default"),
    ("snapshot", "get", "coordination.k8s.io", "leases", "kube-system", "any"),
    ("snapshot", "get", "example.com", "anything", "any", "any"),
    ("upload", "get", "", "secrets", "default", "any"),
    ("upload", "list", "", "secrets", OWN, ""),
    ("upload", "get", "", "configmaps", OWN, "any"),
    ("upload", "create", "batch", "jobs", OWN, ""),
    ("upload", "patch", "resources.cattle.io", "backups", "", "a"),
    ("upload", "get", "resources.cattle.io", "restores", "", "a"),
    ("upload", "create", "drover.dev", "backupruns", "", ""),
    ("upload", "delete", "drover.dev", "backuparchives", "", "a"),
    ("upload", "list", "drover.dev", "backuparchives", "", ""),
    ("retention-prune", "get", "", "secrets", "default", "any"),
    ("retention-prune", "list", "", "secrets", OWN, ""),
    ("retention-prune", "get", "", "namespaces", "", "default"),
    ("retention-prune", "create", "batch", "jobs", OWN, ""),
    ("retention-prune", "patch", "resources.cattle.io", "backups", "", "a"),
    ("retention-prune", "delete", "resources.cattle.io", "backups", "", "a"),
    ("retention-prune", "patch", "resources.cattle.io", "restores/status", "", "a"),
    ("retention-prune", "create", "drover.dev", "backupruns", "", ""),
    ("retention-prune", "delete", "drover.dev", "backupruns", "", "a"),
    ("retention-prune", "patch", "drover.dev", "backupruns/status", "", "a"),
    ("snapshot", "create", "drover.dev", "backuparchives", "", ""),
    ("snapshot", "patch", "drover.dev", "backuparchives/status", "", "a"),
    ("heartbeat", "patch", "drover.dev", "backuparchives/status", "", "a"),
    ("dispatch", "get", "drover.dev", "backuparchives", "", "a"),
    ("dispatch", "delete", "drover.dev", "backuparchives", "", "a"),
    ("heartbeat", "list", "", "secrets", OWN, ""),
    ("heartbeat", "get", "", "secrets", "default", "any"),
    ("heartbeat", "patch", "", "configmaps", OWN, "drover"),
    ("heartbeat", "create", "", "configmaps", OWN, ""),
    ("heartbeat", "delete", "coordination.k8s.io", "leases", OWN, "backup-a"),
    ("heartbeat", "update", "coordination.k8s.io", "leases", "kube-system", "any"),
    ("heartbeat", "patch", "drover.dev", "backupruns/status", "", "a"),
    ("heartbeat", "patch", "resources.cattle.io", "restores/status", "", "a"),
    ("heartbeat", "create", "batch", "jobs", OWN, ""),
    ("setup", "get", "", "secrets", OWN, "nats-server"),
    ("setup", "update", "resources.cattle.io", "resourcesets", "", "a"),
    ("setup", "create", "batch", "jobs", OWN, ""),
    ("nats", "get", "", "secrets", OWN, "of-a-user"),
    ("nats", "list", "", "secrets", OWN, ""),
    ("nats", "create", "", "secrets", OWN, ""),
    ("nats", "delete", "", "secrets", OWN, "nats-server"),
    ("dispatch", "update", "coordination.k8s.io", "leases", OWN, "restore-controller"),
    ("dispatch", "get", "coordination.k8s.io", "leases", OWN, "backup-a"),
    ("dispatch", "get", "", "pods/log", OWN, "any"),
    ("dispatch", "get", "", "pods", OWN, "any"),
    ("dispatch", "get", "", "secrets", OWN, "nats-dispatch"),
    ("dispatch", "list", "", "secrets", OWN, ""),
    ("dispatch", "create", "", "pods", OWN, ""),
    ("dispatch", "create", "batch", "jobs", "default", ""),
    ("dispatch", "update", "batch", "jobs", OWN, "any"),
    ("dispatch", "delete", "batch", "cronjobs", OWN, "upload"),
    ("dispatch", "deletecollection", "batch", "jobs", OWN, ""),
    ("dispatch", "delete", "batch", "jobs", "default", "any"),
    ("dispatch", "start", "drover.dev", "images", OWN, concat!("drover:", env!("CARGO_PKG_VERSION"))),
    ("snapshot", "start", "drover.dev", "images", OWN, "registry.example.com:5000/backup/drover:1"),
    ("dispatch", "create", "apps", "deployments", OWN, ""),
    ("dispatch", "list", "rbac.authorization.k8s.io", "clusterroles", "", ""),
    ("dispatch", "patch", "", "configmaps", OWN, "drover"),
    ("dispatch", "patch", "resources.cattle.io", "backups", "", "a"),
    ("dispatch", "delete", "resources.cattle.io", "restores", "", "a"),
    ("dispatch", "impersonate", "", "serviceaccounts", OWN, "drover-restore"),
    ("dispatch", "create", "", "serviceaccounts/token", OWN, "drover-restore"),
];

/// Every account but that of restore, which may write roles.
const ALL_BUT_RESTORE: [&str; 7] = ["snapshot", "upload", "retention-prune", "heartbeat", "setup", "nats", "dispatch"];

/// What leads into a pod, to a Service or to a node, by the API server or by a kubelet that is asked past it.
const WAYS_IN: [&str; 6] =
    ["pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy"];

/// Checks both tables, that nobody but restore has a way into pods, and that nobody gets drover's custom resources by being an
/// editor of a namespace.
pub(super) async fn are_as_few_as_work(site: &Site) {
    for right in GIVEN {
        assert!(is_given(site, right).await, "not given: {right:?}");
    }
    for right in WITHHELD {
        assert!(!is_given(site, right).await, "given: {right:?}");
    }
    for who in ALL_BUT_RESTORE {
        for right in WAYS_IN.iter().flat_map(|way| ["get", "create"].map(|verb| (who, verb, "", *way, OWN, "any"))) {
            assert!(!is_given(site, right).await, "given: {right:?}");
        }
    }
    let arguments = ["get", "clusterroles", "edit", "admin", "view", "-o", "yaml"];
    let aggregated = crate::kubectl::on(site, &arguments).await;
    for group in ["resources.cattle.io", "drover.dev"] {
        assert!(!aggregated.contains(group), "{group} is part of what editors, admins or viewers may do");
    }
}

async fn is_given(site: &Site, (who, verb, group, resource, namespace, name): Right) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({"metadata": {}, "spec": {
        "user": format!("system:serviceaccount:{OWN}:drover-{who}"),
        "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{OWN}"), "system:authenticated"],
        "resourceAttributes": {"verb": verb, "group": group, "resource": resource, "subresource": subresource,
            "namespace": namespace, "name": name}}});
    let reviews: Api<SubjectAccessReview> = Api::all(site.client.clone());
    let answer = reviews.create(&PostParams::default(), &serde_json::from_value(review).unwrap()).await.unwrap();
    answer.status.is_some_and(|status| status.allowed)
}
