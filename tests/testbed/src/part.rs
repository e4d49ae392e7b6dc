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
    /// The NATS server with JetStream.
    Nats,
    /// MinIO over http.
    Minio,
    /// MinIO over https.
    MinioTls,
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
            Self::Nats => "nats",
            Self::Minio => "minio",
            Self::MinioTls => "minio-tls",
        }
    }

    /// The program that the part is a process of.
    pub(crate) fn program(self) -> Program {
        match self {
            Self::Etcd => Program::Etcd,
            Self::ApiServer => Program::KubeApiserver,
            Self::ControllerManager => Program::KubeControllerManager,
            Self::Scheduler => Program::KubeScheduler,
            Self::Nats => Program::NatsServer,
            Self::Minio | Self::MinioTls => Program::Minio,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
