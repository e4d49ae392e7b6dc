//! The runner `dispatch` on a real API server with its controllers, and on NATS. There is no kubelet: what one would report
//! of a pod the tests write into its status.

mod charge;
mod cron_jobs;
mod jobs;
mod outages;
mod queue;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;

use drover::labels::{DROVER, JOB_NAME_LABEL, PART_OF_LABEL};
use drover::queue as drover_queue;
use drover::resources::{Backup, BackupSpec, BackupStatus, DEFAULT_NAMESPACE, Restore, RestoreSpec};
use drover_testbed::{Options, Service, Testbed, binaries, prepare};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::nats::until;

/// A cluster with drover's CronJobs in it, and NATS.
struct Cluster {
    testbed: Testbed,
    client: Client,
}

/// The runner's process. It logs into a file.
pub(crate) struct Dispatch {
    child: Child,
    log: PathBuf,
}

impl Cluster {
    async fn start() -> Self {
        let testbed = Testbed::start(Options::only([Service::Controllers, Service::Nats])).await.unwrap();
        prepare::prepare(&testbed).await.unwrap();
        let client = testbed.client().await.unwrap();
        let cluster = Self { testbed, client };
        for name in ["snapshot", "upload", "restore", "setup"] {
            cluster.apply(&template(name)).await;
        }
        cluster
    }

    /// Starts a runner that looks after this cluster.
    async fn dispatch(&self) -> Dispatch {
        Dispatch::start(&self.testbed).await
    }

    fn cron_jobs(&self) -> Api<CronJob> {
        Api::namespaced(self.client.clone(), DEFAULT_NAMESPACE)
    }

    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), DEFAULT_NAMESPACE)
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), DEFAULT_NAMESPACE)
    }

    fn backups(&self) -> Api<Backup> {
        Api::all(self.client.clone())
    }

    /// Makes a CronJob, or changes it.
    async fn apply(&self, cron_job: &Value) {
        let name = cron_job["metadata"]["name"].as_str().unwrap();
        let parameters = PatchParams::apply("test").force();
        self.cron_jobs().patch(name, &parameters, &Patch::Apply(cron_job)).await.unwrap();
    }

    async fn make_backup(&self, name: &str, schedule: Option<&str>) -> Backup {
        let spec = BackupSpec {
            resource_set_name: "none".to_owned(),
            schedule: schedule.map(str::to_owned),
            ..BackupSpec::default()
        };
        self.backups().create(&PostParams::default(), &Backup::new(name, spec)).await.unwrap()
    }

    async fn make_restore(&self, name: &str) -> Restore {
        let restores: Api<Restore> = Api::all(self.client.clone());
        let spec = RestoreSpec { backup_filename: "none.tar.gz".to_owned(), ..RestoreSpec::default() };
        restores.create(&PostParams::default(), &Restore::new(name, spec)).await.unwrap()
    }

    async fn status(&self, backup: &str) -> BackupStatus {
        self.backups().get(backup).await.unwrap().status.unwrap_or_default()
    }

    /// What `Ready` of a Backup says.
    async fn ready(&self, backup: &str) -> String {
        drover_tests::message(self.status(backup).await.conditions.as_ref(), "Ready")
    }

    /// Waits until `Ready` of a Backup says this.
    async fn until_ready_says(&self, backup: &str, words: &str) {
        until(&format!("Ready of {backup:?} says {words:?}"), async || self.ready(backup).await.contains(words)).await;
    }

    async fn cron_job(&self, name: &str) -> Option<CronJob> {
        self.cron_jobs().get_opt(name).await.unwrap()
    }

    /// The Jobs that a CronJob controls, oldest first.
    async fn jobs_of(&self, cron_job: &str) -> Vec<Job> {
        let mut jobs = self.jobs().list(&ListParams::default()).await.unwrap().items;
        jobs.retain(|job| job.owner_references().iter().any(|owner| owner.name == cron_job));
        jobs.sort_by_key(|job| (job.creation_timestamp().map(|time| time.0), job.name_any()));
        jobs
    }

    /// Waits until a CronJob has so many Jobs, and gives the newest.
    async fn nth_job(&self, cron_job: &str, count: usize) -> Job {
        until(&format!("{cron_job:?} has {count} Jobs"), async || self.jobs_of(cron_job).await.len() >= count).await;
        let mut jobs = self.jobs_of(cron_job).await;
        assert_eq!(jobs.len(), count, "{cron_job:?}");
        jobs.pop().unwrap()
    }

    /// The pod of a Job, as soon as there is one.
    async fn pod_of(&self, job: &Job) -> String {
        let labels = ListParams::default().labels(&format!("{JOB_NAME_LABEL}={}", job.name_any()));
        until("the Job has a pod", async || !self.pods().list(&labels).await.unwrap().items.is_empty()).await;
        self.pods().list(&labels).await.unwrap().items[0].name_any()
    }

    /// Says of a Job's pod what a kubelet would.
    async fn say_of_pod(&self, job: &Job, phase: &str, state: Value) {
        let pod = self.pod_of(job).await;
        let container = json!({"name": "job", "ready": false, "image": "drover", "imageID": "", "restartCount": 0,
            "state": state});
        let status = json!({"status": {"phase": phase, "containerStatuses": [container], "conditions": [
            {"type": "PodScheduled", "status": "True"}]}});
        self.pods().patch_status(&pod, &PatchParams::default(), &Patch::Strategic(status)).await.unwrap();
    }

    async fn run_pod(&self, job: &Job) {
        self.say_of_pod(job, "Running", json!({"running": {}})).await;
    }

    /// Has a Job's pod end, and waits until the Job has.
    async fn end_pod(&self, job: &Job, exit_code: i32) {
        let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
        let terminated = json!({"exitCode": exit_code, "reason": if exit_code == 137 { "OOMKilled" } else { "Error" }});
        self.say_of_pod(job, phase, json!({"terminated": terminated, "running": null, "waiting": null})).await;
        let name = job.name_any();
        let has_ended = async || {
            let Some(job) = self.jobs().get_opt(&name).await.unwrap() else { return true };
            let conditions = job.status.unwrap_or_default().conditions.unwrap_or_default();
            conditions.iter().any(|condition| matches!(condition.type_.as_str(), "Complete" | "Failed"))
        };
        until("the Job has ended", has_ended).await;
    }

    /// Publishes that the archive of that Backup waits for its upload.
    async fn snapshotted(&self, backup: &str) {
        let options = crate::nats::options(&["--nats-url", self.testbed.nats_url().unwrap()]);
        let connection = drover_queue::connect(&options, "test").await.unwrap();
        let event = crate::nats::event(drover::events::Kind::BackupSnapshotted, backup);
        connection.publish(&event).await.unwrap();
    }

    async fn delete_backup(&self, name: &str) {
        self.backups().delete(name, &DeleteParams::default()).await.unwrap();
    }
}

impl Dispatch {
    /// Starts a runner that looks after the testbed's cluster.
    pub(crate) async fn start(testbed: &Testbed) -> Self {
        let program = binaries::binary("dispatch").await.unwrap();
        let log = testbed.folder().join(format!("dispatch-{}.log", uuid::Uuid::now_v7()));
        let child = Command::new(program)
            .args(["--watch", "--listen", "127.0.0.1:0"])
            .envs(testbed.environment())
            .env("DROVER_LEASE_SECONDS", "5")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it is at work.
    pub(crate) async fn at_work(&self) {
        until("it is at work", async || self.log().contains("at work")).await;
    }

    /// Where it answers Kubernetes and Prometheus.
    pub(crate) async fn address(&self) -> String {
        until("it listens", async || self.log().contains("address=")).await;
        self.log().split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    }

    /// What it answers to Kubernetes: status and text.
    pub(crate) async fn answer(&self, path: &str) -> (u16, String) {
        let address = self.address().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let ask = move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        let text = tokio::task::spawn_blocking(ask).await.unwrap();
        (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
    }

    /// Kills it, as `kill -9` does, and waits until it is dead.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end, and gives how it did.
    async fn end(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        self.child.wait().await.unwrap()
    }
}

/// A stage's CronJob, as short as one can be. Its own schedule does not come.
pub(crate) fn template(name: &str) -> Value {
    let drains = ["upload", "retention-prune", "heartbeat"].contains(&name);
    let annotations = if drains { json!({"drover.dev/consumer": name}) } else { json!({}) };
    json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": name,
            "annotations": annotations,
            "labels": {PART_OF_LABEL: DROVER, "app.kubernetes.io/component": name},
        },
        "spec": {
            "schedule": "0 0 1 1 *",
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "failedJobsHistoryLimit": 9,
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {
                "metadata": {"labels": {PART_OF_LABEL: DROVER}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "job", "image": "drover", "command": [format!("/{name}")]}],
                },
            }}},
        },
    })
}

/// The arguments of a Job's container.
fn arguments(job: &Job) -> Vec<String> {
    let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    pod.containers[0].args.clone().unwrap_or_default()
}
