use std::io::Write;

use kube::api::{DynamicObject, PostParams};
use serde_json::json;

use crate::support::{Archive, api, config_map, namespace, run, run_with, testbed, thing};

#[tokio::test]
async fn what_the_server_refuses_is_named_and_the_rest_goes_on() {
    let objects = [
        namespace("partly"),
        config_map("partly", "good", &json!(null)),
        config_map("no-such-namespace", "homeless", &json!(null)),
        thing("nobody.example.io", "unknown", &json!({})),
    ];
    let run = run("apply", &Archive::of(&objects, None)).await;
    assert_eq!((run.code, run.count("created"), run.count("failed")), (1, 2, 2), "{}", run.report);
    assert!(run.result("configmaps", "homeless").1.contains("no-such-namespace"), "{}", run.report);
    assert!(run.result("things", "unknown").1.starts_with("type not served"), "{}", run.report);
    assert!(run.errors.contains("2 of 4 objects failed"), "{}", run.errors);
}

#[tokio::test]
async fn nothing_is_written_while_a_controller_runs() {
    assert_eq!(run("apply", &Archive::of(&[namespace("running")], None)).await.code, 0);
    let deployment: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "boss", "namespace": "running"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}},
    }))
    .unwrap();
    let deployments = api("deployments", "apps/v1", "Deployment", Some("running")).await;
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let reference =
        |name: &str| json!({"apiVersion": "apps/v1", "resource": "deployments", "namespace": "running", "name": name});
    let set = |name: &str| {
        json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
            "resourceSelectors": [], "controllerReferences": [reference(name)]})
    };
    let objects = [config_map("running", "never", &json!(null))];
    let refused = run("apply", &Archive::of(&objects, Some(&set("boss")))).await;
    assert_eq!(refused.code, 64);
    let command = "kubectl --namespace running scale deployments/boss --replicas=0";
    assert!(refused.errors.contains(command), "{}", refused.errors);
    let maps = api("configmaps", "v1", "ConfigMap", Some("running")).await;
    assert!(maps.get_opt("never").await.unwrap().is_none());
    assert_eq!(run("apply", &Archive::of(&objects, Some(&set("gone")))).await.code, 0);
}

#[tokio::test]
async fn a_broken_archive_changes_nothing() {
    let archive = Archive::of(&[namespace("broken"), config_map("broken", "a", &json!(null))], None);
    let bytes = std::fs::read(archive.path()).unwrap();
    let mut cut = tempfile::NamedTempFile::new().unwrap();
    cut.write_all(&bytes[..bytes.len() - 9]).unwrap();
    let run = run_with(testbed().await.kubeconfig().unwrap(), "apply", cut.path());
    assert_eq!(run.code, 65, "{}", run.errors);
    assert!(api("namespaces", "v1", "Namespace", None).await.get_opt("broken").await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_is_away_is_told_by_the_exit_code() {
    // A port that was free a moment ago, and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(kubeconfig.to_string().as_bytes()).unwrap();
    let archive = Archive::of(&[namespace("away")], None);
    assert_eq!(run_with(file.path(), "apply", &archive.path()).code, 69);
}
