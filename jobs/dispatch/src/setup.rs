//! What drover needs of NATS, made and mended.

use drover::exit::Failure;
use drover::queue::{self, NatsOptions, Settings};
use tokio_util::sync::CancellationToken;

/// How the queue is set up.
#[derive(clap::Args, Debug)]
pub(crate) struct SetupOptions {
    #[command(flatten)]
    nats: NatsOptions,

    #[command(flatten)]
    settings: Settings,
}

pub(crate) async fn run(options: SetupOptions, _shutdown: CancellationToken) -> Result<(), Failure> {
    let connection = queue::connect(&options.nats, "setup").await?;
    queue::setup(&connection.jetstream, &options.settings).await?;
    Ok(())
}
