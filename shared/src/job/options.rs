//! What jobs are told alike.

use clap::Args;

use crate::cluster::ClusterOptions;
use crate::queue::NatsOptions;
use crate::storage::StorageOptions;
use crate::telemetry::TelemetryOptions;

/// What a job that drains a queue is told of what it works with.
#[derive(Args, Debug)]
pub struct StageOptions {
    /// Where archives lie.
    #[command(flatten)]
    pub storage: StorageOptions,

    /// Where drover runs.
    #[command(flatten)]
    pub cluster: ClusterOptions,

    /// How NATS is reached.
    #[command(flatten)]
    pub nats: NatsOptions,

    /// The log.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
}
