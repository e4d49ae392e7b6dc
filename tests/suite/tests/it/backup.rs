//! From a Backup to the verified archive, over S3 and over a folder.

use drover::resources::{BackupRun, BackupSpec, RunState, S3Location, StorageLocation};
use drover_tests::{BUCKET, Site, message};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: small}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^namespaces$, resourceNameRegexp: ^kube-}
- {apiVersion: rbac.authorization.k8s.io/v1, kindsRegexp: ^clusterroles$, resourceNameRegexp: '^system:'}
";

#[tokio::test(flavor = "multi_thread")]
async fn backup_goes_through_nats_into_the_bucket_and_into_a_folder() {
    let site = Site::start().await;
    site.resource_set(SET).await;
    to_the_bucket(&site).await;
    over_https_with_its_own_authority(&site).await;
    to_the_folder(&site).await;
    second_run_is_another_file(&site).await;
    due_backups_run_without_being_named(&site).await;
    history_is_kept_short(&site).await;
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_tries_a_run_tells_of_another_one_is_made() {
    let site = Site::start().await;
    site.resource_set(SET).await;
    site.backup("tried", "small", None).await;
    site.job("snapshot").arguments(["--backup", "tried"]).succeed().await;
    let run = site.runs("tried").await.remove(0);
    let runs: Api<BackupRun> = Api::all(site.client.clone());
    let tried = Patch::Merge(json!({"status": {"upload": {"attempts": i64::MAX}}}));
    runs.patch_status(&run.name_any(), &PatchParams::default(), &tried).await.unwrap();
    site.job("upload").succeed().await;
    let status = site.runs("tried").await.remove(0).status.unwrap();
    assert_eq!((status.state, status.upload.unwrap().attempts), (RunState::Completed, i64::MAX));
    site.testbed.shutdown().await;
}

async fn to_the_bucket(site: &Site) {
    site.backup("daily", "small", Some(site.bucket("daily"))).await;
    site.job("snapshot").arguments(["--backup", "daily"]).succeed().await;
    let status = site.backup_status("daily").await;
    assert!(message(status.conditions.as_ref(), "Ready").starts_with("InProgress: "), "{status:?}");
    assert_eq!(site.artifacts().await.names.len(), 1);

    site.job("upload").succeed().await;
    let status = site.backup_status("daily").await;
    let conditions = status.conditions.clone().unwrap();
    assert!(conditions.is_true("Ready") && conditions.is_true("Uploaded"), "{conditions:?}");
    assert_eq!(message(Some(&conditions), "Ready"), "Completed");
    assert_eq!(status.storage_location.as_deref(), Some("S3"));
    let filename = status.filename.unwrap();
    assert!(filename.starts_with("daily-") && filename.ends_with("Z.tar.gz"), "{filename}");

    let archive = tempfile::NamedTempFile::new().unwrap();
    site.download(&format!("daily/{filename}"), archive.path()).await;
    let contents = drover_testbed::compare::contents(archive.path()).unwrap();
    assert!(contents.contains_key("namespaces.#v1/kube-system"), "{:?}", contents.keys());
    let runs = site.runs("daily").await;
    let run = runs[0].status.clone().unwrap();
    assert_eq!(run.state, RunState::Completed);
    assert_eq!(run.snapshot.as_ref().unwrap().objects, i64::try_from(contents.len()).unwrap());
    assert_eq!(run.upload.as_ref().unwrap().places[0].location, format!("s3://{BUCKET}/daily/{filename}"));
    assert_eq!(run.waiting_artifact(), None);
    nothing_is_left(site).await;
}

async fn nothing_is_left(site: &Site) {
    let contents = site.artifacts().await;
    assert!(contents.names.is_empty() && contents.chunks.is_empty(), "{contents:?}");
}

async fn over_https_with_its_own_authority(site: &Site) {
    let tls = site.testbed.s3_tls().unwrap();
    site.secret("tls-credentials", &[("accessKey", &tls.access_key), ("secretKey", &tls.secret_key)]).await;
    let location = S3Location {
        bucket_name: BUCKET.to_owned(),
        endpoint: Some(tls.endpoint.clone()),
        credential_secret_name: Some("tls-credentials".to_owned()),
        ..S3Location::default()
    };
    site.backup("untrusted", "small", Some(StorageLocation { s3: Some(location.clone()) })).await;
    site.job("snapshot").arguments(["--backup", "untrusted"]).succeed().await;
    site.job("upload").end_with(64).await;
    let status = site.backup_status("untrusted").await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Failed: ") && ready.contains("endpointCA"), "{ready}");

    // Mended, the same message goes through with the next Job: nothing was lost.
    let trusting = S3Location { insecure_tls_skip_verify: Some(true), ..location };
    let mut backup = site.backups().get("untrusted").await.unwrap();
    backup.spec.storage_location = Some(StorageLocation { s3: Some(trusting) });
    site.backups().replace("untrusted", &kube::api::PostParams::default(), &backup).await.unwrap();
    site.job("upload").succeed().await;
    assert_eq!(message(site.backup_status("untrusted").await.conditions.as_ref(), "Ready"), "Completed");
    assert_eq!(site.runs("untrusted").await.len(), 1);
}

async fn to_the_folder(site: &Site) {
    site.backup("local", "small", None).await;
    site.job("snapshot").arguments(["--backup", "local"]).succeed().await;
    site.job("upload").arguments(["--drain-only"]).succeed().await;
    let status = site.backup_status("local").await;
    assert_eq!(status.storage_location.as_deref(), Some("PV"));
    let archive = site.folder().join(status.filename.unwrap());
    assert!(drover_testbed::compare::contents(&archive).unwrap().len() > 10);
    nothing_is_left(site).await;
}

async fn second_run_is_another_file(site: &Site) {
    let first = site.backup_status("local").await.filename.unwrap();
    site.job("snapshot").arguments(["--backup", "local"]).succeed().await;
    site.job("upload").succeed().await;
    let second = site.backup_status("local").await.filename.unwrap();
    assert_ne!(first, second);
    assert!(site.folder().join(first).exists() && site.folder().join(second).exists());
    let numbers: Vec<_> = site.runs("local").await.iter().map(|run| run.spec.number).collect();
    assert_eq!(numbers, [1, 2]);
}

async fn due_backups_run_without_being_named(site: &Site) {
    let spec = BackupSpec {
        resource_set_name: "small".to_owned(),
        schedule: Some("@yearly".to_owned()),
        storage_location: Some(StorageLocation::default()),
        ..BackupSpec::default()
    };
    site.make_backup("yearly", spec).await;
    site.job("snapshot").succeed().await;
    site.job("upload").succeed().await;
    let status = site.backup_status("yearly").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    assert!(status.next_snapshot_at.unwrap().ends_with("-01-01T00:00:00Z"));
    let again = site.job("snapshot").succeed().await;
    assert!(again.log.contains("no Backup is due"), "{}", again.log);
}

async fn history_is_kept_short(site: &Site) {
    for _ in 0..11 {
        site.job("snapshot").arguments(["--backup", "local"]).succeed().await;
        site.job("upload").succeed().await;
    }
    let runs = site.runs("local").await;
    // The newest run is opened before old ones are deleted, so there may be one above the ten that are kept.
    assert!((10..=11).contains(&runs.len()), "{:?}", runs.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
    assert_eq!(runs.last().unwrap().spec.number, 13);
    assert!(site.backups().get_status("local").await.is_ok());
}
