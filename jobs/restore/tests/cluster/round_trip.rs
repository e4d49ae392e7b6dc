use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Archive, api, change, config_map, definition, live, namespace, old_owner, run, thing};

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

fn cluster_role(name: &str) -> (&'static str, Value) {
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    let metadata = json!({"name": name});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules});
    ("clusterroles", role)
}

#[tokio::test]
async fn names_with_colons_capitals_spaces_and_other_letters_come_back() {
    let names =
        ["Team:Ops-A", "system:a:B", "CORP\\admins", "größe mit Raum", "line\u{2028}separator", "a?b&c=d#e;f+g"];
    let roles = names.map(cluster_role);
    let archive = Archive::of(&roles, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 6), "{} {}", first.report, first.errors);
    let api = api("clusterroles", "rbac.authorization.k8s.io/v1", "ClusterRole", None).await;
    let listed = api.list(&ListParams::default()).await.unwrap().items;
    for name in names {
        assert!(listed.iter().any(|role| role.metadata.name.as_deref() == Some(name)), "{name}");
    }
    let patch = json!({"rules": []});
    change(&api, "Team:Ops-A", &patch).await;
    let second = run("apply", &archive).await;
    assert_eq!((second.count("updated"), second.count("unchanged")), (1, 5), "{}", second.report);
}

#[tokio::test]
async fn empty_texts_nulls_and_odd_characters_come_back() {
    let odd = "a\u{2028}b\u{2029}c\u{85}d\u{7f}e\u{feff}f<>&\"\\\u{1f404}\u{0}";
    let (plural, mut map) = config_map("odd", "a", &json!([]));
    map["data"] = json!({"empty": "", "odd": odd.trim_end_matches('\0')});
    map["binaryData"] = json!(null);
    map["metadata"]["annotations"] = json!({"empty": "", "odd": odd.trim_end_matches('\0')});
    map["metadata"]["labels"] = json!({"empty": ""});
    let spec = json!({"empty": "", "none": null, "list": [], "map": {}, "nested": {"none": null, "empty": ""},
        "items": [null, "", {}, []], odd: odd});
    let objects = [
        namespace("odd"),
        definition("odd.example.io", &["v1"]),
        (plural, map.clone()),
        thing("odd.example.io", "a", &json!({"spec": spec, "more": null, "status": {"none": null, "odd": odd}})),
    ];
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 4), "{} {}", first.report, first.errors);
    let maps = api("configmaps", "v1", "ConfigMap", Some("odd")).await;
    assert_eq!(live(&maps, "a").await["data"], map["data"]);
    let things = api("things", "odd.example.io/v1", "Thing", None).await;
    assert_eq!(live(&things, "a").await["spec"], spec);
    let plan = run("plan", &archive).await;
    assert_eq!(plan.count("unchanged"), 4, "{}", plan.report);
}

#[tokio::test]
async fn objects_as_large_as_a_request_may_be_come_back() {
    const MOST: usize = 1 << 20;
    let (plural, mut map) = config_map("large", "a", &json!(null));
    // Kubernetes takes 1 MiB of data and 256 KiB of annotations, in each of which the names count too.
    map["data"] = json!({"text": "é".repeat(MOST / 2)});
    map["metadata"]["annotations"] = json!({"note": "n".repeat((256 << 10) - 10)});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "large", "name": "a"}, "data": {"bytes": "AAAA".repeat(MOST / 3)}});
    let spec = json!({"text": "x".repeat(1_400 << 10)});
    let objects = [
        namespace("large"),
        definition("large.example.io", &["v1"]),
        (plural, map),
        ("secrets", secret),
        thing("large.example.io", "a", &json!({"spec": spec, "status": {"ready": true}})),
    ];
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 5), "{} {}", first.counts(), first.errors);
    let things = api("things", "large.example.io/v1", "Thing", None).await;
    change(&things, "a", &json!({"spec": {"more": 1}, "metadata": {"labels": {"more": "1"}}})).await;
    let maps = api("configmaps", "v1", "ConfigMap", Some("large")).await;
    change(&maps, "a", &json!({"data": {"text": "small"}})).await;
    let second = run("apply", &archive).await;
    assert_eq!((second.code, second.count("updated"), second.count("unchanged")), (0, 2, 3), "{}", second.counts());
    assert_eq!(live(&things, "a").await["spec"], spec);
    assert_eq!(run("plan", &archive).await.count("unchanged"), 5);
}

#[tokio::test]
async fn a_time_that_older_servers_write_as_null_is_no_difference() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let object = json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"namespace": "null-time", "name": "a"},
        "template": template});
    let archive = Archive::of(&[namespace("null-time"), ("podtemplates", object)], None);
    assert_eq!(run("apply", &archive).await.code, 0);
    // As a cluster gives it: with all defaults, and with the time that the template does not have.
    let mut given = live(&api("podtemplates", "v1", "PodTemplate", Some("null-time")).await, "a").await;
    given["template"]["metadata"]["creationTimestamp"] = json!(null);
    let archive = Archive::of(&[namespace("null-time"), ("podtemplates", given)], None);
    assert_eq!(run("plan", &archive).await.count("unchanged"), 2);
}
