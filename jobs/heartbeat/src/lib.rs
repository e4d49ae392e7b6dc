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
mod memories;
mod memory;
mod monitor;
mod monitors;
mod ping;
mod sender;
mod stage;
mod tell;
mod turn;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use drover::exit::Failure;
use drover::job::StageOptions;
use drover::job::name::HEARTBEAT as JOB;
use drover::queue::{self, HEARTBEAT_CONSUMER, NatsOptions};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub use arguments::Arguments;
use context::Context;
use stage::Stage;

/// How long the drain before an audit may take: with the audit's own bound it is less than the deadline of the Job. What is
/// untold by then waits for the next one.
const DRAINING: Duration = Duration::from_mins(5);

/// Drains the queue of events, and looks whether Backups are fresh.
///
/// # Errors
/// With the failure that the job exits with: that Backups are not fresh before anything else.
pub async fn run(arguments: Arguments, shutdown: CancellationToken) -> Result<(), Failure> {
    let Arguments { drain: _, drain_only, monitors, ping_seconds, stage } = arguments;
    let StageOptions { storage, cluster, nats, telemetry: _ } = stage;
    let configured = match &monitors {
        Some(path) => configuration::load(path).await?,
        None => Vec::new(),
    };
    let client = drover::cluster::connect().await?;
    let limit = Duration::from_secs(ping_seconds.into());
    let context = Arc::new(Context::new(client, cluster, storage, configured, limit)?);
    let draining = shutdown.child_token();
    let drained = Box::pin(drain(&context, &nats, &draining));
    // A Job that only drains keeps no audit waiting.
    let drained = if drain_only { drained.await } else { cancelling(drained, &draining, DRAINING).await };
    // Last, for what it finds is newer than any event; and whatever became of the drain, for it must find a dead chain,
    // too: it needs neither NATS nor dispatch.
    let audited = if drain_only { Ok(()) } else { audit::audit(&context, &shutdown).await };
    if let (Err(_), Err(other)) = (&audited, &drained) {
        error!("{other}");
    }
    audited.and(drained)
}

/// Does the work, which ends soon after its token is cancelled, and cancels that once it took so long.
async fn cancelling<T>(work: impl Future<Output = T>, token: &CancellationToken, limit: Duration) -> T {
    let mut work = pin!(work);
    if let Ok(done) = timeout(limit, &mut work).await {
        return done;
    }
    warn!("the queue is not empty after {} s; what is untold waits for the next Job", limit.as_secs());
    token.cancel();
    work.await
}

async fn drain(context: &Arc<Context>, nats: &NatsOptions, shutdown: &CancellationToken) -> Result<(), Failure> {
    let connection = queue::connect(nats, JOB).await?;
    let stage = Stage::new(Arc::clone(context));
    let summary = queue::drain(&connection.jetstream, HEARTBEAT_CONSUMER, &stage, shutdown).await?;
    summary.conclude(|waiting, refused| {
        format!("failed to tell every monitor: {waiting} events wait for the next try, {refused} were refused")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_without_end_is_cancelled_and_nothing_else() {
        let shutdown = CancellationToken::new();
        let token = shutdown.child_token();
        cancelling(token.cancelled(), &token, Duration::from_millis(20)).await;
        assert!(token.is_cancelled() && !shutdown.is_cancelled(), "the audit goes on");
        let token = shutdown.child_token();
        assert_eq!(cancelling(async { 7 }, &token, Duration::from_mins(1)).await, 7);
        assert!(!token.is_cancelled());
    }
}
