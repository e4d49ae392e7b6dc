//! The programs of a testbed: found on this machine, or built once from pinned Go modules.
//!
//! A program is taken from the first of these places where it is found and serves:
//! the folder `KUBEBUILDER_ASSETS`, the `PATH`, the cache folder, the Go toolchain.
//! Kubernetes' own programs serve when they are of the minor version that the testbed pins, Prometheus and promtool only as
//! they are built, others of any version.

mod build;
mod cache;
mod definitions;
mod search;
mod set;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use cache::cache_folder;
pub(crate) use cache::lock;
pub use definitions::of_prometheus_operator;
pub(crate) use search::candidates;
use snafu::Snafu;

use self::set::{
    COREDNS, ETCD, KUBECONFORM, KUBERNETES, KUBERNETES_OLDEST, KUSTOMIZE, MINIO, NATS, PROMETHEUS, Set, VERSITYGW,
};

/// A program that a testbed or its user runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// `etcd`.
    Etcd,
    /// `kube-apiserver`.
    KubeApiserver,
    /// `kube-apiserver` of the oldest Kubernetes that drover promises to run on.
    OldestKubeApiserver,
    /// `kube-controller-manager`.
    KubeControllerManager,
    /// `kube-scheduler`.
    KubeScheduler,
    /// `kubectl`, which no part runs but people do.
    Kubectl,
    /// `kubelet`.
    Kubelet,
    /// `kube-proxy`.
    KubeProxy,
    /// `coredns`, which runs as a pod.
    Coredns,
    /// `nats-server`.
    NatsServer,
    /// `minio`.
    Minio,
    /// `versitygw`.
    Versitygw,
    /// `kustomize`, which tests build the manifests with.
    Kustomize,
    /// `kubeconform`, which tests hold manifests against their schemas with.
    Kubeconform,
    /// `prometheus`.
    Prometheus,
    /// `promtool`, which tests check rules and figures with.
    Promtool,
}

impl Program {
    /// Every program, the quickest to build first.
    pub const ALL: [Self; 16] = [
        Self::NatsServer,
        Self::Kubeconform,
        Self::Kustomize,
        Self::Etcd,
        Self::Versitygw,
        Self::Prometheus,
        Self::Promtool,
        Self::Minio,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kubectl,
        Self::KubeProxy,
        Self::Kubelet,
        Self::Coredns,
        Self::OldestKubeApiserver,
    ];

    /// The name of its file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver | Self::OldestKubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Coredns => "coredns",
            Self::NatsServer => "nats-server",
            Self::Minio => "minio",
            Self::Versitygw => "versitygw",
            Self::Kustomize => "kustomize",
            Self::Kubeconform => "kubeconform",
            Self::Prometheus => "prometheus",
            Self::Promtool => "promtool",
        }
    }

    fn set(self) -> &'static Set {
        match self {
            Self::Etcd => &ETCD,
            Self::KubeApiserver
            | Self::KubeControllerManager
            | Self::KubeScheduler
            | Self::Kubectl
            | Self::Kubelet
            | Self::KubeProxy => &KUBERNETES,
            Self::OldestKubeApiserver => &KUBERNETES_OLDEST,
            Self::Coredns => &COREDNS,
            Self::NatsServer => &NATS,
            Self::Minio => &MINIO,
            Self::Versitygw => &VERSITYGW,
            Self::Kustomize => &KUSTOMIZE,
            Self::Kubeconform => &KUBECONFORM,
            Self::Prometheus | Self::Promtool => &PROMETHEUS,
        }
    }

    /// The Go package to build.
    fn package(self) -> String {
        let set = self.set();
        if set.has_commands { format!("{}/cmd/{}", set.module, self.name()) } else { set.module.to_owned() }
    }

    /// Whether a program found on this machine must be of the pinned minor version.
    fn needs_pinned_version(self) -> bool {
        matches!(
            self,
            Self::KubeApiserver
                | Self::OldestKubeApiserver
                | Self::KubeControllerManager
                | Self::KubeScheduler
                | Self::Kubelet
                | Self::KubeProxy
        )
    }
}

/// Why a program is not there.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display(
        "failed to find the Go toolchain on the PATH, which makes once what is missing, {what}: install Go {} or \
         newer, or put programs of these names on the PATH",
        build::GO_VERSION
    ))]
    FindGo { what: String },
    #[snafu(display("failed to choose a cache folder: set DROVER_CACHE, XDG_CACHE_HOME or HOME"))]
    ChooseCache,
    #[snafu(display("failed to prepare the cache folder {path:?}: make it writable or set DROVER_CACHE to another"))]
    PrepareCache { path: PathBuf, source: std::io::Error },
    /// Another process may be building and the lock on the cache cannot be taken.
    #[snafu(display("failed to lock {path:?}"))]
    LockCache { path: PathBuf, source: std::io::Error },
    #[snafu(display("failed to run {go:?} for {program:?}"))]
    RunGo { go: PathBuf, program: &'static str, source: std::io::Error },
    #[snafu(display(
        "failed to build {program:?}; it needs Go {} or newer and access to its Go modules. \
         The last lines of the build were:\n{output}",
        build::GO_VERSION
    ))]
    Build { program: &'static str, output: String },
    #[snafu(display("failed to put {program:?} in the cache as {path:?}"))]
    KeepProgram { program: &'static str, path: PathBuf, source: std::io::Error },
}

/// Finds or builds programs and tells where they are.
///
/// Several processes may ask at once: one builds, the others wait for it. Progress goes to stderr.
///
/// # Errors
/// When a program is neither found nor can be built.
pub async fn locate(programs: impl IntoIterator<Item = Program>) -> Result<BTreeMap<Program, PathBuf>, Error> {
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for program in programs {
        match search::on_this_machine(program).await {
            Some(path) => drop(found.insert(program, path)),
            None => missing.push(program),
        }
    }
    if !missing.is_empty() {
        found.extend(cache::fill(&missing).await?);
    }
    Ok(found)
}
