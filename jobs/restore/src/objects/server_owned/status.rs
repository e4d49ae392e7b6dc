//! Whose status the server works out.

/// Groups of the API server itself, of Kubernetes 1.30 to 1.34. They are named one by one, for many definitions have groups
/// that end alike, such as `gateway.networking.k8s.io`.
pub(crate) const BUILT_IN_GROUPS: [&str; 23] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Whether the status of a group's types is worked out by Kubernetes from what it sees. What the archive says of it is old
/// news: the server refuses some of it (a Namespace that is "Terminating" without being deleted), overwrites the rest at
/// once, and each further restore would find a difference again. Nobody decides anything in it that would be lost.
pub(crate) fn is_status_observed(group: &str) -> bool {
    BUILT_IN_GROUPS.contains(&group)
}
