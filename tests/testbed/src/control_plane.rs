//! etcd, the API server, the controllers and the scheduler.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use snafu::ResultExt;

use crate::certificates::{Authority, Identity, SigningKeys};
use crate::kubeconfig::kubeconfig;
use crate::network::Network;
use crate::options::Options;
use crate::part::Part;
use crate::ports;
use crate::testbed::{Blueprint, Error, MakeCertificateSnafu, WriteFileSnafu};

/// The service addresses of a cluster without a node; the API server has the first of them.
const SERVICE_RANGE: &str = "10.96.0.0/16";
const SERVING_NAMES: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "kubernetes",
    "kubernetes.default.svc",
    "kubernetes.default",
    "kubernetes.default.svc.cluster.local",
];

/// What the audit log has of a request: not its body, and not that it has begun.
const AUDIT_POLICY: &str = r#"{
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]
}"#;

/// The files and ports of one control plane.
pub(crate) struct ControlPlane {
    folder: PathBuf,
    network: Option<Network>,
    authority: Authority,
    admin: Identity,
    etcd: u16,
    etcd_peers: u16,
    etcd_health: u16,
    api: u16,
    controllers: u16,
    scheduler: u16,
    api_arguments: Vec<String>,
}

impl ControlPlane {
    /// Chooses ports and writes certificates, keys and kubeconfigs into `folder`.
    ///
    /// Where there is a node, all listens on its address, and else on loopback.
    pub(crate) fn prepare(folder: &Path, options: &Options, network: Option<Network>) -> Result<Self, Error> {
        let [etcd, etcd_peers, etcd_health, api, controllers, scheduler] = ports::choose();
        let authority = Authority::new("drover-testbed").context(MakeCertificateSnafu)?;
        let admin = authority.client("drover-testbed-admin", Some("system:masters")).context(MakeCertificateSnafu)?;
        let folder = folder.join("kubernetes");
        std::fs::create_dir(&folder).context(WriteFileSnafu { path: &folder })?;
        let audit = options.audit_log_path().into_iter().flat_map(|log| audit_arguments(&folder, log));
        let api_arguments = audit.chain(options.further_api_server_arguments().iter().cloned()).collect();
        let plane = Self {
            folder,
            network,
            authority,
            admin,
            etcd,
            etcd_peers,
            etcd_health,
            api,
            controllers,
            scheduler,
            api_arguments,
        };
        plane.write("audit-policy.json", AUDIT_POLICY)?;
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
            Part::Etcd => (self.etcd_arguments(), vec![format!("{}/health", self.etcd_health())]),
            Part::ApiServer => (self.api_server_arguments(), vec![format!("{}/readyz", self.server())]),
            Part::ControllerManager => (self.controller_manager_arguments(), self.controller_manager_addresses()),
            _ => (self.scheduler_arguments(), vec![self.health(self.scheduler)]),
        };
        Blueprint { arguments, environment: BTreeMap::new(), addresses, isolated: self.network.is_some() }
    }

    /// The address of the API server.
    pub(crate) fn server(&self) -> String {
        format!("https://{}:{}", self.address(), self.api)
    }

    fn address(&self) -> Ipv4Addr {
        self.network.map_or(Ipv4Addr::LOCALHOST, Network::node)
    }

    fn health(&self, port: u16) -> String {
        format!("https://{}:{port}/healthz", self.address())
    }

    /// etcd itself stays on loopback: whoever reaches it reads everything.
    fn etcd_health(&self) -> String {
        format!("http://{}:{}", self.address(), self.etcd_health)
    }

    fn write_keys(&self) -> Result<(), Error> {
        let addresses = self.network.map(|network| [network.node().to_string(), network.api_server().to_string()]);
        let names = SERVING_NAMES.into_iter().chain(addresses.iter().flatten().map(String::as_str));
        let serving = self.authority.server(&names.collect::<Vec<_>>()).context(MakeCertificateSnafu)?;
        let tokens = SigningKeys::new().context(MakeCertificateSnafu)?;
        self.write("ca.crt", &self.authority.certificate())?;
        self.write("serving.crt", &serving.certificate)?;
        self.write("serving.key", &serving.key)?;
        self.write("tokens.key", &tokens.private)?;
        self.write("tokens.pub", &tokens.public)?;
        // The API server asks the kubelet as an administrator, for logs and for commands in containers.
        self.write("kubelet-client.crt", &self.admin.certificate)?;
        self.write("kubelet-client.key", &self.admin.key)
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

    pub(crate) fn kubeconfig_for(&self, identity: &Identity) -> Value {
        kubeconfig(&self.server(), &self.authority.certificate(), identity)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).context(WriteFileSnafu { path })
    }

    /// The certificate of a client.
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> Result<Identity, Error> {
        self.authority.client(user, group).context(MakeCertificateSnafu)
    }

    /// A file of the control plane.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn etcd_arguments(&self) -> Vec<String> {
        let client = format!("http://127.0.0.1:{}", self.etcd);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peers);
        vec![
            format!("--data-dir={}", self.path("etcd")),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-metrics-urls={}", self.etcd_health()),
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
            format!("--client-ca-file={}", self.path("ca.crt")),
            format!("--service-account-key-file={}", self.path("tokens.pub")),
            format!("--service-account-signing-key-file={}", self.path("tokens.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            // Without it, a server that is asked to end waits a minute for the watches of its clients.
            "--shutdown-watch-termination-grace-period=1s".to_owned(),
        ];
        arguments.extend(self.serving_arguments());
        arguments.extend(self.reaching_arguments());
        arguments.extend(self.api_arguments.iter().cloned());
        arguments
    }

    /// How the API server is reached by pods, and reaches the kubelet.
    fn reaching_arguments(&self) -> Vec<String> {
        let Some(network) = self.network else {
            // A loopback address is refused as an endpoint of the Service "kubernetes", and there may be no other.
            return vec![
                format!("--service-cluster-ip-range={SERVICE_RANGE}"),
                "--advertise-address=127.0.0.1".to_owned(),
                "--endpoint-reconciler-type=none".to_owned(),
            ];
        };
        vec![
            format!("--service-cluster-ip-range={}", network.services()),
            format!("--advertise-address={}", network.node()),
            format!("--kubelet-client-certificate={}", self.path("kubelet-client.crt")),
            format!("--kubelet-client-key={}", self.path("kubelet-client.key")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
        ]
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
        vec![self.health(self.controllers), account]
    }

    fn scheduler_arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("--secure-port={}", self.scheduler)];
        arguments.extend(self.serving_arguments());
        arguments.extend(self.client_arguments(Part::Scheduler));
        arguments
    }

    fn serving_arguments(&self) -> [String; 4] {
        [
            format!("--bind-address={}", self.address()),
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

fn audit_arguments(folder: &Path, log: &Path) -> [String; 2] {
    [
        format!("--audit-policy-file={}", folder.join("audit-policy.json").display()),
        format!("--audit-log-path={}", log.display()),
    ]
}
