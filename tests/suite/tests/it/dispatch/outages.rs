use std::process::ExitStatus;

use drover::resources::{
    BackupRunSpec, BackupRunStatus, RunState, SnapshotStage, StageState, Trigger, TriggerKind, rfc3339,
};
use drover::runs::RunStore;
use drover_testbed::Part;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use uuid::Uuid;

use super::Cluster;
use crate::nats::until;

/// How long it may take at most until what waits for NATS says so.
const PROMISED: SignedDuration = SignedDuration::from_secs(5);

/// What `Ready` says of what waits for NATS.
const NATS_AWAY: &str = "Pending: NATS at nats://";

#[tokio::test]
async fn the_runner_survives_restarts_of_the_api_server_and_of_nats() {
    let cluster = Cluster::start().await;
    let dispatch = cluster.dispatch().await;
    cluster.make_backup("before", None).await;
    cluster.nth_job("before", 1).await;

    cluster.testbed.kill(Part::ApiServer).await.unwrap();
    cluster.testbed.start_again(Part::ApiServer).await.unwrap();
    cluster.make_backup("after", None).await;
    cluster.nth_job("after", 1).await;

    cluster.testbed.stop(Part::Nats).await.unwrap();
    let is_seen = async || dispatch.answer("/readyz").await.1.contains("queue: away: the connection is lost");
    until("it is seen that NATS is gone", is_seen).await;
    cluster.make_backup("without-nats", None).await;
    cluster.nth_job("without-nats", 1).await;
    cluster.testbed.start_again(Part::Nats).await.unwrap();
    cluster.snapshotted("before").await;
    cluster.nth_job("upload", 1).await;
    for name in ["before", "after", "without-nats"] {
        assert_eq!(cluster.jobs_of(name).await.len(), 1);
    }
    assert_eq!(dispatch.answer("/healthz").await.0, 200);
    assert!(dispatch.end().await.success(), "{}", "it ends when it is asked to");
}

#[tokio::test]
async fn without_nats_it_says_so_and_does_the_rest() {
    let cluster = Cluster::start().await;
    cluster.testbed.stop(Part::Nats).await.unwrap();
    let dispatch = cluster.dispatch().await;
    cluster.make_backup("once", None).await;
    cluster.nth_job("once", 1).await;
    let ready = async || dispatch.answer("/readyz").await;
    until("it says so", async || ready().await.1.contains("queue: away: failed to connect to NATS")).await;
    assert_eq!(ready().await.0, 200);
    assert_eq!(dispatch.answer("/elsewhere").await.0, 404);
}

#[tokio::test]
async fn within_five_seconds_of_its_end_it_is_said_that_nats_is_gone_or_hangs() {
    let cluster = Cluster::start().await;
    awaits_its_upload(&cluster, "waits").await;
    let dispatch = cluster.dispatch().await;
    until("it decides", async || cluster.cron_job("waits").await.is_some()).await;
    until("NATS answers", async || dispatch.answer("/readyz").await.1.contains("queue: reached")).await;

    let killed = Timestamp::now();
    cluster.testbed.kill(Part::Nats).await.unwrap();
    is_said_in_time(&cluster, "waits", killed).await;
    cluster.testbed.start_again(Part::Nats).await.unwrap();
    until("it is taken back", async || !cluster.ready("waits").await.contains(NATS_AWAY)).await;

    // It closes no connection, as a host that vanished.
    let stopped = Timestamp::now();
    let hangs = Stopped::new(cluster.testbed.pid(Part::Nats).unwrap());
    is_said_in_time(&cluster, "waits", stopped).await;
    drop(hangs);
    until("it is taken back", async || !cluster.ready("waits").await.contains(NATS_AWAY)).await;
}

/// A Backup whose archive waits for its upload, of which no message tells: a Job that could say it first comes only when the
/// message is missed, which the time of the record puts off for as long as no clock is called wrong.
async fn awaits_its_upload(cluster: &Cluster, name: &str) {
    let backup = cluster.make_backup(name, None).await;
    let runs = RunStore::new(cluster.client.clone(), "snapshot");
    let now = Timestamp::now();
    let spec = BackupRunSpec {
        backup: name.to_owned(),
        backup_uid: backup.uid().unwrap(),
        generation: 1,
        id: Uuid::now_v7(),
        number: 1,
        trigger: Trigger { kind: TriggerKind::Person, by: "test".to_owned(), job_uid: None, scheduled_for: None },
        started_at: rfc3339(now),
        filename: "waits.tar.gz".to_owned(),
    };
    let run = runs.open(&backup, spec).await.unwrap();
    let ended_at = Some(rfc3339(now + SignedDuration::from_secs(50)));
    let snapshot = SnapshotStage { state: StageState::Completed, objects: 1, ended_at, ..SnapshotStage::default() };
    let status =
        BackupRunStatus { state: RunState::InProgress, snapshot: Some(snapshot), ..BackupRunStatus::default() };
    runs.record(&run, |_| Some(status.clone())).await.unwrap();
}

/// Waits until `Ready` says that NATS is away, and measures when that was written: by the API server's stamp, which is cut to a
/// second, and not by when the test saw it.
async fn is_said_in_time(cluster: &Cluster, backup: &str, since: Timestamp) {
    cluster.until_ready_says(backup, NATS_AWAY).await;
    let backup = cluster.backups().get(backup).await.unwrap();
    let written = backup.managed_fields().iter().find(|fields| {
        fields.manager.as_deref() == Some("dispatch") && fields.subresource.as_deref() == Some("status")
    });
    let said = written.unwrap().time.as_ref().unwrap().0;
    let took = said.duration_since(since);
    assert!(took < PROMISED, "{took:?}");
}

/// A process that hangs (SIGSTOP), until this is dropped.
struct Stopped(i32);

impl Stopped {
    fn new(pid: i32) -> Self {
        assert!(signal("-STOP", pid).unwrap().success());
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // One that has ended meanwhile needs it no more.
        drop(signal("-CONT", self.0));
    }
}

fn signal(name: &str, pid: i32) -> std::io::Result<ExitStatus> {
    std::process::Command::new("kill").args([name, &pid.to_string()]).status()
}
