use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Archive, api, change, command, config_map, live, make, make_policy, namespace, old_owner, run, testbed, until,
};

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap()
}

pub(crate) fn secret(namespace: &str, name: &str, content: &Value) -> (&'static str, Value) {
    let metadata = json!({"namespace": namespace, "name": name});
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"});
    object.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    ("secrets", object)
}

pub(crate) fn fixed_map(namespace: &str, name: &str, value: &str, metadata: &Value) -> (&'static str, Value) {
    let (plural, mut object) = config_map(namespace, name, &json!(null));
    object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    object["data"] = json!({"key": value});
    object["immutable"] = json!(true);
    (plural, object)
}

fn binding(home: &str, plural: &'static str, role: &str) -> (&'static str, Value) {
    let kind = if plural == "rolebindings" { "RoleBinding" } else { "ClusterRoleBinding" };
    let mut object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": home},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "nobody", "namespace": home}]});
    if plural == "rolebindings" {
        object["metadata"]["namespace"] = json!(home);
    }
    (plural, object)
}

/// What cannot be changed, all in two states.
fn unchangeable(home: &str, state: &str) -> Archive {
    let state_of_secret = |content: &str| json!({"stringData": null, "data": {"key": content}, "immutable": true});
    let data = if state == "old" { "b2xk" } else { "bmV3" };
    let secret_type = json!({"type": format!("example.io/{state}"), "data": {"key": data}});
    Archive::of(
        &[
            namespace(home),
            secret(home, "fixed", &state_of_secret(data)),
            secret(home, "typed", &secret_type),
            fixed_map(home, "fixed", state, &json!({})),
            binding(home, "rolebindings", state),
            binding(home, "clusterrolebindings", state),
        ],
        None,
    )
}

#[tokio::test]
async fn what_cannot_be_changed_is_deleted_and_created_again() {
    assert_eq!(run("apply", &unchangeable("again", "old")).await.code, 0);
    let new = unchangeable("again", "new");
    let planned = run("plan", &new).await;
    assert_eq!((planned.code, planned.count("updated")), (0, 5), "{}", planned.report);
    let second = run("apply", &new).await;
    assert_eq!((second.code, second.count("updated"), second.count("unchanged")), (0, 5, 1), "{}", second.report);
    for (plural, name, why) in [
        ("secrets", "fixed", "deleted and created again: it is immutable"),
        ("secrets", "typed", "deleted and created again: the type of a Secret cannot be changed"),
        ("configmaps", "fixed", "deleted and created again: it is immutable"),
        ("rolebindings", "again", "deleted and created again: its roleRef cannot be changed"),
        ("clusterrolebindings", "again", "deleted and created again: its roleRef cannot be changed"),
    ] {
        assert_eq!(second.result(plural, name), ("updated".to_owned(), why.to_owned()));
        // What was only planned before was not done, for it was found again.
        assert_eq!(planned.result(plural, name), second.result(plural, name));
    }
    let secrets = api("secrets", "v1", "Secret", Some("again")).await;
    assert_eq!(live(&secrets, "fixed").await["data"]["key"], "bmV3");
    assert_eq!(live(&secrets, "typed").await["type"], "example.io/new");
    assert_eq!(run("apply", &new).await.count("unchanged"), 6);
}

#[tokio::test]
async fn what_an_object_owns_outlives_its_being_made_anew() {
    let owned = config_map("anew", "owned", &json!([old_owner("v1", "ConfigMap", "owner")]));
    let metadata = json!({"finalizers": ["example.io/nobody-does-it"]});
    let archive = |value: &str| {
        Archive::of(&[namespace("anew"), fixed_map("anew", "owner", value, &metadata), owned.clone()], None)
    };
    assert_eq!(run("apply", &archive("old")).await.code, 0);
    let maps = api("configmaps", "v1", "ConfigMap", Some("anew")).await;
    let (old_owner, old_owned) = (live(&maps, "owner").await, live(&maps, "owned").await);
    let guest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "guest", "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid(&old_owner)}]}});
    make(&maps, &guest).await;
    let second = run("apply", &archive("new")).await;
    assert_eq!((second.code, second.count("updated")), (0, 2), "{} {}", second.report, second.errors);
    let (owner, owned) = (live(&maps, "owner").await, live(&maps, "owned").await);
    assert_ne!(uid(&owner), uid(&old_owner));
    assert_eq!(owner["metadata"]["finalizers"], metadata["finalizers"]);
    assert_eq!(
        (uid(&owned), &owned["metadata"]["ownerReferences"][0]["uid"]),
        (uid(&old_owned), &owner["metadata"]["uid"])
    );
    assert_eq!(live(&maps, "guest").await["metadata"]["ownerReferences"], Value::Null);
    assert_eq!(run("apply", &archive("new")).await.count("unchanged"), 3);
    change(&maps, "owner", &json!({"metadata": {"finalizers": null}})).await;
}

#[tokio::test]
async fn a_cycle_of_owners_is_closed_again_when_one_of_them_is_made_anew() {
    let of = |name: &str| json!({"ownerReferences": [old_owner("v1", "ConfigMap", name)]});
    let archive = |value: &str| {
        let objects =
            [namespace("ring"), fixed_map("ring", "a", value, &of("b")), fixed_map("ring", "b", "b", &of("a"))];
        Archive::of(&objects, None)
    };
    assert_eq!(run("apply", &archive("old")).await.code, 0);
    let second = run("apply", &archive("new")).await;
    assert_eq!((second.code, second.count("updated")), (0, 2), "{} {}", second.report, second.errors);
    let maps = api("configmaps", "v1", "ConfigMap", Some("ring")).await;
    let (a, b) = (live(&maps, "a").await, live(&maps, "b").await);
    let owner = |object: &Value| object["metadata"]["ownerReferences"][0]["uid"].as_str().unwrap().to_owned();
    assert_eq!((owner(&a).as_str(), owner(&b).as_str()), (uid(&b), uid(&a)));
    assert_eq!(run("apply", &archive("new")).await.count("unchanged"), 3);
}

#[tokio::test]
async fn nothing_is_deleted_for_what_the_server_would_not_create() {
    let old = Archive::of(&[namespace("trial"), secret("trial", "a", &json!({"data": {"key": "b2xk"}}))], None);
    assert_eq!(run("apply", &old).await.code, 0);
    let secrets = api("secrets", "v1", "Secret", Some("trial")).await;
    let before = live(&secrets, "a").await;
    let without_keys = secret("trial", "a", &json!({"type": "kubernetes.io/tls", "data": {"key": "bmV3"}}));
    let archive = Archive::of(&[without_keys], None);
    for (subcommand, code) in [("plan", 0), ("apply", 1)] {
        let refused = run(subcommand, &archive).await;
        let (result, reason) = refused.result("secrets", "a");
        assert_eq!((refused.code, result.as_str()), (code, "failed"), "{subcommand}");
        assert!(reason.contains("so it is as it was") && reason.contains("tls.crt"), "{reason}");
    }
    assert_eq!(live(&secrets, "a").await, before);
}

#[tokio::test]
async fn a_binding_that_gives_rights_to_who_restores_is_not_deleted() {
    let archive = |role: &str| {
        let (plural, mut binding) = binding("own-rights", "clusterrolebindings", role);
        binding["subjects"] = json!([{"kind": "User", "name": "drover-testbed-admin",
            "apiGroup": "rbac.authorization.k8s.io"}]);
        Archive::of(&[(plural, binding)], None)
    };
    assert_eq!(run("apply", &archive("old")).await.code, 0);
    let failed = run("apply", &archive("new")).await;
    let (result, reason) = failed.result("clusterrolebindings", "own-rights");
    assert_eq!((failed.code, result.as_str()), (1, "failed"));
    assert!(reason.contains("gives rights to \"drover-testbed-admin\""), "{reason}");
    let bindings = api("clusterrolebindings", "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None).await;
    assert_eq!(live(&bindings, "own-rights").await["roleRef"]["name"], "old");
}

/// Refuses to create ConfigMaps and Secrets with the label `state: refused` in a namespace, but not on trial.
pub(crate) async fn refuse_but_not_on_trial(home: &str) {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
        "resources": ["configmaps", "secrets"]});
    let validation = json!({"message": "refused in earnest", "expression":
        "(has(request.dryRun) && request.dryRun) || object.metadata.?labels.?state.orValue('') != 'refused'"});
    make_policy(home, &rule, &validation).await;
    let maps = api("configmaps", "v1", "ConfigMap", Some(home)).await;
    until("the policy is in force", async || {
        let metadata = json!({"generateName": "probe-", "labels": {"state": "refused"}});
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        maps.create(&kube::api::PostParams::default(), &serde_json::from_value(probe).unwrap()).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn what_was_there_is_put_back_when_the_server_changes_its_mind() {
    let archive = |value: &str| {
        let metadata = json!({"labels": {"state": value}});
        Archive::of(&[namespace("put-back"), fixed_map("put-back", "a", value, &metadata)], None)
    };
    assert_eq!(run("apply", &archive("old")).await.code, 0);
    refuse_but_not_on_trial("put-back").await;
    let failed = run("apply", &archive("refused")).await;
    let (result, reason) = failed.result("configmaps", "a");
    assert_eq!((failed.code, result.as_str()), (1, "failed"));
    assert!(reason.contains("was put back") && reason.contains("refused in earnest"), "{reason}");
    let back = live(&api("configmaps", "v1", "ConfigMap", Some("put-back")).await, "a").await;
    assert_eq!((&back["data"]["key"], &back["metadata"]["labels"]["state"]), (&json!("old"), &json!("old")));
    assert_eq!(back["immutable"], true);
}

#[tokio::test]
async fn a_kill_while_objects_are_made_anew_loses_none() {
    const OBJECTS: usize = 120;
    let archive = |value: &str| {
        let maps = (0..OBJECTS).map(|index| fixed_map("killed", &format!("map-{index}"), value, &json!({})));
        Archive::of(&std::iter::once(namespace("killed")).chain(maps).collect::<Vec<_>>(), None)
    };
    let archives = [archive("one"), archive("two")];
    assert_eq!(run("apply", &archives[0]).await.code, 0);
    let kubeconfig = testbed().await.kubeconfig().unwrap();
    for (kill, archive) in (0_u64..4).zip(archives.iter().cycle().skip(1)) {
        let mut child = command(kubeconfig, "apply", &archive.path()).spawn().unwrap();
        // No condition is waited for: the point is to be cut off anywhere, a little later each time.
        tokio::time::sleep(Duration::from_millis(400 + 130 * kill)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = run("apply", &archives[1]).await;
    assert_eq!((last.code, last.count("failed")), (0, 0), "{}", last.report);
    let maps = api("configmaps", "v1", "ConfigMap", Some("killed")).await;
    let values = maps.list(&kube::api::ListParams::default()).await.unwrap().items;
    let new = values.iter().filter(|map| map.data["data"]["key"] == "two" && map.data["immutable"] == true).count();
    assert_eq!(new, OBJECTS);
}
