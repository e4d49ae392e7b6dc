//! The runner.

use drover::cluster::ClusterOptions;
use drover::exit::Failure;
use drover::queue::NatsOptions;
use tokio_util::sync::CancellationToken;

/// Where the runner works.
#[derive(clap::Args, Debug)]
pub(crate) struct RunnerOptions {
    #[command(flatten)]
    cluster: ClusterOptions,

    #[command(flatten)]
    nats: NatsOptions,
}

pub(crate) async fn run(_options: RunnerOptions, shutdown: CancellationToken) -> Result<(), Failure> {
    shutdown.cancelled().await;
    Ok(())
}
