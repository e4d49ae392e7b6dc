//! What earlier versions left between their stages is finished by this one: `cargo run -p drover-tests --example record`
//! recorded it.

use async_nats::jetstream;
use drover::labels::BACKUP_UID_LABEL;
use drover::resources::{Backup, BackupRun, RunState, definitions};
use drover::runs::status_of;
use drover_testbed::{Options, Service, prepare};
use drover_tests::recording::{Recording, folder};
use drover_tests::{SMALL_SET, Site, message};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, CustomResourceExt, ResourceExt};
use serde_json::json;
use sha2::{Digest, Sha256};

#[tokio::test(flavor = "multi_thread")]
async fn archives_and_messages_of_every_earlier_version_are_finished() {
    let versions: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!versions.is_empty());
    for version in versions {
        eprintln!("finishing what {} left", version.display());
        let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
        is_finished(&site, &Recording::read(&version)).await;
        site.testbed.shutdown().await;
    }
}

async fn is_finished(site: &Site, recording: &Recording) {
    let backup = site.make_backup(&recording.backup.name_any(), recording.backup.spec.clone()).await;
    put_run(site, &backup, &recording.run).await;
    recording.send(&jetstream::new(site.testbed.nats().await.unwrap())).await;
    site.job("upload").succeed().await;

    let name = backup.name_any();
    let runs = site.runs(&name).await;
    assert_eq!(runs.iter().map(|run| status_of(run).state).collect::<Vec<_>>(), [RunState::Completed]);
    assert!(site.backup_status(&name).await.conditions.unwrap().is_true("Ready"));
    let stored = std::fs::read(site.folder().join(&recording.run.spec.filename)).unwrap();
    let sha256 = status_of(&recording.run).snapshot.unwrap().sha256.unwrap();
    assert_eq!(hex::encode(Sha256::digest(&stored)), sha256);
    let left = site.artifacts().await;
    assert!(left.names.is_empty() && left.chunks.is_empty(), "{left:?}");
}

/// The Backup has another UID here, and nothing else is changed.
async fn put_run(site: &Site, backup: &Backup, recorded: &BackupRun) {
    let uid = backup.uid().unwrap();
    let mut run = BackupRun::new(&recorded.name_any(), recorded.spec.clone());
    run.spec.backup_uid.clone_from(&uid);
    run.metadata.labels.clone_from(&recorded.metadata.labels);
    run.labels_mut().insert(BACKUP_UID_LABEL.to_owned(), uid);
    let runs: Api<BackupRun> = Api::all(site.client.clone());
    runs.create(&PostParams::default(), &run).await.unwrap();
    let status = Patch::Merge(json!({"status": recorded.status}));
    runs.patch_status(&run.name_any(), &PatchParams::default(), &status).await.unwrap();
}

/// As after an upgrade of the jobs without the foundation.
#[tokio::test(flavor = "multi_thread")]
async fn a_definition_of_an_earlier_version_is_told_on_the_backup() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    site.resource_set(SMALL_SET).await;
    site.backup("daily", "small", None).await;
    let mut earlier = json!(BackupRun::crd());
    let snapshot = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/snapshot/properties";
    earlier.pointer_mut(snapshot).unwrap().as_object_mut().unwrap().remove("types").unwrap();
    let earlier = serde_json::from_value(earlier).unwrap();
    prepare::install_definitions(&site.client, &[earlier]).await.unwrap();

    // The API server takes a moment to go by it.
    let snapshot = async || site.job("snapshot").arguments(["--backup", "daily"]).run().await;
    let mut refused = snapshot().await;
    while refused.code == 0 {
        refused = snapshot().await;
    }
    assert_eq!(refused.code, 64, "{}", refused.log);
    let advice = "the cluster's definition of BackupRun is not of this version of drover; apply the foundation again";
    assert!(refused.log.contains(advice), "{}", refused.log);
    let status = site.backup_status("daily").await;
    let said = message(status.conditions.as_ref(), "Ready");
    assert!(said.starts_with("Failed: ") && said.contains(advice), "{said}");

    prepare::install_definitions(&site.client, &definitions()).await.unwrap();
    let mut taken = snapshot().await;
    while taken.code == 64 {
        taken = snapshot().await;
    }
    assert_eq!(taken.code, 0, "{}", taken.log);
    site.job("upload").succeed().await;
    assert!(site.backup_status("daily").await.conditions.unwrap().is_true("Ready"));
    site.testbed.shutdown().await;
}
