use kube::api::PostParams;
use serde_json::{Value, json};

use crate::support::{Archive, api, config_map, definition, live, make, namespace, old_owner, run, thing, until};

const GROUP: &str = "rounds.example.io";
const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// Has a thing refused as long as a ConfigMap is not there.
async fn need(thing: &str, config_map: &str) {
    let policy = json!({"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": thing},
        "spec": {
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConstraints": {"resourceRules": [{"apiGroups": [GROUP], "apiVersions": ["*"],
                "operations": ["CREATE"], "resources": ["things"], "resourceNames": [thing]}]},
            "validations": [{"expression": "true"}]}});
    let binding = json!({"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": thing}, "spec": {"policyName": thing, "validationActions": ["Deny"],
            "paramRef": {"name": config_map, "namespace": "rounds", "parameterNotFoundAction": "Deny"}}});
    make(&api("validatingadmissionpolicies", ADMISSION, "ValidatingAdmissionPolicy", None).await, &policy).await;
    let bindings = api("validatingadmissionpolicybindings", ADMISSION, "ValidatingAdmissionPolicyBinding", None).await;
    make(&bindings, &binding).await;
    let things = api("things", &format!("{GROUP}/v1"), "Thing", None).await;
    let probe = crate::support::thing(GROUP, thing, &json!({})).1;
    let on_trial = PostParams { dry_run: true, ..PostParams::default() };
    until("the policy is in force", async || {
        things.create(&on_trial, &serde_json::from_value(probe.clone()).unwrap()).await.is_err()
    })
    .await;
}

fn replica_set(controller: &Value) -> Value {
    let labels = json!({"app": "owned"});
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"namespace": "rounds", "name": "owned", "ownerReferences": [controller]},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "a", "image": "a"}]}}}})
}

#[tokio::test]
async fn objects_that_need_each_other_come_back_with_their_owners() {
    let first = Archive::of(&[definition(GROUP, &["v1"]), namespace("rounds")], None);
    assert_eq!(run("apply", &first).await.code, 0);
    need("needy", "later").await;
    need("lost", "never").await;
    let owner = old_owner(&format!("{GROUP}/v1"), "Thing", "needy");
    let mut controller = owner.clone();
    controller["controller"] = json!(true);
    let objects: Vec<(&str, Value)> = vec![
        thing(GROUP, "needy", &json!({"spec": {"a": 1}})),
        thing(GROUP, "lost", &json!({"spec": {"a": 1}})),
        config_map("rounds", "later", &json!([owner])),
        config_map("rounds", "owned", &json!([owner])),
        ("replicasets", replica_set(&controller)),
    ];
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created"), first.count("failed")), (1, 4, 1), "{}", first.report);
    let (result, reason) = first.result("things", "lost");
    assert!(result == "failed" && reason.contains("no params found"), "{result}: {reason}");
    let needy = live(&api("things", &format!("{GROUP}/v1"), "Thing", None).await, "needy").await;
    let maps = api("configmaps", "v1", "ConfigMap", Some("rounds")).await;
    for name in ["later", "owned"] {
        let owned = live(&maps, name).await;
        assert_eq!(owned["metadata"]["ownerReferences"][0]["uid"], needy["metadata"]["uid"]);
        assert!(first.result("configmaps", name).1.contains("made later"), "{}", first.report);
    }
    // Live ones are never written over, and this one was created a moment ago.
    let owned = live(&api("replicasets", "apps/v1", "ReplicaSet", Some("rounds")).await, "owned").await;
    assert_eq!(owned["metadata"]["ownerReferences"][0]["uid"], needy["metadata"]["uid"], "{}", first.report);
    assert_eq!(first.result("replicasets", "owned").0, "created", "{}", first.report);
    let second = run("apply", &archive).await;
    let counts = ["unchanged", "kept", "failed"].map(|result| second.count(result));
    assert_eq!(counts, [3, 1, 1], "{}", second.report);
}
