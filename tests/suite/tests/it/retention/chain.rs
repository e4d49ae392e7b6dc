//! Through the real jobs: after each new archive its Backup is pruned, and what is away is pruned later.

use async_nats::jetstream::consumer::PullConsumer;
use drover::events::{Event, Kind};
use drover::queue::{RETENTION_PRUNE_CONSUMER, STREAM};
use drover::resources::BackupSpec;
use drover_testbed::Part;
use drover_tests::{BUCKET, SMALL_SET, Site, message};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_archive_pushes_the_oldest_out_and_nothing_else() {
    let site = Site::start().await;
    site.resource_set(SMALL_SET).await;
    for name in ["daily", "rancher-daily"] {
        scheduled(&site, name).await;
    }
    the_third_archive_pushes_the_first_out(&site).await;
    a_place_that_is_away_is_pruned_later_and_fails_no_backup(&site).await;
    a_message_of_a_backup_that_is_gone_is_done(&site).await;
    while_the_operator_is_at_work_nothing_is_deleted(&site).await;
    site.testbed.shutdown().await;
}

async fn scheduled(site: &Site, name: &str) {
    let spec = BackupSpec {
        resource_set_name: "small".to_owned(),
        schedule: Some("@yearly".to_owned()),
        retention_count: Some(2),
        storage_location: Some(site.bucket("together")),
        ..BackupSpec::default()
    };
    site.make_backup(name, spec).await;
}

async fn back_up(site: &Site, name: &str) -> String {
    site.job("snapshot").arguments(["--backup", name]).succeed().await;
    site.job("upload").succeed().await;
    site.backup_status(name).await.filename.unwrap()
}

async fn archives(site: &Site, backup: &str) -> Vec<String> {
    let listed = site.testbed.s3().unwrap().client().unwrap().list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let names = listed.contents().iter().filter_map(|object| object.key()?.strip_prefix("together/"));
    let own = names.filter(|name| name.starts_with(&format!("{backup}-")));
    let mut own: Vec<String> = own.map(str::to_owned).collect();
    own.sort();
    own
}

/// Messages that wait for a prune, and those that somebody works on.
pub(super) async fn waiting(site: &Site) -> (u64, usize) {
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    let consumer: PullConsumer = jetstream.get_consumer_from_stream(RETENTION_PRUNE_CONSUMER, STREAM).await.unwrap();
    let info = consumer.get_info().await.unwrap();
    (info.num_pending, info.num_ack_pending)
}

async fn last_event(site: &Site, kind: Kind, name: &str) -> Option<Event> {
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let message = stream.get_last_raw_message_by_subject(&kind.subject(name)).await.ok()?;
    Some(Event::parse(&message.payload).unwrap())
}

async fn the_third_archive_pushes_the_first_out(site: &Site) {
    let mut names = Vec::new();
    for round in 0..3_u64 {
        names.push(back_up(site, "daily").await);
        back_up(site, "rancher-daily").await;
        assert_eq!(waiting(site).await, (2, 0), "round {round}");
        let planned = site.job("retention-prune").arguments(["--dry-run", "--backup", "daily"]).succeed().await.output;
        let deletes = planned.lines().filter(|line| line.contains("  delete  "));
        let planned: Vec<_> = deletes.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
        let before = archives(site, "daily").await;
        site.job("retention-prune").arguments(["--drain-only"]).succeed().await;
        let after = archives(site, "daily").await;
        let gone: Vec<_> = before.into_iter().filter(|name| !after.contains(name)).collect();
        assert_eq!(planned, gone, "a dry run tells what the real run does then");
        assert_eq!(waiting(site).await, (0, 0));
    }
    assert_eq!(archives(site, "daily").await, names[1..]);
    assert_eq!(archives(site, "rancher-daily").await.len(), 2);
    let status = site.backup_status("daily").await;
    let pruned = message(status.conditions.as_ref(), "Pruned");
    assert!(pruned.starts_with("deleted 1, kept 2; last deleted 1 at ") && pruned.contains(&names[0]), "{pruned}");
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    let told = last_event(site, Kind::BackupPruned, "daily").await.unwrap().data;
    let pruned = told.pruned.unwrap();
    assert_eq!((pruned.deleted, pruned.kept, pruned.retained), (1, 2, 0));
    assert_eq!((pruned.deleted_archives[0].name.as_str(), told.number), (names[0].as_str(), Some(3)));
    assert_eq!(pruned.deleted_archives[0].reason, "older than the newest 2 (removed)");
}

async fn a_place_that_is_away_is_pruned_later_and_fails_no_backup(site: &Site) {
    back_up(site, "daily").await;
    site.testbed.kill(Part::Minio).await.unwrap();
    let finished = site.job("retention-prune").arguments(["--drain-only"]).end_with(69).await;
    assert!(finished.log.contains("failed to "), "{}", finished.log);
    assert_eq!(waiting(site).await.0 + waiting(site).await.1 as u64, 1, "its message waits");
    let status = site.backup_status("daily").await;
    let conditions = status.conditions.as_ref();
    assert!(!conditions.unwrap().is_true("Pruned"), "{conditions:?}");
    assert_eq!(message(conditions, "Ready"), "Completed");
    let told = last_event(site, Kind::BackupFailed, "daily").await.unwrap().data;
    assert_eq!(told.stage.as_deref(), Some("retention-prune"));

    site.testbed.start_again(Part::Minio).await.unwrap();
    site.job("retention-prune").arguments(["--drain-only"]).succeed().await;
    assert_eq!((archives(site, "daily").await.len(), waiting(site).await), (2, (0, 0)));
    assert!(site.backup_status("daily").await.conditions.unwrap().is_true("Pruned"));
}

async fn a_message_of_a_backup_that_is_gone_is_done(site: &Site) {
    back_up(site, "rancher-daily").await;
    site.backups().delete("rancher-daily", &kube::api::DeleteParams::default()).await.unwrap();
    let left = archives(site, "rancher-daily").await;
    site.job("retention-prune").succeed().await;
    assert_eq!((archives(site, "rancher-daily").await, waiting(site).await), (left, (0, 0)));
}

async fn while_the_operator_is_at_work_nothing_is_deleted(site: &Site) {
    back_up(site, "daily").await;
    let operator = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: rancher-backup, namespace: cattle-resources-system}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: a, image: 'rancher/backup-restore-operator:v9'}]}
";
    let file = site.testbed.folder().join("operator.yaml");
    std::fs::write(&file, operator).unwrap();
    crate::kubectl::on(site, &["apply", "-f", file.to_str().unwrap()]).await;
    let finished = site.job("retention-prune").succeed().await;
    assert!(finished.log.contains("the Rancher backup operator is in charge"), "{}", finished.log);
    assert_eq!(archives(site, "daily").await.len(), 3);
}
