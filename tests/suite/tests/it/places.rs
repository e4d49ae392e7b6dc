//! Several places for one archive: each stored and verified by itself, and made up for where one was away.

use drover::artifacts::Store;
use drover::resources::{
    BackupArchive, BackupPolicy, BackupPolicySpec, BackupRun, FurtherLocation, LocalLocation, Place, Restore,
    RestoreSpec, RunState, S3Location, StageState,
};
use drover_testbed::Part;
use drover_tests::{BUCKET, Site, message};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::Value;

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: small}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^configmaps$, namespaceRegexp: ^kube-system$}
- {apiVersion: rbac.authorization.k8s.io/v1, kindsRegexp: ^clusterroles$, resourceNameRegexp: '^system:'}
";

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_lies_at_three_places_and_one_that_was_away_is_made_up_for() {
    let site = Site::start().await;
    site.resource_set(SET).await;
    make_policy(&site).await;
    site.backup("three", "small", Some(site.bucket("three"))).await;
    one_is_away_and_comes_back(&site).await;
    the_artifact_is_gone_meanwhile(&site).await;
    all_are_listed(&site).await;
    the_latest_is_looked_for_at_all_of_them(&site).await;
    a_damaged_copy_is_refused_and_another_restored(&site).await;
    one_place_of_two_names_is_no_second_copy(&site).await;
    site.testbed.shutdown().await;
}

async fn make_policy(site: &Site) {
    let tls = site.testbed.s3_tls().unwrap();
    site.secret("far-credentials", &[("accessKey", &tls.access_key), ("secretKey", &tls.secret_key)]).await;
    let far = S3Location {
        bucket_name: BUCKET.to_owned(),
        folder: Some("far".to_owned()),
        endpoint: Some(tls.endpoint.clone()),
        endpoint_ca: tls.ca_pem.clone(),
        credential_secret_name: Some("far-credentials".to_owned()),
        ..S3Location::default()
    };
    let near = LocalLocation::default();
    policy(site, "three", vec![further("far", Some(far), None), further("near", None, Some(near))]).await;
}

fn further(name: &str, s3: Option<S3Location>, local: Option<LocalLocation>) -> FurtherLocation {
    FurtherLocation { name: name.to_owned(), s3, local }
}

async fn policy(site: &Site, backup: &str, locations: Vec<FurtherLocation>) {
    let policies: Api<BackupPolicy> = Api::all(site.client.clone());
    let spec = BackupPolicySpec {
        backup_names: vec![backup.to_owned()],
        additional_storage_locations: Some(locations),
        ..BackupPolicySpec::default()
    };
    policies.create(&PostParams::default(), &BackupPolicy::new(backup, spec)).await.unwrap();
}

async fn places(site: &Site, backup: &str) -> Vec<Place> {
    site.runs(backup).await.pop().unwrap().status.unwrap().upload.unwrap().places
}

fn states(places: &[Place]) -> Vec<(&str, StageState)> {
    places.iter().map(|place| (place.name.as_str(), place.state)).collect()
}

async fn one_is_away_and_comes_back(site: &Site) {
    site.job("snapshot").arguments(["--backup", "three"]).succeed().await;
    site.testbed.kill(Part::MinioTls).await.unwrap();
    site.job("upload").end_with(69).await;

    let found = places(site, "three").await;
    let expected = [("default", StageState::Completed), ("far", StageState::Failed), ("near", StageState::Completed)];
    assert_eq!(states(&found), expected);
    assert!(found[1].reason.as_ref().unwrap().contains("failed to "), "{found:?}");
    let filename = found[2].location.rsplit('/').next().unwrap().to_owned();
    assert!(site.folder().join(&filename).exists());
    let run = site.runs("three").await.pop().unwrap().status.unwrap();
    assert_eq!(run.state, RunState::InProgress);
    let words = run.message.unwrap();
    assert!(words.contains("stored and verified: s3://") && words.contains("far: failed to"), "{words}");
    let ready = message(site.backup_status("three").await.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Failed: far: failed to"), "{ready}");
    assert_eq!(site.artifacts().await.names.len(), 1);
    // What is verified is not stored again.
    let again = site.job("upload").end_with(69).await;
    assert!(!again.log.contains("stored, read back"), "{}", again.log);

    site.testbed.start_again(Part::MinioTls).await.unwrap();
    let made_up = site.job("upload").succeed().await;
    assert_eq!(made_up.log.matches("stored, read back").count(), 1, "{}", made_up.log);
    let runs = site.runs("three").await;
    assert_eq!((runs.len(), runs[0].status.as_ref().unwrap().state), (1, RunState::Completed));
    assert!(places(site, "three").await.iter().all(Place::is_verified));
    let ready = message(site.backup_status("three").await.conditions.as_ref(), "Ready");
    assert_eq!(ready, "Completed");
    assert!(site.artifacts().await.names.is_empty());
}

async fn the_artifact_is_gone_meanwhile(site: &Site) {
    site.job("snapshot").arguments(["--backup", "three"]).succeed().await;
    site.testbed.kill(Part::MinioTls).await.unwrap();
    site.job("upload").end_with(69).await;
    let artifact = site.runs("three").await.pop().unwrap().status.unwrap().artifact.unwrap();
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    Store::open(&jetstream).await.unwrap().purge(&artifact.name, &artifact.chunks).await.unwrap();

    site.testbed.start_again(Part::MinioTls).await.unwrap();
    let copied = site.job("upload").succeed().await;
    assert!(copied.log.contains("copied from a place that has it"), "{}", copied.log);
    assert!(places(site, "three").await.iter().all(Place::is_verified));
}

async fn all_are_listed(site: &Site) {
    let shown = site.job("restore").arguments(["list", "--backup", "three"]).succeed().await;
    for place in ["default: s3://rancher-backups/three/", "far: s3://rancher-backups/far/", "near: /"] {
        assert!(shown.output.contains(place), "{}", shown.output);
    }
    let filename = site.backup_status("three").await.filename.unwrap();
    assert_eq!(shown.output.matches(&filename).count(), 3, "{}", shown.output);

    site.testbed.kill(Part::MinioTls).await.unwrap();
    let arguments = ["list", "--backup", "three", "--output", "json"];
    let partly = site.job("restore").arguments(arguments).end_with(69).await;
    let listed: Value = serde_json::from_str(&partly.output).unwrap();
    assert_eq!(listed[0]["archives"][0]["verified"], "yes", "{listed}");
    assert_eq!(listed[0]["archives"].as_array().unwrap().len(), 2);
    assert!(listed[1]["error"].as_str().unwrap().starts_with("failed to"), "{listed}");
    site.testbed.start_again(Part::MinioTls).await.unwrap();

    let folder = site.folder().display().to_string();
    let local = site.job("restore").arguments(["list", "--folder", &folder]).succeed().await;
    assert!(local.output.contains(&filename) && local.output.contains("   recorded   "), "{}", local.output);
}

/// A Restore that names another folder finds the archive where the Backup has it, and one that names a folder with the file
/// what lies there.
async fn the_latest_is_looked_for_at_all_of_them(site: &Site) {
    let filename = site.backup_status("three").await.filename.unwrap();
    let s3 = site.testbed.s3().unwrap().client().unwrap();
    let key = format!("three/{filename}");
    let object = s3.get_object().bucket(BUCKET).key(&key).send().await.unwrap();
    let metadata = object.metadata.clone();
    let bytes = object.body.collect().await.unwrap().into_bytes();

    s3.delete_object().bucket(BUCKET).key(&key).send().await.unwrap();
    let spec = RestoreSpec {
        backup_filename: "latest".to_owned(),
        storage_location: Some(site.bucket("elsewhere")),
        prune: Some(false),
        ..RestoreSpec::default()
    };
    let mut restore = Restore::new("all", spec);
    restore.annotations_mut().insert("drover.dev/latest-of".to_owned(), "three".to_owned());
    site.make_restore(&restore).await;
    site.job("restore").succeed().await;
    let restore = site.restores().get("all").await.unwrap();
    assert_eq!(restore.archive(), Some(filename.as_str()));
    assert_eq!(restore.annotations().get("drover.dev/backup-place").map(String::as_str), Some("far"));
    let ready = message(site.restore_status("all").await.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Completed"), "{ready}");

    let put = s3.put_object().bucket(BUCKET).key(&key).set_metadata(metadata).body(bytes.into());
    put.send().await.unwrap();
    site.restore("in-a-folder", &format!("./three//{filename}"), Some(site.bucket(""))).await;
    site.job("restore").succeed().await;
    let ready = message(site.restore_status("in-a-folder").await.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Completed"), "{ready}");
}

async fn a_damaged_copy_is_refused_and_another_restored(site: &Site) {
    let filename = site.backup_status("three").await.filename.unwrap();
    let s3 = site.testbed.s3().unwrap().client().unwrap();
    let key = format!("three/{filename}");
    let object = s3.get_object().bucket(BUCKET).key(&key).send().await.unwrap();
    let metadata = object.metadata.clone();
    let mut bytes = object.body.collect().await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let put = s3.put_object().bucket(BUCKET).key(&key).set_metadata(metadata).body(bytes.into());
    put.send().await.unwrap();

    let latest = |name: &str, annotations: &[(&str, &str)]| {
        let spec = RestoreSpec {
            backup_filename: "latest".to_owned(),
            storage_location: Some(site.bucket("three")),
            prune: Some(false),
            ..RestoreSpec::default()
        };
        let mut restore = Restore::new(name, spec);
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        restore.annotations_mut().extend(annotations);
        restore
    };
    site.make_restore(&latest("damaged", &[("drover.dev/latest-of", "three")])).await;
    let refused = site.job("restore").end_with(65).await;
    assert!(refused.log.contains("and its run \"three-2\" recorded"), "{}", refused.log);
    let restore = site.restores().get("damaged").await.unwrap();
    assert_eq!(restore.archive(), Some(filename.as_str()));

    // A cluster that knows of no run of it, as one that takes the place of a lost one.
    let runs: Api<BackupRun> = Api::all(site.client.clone());
    for run in site.runs("three").await {
        runs.delete(&run.name_any(), &DeleteParams::default()).await.unwrap();
    }
    let ledger: Api<BackupArchive> = Api::all(site.client.clone());
    ledger.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    site.make_restore(&latest("elsewhere", &[("drover.dev/latest-of", "three")])).await;
    let refused = site.job("restore").end_with(65).await;
    assert!(refused.log.contains("is recorded beside it"), "{}", refused.log);

    site.make_restore(&latest("good", &[("drover.dev/latest-of", "three"), ("drover.dev/place", "far")])).await;
    site.job("restore").succeed().await;
    let ready = message(site.restore_status("good").await.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Completed"), "{ready}");

    site.make_restore(&latest("nowhere", &[("drover.dev/latest-of", "three"), ("drover.dev/place", "moon")])).await;
    let unknown = site.job("restore").end_with(64).await;
    assert!(unknown.log.contains("\"moon\"") && unknown.log.contains("default, far, near"), "{}", unknown.log);
    site.restores().delete("nowhere", &DeleteParams::default()).await.unwrap();
}

async fn one_place_of_two_names_is_no_second_copy(site: &Site) {
    site.backup("twice", "small", None).await;
    policy(site, "twice", vec![further("again", None, Some(LocalLocation::default()))]).await;
    site.job("snapshot").arguments(["--backup", "twice"]).succeed().await;
    let ended = site.job("upload").end_with(64).await;
    assert!(ended.log.contains("it is the place \"default\" too"), "{}", ended.log);
    let found = places(site, "twice").await;
    assert_eq!(states(&found), [("default", StageState::Completed), ("again", StageState::Failed)]);
}
