//! etcd, the API server, the controllers and the scheduler.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use snafu::ResultExt;

use crate::certificates::{Authority, Identity, SigningKeys};
use crate::kubeconfig::kubeconfig;
use crate::options::Options;
use crate::part::Part;
use crate::ports;
use crate::testbed::{Blueprint, Error, MakeCertificateSnafu, WriteFileSnafu};

/// The service addresses of the cluster; the API server has the first of them.
const SERVICE_RANGE: &str = "10.96.0.0/16";
const SERVING_NAMES: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "10.96.0.1",
    "kubernetes.default.svc",
    "kubernetes.default",
    "kubernetes.default.svc.cluster.local",
];

/// The files and ports of one control plane.
pub(crate) struct ControlPlane {
    folder: PathBuf,
    authority: Authority,
    admin: Identity,
    etcd: u16,
    etcd_peers: u16,
    api: u16,
    controllers: u16,
    scheduler: u16,
    api_arguments: Vec<String>,
}

impl ControlPlane {
    /// Chooses ports and writes certificates, keys and kubeconfigs into `folder`.
    pub(crate) fn prepare(folder: &Path, options: &Options) -> Result<Self, Error> {
        let [etcd, etcd_peers, api, controllers, scheduler] = ports::choose();
        let authority = Authority::new("drover-testbed").context(MakeCertificateSnafu)?;
        let admin = authority.client("drover-testbed-admin", Some("system:masters")).context(MakeCertificateSnafu)?;
        let folder = folder.join("kubernetes");
        std::fs::create_dir(&folder).context(WriteFileSnafu { path: &folder })?;
        let api_arguments = options.further_api_server_arguments().to_vec();
        let plane = Self { folder, authority, admin, etcd, etcd_peers, api, controllers, scheduler, api_arguments };
        plane.write_keys()?;
        plane.write_kubeconfigs()?;
        Ok(plane)
    }

    /// The kubeconfig of an administrator.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    pub(crate) fn authority(&self) -> String {
        self.authority.certificate()
    }

    /// The administrator's certificate and key, in PEM.
    pub(crate) fn admin(&self) -> String {
        format!("{}{}", self.admin.certificate, self.admin.key)
    }

    /// How the parts of the control plane are started and asked.
    pub(crate) fn blueprint(&self, part: Part) -> Blueprint {
        let (arguments, addresses) = match part {
            Part::Etcd => (self.etcd_arguments(), vec![format!("http://127.0.0.1:{}/health", self.etcd)]),
            Part::ApiServer => (self.api_server_arguments(), vec![format!("{}/readyz", self.server())]),
            Part::ControllerManager => (self.controller_manager_arguments(), self.controller_manager_addresses()),
            _ => (self.scheduler_arguments(), vec![format!("https://127.0.0.1:{}/healthz", self.scheduler)]),
        };
        Blueprint { arguments, environment: BTreeMap::new(), addresses }
    }

    fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.api)
    }

    fn write_keys(&self) -> Result<(), Error> {
        let serving = self.authority.server(&SERVING_NAMES).context(MakeCertificateSnafu)?;
        let tokens = SigningKeys::new().context(MakeCertificateSnafu)?;
        self.write("ca.crt", &self.authority.certificate())?;
        self.write("serving.crt", &serving.certificate)?;
        self.write("serving.key", &serving.key)?;
        self.write("tokens.key", &tokens.private)?;
        self.write("tokens.pub", &tokens.public)
    }

    fn write_kubeconfigs(&self) -> Result<(), Error> {
        self.write("admin.kubeconfig", &self.kubeconfig_for(&self.admin).to_string())?;
        for part in [Part::ControllerManager, Part::Scheduler] {
            let user = format!("system:{part}");
            let identity = self.authority.client(&user, None).context(MakeCertificateSnafu)?;
            self.write(&format!("{part}.kubeconfig"), &self.kubeconfig_for(&identity).to_string())?;
        }
        Ok(())
    }

    fn kubeconfig_for(&self, identity: &Identity) -> Value {
        kubeconfig(&self.server(), &self.authority.certificate(), identity)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).context(WriteFileSnafu { path })
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn etcd_arguments(&self) -> Vec<String> {
        let client = format!("http://127.0.0.1:{}", self.etcd);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peers);
        vec![
            format!("--data-dir={}", self.path("etcd")),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--log-level=warn".to_owned(),
            // The data need not outlive the machine, only a killed etcd.
            "--unsafe-no-fsync".to_owned(),
        ]
    }

    fn api_server_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd),
            format!("--secure-port={}", self.api),
            format!("--service-cluster-ip-range={SERVICE_RANGE}"),
            format!("--client-ca-file={}", self.path("ca.crt")),
            format!("--service-account-key-file={}", self.path("tokens.pub")),
            format!("--service-account-signing-key-file={}", self.path("tokens.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            // A loopback address is refused as an endpoint of the Service "kubernetes", and there may be no other.
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            // Without it, a server that is asked to end waits a minute for the watches of its clients.
            "--shutdown-watch-termination-grace-period=1s".to_owned(),
        ];
        arguments.extend(self.serving_arguments());
        arguments.extend(self.api_arguments.iter().cloned());
        arguments
    }

    fn controller_manager_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--secure-port={}", self.controllers),
            format!("--root-ca-file={}", self.path("ca.crt")),
            format!("--service-account-private-key-file={}", self.path("tokens.key")),
            "--use-service-account-credentials=true".to_owned(),
            // The default of 20 requests a second would make tests wait for namespaces to go.
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
        ];
        arguments.extend(self.serving_arguments());
        arguments.extend(self.client_arguments(Part::ControllerManager));
        arguments
    }

    /// The default service account tells that the controllers do their work, and pods need it.
    fn controller_manager_addresses(&self) -> Vec<String> {
        let account = format!("{}/api/v1/namespaces/default/serviceaccounts/default", self.server());
        vec![format!("https://127.0.0.1:{}/healthz", self.controllers), account]
    }

    fn scheduler_arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("--secure-port={}", self.scheduler)];
        arguments.extend(self.serving_arguments());
        arguments.extend(self.client_arguments(Part::Scheduler));
        arguments
    }

    fn serving_arguments(&self) -> [String; 4] {
        [
            "--bind-address=127.0.0.1".to_owned(),
            format!("--tls-cert-file={}", self.path("serving.crt")),
            format!("--tls-private-key-file={}", self.path("serving.key")),
            "--profiling=false".to_owned(),
        ]
    }

    fn client_arguments(&self, part: Part) -> [String; 4] {
        let kubeconfig = self.path(&format!("{part}.kubeconfig"));
        [
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--leader-elect=false".to_owned(),
        ]
    }
}
