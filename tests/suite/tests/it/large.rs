//! How much memory the job `upload` takes for a large archive, from the object store of NATS to a bucket and back.
//! `DROVER_TEST_ARCHIVE_MIB` sets the size of the archive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use drover::artifacts::{BUCKET as OBJECT_STORE, Store};
use drover::events::Kind;
use drover::queue;
use drover::resources::{
    Artifact, BackupRunSpec, BackupRunStatus, RunState, SnapshotStage, StageState, Trigger, TriggerKind,
};
use drover::runs::{RunStore, artifact_name, event, now_text};
use drover_tests::{Job, Site, message};
use futures::stream;
use uuid::Uuid;

use crate::nats::options;

/// The most memory that the job may have had, in kB.
const MOST_MEMORY: u64 = 64 << 10;

const MEBIBYTE: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn upload_holds_no_archive_in_memory() {
    let mebibytes = std::env::var("DROVER_TEST_ARCHIVE_MIB").map_or(100, |size| size.parse().unwrap());
    let site = Site::start().await;
    snapshotted(&site, mebibytes).await;
    let begun = Instant::now();
    let peak = peak_of(site.job("upload")).await;
    println!("upload brought {mebibytes} MiB to the bucket in {:?}, peak {peak} kB", begun.elapsed());
    assert!(peak > 0 && peak <= MOST_MEMORY, "{peak} kB");
    let ready = message(site.backup_status("large").await.conditions.as_ref(), "Ready");
    assert_eq!(ready, "Completed");
    site.testbed.shutdown().await;
}

/// What a snapshot leaves: an artifact of that size, the run's record of it, and the message.
async fn snapshotted(site: &Site, mebibytes: usize) {
    let backup = site.backup("large", "none", Some(site.bucket("large"))).await;
    let (id, chunks) = (Uuid::now_v7(), Store::new_id());
    let runs = RunStore::new(site.client.clone(), "snapshot");
    let spec = BackupRunSpec {
        backup: "large".to_owned(),
        backup_uid: backup.metadata.uid.clone().unwrap(),
        generation: 1,
        id,
        number: 1,
        trigger: Trigger { kind: TriggerKind::Person, by: "test".to_owned(), job_uid: None, scheduled_for: None },
        started_at: now_text(),
        filename: "large.tar.gz".to_owned(),
    };
    let run = runs.open(&backup, spec).await.unwrap();
    let connection = queue::connect(&options(&["--nats-url", site.testbed.nats_url().unwrap()]), "test").await.unwrap();
    let store = Store::open(&connection.jetstream).await.unwrap();
    let pieces = (0..mebibytes)
        .map(|number| Ok::<_, std::io::Error>(Bytes::from(vec![u8::try_from(number % 251).unwrap(); MEBIBYTE])));
    let name = artifact_name("large", id);
    let put = store.put(&name, &chunks, stream::iter(pieces)).await.unwrap();
    let snapshot = SnapshotStage {
        state: StageState::Completed,
        objects: 1,
        bytes: i64::try_from(put.bytes).unwrap(),
        sha256: Some(put.sha256.to_string()),
        ..SnapshotStage::default()
    };
    let artifact = Artifact::new(OBJECT_STORE, name, chunks);
    let status = BackupRunStatus {
        state: RunState::InProgress,
        snapshot: Some(snapshot),
        artifact: Some(artifact),
        ..BackupRunStatus::default()
    };
    let run = runs.record(&run, |_| Some(status.clone())).await.unwrap();
    connection.publish(&event(Kind::BackupSnapshotted, "snapshot", &run)).await.unwrap();
}

/// The most memory that a job had, in kB: the kernel keeps it as long as the process is there.
async fn peak_of(job: Job) -> u64 {
    let running = job.start();
    let status = format!("/proc/{}/status", running.pid().unwrap());
    let peak = AtomicU64::new(0);
    let watching = async {
        loop {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            if let Some(kilobytes) = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()) {
                peak.fetch_max(kilobytes, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        finished = running.wait() => assert_eq!(finished.code, 0, "{}", finished.log),
        () = watching => unreachable!("it ends with the job"),
    }
    peak.into_inner()
}
