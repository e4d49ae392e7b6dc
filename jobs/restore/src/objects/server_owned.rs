//! What of a cluster's objects the server owns: a restore leaves it to the server, and the comparison does not look at it.
//!
//! Three tables, each row with its reason: [`fields`] are parts of objects, [`objects`] are whole ones, and [`assigned`] is
//! what the server gives as it is asked for where it can. Of the types of the API server itself the status is its own too.

mod assigned;
mod fields;
mod node_ports;
mod objects;
mod path;
mod pods;

pub(crate) use self::assigned::{
    NOT_HAD, UNLIKE, give_up, may_be_assigned_later, waits_for_volume, without_what_is_had,
};
pub(crate) use self::fields::leave_to_server;
pub(crate) use self::node_ports::{node_ports, with_live_node_ports};
pub(crate) use self::objects::OBJECTS;
pub(crate) use self::pods::with_job_uid;

/// An object as its members.
type Object = serde_json::Map<String, serde_json::Value>;

/// Group and plural name of the types that more than one table is about.
const SERVICES: (&str, &str) = ("", "services");
const CLAIMS: (&str, &str) = ("", "persistentvolumeclaims");

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_kubernetes_works_out() {
        for (group, expected) in [
            ("", true),
            ("apps", true),
            ("apiextensions.k8s.io", true),
            ("certificates.k8s.io", true),
            ("gateway.networking.k8s.io", false),
            ("snapshot.storage.k8s.io", false),
            ("cluster.x-k8s.io", false),
            ("rke.cattle.io", false),
        ] {
            assert_eq!(is_status_observed(group), expected, "{group}");
        }
    }
}
