//! A control plane, NATS and MinIO to play with; see `testbed --help`.

use std::process::ExitCode;

use drover_testbed::cli::Args;
use drover_testbed::supervisor;

fn main() -> ExitCode {
    supervisor::play_role().unwrap_or_else(run)
}

#[tokio::main]
async fn run() -> ExitCode {
    Args::parse_and_run().await
}
