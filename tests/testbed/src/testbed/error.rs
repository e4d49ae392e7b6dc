//! What can go wrong with a testbed.

use std::path::PathBuf;

use snafu::Snafu;

use crate::part::Part;

/// Why a testbed is not there, or does not do what it is asked for.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// A program is not to be had.
    #[snafu(display("failed to get the programs of the testbed"))]
    GetPrograms {
        /// Why.
        source: crate::programs::Error,
    },

    /// This machine cannot have a node.
    #[snafu(display("failed to have a node"))]
    RunPods {
        /// Why.
        source: crate::ability::Reason,
    },

    /// An image is not to be had.
    #[snafu(display("failed to give the node its images"))]
    GiveImage {
        /// Why.
        source: crate::images::Error,
    },

    /// The node or its DNS server takes too long.
    #[snafu(display(
        "failed to get the node ready for pods in {seconds} s. This is what there is:\n{state}\n\
         The last lines of the log of the kubelet are:\n{log}"
    ))]
    NodeNotReady {
        /// How long it had.
        seconds: u64,
        /// Nodes, pods and events.
        state: String,
        /// The end of the kubelet's log.
        log: String,
    },

    /// Prometheus does not answer.
    #[snafu(display("failed to ask Prometheus"))]
    AskPrometheus {
        /// Why.
        source: reqwest::Error,
    },

    /// Prometheus answers something else than JSON.
    #[snafu(display("failed to read what Prometheus answers at {path:?}"))]
    ReadPrometheus {
        /// The path of its API.
        path: String,
        /// Why.
        source: serde_json::Error,
    },

    /// Prometheus refused.
    #[snafu(display("failed to ask Prometheus: it answered {status}: {said}"))]
    RefusedByPrometheus {
        /// The status of its answer.
        status: reqwest::StatusCode,
        /// What it said.
        said: String,
    },

    /// kubectl could not be run.
    #[snafu(display("failed to run {command:?}"))]
    RunKubectl {
        /// The command line.
        command: String,
        /// Why.
        source: std::io::Error,
    },

    /// kubectl failed.
    #[snafu(display("failed to run {command:?}: {said}"))]
    Refused {
        /// The command line.
        command: String,
        /// What it said.
        said: String,
    },

    /// Somebody else's cluster has no image of drover.
    #[snafu(display(
        "failed to find an image of drover for the cluster of DROVER_TEST_KUBECONFIG: \
         set DROVER_TEST_IMAGE to one that it can pull"
    ))]
    NoImage,

    /// The supervisor does not do as told.
    #[snafu(display("failed to have the testbed supervised"))]
    Supervise {
        /// Why.
        source: crate::supervisor::Error,
    },

    /// A certificate could not be made.
    #[snafu(display("failed to make the certificates of the testbed"))]
    MakeCertificate {
        /// Why.
        source: rcgen::Error,
    },

    /// A file of the testbed could not be written.
    #[snafu(display("failed to write {path:?}: make room for temporary files, or set TMPDIR to another folder"))]
    WriteFile {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// No client to ask the parts with.
    #[snafu(display("failed to make the client that asks the parts of the testbed whether they are ready"))]
    MakeReadinessClient {
        /// Why.
        source: reqwest::Error,
    },

    /// A part ended while it should have become ready.
    #[snafu(display("failed to start {:?}: {status}. The last lines of its log are:\n{log}", part.name()))]
    Ended {
        /// The part.
        part: Part,
        /// How it ended.
        status: String,
        /// The end of its log.
        log: String,
    },

    /// A part takes too long to become ready.
    #[snafu(display(
        "failed to start {:?}: it is not ready after {seconds} s. The last lines of its log are:\n{log}",
        part.name()
    ))]
    NotReady {
        /// The part.
        part: Part,
        /// How long it had.
        seconds: u64,
        /// The end of its log.
        log: String,
    },

    /// The part is not one of this testbed.
    #[snafu(display("failed to find {:?} in this testbed: add its service to the options", part.name()))]
    NotStarted {
        /// The part.
        part: Part,
    },

    /// The kubeconfig cannot be used.
    #[snafu(display("failed to read the kubeconfig {path:?} of the testbed"))]
    ReadKubeconfig {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[snafu(source(from(kube::config::KubeconfigError, Box::new)))]
        source: Box<kube::config::KubeconfigError>,
    },

    /// No client of the API server.
    #[snafu(display("failed to make a client of the API server of the testbed"))]
    ConnectKubernetes {
        /// Why.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },

    /// No connection to NATS.
    #[snafu(display("failed to connect to NATS at {url:?}"))]
    ConnectNats {
        /// The address.
        url: String,
        /// Why.
        source: async_nats::ConnectError,
    },

    /// No client of an S3 server.
    #[snafu(display("failed to make a client of the S3 server {url:?}"))]
    MakeS3Client {
        /// The server.
        url: String,
        /// Why.
        source: reqwest::Error,
    },

    /// A bucket could not be made.
    #[snafu(display("failed to make the bucket {name:?} in the S3 server {url:?}"))]
    CreateBucket {
        /// The bucket.
        name: String,
        /// The server.
        url: String,
        /// Why.
        source: Box<aws_sdk_s3::Error>,
    },
}

impl Error {
    /// Whether a part found its port taken, in which case another try with other ports helps.
    pub(crate) fn is_port_conflict(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("already in use"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_port_conflict(part: Part, log: &str) -> bool {
        EndedSnafu { part, status: "it ended with exit code 1", log }.build().is_port_conflict()
    }

    #[test]
    fn a_taken_port_is_read_from_the_log() {
        assert!(is_port_conflict(Part::Nats, r#"[FTL] Error: "listen tcp 127.0.0.1:1: bind: address already in use""#));
        assert!(is_port_conflict(Part::Minio, "FATAL Unable to start the server: Specified port is already in use"));
        assert!(!is_port_conflict(Part::Etcd, "permission denied"));
    }
}
