//! The running parts of a testbed.

use std::fmt;

use crate::programs::Program;

/// One process of a testbed, as it is named to [`Testbed::kill`](crate::Testbed::kill) and in the log folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The store of the API server.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers of Kubernetes: garbage collection, namespaces, Jobs, CronJobs and so on.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// The container runtime of the node.
    Containerd,
    /// The agent of the node.
    Kubelet,
    /// What makes the addresses of Services lead to pods.
    KubeProxy,
    /// The NATS server with JetStream.
    Nats,
    /// MinIO over http.
    Minio,
    /// MinIO over https.
    MinioTls,
    /// The Versity S3 Gateway over http.
    Versitygw,
    /// Prometheus.
    Prometheus,
}

impl Part {
    /// The name of the part, unique in its testbed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Containerd => "containerd",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Nats => "nats",
            Self::Minio => "minio",
            Self::MinioTls => "minio-tls",
            Self::Versitygw => "versitygw",
            Self::Prometheus => "prometheus",
        }
    }

    /// The program that the part is a process of, where it is one that the testbed builds.
    pub(crate) fn program(self) -> Option<Program> {
        match self {
            Self::Etcd => Some(Program::Etcd),
            Self::ApiServer => Some(Program::KubeApiserver),
            Self::ControllerManager => Some(Program::KubeControllerManager),
            Self::Scheduler => Some(Program::KubeScheduler),
            Self::Containerd => None,
            Self::Kubelet => Some(Program::Kubelet),
            Self::KubeProxy => Some(Program::KubeProxy),
            Self::Nats => Some(Program::NatsServer),
            Self::Minio | Self::MinioTls => Some(Program::Minio),
            Self::Versitygw => Some(Program::Versitygw),
            Self::Prometheus => Some(Program::Prometheus),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
