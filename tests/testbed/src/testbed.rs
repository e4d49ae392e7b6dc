//! The testbed as its owner sees it.

mod error;
mod node;
mod overlay;
mod start;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::future::try_join_all;
use kube::config::{KubeConfigOptions, Kubeconfig};
use snafu::{OptionExt, ResultExt};

pub use self::error::Error;
pub(crate) use self::error::{
    AskPrometheusSnafu, MakeCertificateSnafu, ReadPrometheusSnafu, RefusedByPrometheusSnafu, WriteFileSnafu,
};
use self::error::{
    ConnectKubernetesSnafu, ConnectNatsSnafu, CreateBucketSnafu, EndedSnafu, MakeS3ClientSnafu, NotReadySnafu,
    NotStartedSnafu, ReadKubeconfigSnafu, SuperviseSnafu,
};
use crate::log;
use crate::node::Node;
use crate::options::Options;
use crate::part::Part;
use crate::prometheus::Prometheus;
use crate::readiness::{INTERVAL, LIMIT, Readiness};
use crate::s3::S3;
use crate::supervisor::{Launch, Signal, State, Supervisor};

/// How a part is started, and the addresses that answer when it is ready.
pub(crate) struct Blueprint {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) addresses: Vec<String>,
    /// Whether it belongs inside the namespaces of the node.
    pub(crate) isolated: bool,
}

/// A running control plane, NATS and MinIO on loopback, and a node beside it.
///
/// Dropping it ends every process and removes the temporary folder; [`Testbed::shutdown`] also waits for that.
/// The same happens when the process that owns it ends, in whatever way.
/// It belongs to no async runtime and may live in a `static`; the clients that it makes do belong to one.
pub struct Testbed {
    supervisor: Supervisor,
    parts: BTreeMap<Part, (Launch, Vec<String>)>,
    readiness: Readiness,
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig of somebody else's cluster, which takes the place of this one's.
    external: Option<PathBuf>,
    node: Option<Node>,
    nats_url: Option<String>,
    s3: Option<S3>,
    s3_tls: Option<S3>,
    s3_other: Option<S3>,
    prometheus: Option<Prometheus>,
}

impl Testbed {
    /// Starts the services of the options and waits until all are ready.
    ///
    /// The first start on a machine builds the programs, which takes minutes; progress goes to stderr. A node is ready
    /// for pods then: it has its images, its DNS server answers, and there are volumes to claim.
    ///
    /// # Errors
    /// When a program is not to be had, or a part does not become ready; the error shows the end of its log.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Box::pin(start::start(&options)).await
    }

    /// The kubeconfig of an administrator.
    ///
    /// # Errors
    /// When the testbed was started without a control plane.
    pub fn kubeconfig(&self) -> Result<&Path, Error> {
        self.external.as_deref().or(self.kubeconfig.as_deref()).context(NotStartedSnafu { part: Part::ApiServer })
    }

    /// A new client of the API server with an administrator's rights, for the async runtime of the caller.
    ///
    /// # Errors
    /// When the testbed was started without a control plane.
    pub async fn client(&self) -> Result<kube::Client, Error> {
        let path = self.kubeconfig()?;
        let kubeconfig = Kubeconfig::read_from(path).context(ReadKubeconfigSnafu { path })?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.context(ReadKubeconfigSnafu { path })?;
        if self.external.is_none() {
            // No proxy leads to an address of this machine alone.
            config.proxy_url = None;
        }
        kube::Client::try_from(config).context(ConnectKubernetesSnafu)
    }

    /// The address of the NATS server.
    ///
    /// # Errors
    /// When the testbed was started without NATS.
    pub fn nats_url(&self) -> Result<&str, Error> {
        self.nats_url.as_deref().context(NotStartedSnafu { part: Part::Nats })
    }

    /// A new client of the NATS server, for the async runtime of the caller.
    ///
    /// # Errors
    /// When the testbed was started without NATS, or NATS is stopped.
    pub async fn nats(&self) -> Result<async_nats::Client, Error> {
        let url = self.nats_url()?;
        async_nats::connect(url).await.context(ConnectNatsSnafu { url })
    }

    /// The S3 server over http.
    ///
    /// # Errors
    /// When the testbed was started without it.
    pub fn s3(&self) -> Result<&S3, Error> {
        self.s3.as_ref().context(NotStartedSnafu { part: Part::Minio })
    }

    /// The S3 server over https; its `ca_pem` is always there.
    ///
    /// # Errors
    /// When the testbed was started without it.
    pub fn s3_tls(&self) -> Result<&S3, Error> {
        self.s3_tls.as_ref().context(NotStartedSnafu { part: Part::MinioTls })
    }

    /// The S3 server of another make.
    ///
    /// # Errors
    /// When the testbed was started without it.
    pub fn s3_other(&self) -> Result<&S3, Error> {
        self.s3_other.as_ref().context(NotStartedSnafu { part: Part::Versitygw })
    }

    /// Prometheus.
    ///
    /// # Errors
    /// When the testbed was started without it.
    pub fn prometheus(&self) -> Result<&Prometheus, Error> {
        self.prometheus.as_ref().context(NotStartedSnafu { part: Part::Prometheus })
    }

    /// Makes a bucket in each S3 server that the testbed has.
    ///
    /// # Errors
    /// When a server refuses.
    pub async fn create_bucket(&self, name: &str) -> Result<(), Error> {
        for s3 in self.s3.iter().chain(&self.s3_tls).chain(&self.s3_other) {
            let client = s3.client().context(MakeS3ClientSnafu { url: &s3.url })?;
            let created = client.create_bucket().bucket(name).send().await;
            created.map_err(|error| Box::new(error.into())).context(CreateBucketSnafu { name, url: &s3.url })?;
        }
        Ok(())
    }

    /// The environment for programs that use the testbed, such as `KUBECONFIG`.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let kubeconfig = self.kubeconfig().ok().map(|path| ("KUBECONFIG", path.display().to_string()));
        let nats = self.nats_url.iter().map(|url| ("NATS_URL", url.clone()));
        let s3 = self.s3.iter().flat_map(|s3| {
            [
                ("S3_ENDPOINT", s3.url.clone()),
                ("S3_ACCESS_KEY", s3.access_key.clone()),
                ("S3_SECRET_KEY", s3.secret_key.clone()),
            ]
        });
        kubeconfig.into_iter().chain(nats).chain(s3).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The temporary folder, with the logs of all parts in `logs`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.supervisor.folder()
    }

    /// The process that owns all others.
    #[must_use]
    pub fn supervisor_pid(&self) -> u32 {
        self.supervisor.pid()
    }

    /// The process id of a part, while it runs.
    #[must_use]
    pub fn pid(&self, part: Part) -> Option<i32> {
        match self.supervisor.state(part.name()) {
            Some(State::Running(pid)) => Some(pid),
            _ => None,
        }
    }

    /// Asks a part to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When the supervisor has ended.
    pub async fn stop(&self, part: Part) -> Result<(), Error> {
        self.supervisor.end(part.name(), Signal::Terminate).await.context(SuperviseSnafu)
    }

    /// Kills a part (SIGKILL) and waits until it has ended.
    ///
    /// # Errors
    /// When the supervisor has ended.
    pub async fn kill(&self, part: Part) -> Result<(), Error> {
        self.supervisor.end(part.name(), Signal::Kill).await.context(SuperviseSnafu)
    }

    /// Starts a part that was stopped or killed, with the same port and data, and waits until it is ready.
    ///
    /// # Errors
    /// When the testbed never had the part, it runs, or it does not become ready.
    pub async fn start_again(&self, part: Part) -> Result<(), Error> {
        self.launch([part]).await
    }

    /// Waits until the testbed has ended without its owner's doing.
    pub async fn ended(&self) {
        self.supervisor.ended().await;
    }

    /// Ends every process, removes the temporary folder, and waits until that is done.
    pub async fn shutdown(self) {
        self.supervisor.shut_down().await;
    }

    /// Starts parts side by side and waits until all are ready.
    async fn launch(&self, parts: impl IntoIterator<Item = Part>) -> Result<(), Error> {
        try_join_all(parts.into_iter().map(|part| self.launch_one(part))).await.map(drop)
    }

    async fn launch_one(&self, part: Part) -> Result<(), Error> {
        let (launch, addresses) = self.parts.get(&part).context(NotStartedSnafu { part })?;
        self.supervisor.launch(launch.clone()).await.context(SuperviseSnafu)?;
        self.ready(part, addresses).await
    }

    async fn ready(&self, part: Part, addresses: &[String]) -> Result<(), Error> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answers = self.readiness.all_answer(addresses).await;
            // An end is looked at last: what answered on the port of a part that has ended is another process.
            if let Some(State::Ended(status)) = self.supervisor.state(part.name()) {
                return EndedSnafu { part, status, log: self.last_lines(part) }.fail();
            }
            if answers {
                return Ok(());
            }
            if Instant::now() > deadline {
                return NotReadySnafu { part, seconds: LIMIT.as_secs(), log: self.last_lines(part) }.fail();
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn last_lines(&self, part: Part) -> String {
        log::last_lines(&self.folder().join("logs").join(format!("{part}.log")))
    }
}
