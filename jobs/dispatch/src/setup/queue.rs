//! The queue, and the ResourceSets that come with drover.

use std::path::PathBuf;

use drover::exit::Failure;
use drover::job::name::SETUP;
use drover::queue::{self, NatsOptions, Settings};

use super::resource_sets;

/// How the queue is set up.
#[derive(clap::Args, Debug)]
pub(super) struct Options {
    /// Create the ResourceSets of this folder's YAML files, one in each, that the cluster lacks. What is there stays as
    /// it is. A file with the annotation drover.dev/added-to makes none: its selectors go to the sets that it names.
    #[arg(long, env = "DROVER_RESOURCE_SETS", value_name = "FOLDER")]
    resource_sets: Option<PathBuf>,

    #[command(flatten)]
    nats: NatsOptions,

    #[command(flatten)]
    settings: Settings,
}

pub(super) async fn run(options: Options) -> Result<(), Failure> {
    let Options { resource_sets, nats, settings } = options;
    let queue = set_up(&nats, &settings).await;
    // Neither waits for the other: a NATS that is away keeps no ResourceSet from being made.
    let sets = match &resource_sets {
        Some(folder) => resource_sets::create_missing(folder).await,
        None => Ok(()),
    };
    if let (Err(_), Err(other)) = (&queue, &sets) {
        tracing::error!("{other}");
    }
    queue.and(sets)
}

async fn set_up(nats: &NatsOptions, settings: &Settings) -> Result<(), Failure> {
    let connection = queue::connect(nats, SETUP).await?;
    queue::setup(&connection.jetstream, settings).await?;
    Ok(())
}
