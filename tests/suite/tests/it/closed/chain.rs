use drover_testbed::{Options, Service};
use drover_tests::{Site, message};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::Closed;

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: maps}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^configmaps$, namespaces: [default], resourceNameRegexp: ^kept}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_and_a_restore_go_through_a_closed_server_with_their_own_keys_alone() {
    let site = Site::start_with(Options::only([Service::ControlPlane])).await;
    let mut closed = Closed::install(&site, "cattle-resources-system").await;
    closed.roll_out().await;
    closed.job("dispatch", "setup").await.arguments(["setup", "queue"]).succeed().await;
    site.resource_set(SET).await;
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();

    site.backup("daily", "maps", None).await;
    closed.job("snapshot", "snapshot").await.arguments(["--backup", "daily"]).succeed().await;
    // With the sweep that sends messages again which were lost.
    closed.job("upload", "upload").await.succeed().await;
    let status = site.backup_status("daily").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");

    maps.delete("kept", &DeleteParams::default()).await.unwrap();
    site.restore("back", &status.filename.unwrap(), None).await;
    closed.job("restore", "restore").await.succeed().await;
    assert_eq!(message(site.restore_status("back").await.conditions.as_ref(), "Ready"), "Completed");
    assert_eq!(maps.get("kept").await.unwrap().data, map.data);

    // Nobody wants to be told: the events are taken all the same.
    let told = closed.job("heartbeat", "heartbeat").await.arguments(["--drain-only"]).succeed().await;
    assert!(told.log.contains("done=4"), "two of the backup, two of the restore: {}", told.log);

    a_failed_upload_is_told_too(&site, &closed).await;
    // Every subject that a job uses was open to it.
    assert!(!closed.log().contains("Permissions Violation"), "{}", closed.log());
    drop(closed);
    site.testbed.shutdown().await;
}

/// A message that cannot be read is kept and reported, a snapshot that finds nothing fails, and what was lost is sent
/// again: the subjects of bad days.
async fn a_failed_upload_is_told_too(site: &Site, closed: &Closed<'_>) {
    let snapshot = closed.connect("snapshot").await;
    let sent = snapshot.jetstream.publish("drover.backup.snapshotted.daily", "no event".into()).await.unwrap();
    sent.await.unwrap();
    closed.job("upload", "upload").await.end_with(65).await;

    site.resource_set(&SET.replace("name: maps", "name: nothing").replace("^kept", "^nothing")).await;
    site.backup("empty", "nothing", None).await;
    assert_ne!(closed.job("snapshot", "snapshot").await.arguments(["--backup", "empty"]).run().await.code, 0);

    site.backup("lost", "maps", None).await;
    closed.job("snapshot", "snapshot").await.arguments(["--backup", "lost"]).succeed().await;
    let setup = closed.connect("setup").await;
    let mut config = setup.jetstream.get_stream("DROVER").await.unwrap().cached_info().config.clone();
    // Its message is over before anybody took it.
    (config.max_messages, config.metadata) = (1, drover_metadata(&config.metadata));
    setup.jetstream.update_stream(&config).await.unwrap();
    snapshot.jetstream.publish("drover.backup.started.daily", "newer".into()).await.unwrap().await.unwrap();
    config.max_messages = -1;
    setup.jetstream.update_stream(&config).await.unwrap();
    closed.job("upload", "upload").await.succeed().await;
    let status = site.backup_status("lost").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
}

fn drover_metadata(metadata: &std::collections::HashMap<String, String>) -> std::collections::HashMap<String, String> {
    let mut metadata = metadata.clone();
    metadata.retain(|key, _| !key.starts_with("_nats."));
    metadata
}
