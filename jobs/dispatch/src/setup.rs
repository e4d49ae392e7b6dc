//! What drover needs of NATS, made and mended.

mod queue;
mod resource_sets;
mod secrets;

use drover::exit::{Exit, Failure};
use tokio_util::sync::CancellationToken;

/// What is set up.
#[derive(clap::Args, Debug)]
pub(crate) struct SetupOptions {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Makes or changes the stream, its consumers and the object store, and creates the ResourceSets that are missing.
    Queue(queue::Options),
    /// Makes the keys, certificates and configuration of a NATS server, for each of its starts, into Secrets that are
    /// there.
    ///
    /// Every job gets a new key; the keys of the start before stay valid until the next one, so that running jobs go on.
    /// A certificate in the Secret nats-server that was not made here is used as it is. A setup that was killed is gone on
    /// with by the next one.
    Secrets(secrets::Options),
}

pub(crate) async fn run(options: SetupOptions, shutdown: CancellationToken) -> Result<(), Failure> {
    let SetupOptions { what } = options;
    let work = async {
        match what {
            What::Queue(options) => queue::run(options).await,
            What::Secrets(options) => secrets::run(options).await,
        }
    };
    // Each step is one that a kill after it can be repeated from, so there is nothing to finish.
    tokio::select! {
        outcome = work => outcome,
        () = shutdown.cancelled() => Err(Failure::new(Exit::Unavailable, "asked to end; start it again")),
    }
}
