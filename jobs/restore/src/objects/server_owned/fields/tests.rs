use serde_json::json;

use super::*;

/// The archive's object, the live one, and what is wanted: where none is live, and where that one is.
#[track_caller]
fn check(kind: (&str, &str), archived: &Value, live: &Value, created: &Value, replaced: &Value) {
    for (live, expected) in [(None, created), (Some(live.to_string().into_bytes()), replaced)] {
        let bytes = archived.to_string().into_bytes();
        let changed = leave_to_server(kind, &bytes, live.as_deref()).unwrap_or(bytes);
        assert_eq!(serde_json::from_slice::<Value>(&changed).unwrap(), *expected, "{kind:?}, live: {}", live.is_some());
    }
}

/// An object with one member.
fn with(path: &[&str], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |inner, name| json!({(*name): inner}))
}

#[test]
fn each_row_without_a_condition_does_what_it_says() {
    for row in FIELDS.iter().filter(|row| row.applies.is_none()) {
        let [old, new] = [json!("old"), json!("new")].map(|value| with(row.path, &value));
        let without = json!({});
        let claimed = with(&["spec", "claimRef"], &json!({}));
        match row.becomes {
            Server => check(row.kind, &old, &new, &without, &new),
            Live => check(row.kind, &old, &new, &old, &new),
            Dropped => check(row.kind, &old, &claimed, &without, &claimed),
            Change(_) => {}
        }
        assert!(!row.reason.is_empty());
    }
}

#[test]
fn types_and_objects_without_such_parts_stay_as_they_are() {
    let secret = json!({"metadata": {"labels": {"a": "b"}}, "type": "Opaque"}).to_string();
    assert_eq!(leave_to_server(SECRETS, secret.as_bytes(), Some(secret.as_bytes())), None);
    let other = json!({"spec": {"selector": {}, "nodeName": "a"}}).to_string();
    assert_eq!(leave_to_server(("a.io", "jobs"), other.as_bytes(), None), None);
    assert_eq!(leave_to_server(PODS, b"no JSON nodeName", None), None);
}

fn job(uid: &str, manual: bool) -> Value {
    let labels = json!({
        "controller-uid": uid, "batch.kubernetes.io/controller-uid": uid, "job-name": "a",
        "batch.kubernetes.io/job-name": "a", "own": "label",
    });
    let mut job = json!({"metadata": {"name": "a", "labels": {"own": "label", "controller-uid": uid}}, "spec": {
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "template": {"metadata": {"labels": labels}}}});
    if manual {
        job["spec"]["manualSelector"] = json!(true);
    }
    job
}

#[test]
fn what_the_server_generates_of_a_job_is_its_own() {
    let created = json!({"metadata": {"name": "a", "labels": {"own": "label"}},
        "spec": {"template": {"metadata": {"labels": {"own": "label"}}}}});
    check(JOBS, &job("old", false), &job("new", false), &created, &job("new", false));
    let manual = job("old", true);
    check(JOBS, &manual, &job("new", true), &manual, &manual);
}

#[test]
fn a_pod_of_a_job_has_the_labels_of_the_live_job() {
    let pod = |uid: &str, kind: &str| {
        json!({"metadata": {"labels": {"own": "label", "controller-uid": uid},
            "ownerReferences": [{"kind": kind, "controller": true}]}})
    };
    let mut created = pod("old", "Job");
    created["metadata"]["labels"].as_object_mut().unwrap().remove("controller-uid");
    check(PODS, &pod("old", "Job"), &pod("new", "Job"), &created, &pod("new", "Job"));
    check(PODS, &pod("old", "Other"), &pod("new", "Other"), &pod("old", "Other"), &pod("old", "Other"));
}

#[test]
fn overhead_is_of_the_runtime_class() {
    let pod = |overhead: &str| json!({"spec": {"runtimeClassName": "a", "overhead": {"cpu": overhead}}});
    check(PODS, &pod("1"), &pod("2"), &json!({"spec": {"runtimeClassName": "a"}}), &pod("2"));
    let bare = json!({"spec": {"overhead": {"cpu": "1"}}});
    check(PODS, &bare, &bare, &bare, &bare);
}

fn service(address: &str, port: u16) -> Value {
    json!({"spec": {"clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "healthCheckNodePort": port,
        "ports": [{"port": 80, "nodePort": port}]}})
}

#[test]
fn a_live_service_keeps_its_address_and_gets_the_ports_of_the_archive() {
    let (archived, live) = (service("10.0.0.1", 30001), service("10.0.0.2", 30002));
    let mut replaced = live.clone();
    replaced["spec"]["ports"][0]["nodePort"] = json!(30001);
    check(SERVICES, &archived, &live, &archived, &replaced);
    let none = service("None", 0);
    check(SERVICES, &none, &live, &none, &none);
    check(SERVICES, &archived, &none, &archived, &archived);
}

fn volume(name: &str, uid: &str, phase: &str) -> Value {
    json!({"spec": {"claimRef": {"namespace": "a", "name": name, "uid": uid, "resourceVersion": "7"}},
        "status": {"phase": phase}})
}

#[test]
fn a_volume_waits_for_its_claim_by_name_and_stays_with_a_live_one() {
    let archived = volume("claim", "old", "Bound");
    let mut created = archived.clone();
    created["spec"]["claimRef"] = json!({"namespace": "a", "name": "claim"});
    let of_claim = |live: &Value| {
        let mut replaced = archived.clone();
        replaced["spec"] = live["spec"].clone();
        replaced
    };
    for live in [volume("claim", "new", "Bound"), volume("other", "new", "Bound"), volume("other", "x", "Released")] {
        check(VOLUMES, &archived, &live, &created, &of_claim(&live));
    }
    check(VOLUMES, &archived, &volume("claim", "gone", "Released"), &created, &created);
    check(VOLUMES, &archived, &json!({"spec": {}}), &created, &created);
}

#[test]
fn a_claim_is_bound_anew_and_a_live_one_keeps_its_volume() {
    let claim = |volume: &str, bound: &str| {
        json!({"metadata": {"name": "a", "annotations": {"pv.kubernetes.io/bind-completed": bound, "own": "a"}},
            "spec": {"volumeName": volume}})
    };
    let created = json!({"metadata": {"name": "a", "annotations": {"own": "a"}}, "spec": {"volumeName": "old"}});
    check(CLAIMS, &claim("old", "yes"), &claim("new", "no"), &created, &claim("new", "no"));
}

#[test]
fn rules_that_are_gathered_are_the_live_ones() {
    let role = |verb: &str| json!({"aggregationRule": {}, "rules": [verb]});
    check(CLUSTER_ROLES, &role("old"), &role("new"), &role("old"), &role("new"));
    let plain = json!({"rules": ["old"]});
    check(CLUSTER_ROLES, &plain, &role("new"), &plain, &plain);
}
