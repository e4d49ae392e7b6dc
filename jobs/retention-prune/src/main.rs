//! The job `retention-prune`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    drover::job::execute(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), retention_prune::run)
}
