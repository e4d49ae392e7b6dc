//! What the server gives to a Service as it is asked for, where it can: its address and the ports of the nodes. Clients and
//! balancers outside of the cluster may know them, so a restore asks for the archive's, and only where the server refuses
//! one for good does it leave that one to the server.

use super::node_ports::{node_port, ports_mut};
use super::path::text;
use super::{CLAIMS, Object, SERVICES};
use crate::objects::shape::Shape;

/// Group and plural name of what is the default for all pods: one object at most.
const PRIORITY_CLASSES: (&str, &str) = ("scheduling.k8s.io", "priorityclasses");

/// How it is said of a part of an object that the server does not give it.
pub(crate) const NOT_HAD: &str = "cannot be had";

/// How it is said of a live object that it keeps what the server gave to it.
pub(crate) const UNLIKE: &str = "unlike the archive's";

/// What the API server says of an address that it does not give, and of a port for health checks; why follows. The second
/// is an error of its own (500).
const NO_ADDRESS: &str = "failed to allocate IP";
const NO_HEALTH_PORT: &str = "failed to allocate requested HealthCheck NodePort";

/// Why it never gives one: it is taken, or of another range. All else is about the API server itself, which has just begun
/// or could not write down what it gave, and over in a moment. The words are those of `ipallocator` and `portallocator`.
const FOR_GOOD: [&str; 3] = ["already allocated", "not in the valid range", "does not match the current"];

/// Takes away what was refused; gives what that was, as people read it.
type Take = fn(&mut Object, &str) -> Option<String>;

/// The server's words for what it cannot give, and what is left to it then. The words are those of Kubernetes 1.30 to 1.34
/// (`pkg/registry/core/service/storage/alloc.go`).
static REFUSALS: [(&str, Take); 4] = [
    (NO_ADDRESS, take_address),
    ("not configured on this cluster", take_families),
    ("provided port is", take_node_port),
    (NO_HEALTH_PORT, take_health_port),
];

/// The object without what the server refused to assign, and what is to be said of it; none where it refused another thing.
/// The type is given as group and plural name.
pub(crate) fn give_up(kind: (&str, &str), object: &[u8], refusal: &str) -> Option<(Vec<u8>, String)> {
    if kind != SERVICES || may_be_assigned_later(refusal) == Some(true) {
        return None;
    }
    let mut service: Object = serde_json::from_slice(object).ok()?;
    // The words of a port that is taken are also those at the end of the refusal of a port for health checks.
    let mut told = REFUSALS.iter().rev().filter(|(words, _)| refusal.contains(words));
    let what = told.find_map(|(_, take)| take(&mut service, refusal))?;
    let note = format!("{what} {NOT_HAD} in this cluster, so the server assigned another: {refusal}");
    Some((serde_json::to_vec(&service).ok()?, note))
}

/// Whether the server may assign in a moment what it did not assign; none where it refused another thing.
pub(crate) fn may_be_assigned_later(refusal: &str) -> Option<bool> {
    let is_of_assigning = [NO_ADDRESS, NO_HEALTH_PORT].into_iter().any(|words| refusal.contains(words));
    is_of_assigning.then(|| !FOR_GOOD.into_iter().any(|words| refusal.contains(words)))
}

/// What is to be said of a live claim that waits for a volume where the archive's has one: it may get any.
pub(crate) fn waits_for_volume(kind: (&str, &str), archived: &[u8], live: &[u8]) -> Option<String> {
    if kind != CLAIMS {
        return None;
    }
    let volume = |claim: &[u8]| {
        let claim: Object = serde_json::from_slice(claim).ok()?;
        text(&claim, &["spec", "volumeName"]).filter(|name| !name.is_empty()).map(str::to_owned)
    };
    let name = volume(archived).filter(|_| volume(live).is_none())?;
    Some(format!(
        "it waits for a volume, {UNLIKE}, which has {name:?}; to have it ask for that one, delete it and run the restore \
         again"
    ))
}

/// The object without what one object alone can have, as far as the live one may have it: so a trial must ask for it.
pub(crate) fn without_what_is_had(kind: (&str, &str), object: &[u8], live: &Shape<'_>) -> Option<Vec<u8>> {
    let is_default = || live.member("globalDefault").is_some_and(|value| value.get() == "true");
    if kind != SERVICES && (kind != PRIORITY_CLASSES || !is_default()) {
        return None;
    }
    let mut object: Object = serde_json::from_slice(object).ok()?;
    if kind == SERVICES {
        take_address(&mut object, "");
        take_health_port(&mut object, "");
        take_ports(&mut object, |_| true);
    } else {
        object.remove("globalDefault");
    }
    serde_json::to_vec(&object).ok()
}

fn spec(service: &mut Object) -> Option<&mut Object> {
    service.get_mut("spec")?.as_object_mut()
}

fn take_address(service: &mut Object, _: &str) -> Option<String> {
    let address = text(service, &["spec", "clusterIP"]).filter(|address| !["", "None"].contains(address))?.to_owned();
    let spec = spec(service)?;
    spec.remove("clusterIP");
    spec.remove("clusterIPs");
    Some(format!("its address {address}"))
}

/// A family of addresses that the cluster lacks goes with the address, which is of it.
fn take_families(service: &mut Object, refusal: &str) -> Option<String> {
    let families = spec(service)?.remove("ipFamilies");
    take_address(service, refusal).or_else(|| families.map(|_| "its family of addresses".to_owned()))
}

/// Ports of one number may share the node's port, so it is taken from all that have it.
fn take_node_port(service: &mut Object, refusal: &str) -> Option<String> {
    let (_, rest) = refusal.split_once(".nodePort: Invalid value: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let refused: u64 = digits.parse().ok()?;
    take_ports(service, |port| port == refused).then(|| format!("its node port {refused}"))
}

fn take_ports(service: &mut Object, is_taken: impl Fn(u64) -> bool) -> bool {
    let mut found = false;
    for port in ports_mut(service) {
        if node_port(port).is_some_and(&is_taken) {
            port.remove("nodePort");
            found = true;
        }
    }
    found
}

fn take_health_port(service: &mut Object, _: &str) -> Option<String> {
    let port = spec(service)?.remove("healthCheckNodePort")?;
    Some(format!("its node port for health checks {port}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service() -> Value {
        json!({"spec": {
            "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ipFamilies": ["IPv4"], "healthCheckNodePort": 30900,
            "ports": [{"port": 53, "nodePort": 30053}, {"port": 54, "nodePort": 30054}, {"port": 53, "nodePort": 30053}],
        }})
    }

    #[track_caller]
    fn check(refusal: &str, expected: Option<(&[&str], &str)>) {
        let given_up = give_up(SERVICES, service().to_string().as_bytes(), refusal);
        let Some((missing, words)) = expected else { return assert_eq!(given_up, None, "{refusal}") };
        let (left, note) = given_up.unwrap();
        assert!(note.starts_with(&format!("{words} cannot be had")) && note.ends_with(refusal), "{note}");
        let mut expected = service();
        for pointer in missing {
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            expected.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member);
        }
        assert_eq!(serde_json::from_slice::<Value>(&left).unwrap(), expected, "{refusal}");
    }

    #[test]
    fn what_cannot_be_had_is_left_to_the_server() {
        let address = ["/spec/clusterIP", "/spec/clusterIPs"];
        for words in [
            "provided IP is already allocated",
            "the provided IP (10.0.0.7) is not in the valid range. The range of valid IPs is 10.96.0.0/12",
            "the provided network does not match the current range",
        ] {
            let refusal =
                format!("spec.clusterIPs: Invalid value: [\"10.0.0.7\"]: failed to allocate IP 10.0.0.7: {words}");
            check(&refusal, Some((&address, "its address 10.0.0.7")));
        }
        let families = ["/spec/clusterIP", "/spec/clusterIPs", "/spec/ipFamilies"];
        let refusal = "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster";
        check(refusal, Some((&families, "its address 10.0.0.7")));
        let ports = ["/spec/ports/0/nodePort", "/spec/ports/2/nodePort"];
        let refusal = "spec.ports[0].nodePort: Invalid value: 30053: provided port is already allocated";
        check(refusal, Some((&ports, "its node port 30053")));
        let refusal = format!("Internal error occurred: {NO_HEALTH_PORT} 30900: provided port is already allocated");
        check(&refusal, Some((&["/spec/healthCheckNodePort"], "its node port for health checks 30900")));
    }

    #[test]
    fn what_the_server_does_not_give_now_is_asked_for_again() {
        let address = "spec.clusterIPs: Invalid value: [\"10.0.0.7\"]: failed to allocate IP 10.0.0.7: ";
        let port = format!("Internal error occurred: {NO_HEALTH_PORT} 30900: ");
        for words in ["allocator not ready", "Operation cannot be fulfilled on serviceipallocations", "timed out"] {
            for refusal in [format!("{address}{words}"), format!("{port}{words}")] {
                check(&refusal, None);
                assert_eq!(may_be_assigned_later(&refusal), Some(true), "{refusal}");
            }
        }
        assert_eq!(may_be_assigned_later(&format!("{port}provided port is already allocated")), Some(false));
        assert_eq!(may_be_assigned_later("Operation cannot be fulfilled on services \"a\""), None);
    }

    #[test]
    fn a_claim_that_waits_for_a_volume_is_told_of_where_the_archive_has_one() {
        let claim = |volume: Option<&str>| json!({"spec": {"volumeName": volume}}).to_string().into_bytes();
        let told = |archived, live| waits_for_volume(CLAIMS, &claim(archived), &claim(live));
        assert!(told(Some("v"), None).is_some_and(|words| words.contains("which has \"v\";")));
        assert!(told(Some("v"), Some("")).is_some());
        for (archived, live) in [(Some("v"), Some("w")), (None, None), (Some(""), None)] {
            assert_eq!(told(archived, live), None, "{archived:?} {live:?}");
        }
        assert_eq!(waits_for_volume(SERVICES, &claim(Some("v")), &claim(None)), None);
    }

    #[test]
    fn what_cannot_be_changed_is_not_given_up() {
        check("spec.clusterIPs[0]: Invalid value: [\"10.0.0.7\"]: may not change once set", None);
        check("spec.ports[0].nodePort: Invalid value: 30099: provided port is already allocated", None);
        check("spec.ports: Required value", None);
        let refusal = "failed to allocate IP 10.0.0.7: provided IP is already allocated";
        assert_eq!(give_up(("", "secrets"), b"{}", refusal), None);
        assert_eq!(give_up(SERVICES, br#"{"spec":{"clusterIP":"None"}}"#, refusal), None);
    }

    #[test]
    fn a_trial_asks_for_nothing_that_the_live_service_has() {
        let live = Shape::split(b"{}").unwrap();
        let left = without_what_is_had(SERVICES, service().to_string().as_bytes(), &live).unwrap();
        let ports = json!([{"port": 53}, {"port": 54}, {"port": 53}]);
        let left: Value = serde_json::from_slice(&left).unwrap();
        assert_eq!(left, json!({"spec": {"ipFamilies": ["IPv4"], "ports": ports}}));
        let headless = br#"{"spec":{"clusterIP":"None"}}"#;
        assert_eq!(without_what_is_had(SERVICES, headless, &live).unwrap(), headless);
        assert_eq!(without_what_is_had(("", "secrets"), b"{}", &live), None);
    }

    #[test]
    fn a_trial_asks_for_no_second_default_class_where_the_live_one_is_it() {
        let wanted = br#"{"globalDefault":true,"value":7}"#;
        for (live, expected) in [(&b"{\"globalDefault\":true}"[..], Some(r#"{"value":7}"#)), (b"{}", None)] {
            let left = without_what_is_had(PRIORITY_CLASSES, wanted, &Shape::split(live).unwrap());
            assert_eq!(left, expected.map(|left| left.as_bytes().to_vec()));
        }
    }
}
