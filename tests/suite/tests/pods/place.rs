use std::path::PathBuf;
use std::time::{Duration, Instant};

use drover::resources::{
    Backup, BackupRun, BackupSpec, BackupStatus, Conditions, DEFAULT_NAMESPACE, Restore, RestoreSpec, RestoreStatus,
    S3Location, StorageLocation,
};
use drover_testbed::{Options, Service, Testbed, programs, rancher};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use tempfile::TempDir;

/// The longest that anything in these tests may take to come about.
const LIMIT: Duration = Duration::from_mins(4);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// The name of the API server's audit log.
const AUDIT_LOG: &str = "audit.log";
/// The S3 server of the overlay, by its StatefulSet and by the label of its pods.
pub(crate) const SERVER: &str = "versitygw";
/// The same, as pods reach it.
pub(crate) const ENDPOINT: &str = "http://versitygw.cattle-resources-system.svc:9000";
/// Its Secret.
pub(crate) const CREDENTIALS: &str = "versitygw-credentials";
/// The bucket that the component `versitygw` makes.
pub(crate) const BUCKET: &str = "rancher-backups";
/// The ResourceSet of these tests, which selects what `rancher::populate` makes.
const SET: &str = "populated";

/// The components that are installed at first, besides those of the overlay `local`.
pub(crate) const AT_FIRST: [&str; 1] = ["monitoring"];
/// The components from the chapter "monitors" on.
pub(crate) const IN_THE_END: [&str; 2] = ["heartbeat", "monitoring"];

/// A node with drover on it.
pub(crate) struct Place {
    pub(crate) testbed: Testbed,
    pub(crate) client: Client,
    pub(crate) objects: usize,
    audit: TempDir,
}

impl Place {
    /// Installs the overlay `local` with the images that the node has, and objects like Rancher's.
    pub(crate) async fn install() -> Self {
        let audit = tempfile::tempdir().unwrap();
        let options = Options::only([Service::Node]).audit_log(audit.path().join(AUDIT_LOG));
        let testbed = Testbed::start(options).await.unwrap();
        let client = testbed.client().await.unwrap();
        for path in programs::of_prometheus_operator().await.unwrap() {
            let path = path.display().to_string();
            testbed.kubectl(&["apply", "--server-side", "-f", &path]).await.unwrap();
            testbed.kubectl(&["wait", "--for=condition=Established", "-f", &path]).await.unwrap();
        }
        testbed.install(&AT_FIRST, OF_THE_STORY).await.unwrap();
        let objects = rancher::populate(&client, 4).await.unwrap();
        let place = Self { testbed, client, objects, audit };
        let set = place.write("set.yaml", &rancher::RESOURCE_SET.replace("rancher-resource-set", SET));
        place.kubectl(&["apply", "-f", &set]).await;
        place
    }

    /// Where the API server writes down every request.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.audit.path().join(AUDIT_LOG)
    }

    /// Where files of this test lie.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = self.testbed.folder().join("place");
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The overlay of what runs, with these components.
    pub(crate) fn overlay(&self, components: &[&str]) -> String {
        self.testbed.running_overlay(components, OF_THE_STORY).unwrap().display().to_string()
    }

    pub(crate) async fn apply(&self, folder: &str) {
        self.kubectl(&["apply", "-k", folder]).await;
    }

    /// Runs kubectl, which must succeed, and gives what it prints.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> String {
        self.testbed.kubectl(arguments).await.unwrap()
    }

    /// kubectl in drover's namespace.
    pub(crate) async fn kubectl_here(&self, arguments: &[&str]) -> String {
        let namespace = ["--namespace", DEFAULT_NAMESPACE];
        self.kubectl(&[&namespace, arguments].concat()).await
    }

    pub(crate) fn backups(&self) -> Api<Backup> {
        Api::all(self.client.clone())
    }

    pub(crate) fn restores(&self) -> Api<Restore> {
        Api::all(self.client.clone())
    }

    /// A Backup of the populated objects into a folder of the bucket that has its name.
    pub(crate) async fn backup(&self, name: &str, schedule: Option<&str>) {
        self.backup_to(name, bucket(name), schedule).await;
    }

    /// A Backup of the populated objects to this location.
    pub(crate) async fn backup_to(&self, name: &str, location: StorageLocation, schedule: Option<&str>) {
        let schedule = schedule.map(str::to_owned);
        let spec = BackupSpec { storage_location: Some(location), schedule, ..of_populated() };
        self.backups().create(&PostParams::default(), &Backup::new(name, spec)).await.unwrap();
    }

    /// A Restore, without prune, of the newest archive of a Backup that [`Place::backup`] made.
    pub(crate) async fn restore(&self, name: &str, backup: &str) {
        let spec = RestoreSpec {
            backup_filename: self.backup_status(backup).await.filename.unwrap(),
            storage_location: Some(bucket(backup)),
            prune: Some(false),
            ..RestoreSpec::default()
        };
        self.restores().create(&PostParams::default(), &Restore::new(name, spec)).await.unwrap();
    }

    /// Takes a StatefulSet's pod away until it is scaled up again.
    pub(crate) async fn stop(&self, stateful_set: &str) {
        self.kubectl_here(&["scale", &format!("statefulset/{stateful_set}"), "--replicas=0"]).await;
        self.until(&format!("{stateful_set} is gone"), async || self.pods(stateful_set).await.is_empty()).await;
    }

    pub(crate) async fn backup_status(&self, name: &str) -> BackupStatus {
        self.backups().get(name).await.unwrap().status.unwrap_or_default()
    }

    pub(crate) async fn restore_status(&self, name: &str) -> RestoreStatus {
        self.restores().get(name).await.unwrap().status.unwrap_or_default()
    }

    /// What `kubectl get` shows as the Status of a Backup.
    pub(crate) async fn backup_says(&self, name: &str) -> String {
        ready(self.backup_status(name).await.conditions.as_ref())
    }

    /// Waits until a Backup says this.
    pub(crate) async fn until_backup_says(&self, name: &str, words: &str) {
        self.until(&format!("Backup {name} says {words:?}"), async || self.backup_says(name).await.contains(words))
            .await;
    }

    /// Waits until a Backup's archive is stored, verified, and nothing of its run is open.
    pub(crate) async fn until_completed(&self, backup: &str) {
        self.until(&format!("Backup {backup} is Completed"), async || self.backup_says(backup).await == "Completed")
            .await;
    }

    pub(crate) async fn until_restored(&self, restore: &str) {
        let what = format!("Restore {restore} is Completed");
        self.until(&what, async || ready(self.restore_status(restore).await.conditions.as_ref()) == "Completed").await;
    }

    /// The runs of a Backup, oldest first.
    pub(crate) async fn runs(&self, backup: &str) -> Vec<BackupRun> {
        let runs: Api<BackupRun> = Api::all(self.client.clone());
        let mut runs = runs.list(&ListParams::default()).await.unwrap().items;
        runs.retain(|run| run.spec.backup == backup);
        runs.sort_by_key(|run| run.spec.number);
        runs
    }

    pub(crate) fn pod_api(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), DEFAULT_NAMESPACE)
    }

    /// The pods of a component.
    pub(crate) async fn pods(&self, component: &str) -> Vec<Pod> {
        let of_it = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
        self.pod_api().list(&of_it).await.unwrap().items
    }

    /// Kills the pods of a component as they run, without a moment to end well; gives how many there were.
    pub(crate) async fn kill(&self, component: &str) -> usize {
        let mut killed = 0;
        for pod in self.pods(component).await {
            let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
            if is_running(&pod) && self.pod_api().delete(&pod.name_any(), &now).await.is_ok() {
                killed += 1;
            }
        }
        killed
    }

    /// The running pod of a component, once there is one.
    pub(crate) async fn running(&self, component: &str) -> String {
        let running = async || self.pods(component).await.into_iter().find(is_running);
        self.until(&format!("a pod of {component} runs"), async || running().await.is_some()).await;
        running().await.unwrap().name_any()
    }

    pub(crate) async fn runs_pod(&self, name: &str) -> bool {
        self.pod_api().get_opt(name).await.unwrap().is_some_and(|pod| is_running(&pod))
    }

    /// Lets a service hang, as one does that a network or a disk fails.
    pub(crate) async fn freeze(&self, pod: &str) {
        self.testbed.freeze_containers(DEFAULT_NAMESPACE, pod).await.unwrap();
    }

    pub(crate) async fn thaw(&self, pod: &str) {
        self.testbed.thaw_containers(DEFAULT_NAMESPACE, pod).await.unwrap();
    }

    /// Waits for a condition; what is wrong in the cluster is shown where it does not come about.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !condition().await {
            assert!(Instant::now() <= deadline, "not so after {} s: {what}\n{}", LIMIT.as_secs(), self.state().await);
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn state(&self) -> String {
        let mut state = String::new();
        for arguments in [
            &["get", "backups.resources.cattle.io,restores.resources.cattle.io,backupruns"][..],
            &["--namespace", DEFAULT_NAMESPACE, "get", "cronjobs,jobs,pods"],
            &[
                "--namespace",
                DEFAULT_NAMESPACE,
                "logs",
                "--selector=app.kubernetes.io/part-of=drover",
                "--prefix",
                "--tail=15",
            ],
            &["get", "events", "--all-namespaces", "--field-selector=type=Warning"],
        ] {
            let said = self.testbed.kubectl(arguments).await;
            state += &said.unwrap_or_else(|error| error.to_string());
            state.push('\n');
        }
        state
    }
}

/// A second bucket, the one that the examples name: a folder of the server's data is a bucket. And a message of a job that was
/// killed goes to the next one in less than a minute.
const OF_THE_STORY: &str = "
patches:
- target: {kind: ConfigMap, name: drover}
  patch: |-
    - {op: add, path: /data/DROVER_ACK_WAIT_SECONDS, value: '20'}
- target: {kind: StatefulSet, name: versitygw}
  patch: |-
    - op: add
      path: /spec/template/spec/containers/0/volumeMounts/-
      value: {name: data, mountPath: /bucket-of-the-guide, subPath: data/my-rancher-backups, readOnly: true}
";

fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

/// A Backup of the populated objects.
pub(crate) fn of_populated() -> BackupSpec {
    BackupSpec { resource_set_name: SET.to_owned(), ..BackupSpec::default() }
}

/// A folder of the bucket.
pub(crate) fn bucket(folder: &str) -> StorageLocation {
    StorageLocation {
        s3: Some(S3Location {
            bucket_name: BUCKET.to_owned(),
            folder: Some(folder.to_owned()),
            endpoint: Some(ENDPOINT.to_owned()),
            credential_secret_name: Some(CREDENTIALS.to_owned()),
            ..S3Location::default()
        }),
    }
}

pub(crate) fn ready(conditions: Option<&Conditions>) -> String {
    drover_tests::message(conditions, "Ready")
}
