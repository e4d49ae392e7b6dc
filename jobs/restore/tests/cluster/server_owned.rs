//! What the server owns is not written back, and is no difference.

use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::support::{Archive, api, change, definition, live, make, namespace, run, thing, until};

const OLD_UID: &str = "00000000-0000-4000-8000-000000000000";
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

#[tokio::test]
async fn a_namespace_that_was_going_when_it_was_archived_comes_back() {
    let (plural, mut going) = namespace("was-going");
    let held = json!({"type": "NamespaceFinalizersRemaining", "status": "True", "reason": "SomeFinalizersRemain",
        "message": "a finalizer", "lastTransitionTime": "2026-02-01T02:00:00Z"});
    going["status"] = json!({"phase": "Terminating", "conditions": [held]});
    let archive = Archive::of(&[(plural, going)], None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 1), "{} {}", first.report, first.errors);
    let namespaces = api("namespaces", "v1", "Namespace", None).await;
    assert_eq!(live(&namespaces, "was-going").await["status"], json!({"phase": "Active"}));
    assert_eq!(run("plan", &archive).await.count("unchanged"), 1);
    change(&namespaces, "was-going", &json!({"metadata": {"labels": {"more": "a"}}})).await;
    let again = run("apply", &archive).await;
    assert_eq!((again.code, again.count("updated")), (0, 1), "{} {}", again.report, again.errors);
}

#[tokio::test]
async fn the_status_of_built_in_types_is_left_to_kubernetes_and_that_of_others_comes_back() {
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": "statuses", "name": "a"},
        "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    let group = "statuses.networking.k8s.io";
    let (plural, mut own) = definition(group, &["v1"]);
    own["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "unapproved, for a test"});
    let objects = [
        namespace("statuses"),
        ("ingresses", ingress),
        (plural, own),
        thing(group, "a", &json!({"spec": {"b": 1}, "status": {"ready": true}})),
    ];
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 4), "{} {}", first.report, first.errors);
    let ingresses = api("ingresses", "networking.k8s.io/v1", "Ingress", Some("statuses")).await;
    assert_eq!(live(&ingresses, "a").await["status"], json!({"loadBalancer": {}}));
    let things = api("things", &format!("{group}/v1"), "Thing", None).await;
    assert_eq!(live(&things, "a").await["status"], json!({"ready": true}));
    assert_eq!(run("plan", &archive).await.count("unchanged"), 4);
}

/// A Job that no controller touches.
fn job(home: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"namespace": home, "name": "a"}, "spec": {
        "managedBy": "example.io/nobody",
        "template": {"metadata": {"labels": {"own": "label"}}, "spec": {
            "restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}}})
}

/// The Job as an archive of another life holds it: with all that the server generates, of another UID.
fn of_another_life(live: &Value) -> Value {
    let uid = live["metadata"]["uid"].as_str().unwrap();
    let mut job: Value = serde_json::from_str(&live.to_string().replace(uid, OLD_UID)).unwrap();
    job["metadata"]["labels"] = job["spec"]["template"]["metadata"]["labels"].clone();
    job
}

async fn delete(api: &Api<DynamicObject>, name: &str) {
    api.delete(name, &DeleteParams::background()).await.unwrap();
    until("it is gone", async || api.get_opt(name).await.unwrap().is_none()).await;
}

#[tokio::test]
async fn a_job_with_a_generated_selector_comes_back_and_stays_as_it_is() {
    assert_eq!(run("apply", &Archive::of(&[namespace("job")], None)).await.code, 0);
    let jobs = api("jobs", "batch/v1", "Job", Some("job")).await;
    make(&jobs, &job("job")).await;
    let archived = of_another_life(&live(&jobs, "a").await);
    assert_eq!(archived["spec"]["selector"]["matchLabels"][UID_LABELS[1]], OLD_UID);
    let archive = Archive::of(&[namespace("job"), ("jobs", archived.clone())], None);
    let over = run("apply", &archive).await;
    assert_eq!((over.code, over.count("failed")), (0, 0), "{} {}", over.report, over.errors);
    assert_eq!(run("plan", &archive).await.count("unchanged"), 2);

    delete(&jobs, "a").await;
    let created = run("apply", &archive).await;
    assert_eq!((created.code, created.count("created")), (0, 1), "{} {}", created.report, created.errors);
    let back = live(&jobs, "a").await;
    let uid = &back["metadata"]["uid"];
    let labels = &back["spec"]["template"]["metadata"]["labels"];
    assert_eq!(UID_LABELS.map(|label| &labels[label]), [uid, uid]);
    assert_eq!((&labels["job-name"], &labels["own"]), (&json!("a"), &json!("label")));
    assert_eq!(run("plan", &archive).await.count("unchanged"), 2);
}

#[tokio::test]
async fn a_pod_of_a_job_is_the_pod_of_the_job_that_came_back() {
    assert_eq!(run("apply", &Archive::of(&[namespace("job-pod")], None)).await.code, 0);
    let accounts = api("serviceaccounts", "v1", "ServiceAccount", Some("job-pod")).await;
    until("pods can be made", async || accounts.get_opt("default").await.unwrap().is_some()).await;
    let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": OLD_UID, "controller": true});
    let labels = json!({"controller-uid": OLD_UID, "batch.kubernetes.io/controller-uid": OLD_UID, "own": "label"});
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "job-pod", "name": "a-x", "labels": labels, "ownerReferences": [owner]},
        "spec": {"nodeName": "gone", "priority": 7, "restartPolicy": "Never",
            "containers": [{"name": "a", "image": "a"}]},
        "status": {"phase": "Running"}});
    let archive = Archive::of(&[("jobs", job("job-pod")), ("pods", pod)], None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 2), "{} {}", first.report, first.errors);
    let uid = live(&api("jobs", "batch/v1", "Job", Some("job-pod")).await, "a").await["metadata"]["uid"].clone();
    let pod = live(&api("pods", "v1", "Pod", Some("job-pod")).await, "a-x").await;
    assert_eq!(UID_LABELS.map(|label| &pod["metadata"]["labels"][label]), [&uid, &uid]);
    assert_eq!((&pod["metadata"]["ownerReferences"][0]["uid"], &pod["spec"]["nodeName"]), (&uid, &Value::Null));
}

#[tokio::test]
async fn what_has_ended_does_not_begin_again_and_events_and_nodes_are_of_their_cluster() {
    let mut ended = job("ended");
    ended["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "of-another-cluster"}});
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"namespace": "ended", "name": "a.1"},
        "involvedObject": {"kind": "Job", "namespace": "ended", "name": "a"}, "reason": "Completed"});
    let archive = Archive::of(&[namespace("ended"), ("jobs", ended), ("nodes", node), ("events", event)], None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created"), first.count("kept")), (0, 1, 3), "{}", first.report);
    assert!(first.result("jobs", "a").1.contains("it has ended"), "{}", first.report);
    let nodes = api("nodes", "v1", "Node", None).await;
    assert!(nodes.get_opt("of-another-cluster").await.unwrap().is_none());
    assert!(api("jobs", "batch/v1", "Job", Some("ended")).await.get_opt("a").await.unwrap().is_none());
}
