use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Archive, api, config_map, definition, live, namespace, old_owner, run, thing};

fn everything(group: &str, home: &str) -> Vec<(&'static str, Value)> {
    let token = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"namespace": home, "name": "robot-token", "annotations": {
            "kubernetes.io/service-account.name": "robot",
            "kubernetes.io/service-account.uid": "00000000-0000-4000-8000-000000000000",
        }},
        "data": {"token": "b2xk"},
    });
    let robot = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": home, "name": "robot"},
        "secrets": [{"name": "robot-token-old"}]});
    vec![
        config_map(home, "owned", &json!([old_owner(&format!("{group}/v1"), "Thing", "owner")])),
        config_map(home, "kube-root-ca.crt", &json!(null)),
        ("secrets", token),
        ("serviceaccounts", robot),
        namespace(home),
        thing(group, "owner", &json!({"spec": {"a": 1.0}, "status": {"ready": true}})),
        definition(group, &["v1"]),
    ]
}

#[tokio::test]
async fn everything_comes_back_and_a_second_restore_changes_nothing() {
    let archive = Archive::of(&everything("trip.example.io", "trip"), None);
    let plan = run("plan", &archive).await;
    assert_eq!((plan.count("created"), plan.count("kept"), plan.code), (6, 1, 0), "{}", plan.errors);
    let first = run("apply", &archive).await;
    // The controllers make the ServiceAccount's token Secret theirs in between, which is no failure.
    assert_eq!((first.code, first.count("failed"), first.count("untouched")), (0, 0, 0), "{}", first.report);
    assert_eq!(first.result("configmaps", "kube-root-ca.crt").0, "kept");
    assert!(first.result("secrets", "robot-token").1.contains("made anew"), "{}", first.report);
    let thing = live(&api("things", "trip.example.io/v1", "Thing", None).await, "owner").await;
    assert_eq!((&thing["status"], &thing["spec"]), (&json!({"ready": true}), &json!({"a": 1})));
    let map = live(&api("configmaps", "v1", "ConfigMap", Some("trip")).await, "owned").await;
    assert_eq!(map["metadata"]["ownerReferences"][0]["uid"], thing["metadata"]["uid"]);
    // The server keeps 1.0 as 1, which is no difference.
    let second = run("apply", &archive).await;
    assert_eq!((second.count("unchanged"), second.count("kept")), (6, 1), "{}", second.report);
}

#[tokio::test]
async fn only_what_differs_is_written() {
    let archive = Archive::of(&everything("differs.example.io", "differs"), None);
    assert_eq!(run("apply", &archive).await.code, 0);
    let things = api("things", "differs.example.io/v1", "Thing", None).await;
    let changed = json!({"status": {"ready": false, "more": 1}});
    things.patch_status("owner", &PatchParams::default(), &Patch::Merge(&changed)).await.unwrap();
    let maps = api("configmaps", "v1", "ConfigMap", Some("differs")).await;
    maps.patch("owned", &PatchParams::default(), &Patch::Merge(&json!({"data": {"more": "x"}}))).await.unwrap();
    for (subcommand, code) in [("plan", 0), ("apply", 0)] {
        let run = run(subcommand, &archive).await;
        assert_eq!((run.code, run.count("updated"), run.count("created")), (code, 2, 0), "{}", run.report);
    }
    assert_eq!(live(&things, "owner").await["status"], json!({"ready": true}));
    assert_eq!(live(&maps, "owned").await["data"], json!({"key": "owned"}));
}

#[tokio::test]
async fn versions_of_a_live_definition_stay_and_old_ones_are_made_applicable() {
    let newer = Archive::of(&[definition("versions.example.io", &["v2", "v1"])], None);
    assert_eq!(run("apply", &newer).await.code, 0);
    let (plural, mut older) = definition("versions.example.io", &["v1"]);
    older["spec"]["preserveUnknownFields"] = json!(true);
    older["spec"]["versions"][0]["schema"] = json!({});
    let older = Archive::of(&[(plural, older)], None);
    let run_older = run("apply", &older).await;
    assert_eq!((run_older.code, run_older.count("updated")), (0, 1), "{}", run_older.report);
    let definitions =
        api("customresourcedefinitions", "apiextensions.k8s.io/v1", "CustomResourceDefinition", None).await;
    let live = live(&definitions, "things.versions.example.io").await;
    let versions = live["spec"]["versions"].as_array().unwrap();
    let stored: Vec<_> =
        versions.iter().map(|version| (version["name"].as_str(), version["storage"] == true)).collect();
    assert_eq!(stored, [(Some("v1"), true), (Some("v2"), false)]);
    assert_eq!(run("apply", &older).await.count("unchanged"), 1);
}

#[tokio::test]
async fn a_live_definition_that_the_restore_works_with_is_kept() {
    let group = "resources.cattle.io";
    let (plural, mut one) = definition(group, &["v1"]);
    let first = Archive::of(&[(plural, one.clone())], None);
    assert_eq!(run("apply", &first).await.result(plural, "things.resources.cattle.io").0, "created");
    one["spec"]["names"]["shortNames"] = json!(["thg"]);
    let kept = run("apply", &Archive::of(&[(plural, one)], None)).await;
    assert_eq!((kept.code, kept.result(plural, "things.resources.cattle.io").0.as_str()), (0, "kept"));
}
