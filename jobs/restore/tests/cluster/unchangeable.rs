//! What the server lets nobody change: made anew where nothing is lost with it, and else where somebody names it.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Archive, api, live, make_policy, namespace, run, run_asking, until};

fn priority_class(value: i64) -> (&'static str, Value) {
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "unchangeable"}, "value": value, "preemptionPolicy": "PreemptLowerPriority"});
    ("priorityclasses", class)
}

fn storage_class(parameter: &str) -> (&'static str, Value) {
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "unchangeable"},
        "provisioner": "example.io/nobody", "parameters": {"type": parameter}, "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate"});
    ("storageclasses", class)
}

#[tokio::test]
async fn classes_are_made_anew_for_nothing_is_lost_with_them() {
    let archive = |value, parameter| Archive::of(&[priority_class(value), storage_class(parameter)], None);
    assert_eq!(run("apply", &archive(10, "slow")).await.code, 0);
    let new = archive(20, "fast");
    for subcommand in ["plan", "apply"] {
        let run = run(subcommand, &new).await;
        assert_eq!((run.code, run.count("updated")), (0, 2), "{} {}", run.report, run.errors);
        for plural in ["priorityclasses", "storageclasses"] {
            let (_, reason) = run.result(plural, "unchangeable");
            let expected = "deleted and created again: it cannot be changed, and nothing is lost with it";
            assert_eq!(reason, expected, "{subcommand} {plural}");
        }
    }
    let classes = api("priorityclasses", "scheduling.k8s.io/v1", "PriorityClass", None).await;
    assert_eq!(live(&classes, "unchangeable").await["value"], 20);
    let classes = api("storageclasses", "storage.k8s.io/v1", "StorageClass", None).await;
    assert_eq!(live(&classes, "unchangeable").await["parameters"]["type"], "fast");
    assert_eq!(run("apply", &new).await.count("unchanged"), 2);
}

/// There is one default class at most, and it stands in the way of itself.
#[tokio::test]
async fn the_default_class_is_made_anew_and_is_the_default_again() {
    let archive = |value: i64| {
        let (plural, mut class) = priority_class(value);
        class["metadata"]["name"] = json!("default-of-all");
        class["globalDefault"] = json!(true);
        Archive::of(&[(plural, class)], None)
    };
    assert_eq!(run("apply", &archive(10)).await.code, 0);
    let second = run("apply", &archive(20)).await;
    let classes = api("priorityclasses", "scheduling.k8s.io/v1", "PriorityClass", None).await;
    let after = live(&classes, "default-of-all").await;
    classes.delete("default-of-all", &DeleteParams::default()).await.unwrap();
    assert_eq!((second.code, second.count("updated")), (0, 1), "{} {}", second.report, second.errors);
    assert_eq!((&after["value"], &after["globalDefault"]), (&json!(20), &json!(true)));
}

fn deployment(home: &str, app: &str) -> Archive {
    let labels = json!({"app": app});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": home, "name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "a", "image": "a"}]}}}});
    Archive::of(&[namespace(home), ("deployments", deployment)], None)
}

#[tokio::test]
async fn a_selector_is_named_with_the_way_out_and_changed_where_somebody_asks() {
    let (home, name) = ("selector", "deployments.apps/selector/web");
    assert_eq!(run("apply", &deployment(home, "old")).await.code, 0);
    let deployments = api("deployments", "apps/v1", "Deployment", Some(home)).await;
    let before = live(&deployments, "web").await;
    let new = deployment(home, "new");
    for (subcommand, code, again) in [("plan", 0, "run the plan again"), ("apply", 1, "run the restore again")] {
        let refused = run(subcommand, &new).await;
        let (result, reason) = refused.result("deployments", "web");
        assert_eq!((refused.code, result.as_str()), (code, "failed"), "{}", refused.report);
        let way_out = format!("{again} with --recreate deployments.apps/selector/web");
        for words in ["spec.selector", way_out.as_str(), "its pods go with it"] {
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }
    let planned = run_asking("plan", &new, &["--recreate", name]).await;
    let (result, reason) = planned.result("deployments", "web");
    assert!(result == "updated" && reason.starts_with("deleted and created again"), "{result}: {reason}");
    assert_eq!(live(&deployments, "web").await["metadata"]["uid"], before["metadata"]["uid"]);

    let asked = run_asking("apply", &new, &["--recreate", name]).await;
    let (result, reason) = asked.result("deployments", "web");
    assert_eq!((asked.code, result.as_str()), (0, "updated"), "{} {}", asked.report, asked.errors);
    assert!(reason.starts_with("deleted and created again") && reason.contains("named"), "{reason}");
    let after = live(&deployments, "web").await;
    assert_eq!(after["spec"]["selector"]["matchLabels"]["app"], "new");
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);

    let again = run_asking("apply", &new, &["--recreate", name]).await;
    let (_, reason) = again.result("deployments", "web");
    assert!(again.code == 0 && reason.contains("need not be"), "{reason} {}", again.errors);
    assert_eq!(live(&deployments, "web").await["metadata"]["uid"], after["metadata"]["uid"]);
}

#[tokio::test]
async fn a_name_that_means_nothing_changes_nothing() {
    let archive = deployment("no-such-name", "a");
    for (name, code, words) in [
        (
            "deployments.apps/no-such-name/wbe",
            65,
            "failed to find \"deployments.apps/no-such-name/wbe\" in the archive",
        ),
        ("deployment.apps/no-such-name/web", 65, "; the nearest there: \"deployments.apps/no-such-name/web\""),
        ("deployments.apps/no-such-name/my web", 64, "without spaces"),
        ("", 64, "--recreate"),
        ("web", 64, "TYPE/NAMESPACE/NAME"),
        ("namespaces/no-such-name", 64, "no Namespace"),
    ] {
        let refused = run_asking("apply", &archive, &["--recreate", name]).await;
        assert_eq!(refused.code, code, "{name}: {}", refused.errors);
        assert!(refused.errors.contains(words), "{name}: {}", refused.errors);
    }
    let namespaces = api("namespaces", "v1", "Namespace", None).await;
    assert!(namespaces.get_opt("no-such-name").await.unwrap().is_none());
}

#[tokio::test]
async fn what_the_server_would_not_create_is_refused_in_its_own_words() {
    let home = "not-created";
    assert_eq!(run("apply", &deployment(home, "a")).await.code, 0);
    let labels = json!({"app": "a"});
    let broken = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": home, "name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": []}}}});
    let refused = run("apply", &Archive::of(&[("deployments", broken)], None)).await;
    let (result, reason) = refused.result("deployments", "web");
    assert_eq!((refused.code, result.as_str()), (1, "failed"));
    assert!(reason.contains("spec.template.spec.containers") && !reason.contains("recreate"), "{reason}");
}

/// Lets nobody change the Deployments of a namespace.
async fn forbid_changes(home: &str) {
    let rule =
        json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]});
    let image = |object: &str| format!("{object}.spec.template.spec.containers[0].image");
    let validation =
        json!({"message": "it is frozen", "expression": format!("{} == {}", image("object"), image("oldObject"))});
    make_policy(home, &rule, &validation).await;
    let deployments = api("deployments", "apps/v1", "Deployment", Some(home)).await;
    let on_trial = PatchParams { dry_run: true, ..PatchParams::default() };
    let probe = json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "b"}]}}}});
    until("the policy is in force", async || {
        let refused = deployments.patch("web", &on_trial, &Patch::Merge(&probe)).await;
        refused.is_err_and(|error| error.to_string().contains("it is frozen"))
    })
    .await;
}

#[tokio::test]
async fn a_policy_is_not_evaded_by_naming_what_it_guards() {
    let home = "frozen";
    assert_eq!(run("apply", &deployment(home, "a")).await.code, 0);
    forbid_changes(home).await;
    let deployments = api("deployments", "apps/v1", "Deployment", Some(home)).await;
    let before = live(&deployments, "web").await;
    let labels = json!({"app": "a"});
    let other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": home, "name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "b", "image": "b"}]}}}});
    let archive = Archive::of(&[("deployments", other)], None);
    let refused = run_asking("apply", &archive, &["--recreate", "deployments.apps/frozen/web"]).await;
    let (result, reason) = refused.result("deployments", "web");
    assert_eq!((refused.code, result.as_str()), (1, "failed"), "{} {}", refused.report, refused.errors);
    assert!(reason.contains("it is frozen") && !reason.contains("deleted"), "{reason}");
    assert_eq!(live(&deployments, "web").await["metadata"]["uid"], before["metadata"]["uid"]);
}
