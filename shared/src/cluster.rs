//! The connection to the cluster, and what every job asks it.

pub(crate) mod address;
mod api_error;
mod host_name;
mod objects;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::client::ClientBuilder;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Config, Resource, ResourceExt};
use snafu::{ResultExt, Snafu};
use tower::util::MapResponseLayer;
use tracing::warn;

pub use self::address::api_server;
use self::address::note_address;
pub use self::api_error::ApiError;
pub use self::host_name::host_name;
pub use self::objects::{find, list};
use crate::clock;
use crate::exit::{Exit, Fault};
use crate::lease;
use crate::resources::DEFAULT_NAMESPACE;

/// Where drover runs, and as whom.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterOptions {
    /// The namespace of drover's own objects and of the Secrets that Backups and Restores name.
    #[arg(long = "drover-namespace", env = "DROVER_NAMESPACE", default_value = DEFAULT_NAMESPACE, value_name = "NAME")]
    pub namespace: String,

    /// Name of the pod that this job runs in; the deployment sets it.
    #[arg(long, env = "DROVER_POD_NAME", value_name = "NAME", hide = true)]
    pub pod_name: Option<String>,

    /// Name of the Job that this pod belongs to; the deployment sets it.
    #[arg(long, env = "DROVER_JOB_NAME", value_name = "NAME", hide = true)]
    pub job_name: Option<String>,

    /// UID of that Job, which tells it from another one of its name; the deployment sets it.
    #[arg(long, env = "DROVER_JOB_UID", value_name = "UID", hide = true)]
    pub job_uid: Option<String>,

    /// How long the holder of a Lease may be silent before it counts as dead, in seconds.
    #[arg(long, env = "DROVER_LEASE_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=3600), value_name = "SECONDS")]
    pub lease_seconds: u16,
}

impl ClusterOptions {
    /// The name under which this process holds Leases: never that of another process, also not of the same pod's last one.
    #[must_use]
    pub fn identity(&self) -> String {
        let place = self.pod_name.clone().unwrap_or_else(|| format!("{}-{}", host_name(), std::process::id()));
        format!("{place}_{}", uuid::Uuid::now_v7().simple())
    }

    /// This process as a holder of Leases in drover's namespace.
    #[must_use]
    pub fn lease_holder(&self, client: &Client) -> lease::Holder {
        lease::Holder::new(client.clone(), &self.namespace, &self.identity(), self.lease_settings())
    }

    /// How this process holds Leases.
    #[must_use]
    pub fn lease_settings(&self) -> lease::Settings {
        lease::Settings { duration: Duration::from_secs(self.lease_seconds.into()) }
    }
}

/// Where Kubernetes puts the token of a pod's ServiceAccount.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Whether this process runs in a pod that can reach its API server: by what `rest.InClusterConfig` of client-go asks for.
#[must_use]
pub(crate) fn is_in_pod() -> bool {
    is_pod(std::env::var_os("KUBERNETES_SERVICE_HOST").as_deref(), Path::new(TOKEN))
}

fn is_pod(host: Option<&OsStr>, token: &Path) -> bool {
    host.is_some_and(|host| !host.is_empty()) && token.exists()
}

/// Why a question to the cluster failed.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to find a cluster; set KUBECONFIG or run in a pod"))]
    FindCluster { source: kube::config::InferConfigError },
    #[snafu(display("failed to make a client of the kubeconfig"))]
    MakeClient { source: ApiError },
    #[snafu(display("failed to read {object}"))]
    ReadObject { object: String, source: ApiError },
    #[snafu(display(
        "failed to find the Secret {name:?} in the namespace {namespace:?}; create it, or correct its name"
    ))]
    FindSecret { name: String, namespace: String },
    #[snafu(display("failed to read the Secret {name:?} in the namespace {namespace:?}{help}"))]
    ReadSecret {
        name: String,
        namespace: String,
        /// What to do about it, where that is known.
        help: String,
        source: ApiError,
    },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::FindCluster { .. } | Self::FindSecret { .. } => Exit::Usage,
            Self::MakeClient { source } | Self::ReadObject { source, .. } | Self::ReadSecret { source, .. } => {
                source.exit()
            }
        }
    }
}

/// Connects to the cluster of `KUBECONFIG`, of the user's kubeconfig, or of the pod.
///
/// # Errors
/// When there is none, or its certificates cannot be used. That nobody answers shows at the first request.
pub async fn connect() -> Result<Client, Error> {
    client_of(configuration().await?)
}

/// Connects as [`connect`] does, for whoever tries again by itself: kube's own tries, which answer a 429 before anybody
/// sees it, would multiply with those.
///
/// # Errors
/// As [`connect`].
pub async fn connect_without_retries() -> Result<Client, Error> {
    let mut config = configuration().await?;
    config.default_retry = false;
    client_of(config)
}

async fn configuration() -> Result<Config, Error> {
    let mut config = past_proxies(Config::infer().await.context(FindClusterSnafu)?);
    // A LIST page of a busy server may take long to begin; kube's own limit of 295 s would hide a dead one.
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(Duration::from_secs(90));
    Ok(config)
}

/// The configuration without the proxy that the environment names, which is for what lies outside: kube takes it for the API
/// server too, and has no regard for `NO_PROXY`. One that the kubeconfig itself names stays.
#[must_use]
pub fn past_proxies(mut config: Config) -> Config {
    let named = ["HTTPS_PROXY", "https_proxy"].map(|name| std::env::var(name).ok());
    let is_of_environment =
        |proxy: &http::Uri| named.iter().flatten().any(|named| named.parse().ok().as_ref() == Some(proxy));
    config.proxy_url = config.proxy_url.filter(|proxy| !is_of_environment(proxy));
    config
}

/// A client that takes the time from each answer.
///
/// # Errors
/// When none can be made of the configuration.
pub fn client_of(config: Config) -> Result<Client, Error> {
    note_address(&config);
    let builder = ClientBuilder::try_from(config).map_err(ApiError::from).context(MakeClientSnafu)?;
    let observing = MapResponseLayer::new(|response: http::Response<_>| {
        clock::observe(response.headers());
        response
    });
    Ok(builder.with_layer(&observing).build())
}

/// The UID of the namespace kube-system, which stands for the cluster's identity in the names of archives.
///
/// # Errors
/// When it cannot be read.
pub async fn cluster_uid(client: &Client) -> Result<String, Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = namespaces
        .get("kube-system")
        .await
        .map_err(ApiError::from)
        .context(ReadObjectSnafu { object: "the namespace \"kube-system\"" })?;
    Ok(namespace.uid().unwrap_or_default())
}

/// The data of a Secret.
pub type SecretData = BTreeMap<String, ByteString>;

/// Reads a Secret's data. `own` is drover's namespace: whose Secrets are read elsewhere has to be allowed there.
///
/// # Errors
/// When it is missing or may not be read.
pub async fn secret(client: &Client, own: &str, namespace: &str, name: &str) -> Result<SecretData, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = match secrets.get_opt(name).await.map_err(ApiError::from) {
        Err(source) => {
            let help = if source.code() == Some(403) { permission(own, namespace) } else { String::new() };
            return Err(source).context(ReadSecretSnafu { name, namespace, help });
        }
        Ok(found) => found,
    };
    let found = found.ok_or_else(|| Error::FindSecret { name: name.to_owned(), namespace: namespace.to_owned() })?;
    Ok(found.data.unwrap_or_default())
}

/// The command that allows drover to read the Secrets of a namespace: every job that has to, whichever of them asks. It is
/// applied, for a binding of an earlier version may name fewer.
fn permission(own: &str, namespace: &str) -> String {
    let accounts = SECRET_READERS.map(|reader| format!("--serviceaccount={own}:{reader}")).join(" ");
    format!(
        "; to allow it, run \"kubectl -n {namespace} create rolebinding {SECRETS_ROLE} --clusterrole={SECRETS_ROLE} \
         {accounts} --dry-run=client --output yaml | kubectl apply -f -\""
    )
}

/// Writes Events that `kubectl describe` shows.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    action: &'static str,
}

impl Events {
    /// Events of the job `job`, which is also their action.
    #[must_use]
    pub fn new(client: Client, job: &'static str, identity: &str) -> Self {
        let reporter = Reporter { controller: format!("drover-{job}"), instance: Some(identity.to_owned()) };
        Self { recorder: Recorder::new(client, reporter), action: job }
    }

    /// Something that went as it should.
    pub async fn normal<K: Resource<DynamicType = ()>>(&self, about: &K, reason: &str, note: impl Into<String>) {
        self.publish(about, EventType::Normal, reason, note.into()).await;
    }

    /// Something that a person should look at.
    pub async fn warning<K: Resource<DynamicType = ()>>(&self, about: &K, reason: &str, note: impl Into<String>) {
        self.publish(about, EventType::Warning, reason, note.into()).await;
    }

    /// An Event is a courtesy: that it cannot be written is logged, and fails nothing.
    async fn publish<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        type_: EventType,
        reason: &str,
        mut note: String,
    ) {
        note.truncate(note.floor_char_boundary(EVENT_NOTE_BYTES));
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: self.action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &about.object_ref(&())).await {
            warn!(reason, "failed to write an Event: {}", ApiError::from(error));
        }
    }
}

/// The ClusterRole of drover's manifests that may read Secrets, bound in each namespace whose Secrets are needed.
const SECRETS_ROLE: &str = "drover-secrets";

/// The ServiceAccounts of the jobs that reach storage and may not read everything.
const SECRET_READERS: [&str; 3] = ["drover-upload", "drover-retention-prune", "drover-heartbeat"];

/// The API server refuses a longer note.
const EVENT_NOTE_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_allows_a_secret_of_another_namespace_is_said_to_the_letter() {
        let expected = "; to allow it, run \"kubectl -n default create rolebinding drover-secrets \
                        --clusterrole=drover-secrets --serviceaccount=cattle-resources-system:drover-upload \
                        --serviceaccount=cattle-resources-system:drover-retention-prune \
                        --serviceaccount=cattle-resources-system:drover-heartbeat \
                        --dry-run=client --output yaml | kubectl apply -f -\"";
        assert_eq!(permission(DEFAULT_NAMESPACE, "default"), expected);
    }

    #[test]
    fn the_component_allows_it_to_the_same_jobs() {
        let component = include_str!("../../kustomize/components/secret-namespace/role-binding.yaml");
        let accounts = component.lines().filter_map(|line| line.trim().strip_prefix("name: drover-"));
        let accounts: Vec<_> = accounts.map(|name| format!("drover-{name}")).collect();
        assert_eq!(accounts[2..], SECRET_READERS, "after the binding's own name and that of the role");
    }

    #[test]
    fn a_pod_is_known_by_the_address_of_its_api_server_and_its_token() {
        let token = tempfile::NamedTempFile::new().unwrap();
        let (there, nowhere) = (token.path(), Path::new("/nonexistent/token"));
        assert!(is_pod(Some(OsStr::new("10.96.0.1")), there));
        assert!(!is_pod(Some(OsStr::new("10.96.0.1")), nowhere));
        assert!(!is_pod(Some(OsStr::new("")), there));
        assert!(!is_pod(None, there));
    }

    #[test]
    fn two_processes_of_one_pod_have_different_identities() {
        let options = ClusterOptions {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            pod_name: Some("snapshot-1".to_owned()),
            job_name: None,
            job_uid: None,
            lease_seconds: 15,
        };
        assert!(options.identity().starts_with("snapshot-1_"));
        assert_ne!(options.identity(), options.identity());
    }
}
