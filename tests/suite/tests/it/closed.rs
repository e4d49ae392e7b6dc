//! NATS as `dispatch setup secrets` closes it: a real server with the configuration that it writes, and clients that have
//! nothing but what lies in their own Secret.

mod chain;
mod eavesdropper;
mod encryption;
mod rotation;
mod set_up;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use drover::cluster::SecretData;
use drover::queue::{self, Connection, JOBS, NatsOptions, Settings};
use drover_testbed::programs::{Program, locate};
use drover_testbed::{Options, Service, prepare};
use drover_tests::{Finished, Job, Site};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::nats::{options, until};

/// The control plane of the tests that keep to a namespace of their own.
static SITE: OnceCell<Site> = OnceCell::const_new();

async fn site() -> &'static Site {
    SITE.get_or_init(|| Site::start_with(Options::only([Service::ControlPlane]))).await
}

/// A closed server, and the Secrets of a namespace that open it.
struct Closed<'a> {
    site: &'a Site,
    /// Of this test's own runtime.
    client: Client,
    namespace: &'static str,
    folder: TempDir,
    server: Option<Child>,
    /// Chosen by the server at its first start, and kept: clients come back to it.
    port: Option<u16>,
}

impl<'a> Closed<'a> {
    /// Empty Secrets, as the manifests bring them.
    async fn install(site: &'a Site, namespace: &'static str) -> Self {
        let client = site.testbed.client().await.unwrap();
        prepare::make_namespace(&client, namespace).await.unwrap();
        let folder = tempfile::tempdir_in(site.testbed.folder()).unwrap();
        let closed = Self { site, client, namespace, folder, server: None, port: None };
        for name in Closed::secret_names() {
            let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
            let secret = Secret { metadata, ..Secret::default() };
            closed.secrets().patch(&name, &PatchParams::apply("test"), &Patch::Apply(&secret)).await.unwrap();
        }
        closed
    }

    /// A server that runs, with drover's queue in it.
    async fn start(site: &'a Site, namespace: &'static str) -> Self {
        let mut closed = Self::install(site, namespace).await;
        closed.roll_out().await;
        let setup = closed.connect("setup").await;
        queue::setup(&setup.jetstream, &Settings::default()).await.unwrap();
        closed
    }

    fn secret_names() -> Vec<String> {
        ["ca", "server"].into_iter().chain(JOBS).map(|name| format!("nats-{name}")).collect()
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    async fn data(&self, secret: &str) -> SecretData {
        self.secrets().get(secret).await.unwrap().data.unwrap_or_default()
    }

    /// Takes a Secret's data away.
    async fn empty(&self, secret: &str) {
        let patch = Patch::Merge(json!({"data": null}));
        self.secrets().patch(secret, &PatchParams::default(), &patch).await.unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// The init container of a start of NATS.
    fn setup(&self) -> Job {
        let (output, data) = (self.path("etc"), self.path("data"));
        let job = self.site.job("dispatch").arguments(["setup", "secrets", "--drover-namespace", self.namespace]);
        job.arguments([&"--output".into(), &output, &"--data".into(), &data])
    }

    /// What `kubectl rollout restart statefulset/nats` does: the server ends, and begins with new keys.
    async fn roll_out(&mut self) -> Finished {
        self.stop();
        let finished = self.setup().succeed().await;
        self.run().await;
        finished
    }

    /// Starts the server with the configuration that is there.
    async fn run(&mut self) {
        let program = locate([Program::NatsServer]).await.unwrap().remove(&Program::NatsServer).unwrap();
        let log = std::fs::File::create(self.folder.path().join("nats.log")).unwrap();
        let port = self.port.map_or("-1".to_owned(), |port| port.to_string());
        let mut command = Command::new(program);
        command.arg("--config").arg(self.path("etc").join("nats.conf")).args(["--addr", "127.0.0.1", "--port", &port]);
        command.arg("--ports_file_dir").arg(self.folder.path());
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let ports = self.folder.path().join(format!("nats-server_{}.ports", child.id()));
        let port = || {
            let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(&ports).ok()?).ok()?;
            ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse().ok()
        };
        until("the server has a port", async || port().is_some()).await;
        assert!(child.try_wait().unwrap().is_none(), "{}", self.log());
        (self.port, self.server) = (port(), Some(child));
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nats.log")).unwrap()
    }

    fn url(&self) -> String {
        format!("tls://127.0.0.1:{}", self.port.unwrap())
    }

    /// Lays a job's Secret where its pod has it, as kubelet does and does again when it changes.
    async fn mount(&self, job: &str) -> PathBuf {
        let folder = self.path(&format!("mounted-{job}"));
        for (key, value) in self.data(&format!("nats-{job}")).await {
            std::fs::write(folder.join(key), value.0).unwrap();
        }
        folder
    }

    /// The options of a job whose pod has what was mounted last.
    fn mounted(&self, job: &str) -> NatsOptions {
        let folder = self.path(&format!("mounted-{job}"));
        let [ca, nkey] = ["ca.crt", "nkey"].map(|key| folder.join(key).to_str().unwrap().to_owned());
        options(&["--nats-url", &self.url(), "--nats-ca", &ca, "--nats-nkey", &nkey])
    }

    /// A connection as a job, with what its Secret holds now.
    async fn connect(&self, job: &str) -> Connection {
        self.mount(job).await;
        let connected = queue::connect(&self.mounted(job), job).await;
        connected.unwrap_or_else(|error| panic!("{job}: {error}\n{}", self.log()))
    }

    /// A job's process, with the environment of its pod.
    async fn job(&self, name: &str, identity: &str) -> Job {
        let folder = self.mount(identity).await;
        let path = |key: &str| folder.join(key).to_str().unwrap().to_owned();
        let job = self.site.job(name).environment("NATS_URL", &self.url());
        job.environment("NATS_CA", &path("ca.crt")).environment("NATS_NKEY", &path("nkey"))
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}
