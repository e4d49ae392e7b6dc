//! A further place that is away for long: all Backups go on, nothing piles up, and the place gets what is still wanted once it
//! is back.

use drover::artifacts::Store;
use drover::queue::{STREAM, UPLOAD_CONSUMER};
use drover::resources::{
    BackupPolicy, BackupPolicySpec, BackupRun, FurtherLocation, LocalLocation, Place, RunState, S3Location,
};
use drover::runs::WAITING_RUNS;
use drover_testbed::{Options, Part, Service};
use drover_tests::{BUCKET, SMALL_SET, Site};
use kube::Api;
use kube::api::PostParams;

const BACKUPS: [&str; 3] = ["one", "two", "three"];

/// Runs that wait when another one has been opened.
const WAITING: usize = WAITING_RUNS + 1;

/// Rounds of snapshots and uploads: more than runs may wait.
const ROUNDS: usize = WAITING + 2;

/// Room for the artifacts of three rounds of three Backups or so.
const ROOM: i64 = 24 << 10;

/// Room for the artifacts of a few rounds of one Backup.
const ROOM_OF_ONE: i64 = 6 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_further_place_that_is_away_for_long_keeps_no_backup_from_being_made() {
    let services = [Service::ControlPlane, Service::Nats, Service::Minio, Service::MinioTls];
    let site = Site::start_with(Options::only(services)).await;
    site.resource_set(SMALL_SET).await;
    make_policy(&site).await;
    for name in BACKUPS {
        site.backup(name, "small", Some(site.bucket(name))).await;
    }
    limit_room(&site, ROOM).await;
    site.testbed.kill(Part::MinioTls).await.unwrap();
    for round in 1..=ROUNDS {
        for name in BACKUPS {
            site.job("snapshot").arguments(["--backup", name]).succeed().await;
        }
        site.job("upload").end_with(69).await;
        for name in BACKUPS {
            is_bounded(&site.runs(name).await, round);
        }
        let waiting = waiting_messages(&site).await;
        assert!(waiting <= WAITING * BACKUPS.len(), "{waiting} messages wait after {round} rounds");
    }
    assert!(site.artifacts().await.names.len() < WAITING * BACKUPS.len(), "room was made");
    the_place_is_back(&site).await;
    site.testbed.shutdown().await;
}

async fn make_policy(site: &Site) {
    let tls = site.testbed.s3_tls().unwrap();
    site.secret("far-credentials", &[("accessKey", &tls.access_key), ("secretKey", &tls.secret_key)]).await;
    let s3 = S3Location {
        bucket_name: BUCKET.to_owned(),
        folder: Some("far".to_owned()),
        endpoint: Some(tls.endpoint.clone()),
        endpoint_ca: tls.ca_pem.clone(),
        credential_secret_name: Some("far-credentials".to_owned()),
        ..S3Location::default()
    };
    let far = FurtherLocation { name: "far".to_owned(), s3: Some(s3), local: None };
    policy(site, "far", &BACKUPS, far).await;
}

async fn policy(site: &Site, name: &str, backups: &[&str], location: FurtherLocation) {
    let policies: Api<BackupPolicy> = Api::all(site.client.clone());
    let spec = BackupPolicySpec {
        backup_names: backups.iter().map(|name| (*name).to_owned()).collect(),
        additional_storage_locations: Some(vec![location]),
        ..BackupPolicySpec::default()
    };
    policies.create(&PostParams::default(), &BackupPolicy::new(name, spec)).await.unwrap();
}

async fn limit_room(site: &Site, bytes: i64) {
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    let stream = jetstream.get_stream(drover::artifacts::STREAM).await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.metadata.retain(|key, _| !key.starts_with("_nats."));
    config.max_bytes = bytes;
    jetstream.update_stream(config).await.unwrap();
}

/// Each run is verified at its own place, and no more of them wait than may.
fn is_bounded(runs: &[BackupRun], round: usize) {
    let waiting: Vec<_> =
        runs.iter().filter(|run| run.status.as_ref().unwrap().state == RunState::InProgress).collect();
    assert_eq!(waiting.len(), round.min(WAITING), "after {round} rounds");
    assert!(runs.len() <= WAITING + 2, "{} runs after {round} rounds", runs.len());
    for run in waiting {
        let places = &run.status.as_ref().unwrap().upload.as_ref().unwrap().places;
        let verified: Vec<_> = places.iter().filter(|place| place.is_verified()).map(|place| &*place.name).collect();
        assert_eq!(verified, [Place::DEFAULT], "{}", run.spec.number);
    }
}

async fn waiting_messages(site: &Site) -> usize {
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    let consumer = jetstream
        .get_consumer_from_stream::<async_nats::jetstream::consumer::pull::Config, _, _>(UPLOAD_CONSUMER, STREAM)
        .await
        .unwrap();
    let info = consumer.cached_info();
    usize::try_from(info.num_pending).unwrap() + info.num_ack_pending
}

async fn the_place_is_back(site: &Site) {
    site.testbed.start_again(Part::MinioTls).await.unwrap();
    let uploaded = site.job("upload").succeed().await;
    assert!(uploaded.log.contains("copied from a place that has it"), "{}", uploaded.log);
    let s3 = site.testbed.s3_tls().unwrap().client().unwrap();
    let listed = s3.list_objects_v2().bucket(BUCKET).prefix("far/").send().await.unwrap();
    let there: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(there.len(), WAITING * BACKUPS.len(), "{there:?}");
    for name in BACKUPS {
        let runs = site.runs(name).await;
        let (completed, failed): (Vec<_>, Vec<_>) =
            runs.iter().partition(|run| run.status.as_ref().unwrap().state == RunState::Completed);
        assert_eq!(completed.len(), WAITING);
        assert!(completed.iter().all(|run| there.contains(&&*format!("far/{}", run.spec.filename))));
        // The last that waited no longer says where it lies, and which place it never reached.
        let [failed] = failed[..] else { panic!("{failed:?}") };
        let message = failed.status.as_ref().unwrap().message.clone().unwrap();
        assert!(message.contains("superseded") && message.contains("verified, at s3://"), "{message}");
        assert!(message.ends_with("and not at: far"), "{message}");
    }
    assert!(site.artifacts().await.names.is_empty());
    assert_eq!(waiting_messages(site).await, 0);
}

/// A Backup whose only place is away takes no room from one whose place is not: of it the newest archive waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_own_place_is_away_starves_no_other() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
    site.resource_set(SMALL_SET).await;
    site.backup("good", "small", Some(site.bucket("good"))).await;
    let mut nowhere = site.bucket("nowhere");
    nowhere.s3.as_mut().unwrap().endpoint = Some("http://127.0.0.1:1".to_owned());
    nowhere.s3.as_mut().unwrap().region = Some("us-east-1".to_owned());
    site.backup("bad", "small", Some(nowhere)).await;
    limit_room(&site, ROOM_OF_ONE).await;
    for _ in 0..WAITING_RUNS {
        site.job("snapshot").arguments(["--backup", "bad"]).succeed().await;
        site.job("snapshot").arguments(["--backup", "good"]).succeed().await;
        site.job("upload").end_with(69).await;
        let good = site.runs("good").await.pop().unwrap();
        assert_eq!(good.status.unwrap().state, RunState::Completed);
        let bad = site.runs("bad").await.pop().unwrap().status.unwrap();
        assert_eq!((bad.state, bad.artifact.unwrap().dropped_at), (RunState::InProgress, None));
    }
    let over = site.runs("bad").await;
    let over = over.iter().filter_map(|run| run.status.as_ref()).find(|status| status.state == RunState::Failed);
    let message = over.and_then(|status| status.message.clone()).unwrap();
    assert!(message.contains("the object store had no room") && message.contains("no place has"), "{message}");
    site.testbed.shutdown().await;
}

/// A Backup in a bucket that is to have a copy in a volume, which is not mounted yet.
async fn with_a_volume_that_is_missing() -> Site {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats, Service::Minio])).await;
    site.resource_set(SMALL_SET).await;
    let near = FurtherLocation {
        name: "near".to_owned(),
        s3: None,
        local: Some(LocalLocation { volume: Some("nas".to_owned()) }),
    };
    policy(&site, "near", &["kept"], near).await;
    site.backup("kept", "small", Some(site.bucket("kept"))).await;
    site
}

/// A folder's place in a policy is as good as a bucket's.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_missing_gets_its_copies_once_it_is_there() {
    let site = with_a_volume_that_is_missing().await;
    limit_room(&site, ROOM_OF_ONE).await;
    let volumes = site.testbed.folder().join("volumes");
    let upload = || site.job("upload").environment("DROVER_VOLUMES", &volumes.display().to_string());
    for round in 0..8 {
        site.job("snapshot").arguments(["--backup", "kept"]).succeed().await;
        let ended = upload().run().await;
        assert_ne!(ended.code, 0, "{}", ended.log);
        // No archive is fetched to be refused once it is known that the place refuses.
        let is_left_alone = ended.log.contains("others were refused a moment ago");
        assert!(is_left_alone || round < 3, "{}", ended.log);
    }
    assert!(site.artifacts().await.names.len() < 8, "room was made");
    std::fs::create_dir_all(volumes.join("nas")).unwrap();
    upload().succeed().await;
    for run in site.runs("kept").await {
        assert_eq!(run.status.unwrap().state, RunState::Completed);
        assert!(volumes.join("nas").join(&run.spec.filename).exists());
    }
    site.testbed.shutdown().await;
}

/// An archive that expired where it lay, before a place that was missing got its copy: nobody is woken for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_copy_of_what_is_gone_ends_without_alarm() {
    let site = with_a_volume_that_is_missing().await;
    let volumes = site.testbed.folder().join("volumes");
    let upload = || site.job("upload").environment("DROVER_VOLUMES", &volumes.display().to_string());
    for _ in 0..2 {
        site.job("snapshot").arguments(["--backup", "kept"]).succeed().await;
        assert_ne!(upload().run().await.code, 0);
    }
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    let store = Store::open(&jetstream).await.unwrap();
    let runs = site.runs("kept").await;
    for run in &runs {
        let artifact = run.status.as_ref().unwrap().artifact.clone().unwrap();
        store.purge(&artifact.name, &artifact.chunks).await.unwrap();
    }
    let s3 = site.testbed.s3().unwrap().client().unwrap();
    let key = format!("kept/{}", runs[0].spec.filename);
    s3.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    std::fs::create_dir_all(volumes.join("nas")).unwrap();
    upload().succeed().await;
    let runs = site.runs("kept").await;
    let [first, second] = &runs[..] else { panic!("{runs:?}") };
    let status = first.status.as_ref().unwrap();
    let message = status.message.clone().unwrap();
    assert_eq!(status.state, RunState::Failed);
    assert!(message.contains("superseded") && message.contains("was, verified, at s3://"), "{message}");
    assert!(message.ends_with("never reached: near"), "{message}");
    assert_eq!(second.status.as_ref().unwrap().state, RunState::Completed);
    assert!(volumes.join("nas").join(&second.spec.filename).exists());
    site.testbed.shutdown().await;
}
