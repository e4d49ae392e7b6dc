use std::io::Write;

use serde_json::json;

use crate::support::{
    Archive, api, config_map, definition, kubeconfig_of, namespace, rule, run, run_asking, run_through, run_with,
    testbed, thing,
};

#[tokio::test]
async fn what_the_server_refuses_is_named_and_the_rest_goes_on() {
    let (plural, mut refused) = config_map("partly", "refused", &json!(null));
    refused["data"] = json!({"no key": "x"});
    let objects = [namespace("partly"), config_map("partly", "good", &json!(null)), (plural, refused)];
    let run = run("apply", &Archive::of(&objects, None)).await;
    assert_eq!((run.code, run.count("created"), run.count("failed")), (1, 2, 1), "{}", run.report);
    assert!(run.result("configmaps", "refused").1.contains("no key"), "{}", run.report);
    assert!(run.errors.contains("1 of 3 objects failed"), "{}", run.errors);
}

#[tokio::test]
async fn types_that_nobody_serves_end_a_restore_before_its_first_write() {
    let objects = [namespace("typeless"), thing("nobody.example.io", "unknown", &json!({}))];
    let archive = Archive::of(&objects, None);
    let refused = run("apply", &archive).await;
    assert_eq!(refused.code, 65, "{}", refused.errors);
    assert!(refused.errors.contains("things.nobody.example.io v1"), "{}", refused.errors);
    assert!(api("namespaces", "v1", "Namespace", None).await.get_opt("typeless").await.unwrap().is_none());
    let ignored = run_asking("apply", &archive, &["--ignore-errors"]).await;
    assert_eq!((ignored.code, ignored.count("created"), ignored.count("failed")), (0, 1, 1), "{}", ignored.report);
    assert!(ignored.result("things", "unknown").1.starts_with("type not served"), "{}", ignored.report);
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
    let run = run_with(file.path(), "apply", &archive.path());
    let named = run.errors.contains(&format!("the API server at http://127.0.0.1:{port}"));
    assert!(run.code == 69 && named, "{}", run.errors);
}

#[tokio::test]
async fn what_was_written_is_told_where_the_rest_cannot_be_looked_at() {
    let rules = [
        rule("apiextensions.k8s.io", "customresourcedefinitions", &["get", "list", "create"]),
        rule("resources.cattle.io", "*", &["list"]),
        rule("", "namespaces", &["get", "list"]),
        // Where drover runs, and what it stands on.
        rule("", "serviceaccounts", &["list"]),
        rule("", "configmaps", &["get"]),
        rule("", "secrets", &["get"]),
        rule("apps", "*", &["list"]),
        rule("batch", "cronjobs", &["list"]),
        rule("drover.dev", "*", &["list"]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig_of("half-way", &rules, folder.path()).await;
    let objects = [definition("half-way.example.io", &["v1"]), config_map("default", "half-way", &json!(null))];
    let run = run_through(&kubeconfig, "apply", &Archive::of(&objects, None), &[]).await;
    // A right that lacks is wrong configuration.
    assert_eq!((run.code, run.count("created"), run.count("untouched")), (64, 1, 1), "{} {}", run.report, run.errors);
    let right = "failed to list \"configmaps\"; whoever asks needs a ClusterRole with the rule apiGroups: [\"\"], \
                 resources: [\"configmaps\"], verbs: [\"list\"]";
    assert!(run.errors.contains(right), "{}", run.errors);
}
