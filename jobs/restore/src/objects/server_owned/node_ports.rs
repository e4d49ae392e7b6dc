//! Node ports of Services: a live one keeps what it has where another Service has the archive's.

use serde_json::Value;

use super::path::{find, take_over};
use super::{Object, SERVICES};

/// The node ports that a Service has, the one for health checks among them; none for an object of another type, which is
/// given as group and plural name.
pub(crate) fn node_ports(kind: (&str, &str), object: &[u8]) -> Vec<u64> {
    if kind != SERVICES {
        return Vec::new();
    }
    let service: Object = serde_json::from_slice(object).unwrap_or_default();
    let health = find(&service, &["spec", "healthCheckNodePort"]).and_then(Value::as_u64);
    ports(&service).filter_map(node_port).chain(health).filter(|port| *port > 0).collect()
}

/// The Service with the node ports of the live one, by the names of its ports, as the API server itself hands them on to a
/// change that names none; and what it would have else. None where it has the same, or is no Service.
pub(crate) fn with_live_node_ports(kind: (&str, &str), wanted: &[u8], live: &[u8]) -> Option<(Vec<u8>, Vec<u64>)> {
    if kind != SERVICES {
        return None;
    }
    let mut service: Object = serde_json::from_slice(wanted).ok()?;
    let live: Object = serde_json::from_slice(live).ok()?;
    let (mut asked, mut is_changed) = (Vec::new(), false);
    for port in ports_mut(&mut service) {
        let Some(live) = ports(&live).find(|live| name(live) == name(port)) else { continue };
        if live.get("nodePort") != port.get("nodePort") {
            asked.extend(node_port(port));
            take_over(port, live, &["nodePort"]);
            is_changed = true;
        }
    }
    is_changed.then(|| serde_json::to_vec(&service).ok()).flatten().map(|service| (service, asked))
}

fn ports(service: &Object) -> impl Iterator<Item = &Object> {
    let ports = find(service, &["spec", "ports"]).and_then(Value::as_array);
    ports.into_iter().flatten().filter_map(Value::as_object)
}

/// The ports of a Service, to be changed.
pub(super) fn ports_mut(service: &mut Object) -> impl Iterator<Item = &mut Object> {
    let ports = service.get_mut("spec").and_then(|spec| spec.get_mut("ports")?.as_array_mut());
    ports.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The name of a port: different for each, and none for one that is alone.
fn name(port: &Object) -> &str {
    port.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The node port of a port.
pub(super) fn node_port(port: &Object) -> Option<u64> {
    port.get("nodePort").and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(ports: &Value) -> Value {
        json!({"spec": {"type": "NodePort", "ports": ports}})
    }

    #[track_caller]
    fn check(archived: &Value, live: &Value, expected: Option<(&Value, &[u64])>) {
        let (archived, live) = (service(archived).to_string(), service(live).to_string());
        let found = with_live_node_ports(SERVICES, archived.as_bytes(), live.as_bytes());
        let found = found.map(|(service, asked)| (serde_json::from_slice::<Value>(&service).unwrap(), asked));
        assert_eq!(found, expected.map(|(ports, asked)| (service(ports), asked.to_vec())), "{archived} {live}");
    }

    #[test]
    fn a_live_service_keeps_its_node_ports_by_the_names_of_its_ports() {
        let archived = json!([{"name": "a", "nodePort": 1, "port": 80}, {"name": "b", "nodePort": 2}]);
        let live = json!([{"name": "b", "nodePort": 4}, {"name": "a", "nodePort": 3, "port": 81}]);
        let kept = json!([{"name": "a", "nodePort": 3, "port": 80}, {"name": "b", "nodePort": 4}]);
        check(&archived, &live, Some((&kept, &[1, 2])));
        check(&archived, &archived, None);
        check(&json!([{"nodePort": 1}]), &json!([{"nodePort": 2}]), Some((&json!([{"nodePort": 2}]), &[1])));
    }

    #[test]
    fn what_the_server_would_not_take_away_is_asked_for_by_nobody() {
        check(&json!([{"port": 80}]), &json!([{"nodePort": 2}]), Some((&json!([{"port": 80, "nodePort": 2}]), &[])));
        check(&json!([{"nodePort": 1}]), &json!([{"port": 80}]), Some((&json!([{}]), &[1])));
    }

    #[test]
    fn ports_of_other_names_and_objects_of_other_types_stay_as_they_are() {
        check(&json!([{"name": "a", "nodePort": 1}]), &json!([{"name": "b", "nodePort": 2}]), None);
        let other = json!({"spec": {"ports": [{"nodePort": 1}]}}).to_string();
        assert_eq!(with_live_node_ports(("a.io", "services"), other.as_bytes(), b"{}"), None);
        assert!(node_ports(("a.io", "services"), other.as_bytes()).is_empty());
    }

    #[test]
    fn the_port_for_health_checks_is_one_that_a_service_has() {
        let mut service = service(&json!([{"port": 80, "nodePort": 30_080}, {"port": 81}]));
        assert_eq!(node_ports(SERVICES, service.to_string().as_bytes()), [30_080]);
        service["spec"]["healthCheckNodePort"] = json!(30_081);
        assert_eq!(node_ports(SERVICES, service.to_string().as_bytes()), [30_080, 30_081]);
        service["spec"]["healthCheckNodePort"] = json!(0);
        assert_eq!(node_ports(SERVICES, service.to_string().as_bytes()), [30_080]);
    }
}
