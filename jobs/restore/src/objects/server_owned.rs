//! What of a cluster's objects the server owns: a restore leaves it to the server, and the comparison does not look at it.
//!
//! Three tables, each row with its reason: [`fields`] are parts of objects, [`objects`] are whole ones, and [`assigned`] is
//! what the server gives as it is asked for where it can. Of the types of the API server itself the status is its own too.

mod assigned;
mod fields;
mod node_ports;
mod object;
mod objects;
mod path;
mod pods;
mod status;

pub(crate) use self::assigned::{
    NOT_HAD, UNLIKE, give_up, may_be_assigned_later, waits_for_volume, without_what_is_had,
};
pub(crate) use self::fields::leave_to_server;
pub(crate) use self::node_ports::{node_ports, with_live_node_ports};
use self::object::{CLAIMS, Object, SERVICES};
pub(crate) use self::objects::OBJECTS;
pub(crate) use self::pods::with_job_uid;
pub(crate) use self::status::{BUILT_IN_GROUPS, is_status_observed};

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
