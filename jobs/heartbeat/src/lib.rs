//! The job `heartbeat` tells the monitors that a team has what becomes of its Backups and Restores, and looks on its own
//! schedule whether each Backup is fresh.
//!
//! ```text
//! event ──▶ message: what is true of the run ──▶ tell: what is news to whom ──▶ requests ──▶ sender ──▶ monitor
//! schedule ──▶ audit: facts of each Backup ──▶ judge ─────────────────────────────┘
//! ```

mod arguments;
mod audit;
mod configuration;
mod context;
mod memory;
mod message;
mod monitor;
mod monitors;
mod ping;
mod requests;
mod secret_url;
mod sender;
mod service;
mod signal;
mod stage;
mod tell;
mod template;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use drover::exit::Failure;
use drover::queue::{self, HEARTBEAT_CONSUMER, NatsOptions};
use tokio_util::sync::CancellationToken;
use tracing::error;

pub use arguments::Arguments;
use context::Context;
use stage::Stage;

/// The job's name, and its field manager.
const JOB: &str = "heartbeat";

/// Drains the queue of events, and looks whether Backups are fresh.
///
/// # Errors
/// With the failure that the job exits with: that Backups are not fresh before anything else.
pub async fn run(arguments: Arguments, shutdown: CancellationToken) -> Result<(), Failure> {
    let Arguments { drain_only, monitors, ping_seconds, storage, cluster, nats, telemetry: _ } = arguments;
    let configured = match &monitors {
        Some(path) => configuration::load(path).await?,
        None => Vec::new(),
    };
    let client = drover::cluster::connect().await?;
    let limit = Duration::from_secs(ping_seconds.into());
    let context = Arc::new(Context::new(client, cluster, storage, configured, limit)?);
    let drained = drain(&context, &nats, &shutdown).await;
    // Last, for what it finds is newer than any event; and whatever became of the drain, for it must find a dead chain,
    // too: it needs neither NATS nor dispatch.
    let audited = if drain_only { Ok(()) } else { audit::audit(&context, &shutdown).await };
    if let (Err(_), Err(other)) = (&audited, &drained) {
        error!("{other}");
    }
    audited.and(drained)
}

async fn drain(context: &Arc<Context>, nats: &NatsOptions, shutdown: &CancellationToken) -> Result<(), Failure> {
    let connection = queue::connect(nats, JOB).await?;
    let stage = Stage::new(Arc::clone(context));
    let summary = queue::drain(&connection.jetstream, HEARTBEAT_CONSUMER, &stage, shutdown).await?;
    summary.conclude(|waiting, refused| {
        format!("failed to tell every monitor: {waiting} events wait for the next try, {refused} were refused")
    })
}
