//! Whoever asks for a backup by name gets one that began after they asked, or hears that there is none.

use std::time::Duration;

use drover::artifacts::{CHUNK_SIZE, Store};
use drover::lease::{self, Acquired, Holder, Lease, RESTORES, Settings, Wait};
use drover::queue::STREAM;
use drover::resources::{BackupRun, BackupSpec, DEFAULT_NAMESPACE, RunState, S3Location, StorageLocation};
use drover_testbed::proxy::{Held, Proxy};
use drover_testbed::{Options, Service};
use drover_tests::{BUCKET, Job, Running, SMALL_SET, Site, message};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};

use crate::nats::until;

/// A site with a Backup of this name.
async fn start(backup: &str) -> Site {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    site.resource_set(SMALL_SET).await;
    site.backup(backup, "small", None).await;
    site
}

/// The snapshot of a Backup in a pod of this Job; the manifests of 0.1 tell no UID.
fn of_job(site: &Site, backup: &str, name: &str, uid: Option<&str>) -> Job {
    let job = site.job("snapshot").arguments(["--backup", backup]).environment("DROVER_JOB_NAME", name);
    match uid {
        Some(uid) => job.environment("DROVER_JOB_UID", uid),
        None => job,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_makes_one_backup_and_another_job_of_its_name_another() {
    let site = start("daily").await;
    let runs = async || site.runs("daily").await.len();
    let again = |uid| of_job(&site, "daily", "again", uid);
    // A Job that an upgrade finds at work has no UID to tell, and neither has its next pod.
    again(None).succeed().await;
    again(None).succeed().await;
    assert_eq!(runs().await, 1);
    for (uid, expected) in [("first", 2), ("second", 3)] {
        for _ in 0..2 {
            again(Some(uid)).succeed().await;
            assert_eq!(runs().await, expected, "after the Job {uid:?}");
        }
    }
    let trigger = &site.runs("daily").await[2].spec.trigger;
    assert_eq!((trigger.by.as_str(), trigger.job_uid.as_deref()), ("again", Some("second")));
    site.testbed.shutdown().await;
}

/// Somebody who holds this Lease.
async fn hold(site: &Site, name: &str) -> Lease {
    let settings = Settings { duration: Duration::from_secs(5) };
    let client = site.client.clone();
    match Holder::new(client, DEFAULT_NAMESPACE, "somebody", settings).acquire(name, Wait::No).await.unwrap() {
        Acquired::Held(lease) => lease,
        Acquired::Busy { holder } => panic!("held by {holder}"),
    }
}

/// Waits until an Event says for whom a snapshot waits.
async fn until_it_waits(site: &Site, whom: &str) {
    let events: Api<Event> = Api::namespaced(site.client.clone(), "default");
    until("it says for whom it waits", async || {
        let events = events.list(&ListParams::default().fields("reason=SnapshotWaits")).await.unwrap().items;
        events.iter().any(|event| event.note.as_ref().is_some_and(|note| note.contains(whom)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_was_asked_for_waits_for_its_turn_or_ends_with_69() {
    let site = start("daily").await;
    let of_backup = lease::of_backup("daily");
    for (lease, whom) in [(of_backup.as_str(), "which works on this Backup"), (RESTORES, "which restores this cluster")]
    {
        let before = site.runs("daily").await.len();
        let held = hold(&site, lease).await;
        let refused = site.job("snapshot").arguments(["--backup=daily", "--wait=0"]).end_with(69).await;
        assert!(refused.log.contains("\"somebody\""), "{}", refused.log);
        assert_eq!(site.runs("daily").await.len(), before);
        let waiting = site.job("snapshot").arguments(["--backup=daily"]).start();
        until_it_waits(&site, &format!("\"somebody\", {whom}")).await;
        held.release().await.unwrap();
        let finished = waiting.wait().await;
        assert_eq!(finished.code, 0, "{}", finished.log);
        assert_eq!(site.runs("daily").await.len(), before + 1);
    }
    site.testbed.shutdown().await;
}

/// What is due and busy is no more done than what is busy alone: only a run that was begun meanwhile ends with 0.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_and_busy_is_done_by_whoever_is_at_work_or_ends_with_69() {
    let site = start("due").await;
    let held = hold(&site, &lease::of_backup("due")).await;
    site.backup("free", "small", None).await;
    let busy = site.job("snapshot").end_with(69).await;
    assert!(busy.log.contains("\"somebody\" works on the Backup \"due\""), "{}", busy.log);
    assert_eq!((site.runs("due").await.len(), site.runs("free").await.len()), (0, 1));
    held.release().await.unwrap();
    site.job("snapshot").arguments(["--backup=due"]).succeed().await;
    let _held = hold(&site, &lease::of_backup("due")).await;
    site.job("snapshot").succeed().await;
    assert_eq!(site.runs("due").await.len(), 1);
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_leaves_out_a_backup_that_is_busy_ends_with_69() {
    let site = start("free").await;
    let spec = BackupSpec {
        resource_set_name: "small".to_owned(),
        schedule: Some("@yearly".to_owned()),
        ..BackupSpec::default()
    };
    site.make_backup("busy", spec).await;
    site.job("retention-prune").succeed().await;
    let held = hold(&site, &lease::of_backup("busy")).await;
    let pruned = site.job("retention-prune").end_with(69).await;
    assert!(pruned.says("busy", &["not pruned", "somebody"]), "{}", pruned.log);
    held.release().await.unwrap();
    site.job("retention-prune").succeed().await;
    site.testbed.shutdown().await;
}

/// A snapshot that is held at its write number so many.
fn held_at(site: &Site, proxy: &Proxy, writes: usize) -> (Held, Running) {
    let held = proxy.hold_after(writes);
    let kubeconfig = proxy.kubeconfig();
    // So long that no renewal comes between the writes.
    let job = site.job("snapshot").environment("DROVER_LEASE_SECONDS", "600");
    let job = job.environment("KUBECONFIG", kubeconfig.to_str().unwrap()).arguments(["--backup", "daily"]);
    (held, job.start())
}

/// Lease, run, its begin, the status of the Backup, the Event about it: the reading comes next.
const BEGUN: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_a_restore_overtakes_fails_and_is_made_again() {
    let site = start("daily").await;
    let proxy = Proxy::start(&site.testbed).await.unwrap();
    let (held, snapshot) = held_at(&site, &proxy, BEGUN);
    held.reached().await;
    // However short it was: it has ended before the snapshot does.
    hold(&site, RESTORES).await.release().await.unwrap();
    held.go_on();
    let overtaken = snapshot.wait().await;
    assert_eq!(overtaken.code, 69, "{}", overtaken.log);
    let run = site.runs("daily").await.pop().unwrap().status.unwrap();
    assert_eq!(run.state, RunState::Failed);
    assert!(run.message.as_ref().is_some_and(|words| words.contains("a restore was at work meanwhile")), "{run:?}");
    let left = site.artifacts().await;
    assert!(left.names.is_empty() && left.chunks.is_empty(), "{left:?}");
    let ready = message(site.backup_status("daily").await.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Failed: ") && ready.contains("a restore was at work meanwhile"), "{ready}");

    site.job("snapshot").succeed().await;
    site.job("upload").succeed().await;
    assert_eq!(message(site.backup_status("daily").await.conditions.as_ref(), "Ready"), "Completed");
    a_file_is_held_to_the_same(&site).await;
    site.testbed.shutdown().await;
}

async fn a_file_is_held_to_the_same(site: &Site) {
    let [set, output] = ["set.yaml", "out.tar.gz"].map(|name| site.testbed.folder().join(name));
    std::fs::write(&set, SMALL_SET).unwrap();
    let arguments = ["--resource-set".as_ref(), set.as_os_str(), "--output".as_ref(), output.as_os_str()];
    let held = hold(site, RESTORES).await;
    let refused = site.job("snapshot").arguments(arguments).end_with(69).await;
    assert!(refused.log.contains("\"somebody\" restores this cluster") && !output.exists(), "{}", refused.log);
    held.release().await.unwrap();
    site.job("snapshot").arguments(arguments).succeed().await;
}

/// `kubectl delete --cascade=orphan`, and the same manifest again: the runs of before are there, under their names.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_deleted_without_its_runs_runs_when_it_is_made_again() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    site.resource_set(SMALL_SET).await;
    site.backup("daily", "small", None).await;
    for _ in 0..2 {
        site.job("snapshot").arguments(["--backup=daily"]).succeed().await;
        site.job("upload").succeed().await;
    }
    // No garbage collector is there to take them with it.
    site.backups().delete("daily", &DeleteParams::default()).await.unwrap();
    let backup = site.backup("daily", "small", None).await;
    site.job("snapshot").succeed().await;
    site.job("upload").succeed().await;
    assert_eq!(message(site.backup_status("daily").await.conditions.as_ref(), "Ready"), "Completed");
    let runs = site.runs("daily").await;
    assert_eq!(runs.iter().map(|run| run.spec.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(Some(&runs[2].spec.backup_uid), backup.metadata.uid.as_ref());
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_archive_can_have_no_name_is_refused_before_its_first_byte() {
    let name = "x".repeat(191);
    let site = start(&name).await;
    for arguments in [vec!["--backup", name.as_str()], vec![]] {
        let refused = site.job("snapshot").arguments(arguments).end_with(64).await;
        assert!(refused.log.contains("1 bytes longer than the 255"), "{}", refused.log);
    }
    assert_eq!(site.runs(&name).await, []);
    let conditions = site.backup_status(&name).await.conditions.unwrap();
    let ready = message(Some(&conditions), "Ready");
    assert!(ready.starts_with("Failed: failed to name the archive ") && conditions.is_true("Stalled"), "{ready}");
    // One byte less is stored.
    site.backup(&name[1..], "small", None).await;
    site.job("snapshot").arguments(["--backup", &name[1..]]).succeed().await;
    site.job("upload").succeed().await;
    assert_eq!(message(site.backup_status(&name[1..]).await.conditions.as_ref(), "Ready"), "Completed");
    site.testbed.shutdown().await;
}

/// Deleted in the middle, and its runs with it, as the garbage collector does.
async fn delete(site: &Site, backup: &str) {
    let runs: Api<BackupRun> = Api::all(site.client.clone());
    site.backups().delete(backup, &DeleteParams::default()).await.unwrap();
    for run in site.runs(backup).await {
        runs.delete(&run.name_any(), &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_deleted_during_its_snapshot_leaves_nothing() {
    let site = start("daily").await;
    let proxy = Proxy::start(&site.testbed).await.unwrap();
    let (held, snapshot) = held_at(&site, &proxy, BEGUN);
    held.reached().await;
    delete(&site, "daily").await;
    held.go_on();
    let deleted = snapshot.wait().await;
    assert_eq!(deleted.code, 64, "{}", deleted.log);
    assert!(deleted.log.contains("the Backup \"daily\" or its run was deleted meanwhile"), "{}", deleted.log);
    let left = site.artifacts().await;
    assert!(left.names.is_empty() && left.chunks.is_empty(), "{left:?}");
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_run_knows_is_dropped_and_what_waits_is_not() {
    let site = start("gone").await;
    let credential_secret_name = Some("forgotten".to_owned());
    let s3 = S3Location { bucket_name: BUCKET.to_owned(), credential_secret_name, ..S3Location::default() };
    site.backup("waits", "small", Some(StorageLocation { s3: Some(s3) })).await;
    site.job("snapshot").arguments(["--backup=waits"]).succeed().await;
    site.job("upload").end_with(64).await;
    let waiting = site.artifacts().await;
    assert_eq!(waiting.names.len(), 1);

    site.job("snapshot").arguments(["--backup=gone"]).succeed().await;
    delete(&site, "gone").await;
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    jetstream.get_stream(STREAM).await.unwrap().purge().await.unwrap();
    // What a killed put left, and what somebody else put there.
    let store = Store::open(&jetstream).await.unwrap();
    let mut cut_off = store.begin("cut-off", &Store::new_id()).unwrap();
    cut_off.write(vec![0_u8; 2 * CHUNK_SIZE].into()).await.unwrap();
    let bytes = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"notes"))]);
    store.put("notes.txt", "notes", bytes).await.unwrap();
    until("the chunks are there", async || site.artifacts().await.chunks.len() == 4).await;
    site.job("upload").arguments(["--drain-only"]).succeed().await;
    assert_eq!(site.artifacts().await.chunks.len(), 4);

    let swept = site.job("upload").run().await;
    assert!(swept.log.contains("dropped an artifact that no run knows"), "{}", swept.log);
    assert!(swept.log.contains("dropped chunks that no run knows"), "{}", swept.log);
    let mut expected = waiting;
    expected.names.push("notes.txt".to_owned());
    expected.names.sort();
    expected.chunks.insert("notes".to_owned(), 1);
    assert_eq!(site.artifacts().await, expected);
    site.testbed.shutdown().await;
}
