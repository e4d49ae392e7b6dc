//! The job `heartbeat`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    drover::job::execute(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), heartbeat::run)
}
