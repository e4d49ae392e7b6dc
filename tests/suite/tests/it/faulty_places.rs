//! What is wrong with a place is said on the Backup: what it is, where, and what to do about it. Each against a real server.

use drover::artifacts::Store;
use drover::resources::{RunState, S3Location, StorageLocation, UploadStage};
use drover_testbed::damage::{self, Damage};
use drover_testbed::{Options, Service};
use drover_tests::{CREDENTIALS, SMALL_SET, Site, message};

/// A fault of a place, and the words that a person needs.
struct Fault {
    name: &'static str,
    location: S3Location,
    words: &'static [&'static str],
}

fn faults(site: &Site) -> Vec<Fault> {
    let good = || site.bucket("faulty").s3.unwrap();
    let (tls, other) = (site.testbed.s3_tls().unwrap(), site.testbed.s3_other().unwrap());
    let plain = &site.testbed.s3().unwrap().endpoint;
    let at = |endpoint: &str| S3Location { endpoint: Some(endpoint.to_owned()), ..good() };
    let secret = |name: &str| S3Location { credential_secret_name: Some(name.to_owned()), ..good() };
    let fault = |name, location, words| Fault { name, location, words };
    vec![
        fault(
            "no-bucket",
            S3Location { bucket_name: "missing-bucket".to_owned(), ..good() },
            &["bucket", "does not exist"],
        ),
        fault("no-server", at("http://127.0.0.1:1"), &["nothing listens", "endpoint"]),
        fault("no-host", at("http://minio.invalid:9000"), &["host name is unknown"]),
        fault("no-trust", at(&tls.endpoint), &["endpointCA"]),
        fault("plain-as-tls", at(plain), &["http://"]),
        fault("wrong-keys", secret("wrong-keys"), &["accessKey"]),
        fault("no-secret", secret("nowhere"), &["Secret", "\"nowhere\"", "cattle-resources-system"]),
        fault("no-secret-key", secret("half"), &["`secretKey`", "\"half\""]),
        fault(
            "no-namespace",
            S3Location { credential_secret_namespace: Some("nowhere".to_owned()), ..good() },
            &["nowhere"],
        ),
        fault(
            "wrong-region",
            S3Location {
                region: Some("eu-west-9".to_owned()),
                credential_secret_name: Some("other".to_owned()),
                ..at(&other.url)
            },
            &["region"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_place_stands_on_the_backup() {
    let services = [Service::ControlPlane, Service::Nats, Service::Minio, Service::MinioTls, Service::Versitygw];
    let site = Site::start_with(Options::only(services)).await;
    site.resource_set(SMALL_SET).await;
    let other = site.testbed.s3_other().unwrap();
    site.secret("wrong-keys", &[("accessKey", "nobody"), ("secretKey", "nothing-at-all")]).await;
    site.secret("half", &[("accessKey", "somebody")]).await;
    site.secret("other", &[("accessKey", &other.access_key), ("secretKey", &other.secret_key)]).await;

    let faults = faults(&site);
    for Fault { name, location, .. } in &faults {
        site.backup(name, "small", Some(StorageLocation { s3: Some(location.clone()) })).await;
        site.job("snapshot").arguments(["--backup", name]).succeed().await;
    }
    let ended = site.job("upload").run().await;
    assert!([64, 69].contains(&ended.code), "{}", ended.log);
    for Fault { name, words, .. } in &faults {
        let status = site.backup_status(name).await;
        let ready = message(status.conditions.as_ref(), "Ready");
        println!("{name}: {ready}");
        assert!(ready.starts_with("Failed: failed to "), "{name}: {ready}");
        let missing: Vec<_> = words.iter().filter(|word| !ready.contains(**word)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?} not in: {ready}");
        assert!(!ready.contains("nothing-at-all"), "{ready}");
    }
    // No archive is lost by any of it: each waits for its place to be mended.
    assert_eq!(site.artifacts().await.names.len(), faults.len());
    let mended = site.bucket("mended");
    for Fault { name, .. } in &faults {
        let mut backup = site.backups().get(name).await.unwrap();
        backup.spec.storage_location = Some(mended.clone());
        site.backups().replace(name, &kube::api::PostParams::default(), &backup).await.unwrap();
    }
    site.job("upload").succeed().await;
    assert!(site.artifacts().await.names.is_empty());
    assert_eq!(mended.s3.unwrap().credential_secret_name.as_deref(), Some(CREDENTIALS));
    site.testbed.shutdown().await;
}

/// The bucket of a site, behind a way that damages answers.
fn damaged(site: &Site, way: &Damage) -> StorageLocation {
    let s3 = S3Location { endpoint: Some(way.url()), ..site.bucket("damaged").s3.unwrap() };
    StorageLocation { s3: Some(s3) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_answer_ends_no_run_and_drops_no_artifact() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
    site.resource_set(SMALL_SET).await;
    let way = Damage::start(&site.testbed.s3().unwrap().endpoint).await.unwrap();
    site.backup("damaged", "small", Some(damaged(&site, &way))).await;
    for fault in [damage::Fault::WrongByte, damage::Fault::NotFound] {
        // Once: nobody notices but the log.
        way.damage(fault, 1);
        site.job("snapshot").arguments(["--backup", "damaged"]).succeed().await;
        let uploaded = site.job("upload").succeed().await;
        assert!(uploaded.log.contains("reading it again"), "{}", uploaded.log);
        assert_eq!((way.deletions(), state(&site).await), (0, RunState::Completed));
        // Each time: the try fails, with the artifact kept for the next one.
        way.damage(fault, usize::MAX);
        site.job("snapshot").arguments(["--backup", "damaged"]).succeed().await;
        site.job("upload").end_with(65).await;
        let ready = message(site.backup_status("damaged").await.conditions.as_ref(), "Ready");
        assert!(ready.starts_with("Failed: failed to verify ") && ready.contains(" came back instead of "), "{ready}");
        assert_eq!((way.deletions(), state(&site).await), (0, RunState::InProgress));
        assert_eq!(site.artifacts().await.names.len(), 1);
        way.damage(fault, 0);
        site.job("upload").succeed().await;
        assert_eq!((state(&site).await, site.artifacts().await.names.len()), (RunState::Completed, 0));
    }
    the_artifact_is_gone_and_an_answer_is_wrong(&site, &way).await;
    site.testbed.shutdown().await;
}

/// A place that never gives back what it got: the run ends after some tries, and the archive is not lost with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_wrong_each_time_ends_the_run_and_drops_no_artifact() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
    site.resource_set(SMALL_SET).await;
    let way = Damage::start(&site.testbed.s3().unwrap().endpoint).await.unwrap();
    site.backup("damaged", "small", Some(damaged(&site, &way))).await;
    way.damage(damage::Fault::WrongByte, usize::MAX);
    site.job("snapshot").arguments(["--backup", "damaged"]).succeed().await;
    for _ in 1..UploadStage::REFUSED_TRIES {
        site.job("upload").end_with(65).await;
        assert_eq!(state(&site).await, RunState::InProgress);
    }
    site.job("upload").end_with(65).await;
    assert_eq!(state(&site).await, RunState::Failed);
    let ready = message(site.backup_status("damaged").await.conditions.as_ref(), "Ready");
    assert!(ready.contains("no further one is made of this archive") && ready.contains("s3://"), "{ready}");
    assert!(ready.contains("create job again-$(date +%s) --from=$(kubectl"), "{ready}");
    // Nothing is tried again, nothing is due, and the artifact is all that there is.
    site.job("upload").succeed().await;
    site.job("snapshot").succeed().await;
    assert_eq!((way.deletions(), site.runs("damaged").await.len()), (0, 1));
    assert_eq!(site.artifacts().await.names.len(), 1);
    // It stays until there is a newer archive.
    way.damage(damage::Fault::WrongByte, 0);
    for kept in [1, 0] {
        site.job("snapshot").arguments(["--backup", "damaged"]).succeed().await;
        site.job("upload").succeed().await;
        assert_eq!((state(&site).await, site.artifacts().await.names.len()), (RunState::Completed, kept));
    }
    site.testbed.shutdown().await;
}

async fn state(site: &Site) -> RunState {
    site.runs("damaged").await.pop().unwrap().status.unwrap().state
}

/// A try that was killed after it had stored the archive, whose artifact has expired since: one wrong answer is no reason to
/// end the run.
async fn the_artifact_is_gone_and_an_answer_is_wrong(site: &Site, way: &Damage) {
    site.job("snapshot").arguments(["--backup", "damaged"]).succeed().await;
    way.damage(damage::Fault::WrongByte, 9);
    site.job("upload").end_with(65).await;
    let artifact = site.runs("damaged").await.pop().unwrap().status.unwrap().artifact.unwrap();
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    Store::open(&jetstream).await.unwrap().purge(&artifact.name, &artifact.chunks).await.unwrap();
    way.damage_known(damage::Fault::WrongByte, 1);
    site.job("upload").succeed().await;
    assert_eq!(state(site).await, RunState::Completed);
}
