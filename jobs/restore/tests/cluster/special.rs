use serde_json::json;

use crate::support::{Archive, api, definition, live, run};

#[tokio::test]
async fn a_management_cluster_without_annotations_comes_back() {
    let (plural, mut clusters) = definition("management.cattle.io", &["v3"]);
    clusters["metadata"]["name"] = json!("clusters.management.cattle.io");
    clusters["spec"]["names"] =
        json!({"plural": "clusters", "singular": "cluster", "kind": "Cluster", "listKind": "ClusterList"});
    let cluster = json!({"apiVersion": "management.cattle.io/v3", "kind": "Cluster", "metadata": {"name": "c-m-plain"},
        "spec": {"displayName": "plain"}, "status": {"driver": "k3s"}});
    let archive = Archive::of(&[(plural, clusters), ("clusters", cluster)], None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 2), "{} {}", first.report, first.errors);
    let cluster = live(&api("clusters", "management.cattle.io/v3", "Cluster", None).await, "c-m-plain").await;
    assert_eq!(cluster["metadata"]["annotations"], json!({"io.cattle.agent.force.deploy": "true"}));
    assert_eq!((&cluster["spec"]["displayName"], &cluster["status"]["driver"]), (&json!("plain"), &json!("k3s")));
    assert_eq!(run("apply", &archive).await.count("unchanged"), 2);
}
