use drover::resources::DEFAULT_NAMESPACE;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Cluster;
use crate::nats::until;

#[tokio::test]
async fn while_the_operator_has_replicas_nothing_is_started_and_each_says_why() {
    let cluster = Cluster::start().await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), DEFAULT_NAMESPACE);
    let operator = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "rancher-backup"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "x"}}, "template": {
            "metadata": {"labels": {"app": "x"}},
            "spec": {"containers": [{"name": "x", "image": "rancher/backup-restore-operator:v8.0.0"}]}}},
    });
    deployments.patch("rancher-backup", &PatchParams::apply("test"), &Patch::Apply(&operator)).await.unwrap();
    let _dispatch = cluster.dispatch().await;
    cluster.make_backup("once", None).await;
    cluster.make_backup("hourly", Some("@hourly")).await;
    let active = async |name: &str| {
        let conditions = cluster.status(name).await.conditions;
        drover_tests::message(conditions.as_ref(), "DroverActive")
    };
    for name in ["once", "hourly"] {
        until("it says so", async || active(name).await.contains("scale it to 0")).await;
        assert_eq!(cluster.ready(name).await, "", "what the operator says of it stays");
        assert!(cluster.jobs_of(name).await.is_empty());
    }
    let suspended = async || cluster.cron_job("hourly").await.and_then(|job| job.spec?.suspend);
    until("its CronJob starts nothing", async || suspended().await == Some(true)).await;
    assert_eq!(cluster.status("hourly").await.next_snapshot_at, None);

    let scaled = json!({"spec": {"replicas": 0}});
    deployments.patch("rancher-backup", &PatchParams::default(), &Patch::Merge(&scaled)).await.unwrap();
    for name in ["once", "hourly"] {
        cluster.nth_job(name, 1).await;
        until("drover has taken over", async || active(name).await == "drover has taken over").await;
    }
    until("its CronJob runs", async || suspended().await == Some(false)).await;
}
