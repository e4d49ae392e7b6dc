//! A node whose clock was days ahead once: what it stamped decides nothing at the true time.

use drover::clock;
use drover::resources::{
    BackupRun, BackupRunSpec, BackupRunStatus, BackupSpec, BackupStatus, Restore, RestoreSpec, RunState, rfc3339,
};
use drover::runs::{archive_name, run_name};
use drover_testbed::{Options, Service};
use drover_tests::{BUCKET, SMALL_SET, Site};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

const NAME: &str = "ahead";

const DAYS: SignedDuration = SignedDuration::from_hours(72);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_days_ahead_stamped_decides_nothing() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
    site.resource_set(SMALL_SET).await;
    let spec = BackupSpec {
        resource_set_name: "small".to_owned(),
        schedule: Some("@every 24h".to_owned()),
        storage_location: Some(site.bucket(NAME)),
        ..BackupSpec::default()
    };
    site.make_backup(NAME, spec).await;
    site.job("snapshot").succeed().await;
    site.job("upload").succeed().await;
    let first = site.runs(NAME).await.pop().unwrap();
    let ahead = write_run_of_the_future(&site, &first).await;

    // It is a backup all the same, of when its record was made: no other is due.
    for _ in 0..2 {
        let looked = site.job("snapshot").succeed().await;
        assert!(looked.log.contains("no Backup is due"), "{}", looked.log);
    }
    assert_eq!(site.runs(NAME).await.len(), 2);

    // The next ones are of now, each later than the one before, and the Backup says so.
    let mut last: Timestamp = first.spec.started_at.parse().unwrap();
    for number in [3, 4] {
        site.job("snapshot").arguments(["--backup", NAME]).succeed().await;
        site.job("upload").succeed().await;
        let run = site.runs(NAME).await.pop().unwrap();
        let begun: Timestamp = run.spec.started_at.parse().unwrap();
        assert_eq!(run.spec.number, number);
        assert!(begun > last && !clock::is_future(begun, Timestamp::now()), "{begun} after {last}");
        let status = site.backup_status(NAME).await;
        assert_eq!((status.last_snapshot_ts, status.filename), (Some(run.spec.started_at), Some(run.spec.filename)));
        last = begun;
    }

    let newest = site.runs(NAME).await.pop().unwrap().spec.filename;
    assert_eq!(latest(&site).await, newest, "and not {ahead}");
    site.testbed.shutdown().await;
}

/// The record, the status and the archive that a node three days ahead would have made.
async fn write_run_of_the_future(site: &Site, first: &BackupRun) -> String {
    let ahead = Timestamp::now() + DAYS;
    let uid = drover::cluster::cluster_uid(&site.client).await.unwrap();
    let filename = archive_name(NAME, &uid, ahead, false);
    let spec = BackupRunSpec {
        number: 2,
        id: uuid::Uuid::now_v7(),
        started_at: rfc3339(ahead),
        filename: filename.clone(),
        ..first.spec.clone()
    };
    let mut run = BackupRun::new(&run_name(NAME, 2), spec);
    run.metadata.labels.clone_from(&first.metadata.labels);
    run.metadata.owner_references =
        site.backups().get(NAME).await.unwrap().controller_owner_ref(&()).map(|owner| vec![owner]);
    let runs: Api<BackupRun> = Api::all(site.client.clone());
    runs.create(&PostParams::default(), &run).await.unwrap();
    let status =
        BackupRunStatus { state: RunState::Completed, ended_at: Some(rfc3339(ahead)), ..first.status.clone().unwrap() };
    let patch = Patch::Merge(json!({ "status": status }));
    runs.patch_status(&run.name_any(), &PatchParams::default(), &patch).await.unwrap();

    let status = BackupStatus {
        last_snapshot_ts: Some(rfc3339(ahead)),
        filename: Some(filename.clone()),
        ..site.backup_status(NAME).await
    };
    let patch = Patch::Merge(json!({ "status": status }));
    site.backups().patch_status(NAME, &PatchParams::default(), &patch).await.unwrap();

    let s3 = site.testbed.s3().unwrap().client().unwrap();
    let source = format!("{BUCKET}/{NAME}/{}", first.spec.filename);
    let copy = s3.copy_object().bucket(BUCKET).key(format!("{NAME}/{filename}")).copy_source(source);
    copy.send().await.unwrap();
    filename
}

/// The archive that a Restore of the latest one takes.
async fn latest(site: &Site) -> String {
    let spec = RestoreSpec {
        backup_filename: "latest".to_owned(),
        storage_location: Some(site.bucket(NAME)),
        prune: Some(false),
        ..RestoreSpec::default()
    };
    let mut restore = Restore::new("latest", spec);
    restore.annotations_mut().insert("drover.dev/latest-of".to_owned(), NAME.to_owned());
    site.make_restore(&restore).await;
    site.job("restore").succeed().await;
    site.restores().get("latest").await.unwrap().archive().unwrap().to_owned()
}
