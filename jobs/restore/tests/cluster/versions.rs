use serde_json::{Value, json};

use crate::support::{Archive, api, config_map, definition, live, namespace, run, run_asking, thing};

fn in_version(version: &str, (plural, mut object): (&'static str, Value)) -> (&'static str, Value) {
    let group = object["apiVersion"].as_str().unwrap().split_once('/').unwrap().0.to_owned();
    object["apiVersion"] = json!(format!("{group}/{version}"));
    (plural, object)
}

fn in_namespace(namespace: &str, (plural, mut object): (&'static str, Value)) -> (&'static str, Value) {
    object["metadata"]["namespace"] = json!(namespace);
    (plural, object)
}

#[tokio::test]
async fn kinds_of_the_same_name_with_and_without_a_namespace_do_not_disturb_each_other() {
    let (plural, mut namespaced) = definition("inside.example.io", &["v1"]);
    namespaced["spec"]["scope"] = json!("Namespaced");
    let spec = |place: &str| json!({"spec": {"place": place}, "status": {"place": place}});
    let objects = [
        (plural, namespaced),
        definition("outside.example.io", &["v1"]),
        namespace("same"),
        in_namespace("same", thing("inside.example.io", "same", &spec("inside"))),
        thing("outside.example.io", "same", &spec("outside")),
        config_map("same", "same", &json!(null)),
    ];
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 6), "{} {}", first.report, first.errors);
    let inside = live(&api("things", "inside.example.io/v1", "Thing", Some("same")).await, "same").await;
    let outside = live(&api("things", "outside.example.io/v1", "Thing", None).await, "same").await;
    assert_eq!((&inside["spec"]["place"], &outside["spec"]["place"]), (&json!("inside"), &json!("outside")));
    assert_eq!((&inside["status"]["place"], &outside["status"]["place"]), (&json!("inside"), &json!("outside")));
    assert_eq!(run("apply", &archive).await.count("unchanged"), 6);
}

#[tokio::test]
async fn an_object_in_two_versions_is_written_once_in_the_preferred_one() {
    let group = "twice.example.io";
    let old = thing(group, "both", &json!({"spec": {"old": 1}}));
    let new = in_version("v2", thing(group, "both", &json!({"spec": {"new": 2}})));
    let only_old = thing(group, "old", &json!({"spec": {"old": 1}}));
    let archive = Archive::of(&[definition(group, &["v2", "v1"]), old, only_old, new], None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created"), first.count("unchanged")), (0, 3, 1), "{}", first.report);
    assert!(first.report.to_string().contains("in another version of its type too"), "{}", first.report);
    let things = api("things", &format!("{group}/v2"), "Thing", None).await;
    let both = live(&things, "both").await;
    assert_eq!(both["spec"], json!({"new": 2}));
    assert_eq!(run("apply", &archive).await.count("unchanged"), 4);
    assert_eq!(live(&things, "both").await["metadata"]["resourceVersion"], both["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn an_archive_in_an_old_version_that_is_still_served_comes_back_and_is_not_pruned() {
    let group = "still.example.io";
    let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
        "resourceSelectors": [{"apiVersion": format!("{group}/v2"), "kinds": ["things"]}]});
    assert_eq!(run("apply", &Archive::of(&[definition(group, &["v2", "v1"])], None)).await.code, 0);
    let more = in_version("v2", thing(group, "more", &json!({"spec": {"a": 2}})));
    assert_eq!(run("apply", &Archive::of(&[more], None)).await.count("created"), 1);
    let archive = Archive::of(&[thing(group, "old", &json!({"spec": {"a": 1}}))], Some(&set));
    assert_eq!(run("apply", &archive).await.count("created"), 1);
    let second = run_asking("apply", &archive, &["--prune"]).await;
    assert_eq!((second.code, second.count("unchanged"), second.count("pruned")), (0, 1, 1), "{}", second.report);
    assert_eq!(second.result("things", "more").0, "pruned");
}
