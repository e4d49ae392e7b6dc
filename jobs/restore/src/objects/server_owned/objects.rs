//! Whole objects that the server, a controller of Kubernetes or a kubelet makes: one table, with the reason of each row.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::objects::shape::Shape;
use crate::objects::special_case::Treatment::{Keep, KeepLive, Leave, LeaveLive};
use crate::objects::special_case::{SpecialCase, Subject};

const CSI: &str = "its storage driver, or the kubelet of its node, says what is there now";
const EVENT: &str = "an Event tells what happened where it was made, and ends by itself";
const CANNOT_BE_WRITTEN: &str = "the server works it out, and nobody can write it";
const REQUEST: &str = "a request of then would be made again, in the name of who restores";
const ADDRESSES: &str = "Kubernetes makes it of a Service and its pods, and their addresses are others";
const SERVERS_OWN: &str = "the API server makes it itself, for its own cluster";
const ENDED: &str = "it has ended, and a new one would begin from its beginning";

/// The table. Of what is kept nothing is pruned either; what is left is.
pub(crate) static OBJECTS: &[SpecialCase] = &[
    SpecialCase::row(|of| is(of, "", "nodes"), Keep, "the kubelet of a node says which nodes there are"),
    SpecialCase::row(|of| of.group == "storage.k8s.io" && DRIVERS.contains(&of.plural), Keep, CSI),
    SpecialCase::row(|of| is(of, "resource.k8s.io", "resourceslices"), Keep, CSI),
    SpecialCase::row(|of| ["", "events.k8s.io"].contains(&of.group) && of.plural == "events", Keep, EVENT),
    SpecialCase::row(|of| is(of, "", "componentstatuses") || of.group == "metrics.k8s.io", Keep, CANNOT_BE_WRITTEN),
    SpecialCase::row(|of| of.group == "certificates.k8s.io" && REQUESTS.contains(&of.plural), Keep, REQUEST),
    SpecialCase::row(is_published_trust, Keep, SERVERS_OWN),
    SpecialCase::row(is_address_of_service, Keep, "the API server makes it for the Service that has the address"),
    SpecialCase::row(is_service_of_the_server, Keep, SERVERS_OWN),
    SpecialCase::row(is_made_of_service, Keep, ADDRESSES),
    SpecialCase::row(is_automanaged, Keep, "the API server makes it for a type that it serves"),
    SpecialCase::row(is_configuration_of_the_server, Keep, SERVERS_OWN),
    SpecialCase::row(is_autoupdated, KeepLive, "the API server makes it what its version needs"),
    SpecialCase::row(|of| of.group == "internal.apiserver.k8s.io", Keep, SERVERS_OWN),
    SpecialCase::row(
        |of| is(of, "coordination.k8s.io", "leasecandidates"),
        Keep,
        "it says who may lead now, and not who might have when the archive was made",
    ),
    SpecialCase::row(is_mirror, Keep, "the kubelet of its node makes it of a file"),
    SpecialCase::row(has_ended, Leave, ENDED),
    SpecialCase::row(is_controlled, LeaveLive, "its controller keeps the live one as it must be"),
];

/// Types of `storage.k8s.io` that drivers and kubelets write.
const DRIVERS: [&str; 3] = ["csinodes", "csistoragecapacities", "volumeattachments"];
/// Types of `certificates.k8s.io` that ask for a certificate.
const REQUESTS: [&str; 2] = ["certificatesigningrequests", "podcertificaterequests"];
/// ConfigMaps of kube-system that the API server writes.
const CONFIGURATION: [&str; 2] =
    ["extension-apiserver-authentication", "kube-apiserver-legacy-service-account-token-tracking"];
/// Controllers that make EndpointSlices.
const SLICE_CONTROLLERS: [&str; 2] = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

fn is(subject: &Subject<'_>, group: &str, plural: &str) -> bool {
    subject.group == group && subject.plural == plural
}

fn annotation(shape: &Shape<'_>, name: &str) -> Option<String> {
    let annotations = shape.metadata("annotations")?;
    serde_json::from_str::<BTreeMap<String, String>>(annotations.get()).ok()?.remove(name)
}

fn is_published_trust(subject: &Subject<'_>) -> bool {
    is(subject, "certificates.k8s.io", "clustertrustbundles") && subject.name.starts_with("kubernetes.io:")
}

/// The one of another life would keep the address from the very Service that had it.
fn is_address_of_service(subject: &Subject<'_>) -> bool {
    is(subject, "networking.k8s.io", "ipaddresses")
        && subject.shape.label("ipaddress.kubernetes.io/managed-by").as_deref() == Some("ipallocator.k8s.io")
}

/// The Service of the API server, with what belongs to it, and the range of addresses that it was started with.
fn is_service_of_the_server(subject: &Subject<'_>) -> bool {
    let place = (subject.group, subject.plural, subject.namespace, subject.name);
    matches!(
        place,
        ("networking.k8s.io", "servicecidrs", "", "kubernetes")
            | ("", "services" | "endpoints", "default", "kubernetes")
            | ("discovery.k8s.io", "endpointslices", "default", "kubernetes")
    )
}

fn is_made_of_service(subject: &Subject<'_>) -> bool {
    match (subject.group, subject.plural) {
        ("discovery.k8s.io", "endpointslices") => subject
            .shape
            .label("endpointslice.kubernetes.io/managed-by")
            .is_some_and(|controller| SLICE_CONTROLLERS.contains(&controller.as_str())),
        // Servers before 1.33 note only when they changed it last.
        ("", "endpoints") => {
            subject.shape.label("endpoints.kubernetes.io/managed-by").as_deref() == Some("endpoint-controller")
                || annotation(subject.shape, "endpoints.kubernetes.io/last-change-trigger-time").is_some()
        }
        _ => false,
    }
}

fn is_automanaged(subject: &Subject<'_>) -> bool {
    is(subject, "apiregistration.k8s.io", "apiservices")
        && subject.shape.label("kube-aggregator.kubernetes.io/automanaged").is_some()
}

fn is_configuration_of_the_server(subject: &Subject<'_>) -> bool {
    is(subject, "", "configmaps") && subject.namespace == "kube-system" && CONFIGURATION.contains(&subject.name)
}

/// What somebody changed by hand has `false` there.
fn is_autoupdated(subject: &Subject<'_>) -> bool {
    subject.group == "flowcontrol.apiserver.k8s.io"
        && annotation(subject.shape, "apf.kubernetes.io/autoupdate-spec").as_deref() == Some("true")
}

fn is_mirror(subject: &Subject<'_>) -> bool {
    is(subject, "", "pods") && annotation(subject.shape, "kubernetes.io/config.mirror").is_some()
}

/// The status of a Job or pod is no client's to write, so a new one has none.
fn has_ended(subject: &Subject<'_>) -> bool {
    let (is_pod, is_job) = (is(subject, "", "pods"), is(subject, "batch", "jobs"));
    if !is_pod && !is_job {
        return false;
    }
    let status = subject.shape.member("status").and_then(|status| serde_json::from_str::<Value>(status.get()).ok());
    let Some(status) = status else { return false };
    if is_pod {
        return status["phase"] == "Succeeded" || status["phase"] == "Failed";
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.filter(|one| one["status"] == "True").any(|one| one["type"] == "Complete" || one["type"] == "Failed")
}

fn is_controlled(subject: &Subject<'_>) -> bool {
    let is_of_type = is(subject, "", "pods")
        || is(subject, "apps", "replicasets")
        || is(subject, "apps", "controllerrevisions")
        || is(subject, "", "replicationcontrollers");
    is_of_type && subject.shape.owner_references().iter().any(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::special_case::Treatment;
    use crate::objects::special_cases::special_case;
    use crate::survey::ground::Ground;

    #[track_caller]
    fn treatment(path: (&str, &str, &str, &str), object: &Value) -> Option<Treatment> {
        let bytes = object.to_string();
        let shape = Shape::split(bytes.as_bytes()).unwrap();
        let (group, plural, namespace, name) = path;
        let ground = Ground::of_namespace("home".to_owned());
        let case = special_case(&Subject { group, plural, namespace, name, shape: &shape, ground: &ground })?;
        assert!(OBJECTS.iter().any(|row| std::ptr::eq(row, case)), "{path:?} is of another table");
        Some(case.treatment)
    }

    #[track_caller]
    fn keeps(path: (&str, &str, &str, &str), object: &Value) {
        assert!(matches!(treatment(path, object), Some(Treatment::Keep)), "{path:?}");
    }

    #[track_caller]
    fn writes(path: (&str, &str, &str, &str), object: &Value) {
        assert!(treatment(path, object).is_none(), "{path:?}");
    }

    fn labelled(name: &str, value: &str) -> Value {
        json!({"metadata": {"labels": {name: value}}})
    }

    fn annotated(name: &str, value: &str) -> Value {
        json!({"metadata": {"annotations": {name: value}}})
    }

    #[test]
    fn what_says_how_a_cluster_is_now_is_kept() {
        let none = json!({});
        for (group, plural) in [
            ("", "nodes"),
            ("", "events"),
            ("events.k8s.io", "events"),
            ("", "componentstatuses"),
            ("metrics.k8s.io", "nodes"),
            ("storage.k8s.io", "csinodes"),
            ("storage.k8s.io", "csistoragecapacities"),
            ("storage.k8s.io", "volumeattachments"),
            ("resource.k8s.io", "resourceslices"),
            ("certificates.k8s.io", "certificatesigningrequests"),
            ("certificates.k8s.io", "podcertificaterequests"),
            ("internal.apiserver.k8s.io", "storageversions"),
            ("coordination.k8s.io", "leasecandidates"),
        ] {
            keeps((group, plural, "", "a"), &none);
        }
        writes(("storage.k8s.io", "storageclasses", "", "a"), &none);
        writes(("a.io", "nodes", "", "a"), &none);
    }

    #[test]
    fn what_the_api_server_makes_for_itself_is_kept() {
        let none = json!({});
        keeps(("", "services", "default", "kubernetes"), &none);
        keeps(("", "endpoints", "default", "kubernetes"), &none);
        keeps(("discovery.k8s.io", "endpointslices", "default", "kubernetes"), &none);
        keeps(("networking.k8s.io", "servicecidrs", "", "kubernetes"), &none);
        keeps(("certificates.k8s.io", "clustertrustbundles", "", "kubernetes.io:a:b"), &none);
        keeps(("", "configmaps", "kube-system", "extension-apiserver-authentication"), &none);
        keeps(("", "configmaps", "kube-system", "kube-apiserver-legacy-service-account-token-tracking"), &none);
        let automanaged = labelled("kube-aggregator.kubernetes.io/automanaged", "true");
        keeps(("apiregistration.k8s.io", "apiservices", "", "v1.a.io"), &automanaged);
        writes(("apiregistration.k8s.io", "apiservices", "", "v1.a.io"), &none);
        writes(("", "services", "home", "kubernetes"), &none);
        writes(("", "configmaps", "home", "extension-apiserver-authentication"), &none);
        writes(("certificates.k8s.io", "clustertrustbundles", "", "example.com:a:b"), &none);
        let flow = ("flowcontrol.apiserver.k8s.io", "flowschemas", "", "a");
        let updated = annotated("apf.kubernetes.io/autoupdate-spec", "true");
        assert!(matches!(treatment(flow, &updated), Some(Treatment::KeepLive)));
        writes(flow, &annotated("apf.kubernetes.io/autoupdate-spec", "false"));
    }

    #[test]
    fn what_kubernetes_makes_of_services_is_kept_and_what_people_make_is_not() {
        let (slices, endpoints) = (("discovery.k8s.io", "endpointslices", "a", "b"), ("", "endpoints", "a", "b"));
        for controller in SLICE_CONTROLLERS {
            keeps(slices, &labelled("endpointslice.kubernetes.io/managed-by", controller));
        }
        writes(slices, &labelled("endpointslice.kubernetes.io/managed-by", "somebody"));
        keeps(endpoints, &labelled("endpoints.kubernetes.io/managed-by", "endpoint-controller"));
        keeps(endpoints, &annotated("endpoints.kubernetes.io/last-change-trigger-time", "t"));
        writes(endpoints, &json!({}));
        let addresses = ("networking.k8s.io", "ipaddresses", "", "10.0.0.1");
        keeps(addresses, &labelled("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"));
        writes(addresses, &labelled("ipaddress.kubernetes.io/managed-by", "somebody"));
    }

    #[test]
    fn what_has_ended_is_left_and_pruned_as_any() {
        let ended = |of: &str| json!({"status": {"conditions": [{"type": of, "status": "True"}]}});
        for object in [ended("Complete"), ended("Failed")] {
            assert!(matches!(treatment(("batch", "jobs", "a", "b"), &object), Some(Treatment::Leave)), "{object}");
        }
        writes(("batch", "jobs", "a", "b"), &ended("Suspended"));
        writes(("batch", "cronjobs", "a", "b"), &ended("Complete"));
        let phase = |phase: &str| json!({"status": {"phase": phase}});
        assert!(matches!(treatment(("", "pods", "a", "b"), &phase("Failed")), Some(Treatment::Leave)));
        assert!(matches!(treatment(("", "pods", "a", "b"), &phase("Succeeded")), Some(Treatment::Leave)));
        writes(("", "pods", "a", "b"), &phase("Running"));
    }

    #[test]
    fn what_a_controller_keeps_is_created_and_never_written_over() {
        let owned = |controller: bool| {
            json!({"metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a",
                "uid": "u", "controller": controller}]}})
        };
        for (group, plural) in [("", "pods"), ("apps", "replicasets"), ("apps", "controllerrevisions")] {
            let path = (group, plural, "a", "b");
            assert!(matches!(treatment(path, &owned(true)), Some(Treatment::LeaveLive)), "{plural}");
            writes(path, &owned(false));
        }
        writes(("apps", "deployments", "a", "b"), &owned(true));
        keeps(("", "pods", "a", "b"), &annotated("kubernetes.io/config.mirror", "hash"));
    }
}
