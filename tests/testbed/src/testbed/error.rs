//! What can go wrong with a testbed.

use std::path::PathBuf;

use snafu::Snafu;

use crate::part::Part;

/// Why a testbed is not there, or does not do what it is asked for.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to get the programs of the testbed"))]
    GetPrograms { source: crate::programs::Error },
    #[snafu(display("failed to have a node"))]
    RunPods { source: crate::ability::Reason },
    #[snafu(display("failed to give the node its images"))]
    GiveImage { source: crate::images::Error },
    #[snafu(display(
        "failed to get the node ready for pods in {seconds} s. This is what there is:\n{state}\n\
         The last lines of the log of the kubelet are:\n{log}"
    ))]
    NodeNotReady { seconds: u64, state: String, log: String },
    #[snafu(display("failed to ask Prometheus"))]
    AskPrometheus { source: reqwest::Error },
    #[snafu(display("failed to read what Prometheus answers at {path:?}"))]
    ReadPrometheus { path: String, source: serde_json::Error },
    #[snafu(display("failed to ask Prometheus: it answered {status}: {said}"))]
    RefusedByPrometheus { status: reqwest::StatusCode, said: String },
    #[snafu(display("failed to run {command:?}"))]
    RunKubectl { command: String, source: std::io::Error },
    #[snafu(display("failed to run {command:?}: {said}"))]
    Refused { command: String, said: String },
    #[snafu(display(
        "failed to find an image of drover for the cluster of DROVER_TEST_KUBECONFIG: \
         set DROVER_TEST_IMAGE to one that it can pull"
    ))]
    NoImage,
    #[snafu(display("failed to have the testbed supervised"))]
    Supervise { source: crate::supervisor::Error },
    #[snafu(display("failed to make the certificates of the testbed"))]
    MakeCertificate { source: rcgen::Error },
    #[snafu(display("failed to write {path:?}: make room for temporary files, or set TMPDIR to another folder"))]
    WriteFile { path: PathBuf, source: std::io::Error },
    #[snafu(display("failed to make the client that asks the parts of the testbed whether they are ready"))]
    MakeReadinessClient { source: reqwest::Error },
    #[snafu(display("failed to start {:?}: {status}. The last lines of its log are:\n{log}", part.name()))]
    Ended { part: Part, status: String, log: String },
    #[snafu(display(
        "failed to start {:?}: it is not ready after {seconds} s. The last lines of its log are:\n{log}",
        part.name()
    ))]
    NotReady { part: Part, seconds: u64, log: String },
    #[snafu(display("failed to find {:?} in this testbed: add its service to the options", part.name()))]
    NotStarted { part: Part },
    #[snafu(display("failed to read the kubeconfig {path:?} of the testbed"))]
    ReadKubeconfig {
        path: PathBuf,
        #[snafu(source(from(kube::config::KubeconfigError, Box::new)))]
        source: Box<kube::config::KubeconfigError>,
    },
    #[snafu(display("failed to make a client of the API server of the testbed"))]
    ConnectKubernetes {
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    #[snafu(display("failed to connect to NATS at {url:?}"))]
    ConnectNats { url: String, source: async_nats::ConnectError },
    #[snafu(display("failed to make a client of the S3 server {url:?}"))]
    MakeS3Client { url: String, source: reqwest::Error },
    #[snafu(display("failed to make the bucket {name:?} in the S3 server {url:?}"))]
    CreateBucket { name: String, url: String, source: Box<aws_sdk_s3::Error> },
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
