use std::sync::Arc;
use std::time::Duration;

use drover::labels::{DROVER, PART_OF_LABEL};
use drover_testbed::proxy::{Answered, Fate, Proxy};
use drover_testbed::seconds_pass;
use http::Method;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    Archive, Run, api, config_map, definition, kubeconfig_of, live, make, namespace, rule, run_asking, run_through,
    start, testbed, thing, until,
};

/// A ResourceSet that selects the namespaces whose names begin so, what lies in them, and the definitions of a group.
fn set(word: &str) -> Value {
    let pattern = format!("^{word}-");
    json!({
        "apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
        "resourceSelectors": [
            {"apiVersion": "v1", "kindsRegexp": "^(configmaps|secrets|serviceaccounts)$", "namespaceRegexp": pattern},
            {"apiVersion": "v1", "kinds": ["namespaces"], "resourceNameRegexp": pattern},
            {"apiVersion": "apiextensions.k8s.io/v1", "kindsRegexp": ".",
                "resourceNameRegexp": format!("{word}.example.io$")},
        ],
    })
}

async fn create(object: &Value) -> DynamicObject {
    let (plural, kind) = match object["kind"].as_str().unwrap() {
        "Namespace" => ("namespaces", "Namespace"),
        "ConfigMap" => ("configmaps", "ConfigMap"),
        "Secret" => ("secrets", "Secret"),
        "Pod" => ("pods", "Pod"),
        "Thing" => ("things", "Thing"),
        kind => panic!("{kind}"),
    };
    let api = api(plural, object["apiVersion"].as_str().unwrap(), kind, object["metadata"]["namespace"].as_str()).await;
    api.create(&PostParams::default(), &serde_json::from_value(object.clone()).unwrap()).await.unwrap()
}

async fn maps(namespace: &str) -> Api<DynamicObject> {
    api("configmaps", "v1", "ConfigMap", Some(namespace)).await
}

/// A ConfigMap with more metadata.
fn map_with(namespace: &str, name: &str, metadata: &Value) -> Value {
    let mut map = config_map(namespace, name, &json!(null)).1;
    map["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    map
}

#[tokio::test]
async fn what_the_archive_lacks_is_deleted_with_its_finalizers_and_what_is_not_selected_stays() {
    let archive =
        Archive::of(&[namespace("prune-a"), config_map("prune-a", "kept", &json!(null))], Some(&set("prune")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    let owner = create(&map_with("prune-a", "owner", &json!({}))).await;
    let owned = [json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid().unwrap()})];
    create(&map_with("prune-a", "owned", &json!({"ownerReferences": owned}))).await;
    create(&map_with("prune-a", "stuck", &json!({"finalizers": ["nobody.example.io/ever"]}))).await;
    create(&namespace("prune-b").1).await;
    create(&config_map("prune-b", "inside", &json!(null)).1).await;
    create(&namespace("other").1).await;
    create(&config_map("other", "stays", &json!(null)).1).await;

    let planned = run_asking("plan", &archive, &["--prune", "--delete-timeout", "1"]).await;
    assert_eq!(planned.result("configmaps", "stuck").0, "pruned");
    assert!(maps("prune-a").await.get_opt("owned").await.unwrap().is_some());

    let pruned = run_asking("apply", &archive, &["--prune", "--delete-timeout", "1"]).await;
    assert_eq!((pruned.code, pruned.count("failed")), (0, 0), "{}\n{}", pruned.report, pruned.errors);
    for (resource, name) in
        [("configmaps", "owner"), ("configmaps", "owned"), ("configmaps", "inside"), ("namespaces", "prune-b")]
    {
        assert_eq!(pruned.result(resource, name).0, "pruned", "{name}");
    }
    let (result, reason) = pruned.result("configmaps", "stuck");
    assert!(result == "pruned" && reason.contains("nobody.example.io/ever"), "{result}: {reason}");
    let left = maps("prune-a").await.list(&ListParams::default()).await.unwrap();
    let left: Vec<String> = left.iter().map(ResourceExt::name_any).collect();
    assert_eq!(left, ["kept", "kube-root-ca.crt"]);
    assert!(api("namespaces", "v1", "Namespace", None).await.get_opt("prune-b").await.unwrap().is_none());
    assert!(maps("other").await.get_opt("stays").await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_in_use_is_held_back_until_everything_is_asked_for() {
    let archive = Archive::of(&[namespace("hold-a")], Some(&set("hold")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    create(&namespace("hold-b").1).await;
    create(&config_map("hold-b", "inside", &json!(null)).1).await;
    let container = json!([{"name": "a", "image": "a"}]);
    account("hold-b").await;
    create(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "hold-b", "name": "shop"},
        "spec": {"containers": container}}))
    .await;
    let defined =
        Archive::of(&[definition("hold.example.io", &["v1"]), thing("hold.example.io", "a", &json!({}))], None);
    assert_eq!(run_asking("apply", &defined, &[]).await.code, 0);

    let held = run_asking("apply", &archive, &["--prune"]).await;
    assert_eq!((held.code, held.count("pruned")), (0, 0), "{}", held.report);
    for (resource, name, reason) in [
        ("namespaces", "hold-b", "it has pods"),
        ("configmaps", "inside", "its namespace \"hold-b\" is held back"),
        ("customresourcedefinitions", "things.hold.example.io", "it has objects that the archive lacks, Thing \"a\""),
    ] {
        let (result, said) = held.result(resource, name);
        assert!(result == "heldBack" && said.starts_with(reason), "{result}: {said}");
    }
    let all = run_asking("apply", &archive, &["--prune=all", "--delete-timeout", "2"]).await;
    assert_eq!(all.count("heldBack"), 0, "{}", all.report);
    assert_eq!(all.result("namespaces", "hold-b").0, "pruned");
    assert_eq!(all.result("customresourcedefinitions", "things.hold.example.io").0, "pruned");
}

#[tokio::test]
async fn what_an_archive_may_have_left_out_is_held_back_until_everything_is_asked_for() {
    let objects = [namespace("untold-a"), config_map("untold-a", "kept", &json!(null))];
    let archive = Archive::of(&objects, Some(&set("untold")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    let metadata = json!({"namespace": "untold-a", "name": "extra"});
    create(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).await;
    create(&config_map("untold-a", "extra", &json!(null)).1).await;

    let held = run_asking("apply", &archive, &["--prune"]).await;
    assert_eq!((held.code, held.count("heldBack"), held.count("pruned")), (0, 1, 1), "{}", held.report);
    assert_eq!(held.result("configmaps", "extra").0, "pruned");
    let (result, reason) = held.result("secrets", "extra");
    let words = "the archive holds no secrets and does not tell whether it would; the annotation drover.dev/prune: all";
    assert!(result == "heldBack" && reason.starts_with(words), "{result}: {reason}");
    let all = run_asking("apply", &archive, &["--prune=all"]).await;
    assert_eq!((all.code, all.result("secrets", "extra").0.as_str()), (0, "pruned"), "{}", all.report);
}

/// What the ResourceSet does not select is in no list that a prune is decided by, and would go with its namespace.
#[tokio::test]
async fn a_namespace_in_which_something_was_made_meanwhile_is_held_back() {
    let kept = config_map("fresh-a", "kept", &json!(null));
    let archive = Archive::of(&[namespace("fresh-a"), kept], Some(&set("fresh")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    for name in ["fresh-b", "fresh-c"] {
        create(&namespace(name).1).await;
        account(name).await;
        until("its certificate is published", async || {
            maps(name).await.get_opt("kube-root-ca.crt").await.unwrap().is_some()
        })
        .await;
        make(&leases(name).await, &lease(name, "old")).await;
    }
    maps("fresh-a").await.delete("kept", &DeleteParams::default()).await.unwrap();
    let proxy = Proxy::start(testbed().await).await.unwrap();
    seconds_pass(2).await;
    // Its first write comes after all is decided.
    let held = proxy.hold_after(1);
    let child = start(&proxy.kubeconfig(), "apply", &archive.path(), &["--prune"]);
    held.reached().await;
    make(&leases("fresh-b").await, &lease("fresh-b", "late")).await;
    held.go_on();
    let pruned = Run::wait(child).await;
    assert_eq!((pruned.code, pruned.count("failed")), (0, 0), "{} {}", pruned.report, pruned.errors);
    assert_eq!(pruned.result("namespaces", "fresh-c").0, "pruned", "{}", pruned.report);
    let (result, reason) = pruned.result("namespaces", "fresh-b");
    let words = "Lease \"late\" lies in it: it was made at ";
    assert!(result == "heldBack" && reason.starts_with(words) && reason.contains("drover.dev/prune: all"), "{reason}");
    assert!(leases("fresh-b").await.get_opt("late").await.unwrap().is_some());
    let all = run_asking("apply", &archive, &["--prune=all"]).await;
    assert_eq!((all.code, all.result("namespaces", "fresh-b").0.as_str()), (0, "pruned"), "{}", all.report);
}

async fn leases(namespace: &str) -> Api<DynamicObject> {
    api("leases", "coordination.k8s.io/v1", "Lease", Some(namespace)).await
}

fn lease(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"namespace": namespace, "name": name}})
}

/// A look takes a list for each type: whoever took the Lease meanwhile may be restoring into the namespace.
#[tokio::test]
async fn a_namespace_that_is_looked_into_while_the_restore_is_asked_to_end_stays() {
    let archive = Archive::of(&[namespace("halt-a")], Some(&set("halt")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    create(&namespace("halt-b").1).await;
    seconds_pass(2).await;
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let (looked, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let seen = (Arc::clone(&looked), Arc::clone(&ended));
    proxy.judge(move |asked| {
        let (looked, ended) = (Arc::clone(&seen.0), Arc::clone(&seen.1));
        async move {
            // Nothing but a look into the namespace lists these in it.
            if asked.path.contains("/namespaces/halt-b/resourcequotas") {
                looked.notify_one();
                ended.notified().await;
            }
            Fate::Passes
        }
    });
    let child = start(&proxy.kubeconfig(), "apply", &archive.path(), &["--prune"]);
    looked.notified().await;
    Run::ask_to_end(&child);
    let stopped = tokio::time::timeout(Duration::from_mins(1), Run::wait(child)).await.unwrap();
    ended.notify_waiters();
    assert_eq!(stopped.result("namespaces", "halt-b").0, "untouched", "{} {}", stopped.report, stopped.errors);
    let left = live(&api("namespaces", "v1", "Namespace", None).await, "halt-b").await;
    assert_eq!(left["metadata"]["deletionTimestamp"], Value::Null);
}

/// What cannot be seen in a namespace may be new.
#[tokio::test]
async fn a_namespace_that_cannot_be_looked_into_is_held_back() {
    let archive = Archive::of(&[namespace("blind-a")], Some(&set("blind")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    create(&namespace("blind-b").1).await;
    // All that a restore asks for, and no other type that may lie in a namespace.
    let groups = [
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apps",
        "batch",
        "drover.dev",
        "resources.cattle.io",
    ];
    let rules: Vec<Value> = groups.into_iter().map(|group| rule(group, "*", &["*"])).collect();
    let folder = tempfile::tempdir().unwrap();
    let user = kubeconfig_of("blind-user", &rules, folder.path()).await;
    seconds_pass(2).await;
    let pruned = run_through(&user, "apply", &archive, &["--prune"]).await;
    let (result, reason) = pruned.result("namespaces", "blind-b");
    assert!(result == "heldBack" && reason.contains("that cannot be seen: "), "{reason} {}", pruned.errors);
    assert!(reason.starts_with("it may hold "), "{reason}");
}

#[tokio::test]
async fn nothing_is_pruned_where_the_server_does_not_say_what_time_it_is() {
    let objects = [namespace("timeless-a"), config_map("timeless-a", "kept", &json!(null))];
    let archive = Archive::of(&objects, Some(&set("timeless")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    create(&config_map("timeless-a", "extra", &json!(null)).1).await;
    let proxy = Proxy::start(testbed().await).await.unwrap();
    seconds_pass(2).await;
    let plan = async || run_through(&proxy.kubeconfig(), "plan", &archive, &["--prune"]).await;
    assert_eq!(plan().await.result("configmaps", "extra").0, "pruned");
    proxy.strip_dates();
    let (result, reason) = plan().await.result("configmaps", "extra");
    assert!(
        result == "heldBack" && reason.starts_with("it is not known when the restore was asked for"),
        "{result}: {reason}"
    );
}

/// Waits until the controllers have made the account without which no pod is admitted.
async fn account(namespace: &str) {
    let accounts = api("serviceaccounts", "v1", "ServiceAccount", Some(namespace)).await;
    while accounts.get_opt("default").await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_was_being_deleted_and_does_not_go_is_freed_and_created_again() {
    let held = map_with("stuck-a", "held", &json!({"finalizers": ["nobody.example.io/ever"]}));
    let archive = Archive::of(&[namespace("stuck-a"), ("configmaps", held)], Some(&set("stuck")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    let maps = maps("stuck-a").await;
    let first = live(&maps, "held").await;
    maps.delete("held", &DeleteParams::default()).await.unwrap();

    let restored = run_asking("apply", &archive, &["--prune", "--delete-timeout", "1"]).await;
    assert_eq!(restored.code, 0, "{}\n{}", restored.report, restored.errors);
    let (result, reason) = restored.result("configmaps", "held");
    let removed = "it was being deleted; nobody did what its finalizers wait for, so they were removed: \
                   nobody.example.io/ever";
    assert_eq!((result.as_str(), reason.as_str()), ("created", removed));
    let second = live(&maps, "held").await;
    assert_ne!(second["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(second["metadata"]["finalizers"], first["metadata"]["finalizers"]);
    assert!(second["metadata"]["deletionTimestamp"].is_null(), "{second}");
}

/// Applies with prune and ten minutes for finalizers, ends the restore by a signal once the object is looked at while it
/// is being deleted, and gives what it came to.
async fn ended_while_it_waits(archive: &Archive, looks_at: &str) -> Run {
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let arguments = ["--prune", "--delete-timeout", "600"];
    seconds_pass(2).await;
    let child = start(&proxy.kubeconfig(), "apply", &archive.path(), &arguments);
    // The first look is the one that finds it in deletion, or asks for that; the others are of the wait.
    let is_look = |answered: &Answered| answered.method == Method::GET && answered.path == looks_at;
    until("it waits", async || proxy.answered().iter().filter(|answered| is_look(answered)).count() > 2).await;
    Run::ask_to_end(&child);
    Run::wait(child).await
}

#[tokio::test]
async fn finalizers_stay_when_the_restore_is_ended_before_their_time_is_over() {
    let held = map_with("early-a", "held", &json!({"finalizers": ["nobody.example.io/ever"]}));
    let archive = Archive::of(&[namespace("early-a"), ("configmaps", held)], Some(&set("early")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    let maps = maps("early-a").await;
    maps.delete("held", &DeleteParams::default()).await.unwrap();
    let ended = ended_while_it_waits(&archive, "/api/v1/namespaces/early-a/configmaps/held").await;
    assert_ne!(ended.code, 0, "{}", ended.report);
    assert_eq!(live(&maps, "held").await["metadata"]["finalizers"], json!(["nobody.example.io/ever"]));

    let extra = map_with("late-a", "extra", &json!({"finalizers": ["nobody.example.io/ever"]}));
    let archive = Archive::of(&[namespace("late-a"), config_map("late-a", "kept", &json!(null))], Some(&set("late")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    create(&extra).await;
    let ended = ended_while_it_waits(&archive, "/api/v1/namespaces/late-a/configmaps/extra").await;
    let (result, reason) = ended.result("configmaps", "extra");
    assert_eq!((result.as_str(), reason.starts_with("it is being deleted")), ("untouched", true), "{reason}");
    let left = live(&self::maps("late-a").await, "extra").await;
    assert_eq!(left["metadata"]["finalizers"], json!(["nobody.example.io/ever"]));
}

#[tokio::test]
async fn nothing_is_pruned_when_objects_failed() {
    let mut refused = config_map("partial-a", "refused", &json!(null));
    refused.1["data"] = json!({"no key can be this": "x"});
    let archive = Archive::of(&[namespace("partial-a"), refused], Some(&set("partial")));
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 1);
    create(&map_with("partial-a", "extra", &json!({}))).await;
    let failed = run_asking("apply", &archive, &["--prune"]).await;
    assert_eq!((failed.code, failed.count("pruned")), (1, 0), "{}", failed.report);
    let (result, reason) = failed.result("configmaps", "extra");
    assert!(result == "untouched" && reason.starts_with("not pruned"), "{result}: {reason}");
    let ignored = run_asking("apply", &archive, &["--prune", "--ignore-errors"]).await;
    assert_eq!((ignored.code, ignored.count("failed")), (0, 1), "{}", ignored.report);
    assert_eq!(ignored.result("configmaps", "extra").0, "pruned");
}

#[tokio::test]
async fn what_carries_drovers_label_is_never_pruned_or_written() {
    let ours = json!({"labels": {PART_OF_LABEL: DROVER}});
    let objects = [namespace("ours-a"), config_map("ours-a", "live", &json!(null))];
    let archive = Archive::of(&objects, Some(&set("ours")));
    create(&objects[0].1).await;
    let mut map = map_with("ours-a", "live", &ours);
    map["data"] = json!({"key": "of today"});
    create(&map).await;
    create(&map_with("ours-a", "extra", &ours)).await;
    let restored = run_asking("apply", &archive, &["--prune"]).await;
    assert_eq!(restored.result("configmaps", "live").0, "kept", "{}", restored.report);
    assert_eq!(restored.result("configmaps", "extra").0, "kept");
    assert_eq!(live(&maps("ours-a").await, "live").await["data"]["key"], "of today");
    assert!(live(&maps("ours-a").await, "extra").await["metadata"]["deletionTimestamp"].is_null());
}
