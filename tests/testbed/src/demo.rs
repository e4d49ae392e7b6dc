//! The story that `cargo demo` tells: a cluster is backed up, damaged, and restored, with the real jobs on real parts.

mod cast;
mod steps;
mod story;

use std::process::ExitCode;

use clap::Parser;
use drover::exit::Failure;
use snafu::{ResultExt, Snafu};

use crate::binaries;
use crate::compare;
use crate::ending::{exit_code, stop_signal};
use crate::prepare;
use crate::rancher;
use crate::testbed;

/// Backs up a cluster, damages it, restores it, and shows each step with its time.
///
/// Everything runs on this machine: a Kubernetes cluster, NATS and an S3 server, built on the first run into the user's cache
/// folder and reused afterwards. As root on Linux the cluster has a node, drover is installed by kustomize and all jobs
/// run in pods; elsewhere they run as processes. When it ends nothing is left but that cache.
#[derive(Debug, Parser)]
#[command(name = "demo")]
pub struct Args {
    /// Leave everything up at the end, to play with, until Ctrl-C.
    #[arg(long)]
    keep: bool,

    /// How many Rancher-like objects there are: 1 makes about 250.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100), value_name = "FACTOR")]
    scale: u16,
}

/// Why the story broke off.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(transparent)]
    Testbed { source: testbed::Error },
    #[snafu(transparent)]
    Prepare { source: prepare::Error },
    #[snafu(transparent)]
    Populate { source: rancher::Error },
    #[snafu(transparent)]
    Build { source: binaries::Error },
    #[snafu(transparent)]
    Compare { source: compare::Error },
    #[snafu(display("failed to run {command:?}: it ended with {status}"))]
    RunJob { command: String, status: std::process::ExitStatus },
    #[snafu(display("failed to {what}"))]
    Kubernetes { what: String, source: kube::Error },
    #[snafu(display("failed to {what}"))]
    Machine { what: &'static str, source: std::io::Error },
    #[snafu(display("failed to read the bucket: {failure}"))]
    Bucket { failure: Failure },
    #[snafu(display("failed to bring the cluster back as it was: {differences}"))]
    NotAsBefore { differences: String },
}

impl Args {
    /// Tells the story; the exit code says whether it ended well.
    pub async fn parse_and_run() -> ExitCode {
        exit_code(Self::parse().run().await)
    }

    async fn run(self) -> Result<(), Error> {
        let Self { keep, scale } = self;
        let mut stop = std::pin::pin!(stop_signal().context(MachineSnafu { what: "listen for signals" })?);
        let cast = tokio::select! {
            told = Box::pin(steps::tell_story(usize::from(scale))) => told?,
            () = &mut stop => return Ok(()),
        };
        if keep {
            cast.show_how_to_play();
            stop.await;
        }
        cast.testbed.shutdown().await;
        Ok(())
    }
}
