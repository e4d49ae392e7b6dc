use kube::api::{Api, DeleteParams, DynamicObject, PropagationPolicy};
use serde_json::{Value, json};

use crate::support::{Archive, api, config_map, definition, live, namespace, old_owner, run, thing};

fn owner_uid(object: &Value) -> &Value {
    &object["metadata"]["ownerReferences"][0]["uid"]
}

#[tokio::test]
async fn a_stale_owner_is_replaced_by_the_live_one() {
    let owner = old_owner("v1", "ConfigMap", "owner");
    let objects =
        [namespace("stale"), config_map("stale", "owned", &json!([owner])), config_map("stale", "owner", &json!(null))];
    let archive = Archive::of(&objects, None);
    assert_eq!(run("apply", &archive).await.code, 0);
    let maps = api("configmaps", "v1", "ConfigMap", Some("stale")).await;
    let before = live(&maps, "owned").await;
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    maps.delete("owner", &orphan).await.unwrap();
    kube::runtime::wait::await_condition(
        maps.clone(),
        "owner",
        kube::runtime::wait::conditions::is_deleted(before["metadata"]["ownerReferences"][0]["uid"].as_str().unwrap()),
    )
    .await
    .unwrap();
    let second = run("apply", &archive).await;
    assert_eq!((second.count("created"), second.count("updated")), (1, 1), "{}", second.report);
    let after = live(&maps, "owned").await;
    assert_eq!(owner_uid(&after), &live(&maps, "owner").await["metadata"]["uid"]);
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(run("apply", &archive).await.count("unchanged"), 3);
}

#[tokio::test]
async fn a_cycle_of_owners_is_closed_again_and_named() {
    let of = |name: &str| json!([old_owner("v1", "ConfigMap", name)]);
    let objects = [namespace("cycle"), config_map("cycle", "a", &of("b")), config_map("cycle", "b", &of("a"))];
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 3), "{}", first.report);
    assert!(first.report.to_string().contains("cycle of owners"), "{}", first.report);
    let maps = api("configmaps", "v1", "ConfigMap", Some("cycle")).await;
    let (a, b) = (live(&maps, "a").await, live(&maps, "b").await);
    assert_eq!((owner_uid(&a), owner_uid(&b)), (&b["metadata"]["uid"], &a["metadata"]["uid"]));
    assert_eq!(run("apply", &archive).await.count("unchanged"), 3);
}

#[tokio::test]
async fn an_owner_that_is_nowhere_is_dropped_and_one_outside_of_the_archive_is_found() {
    let owners = json!([old_owner("v1", "Secret", "nowhere"), old_owner("v1", "Namespace", "lone")]);
    let archive = Archive::of(&[namespace("lone")], None);
    assert_eq!(run("apply", &archive).await.code, 0);
    let archive = Archive::of(&[config_map("lone", "owned", &owners)], None);
    let first = run("apply", &archive).await;
    assert!(first.result("configmaps", "owned").1.contains("owner that is nowhere"), "{}", first.report);
    let maps = api("configmaps", "v1", "ConfigMap", Some("lone")).await;
    let namespaces = api("namespaces", "v1", "Namespace", None).await;
    let references = live(&maps, "owned").await["metadata"]["ownerReferences"].clone();
    assert_eq!(references.as_array().map(Vec::len), Some(1));
    assert_eq!(references[0]["uid"], live(&namespaces, "lone").await["metadata"]["uid"]);
    assert_eq!(run("apply", &archive).await.count("unchanged"), 1);
}

const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// A configuration of a webhook that nobody listens to, for what nobody writes.
fn configuration(name: &str, owners: &Value) -> (&'static str, Value) {
    let webhook = json!({"name": name, "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore", "rules": [{"apiGroups": ["nowhere.example.io"],
            "apiVersions": ["*"], "resources": ["things"], "operations": ["CREATE"]}]});
    let configuration = json!({"apiVersion": ADMISSION, "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name, "ownerReferences": owners}, "webhooks": [webhook]});
    ("validatingwebhookconfigurations", configuration)
}

async fn configurations() -> Api<DynamicObject> {
    api("validatingwebhookconfigurations", ADMISSION, "ValidatingWebhookConfiguration", None).await
}

#[tokio::test]
async fn what_is_written_last_keeps_an_owner_of_a_type_that_the_archive_brings() {
    let (group, name) = ("registrar.example.io", "owned.registrar.example.io");
    let owners = json!([old_owner(&format!("{group}/v1"), "Thing", "registrar")]);
    let objects = [definition(group, &["v1"]), thing(group, "registrar", &json!({})), configuration(name, &owners)];
    let first = run("apply", &Archive::of(&objects, None)).await;
    assert_eq!((first.code, first.count("created")), (0, 3), "{} {}", first.report, first.errors);
    let things = api("things", &format!("{group}/v1"), "Thing", None).await;
    let (owner, owned) = (live(&things, "registrar").await, live(&configurations().await, name).await);
    assert_eq!(owner_uid(&owned), &owner["metadata"]["uid"]);
}

#[tokio::test]
async fn what_is_owned_by_what_is_written_last_names_it_after_one_restore() {
    let (home, name) = ("owned-by-last", "owner.last.example.io");
    let last = old_owner(ADMISSION, "ValidatingWebhookConfiguration", name);
    let first = old_owner("v1", "ConfigMap", "first");
    let objects = [
        namespace(home),
        config_map(home, "first", &json!(null)),
        config_map(home, "owned", &json!([first, last])),
        configuration(name, &json!(null)),
    ];
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 4), "{} {}", first.report, first.errors);
    let (_, reason) = first.result("configmaps", "owned");
    assert!(reason.contains("made later") && !reason.contains("dropped"), "{reason}");
    let maps = api("configmaps", "v1", "ConfigMap", Some(home)).await;
    let owners = [live(&maps, "first").await, live(&configurations().await, name).await];
    let references = live(&maps, "owned").await["metadata"]["ownerReferences"].clone();
    let uids = |objects: &[Value]| objects.iter().map(|object| object["uid"].clone()).collect::<Vec<_>>();
    assert_eq!(uids(references.as_array().unwrap()), uids(&owners.map(|owner| owner["metadata"].clone())));
    assert_eq!(run("apply", &archive).await.result("configmaps", "owned").0, "unchanged");
}

#[tokio::test]
async fn a_definition_names_its_owner_after_one_restore() {
    let (group, owned) = ("owner.example.io", "owned-by-thing.example.io");
    let (plural, mut definition_of_owned) = definition(owned, &["v1"]);
    definition_of_owned["metadata"]["ownerReferences"] = json!([old_owner(&format!("{group}/v1"), "Thing", "boss")]);
    let objects =
        [definition(group, &["v1"]), (plural, definition_of_owned), thing(group, "boss", &json!({"spec": {"a": 1}}))];
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 3), "{} {}", first.report, first.errors);
    let owner = live(&api("things", &format!("{group}/v1"), "Thing", None).await, "boss").await;
    let definitions = api(plural, "apiextensions.k8s.io/v1", "CustomResourceDefinition", None).await;
    let definition = live(&definitions, &format!("things.{owned}")).await;
    assert_eq!(owner_uid(&definition), &owner["metadata"]["uid"]);
    assert_eq!(run("plan", &archive).await.count("unchanged"), 3);
}
