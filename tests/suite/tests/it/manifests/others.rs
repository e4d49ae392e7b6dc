//! Other people's requests: whatever of drover is installed, half installed, removed or taken away, none of them is refused,
//! and applying drover again mends it. Also from the policies of 0.1.0, which refused everybody once a CronJob that they looked
//! up was gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use drover::resources::DEFAULT_NAMESPACE;
use drover_testbed::{Options, Service, Testbed};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::admission::{STAGES, changed, client_of, templates, try_to_start};
use super::built::{overlay, own_overlay, relative};
use crate::nats::until;

/// Where other people work.
const NAMESPACES: [&str; 2] = ["default", "of-others"];

/// Twice a second.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long drover may take to work again.
const AGAIN: Duration = Duration::from_secs(30);

/// The policies of 0.1.0.
const BEFORE: &str = include_str!("../../data/installed/admission-0.1.0.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_refused_while_drover_is_removed_and_installed() {
    come_and_go(Options::only([Service::Controllers])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_refused_on_the_oldest_kubernetes() {
    come_and_go(Options::only([Service::Controllers]).oldest_api_server()).await;
}

async fn come_and_go(options: Options) {
    let testbed = Testbed::start(options).await.unwrap();
    let cluster = Cluster::of(testbed).await;
    let others = Others::begin(&cluster.testbed).await;
    for round in 0..3 {
        cluster.goes_back_to_0_1_0(&others, round).await;
        cluster.is_applied().await;
        others.are_served().await;
        cluster.works().await;
        others.begin_to_count().await;
        cluster.loses_single_cron_jobs().await;
        cluster.is_removed_twice().await;
        cluster.loses_its_namespace(round == 1).await;
        cluster.loses_its_foundation_first().await;
        others.were_never_refused().await;
    }
    others.end();
    cluster.testbed.shutdown().await;
}

/// A cluster where drover comes and goes.
struct Cluster {
    testbed: Testbed,
    dispatch: Client,
    foundation: String,
    folder: TempDir,
    before: [TempDir; 2],
    templates: Vec<(&'static str, Value)>,
}

impl Cluster {
    async fn of(testbed: Testbed) -> Self {
        let folder = own_overlay(&["heartbeat"], "");
        Self {
            dispatch: client_of(&testbed, "drover-dispatch").await,
            foundation: overlay("production/foundation"),
            templates: templates(&folder.path().display().to_string()).await,
            before: before(),
            folder,
            testbed,
        }
    }

    async fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.testbed.kubectl(arguments).await.map_err(|error| error.to_string())
    }

    /// Applies a folder. Policies of before may refuse a part of it until those of the folder are taken up.
    async fn apply(&self, folder: &str) {
        let mut tries = Vec::new();
        while tries.len() < 5 {
            match self.kubectl(&["apply", "-k", folder]).await {
                Ok(_) => return,
                Err(said) => tries.push(said),
            }
        }
        panic!("{folder}: {tries:#?}");
    }

    async fn is_applied(&self) {
        self.apply(&self.foundation).await;
        self.apply(&self.folder.path().display().to_string()).await;
    }

    /// Installs 0.1.0, which refuses everybody from the second time on: what it looks up is not found again.
    async fn goes_back_to_0_1_0(&self, others: &Others, round: usize) {
        self.apply(&self.foundation).await;
        let folder = self.before[1].path().display().to_string();
        // What it refuses is its own, too.
        let applied = self.kubectl(&["apply", "-k", &folder]).await;
        if round == 0 {
            applied.unwrap();
            self.kubectl(&["delete", "-k", &folder]).await.unwrap();
            drop(self.kubectl(&["apply", "-k", &folder]).await);
        }
        others.are_refused().await;
    }

    /// dispatch may start drover's jobs and nothing else, within half a minute.
    async fn works(&self) {
        let begun = Instant::now();
        for stage in STAGES {
            let allowed = changed(&self.templates, stage, "/restartPolicy", r#""Never""#);
            let refused = changed(&self.templates, stage, "/containers/0/image", r#""evil""#);
            until("dispatch starts drover's jobs and no others", async || {
                try_to_start(&self.dispatch, "Job", &allowed).await.is_ok()
                    && try_to_start(&self.dispatch, "Job", &refused).await.is_err()
            })
            .await;
        }
        assert!(begun.elapsed() < AGAIN, "{:?}", begun.elapsed());
    }

    async fn loses_single_cron_jobs(&self) {
        for stage in ["upload", "heartbeat"] {
            self.kubectl(&["-n", DEFAULT_NAMESPACE, "delete", "cronjob", stage]).await.unwrap();
            self.works().await;
        }
        self.is_applied().await;
        self.works().await;
    }

    async fn is_removed_twice(&self) {
        let folder = self.folder.path().display().to_string();
        self.kubectl(&["delete", "-k", &folder]).await.unwrap();
        // Nothing is there to wait for, and kubectl would look at all of it, five objects a second.
        self.kubectl(&["delete", "--ignore-not-found", "--wait=false", "-k", &folder]).await.unwrap();
        self.is_applied().await;
        self.works().await;
    }

    /// Its namespace is deleted; by force, what lies in it may be left behind.
    async fn loses_its_namespace(&self, by_force: bool) {
        let wait = if by_force { "--wait=false" } else { "--wait=true" };
        self.kubectl(&["delete", "namespace", wait, DEFAULT_NAMESPACE]).await.unwrap();
        if by_force {
            finalize(&self.testbed.client().await.unwrap()).await;
        }
        self.is_applied().await;
        self.works().await;
    }

    async fn loses_its_foundation_first(&self) {
        self.kubectl(&["delete", "-k", &self.foundation]).await.unwrap();
        let folder = self.folder.path().display().to_string();
        self.kubectl(&["delete", "--ignore-not-found", "-k", &folder]).await.unwrap();
        self.is_applied().await;
        self.works().await;
    }
}

/// An overlay with the policies of 0.1.0 in place of today's.
fn before() -> [TempDir; 2] {
    let without = "patches:\n- target: {kind: ValidatingAdmissionPolicy.*, name: drover-dispatch.*}\n  patch: |-\n    \
                   {$patch: delete, apiVersion: v1, kind: Any, metadata: {name: any}}\n";
    let without = own_overlay(&["heartbeat"], without);
    let with = tempfile::tempdir().unwrap();
    std::fs::write(with.path().join("admission.yaml"), BEFORE).unwrap();
    let resources = json!({"resources": [relative(with.path(), without.path()), "admission.yaml"]});
    std::fs::write(with.path().join("kustomization.yaml"), resources.to_string()).unwrap();
    [without, with]
}

/// Other people, who make Jobs and change CronJobs all the time.
struct Others {
    refusals: Arc<Mutex<Vec<String>>>,
    tries: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Others {
    async fn begin(testbed: &Testbed) -> Self {
        let client = testbed.client().await.unwrap();
        make_namespace(&client).await;
        let (refusals, tries) = (Arc::default(), Arc::default());
        let task = tokio::spawn(work(client, Arc::clone(&refusals), Arc::clone(&tries)));
        Self { refusals, tries, task }
    }

    /// Waits for so many further tries.
    async fn try_again(&self, count: usize) {
        let before = self.tries.load(Ordering::Relaxed);
        until("other people try", async || self.tries.load(Ordering::Relaxed) >= before + count).await;
    }

    async fn begin_to_count(&self) {
        self.refusals.lock().await.clear();
    }

    async fn are_refused(&self) {
        until("others are refused", async || !self.refusals.lock().await.is_empty()).await;
    }

    /// Within half a minute nobody is refused any more.
    async fn are_served(&self) {
        let begun = Instant::now();
        loop {
            self.begin_to_count().await;
            self.try_again(2 * NAMESPACES.len()).await;
            let refusals = self.refusals.lock().await;
            if refusals.is_empty() {
                return;
            }
            assert!(begun.elapsed() < AGAIN, "{refusals:#?}");
        }
    }

    async fn were_never_refused(&self) {
        self.try_again(2 * NAMESPACES.len()).await;
        let refusals = self.refusals.lock().await;
        assert!(refusals.is_empty(), "{refusals:#?}");
    }

    fn end(self) {
        assert!(self.tries.load(Ordering::Relaxed) > 0);
        self.task.abort();
    }
}

/// Takes drover's namespace away without waiting for anybody.
async fn finalize(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let gone = "the namespace is gone";
    until(gone, async || {
        let Some(mut namespace) = namespaces.get_opt(DEFAULT_NAMESPACE).await.unwrap() else { return true };
        namespace.spec = None;
        // Somebody else may have changed it since.
        let parameters = PostParams::default();
        drop(namespaces.replace_subresource("finalize", DEFAULT_NAMESPACE, &parameters, &namespace).await);
        false
    })
    .await;
}

async fn make_namespace(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACES[1]}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    for namespace in NAMESPACES {
        let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), namespace);
        let job = json!({"template": pod()});
        let cron_job = json!({"metadata": {"name": "of-others"},
            "spec": {"schedule": "@yearly", "suspend": true, "jobTemplate": {"spec": job}}});
        cron_jobs.create(&PostParams::default(), &serde_json::from_value(cron_job).unwrap()).await.unwrap();
    }
}

fn pod() -> Value {
    json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "any", "image": "any"}]}})
}

async fn work(client: Client, refusals: Arc<Mutex<Vec<String>>>, tries: Arc<AtomicUsize>) {
    let mut interval = tokio::time::interval(INTERVAL);
    for number in 0.. {
        interval.tick().await;
        for namespace in NAMESPACES {
            for refused in
                [make_job(&client, namespace, number).await, change_cron_job(&client, namespace, number).await]
            {
                if let Err(error) = refused {
                    refusals.lock().await.push(format!("{namespace}: {error}"));
                }
            }
            tries.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn make_job(client: &Client, namespace: &str, number: usize) -> Result<(), kube::Error> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let name = format!("of-others-{number}");
    let job = json!({"metadata": {"name": name}, "spec": {"suspend": true, "template": pod()}});
    jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await?;
    jobs.delete(&name, &DeleteParams::background()).await.map(drop)
}

async fn change_cron_job(client: &Client, namespace: &str, number: usize) -> Result<(), kube::Error> {
    let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), namespace);
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"number": number.to_string()}}}));
    cron_jobs.patch("of-others", &PatchParams::default(), &patch).await.map(drop)
}
