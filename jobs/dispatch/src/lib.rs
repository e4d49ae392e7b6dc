//! `dispatch`, the event-driven job runner: it starts a Job from a stage's CronJob when there is work for that stage, and
//! never does a stage's work. `dispatch setup` makes what the runner and the jobs need of NATS.

mod arguments;
mod runner;
mod setup;

use drover::exit::Failure;
use tokio_util::sync::CancellationToken;

pub use arguments::Arguments;
use arguments::Command;

/// Does what the arguments ask for; the runner itself ends only with `shutdown`.
///
/// # Errors
/// With the failure that the program exits with.
pub async fn run(arguments: Arguments, shutdown: CancellationToken) -> Result<(), Failure> {
    let Arguments { command, watch: _, runner, telemetry: _ } = arguments;
    match command {
        Some(Command::Setup(options)) => Box::pin(setup::run(options, shutdown)).await,
        None => Box::pin(runner::run(runner, shutdown)).await,
    }
}
