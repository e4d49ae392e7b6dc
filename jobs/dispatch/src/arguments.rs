use clap::{Parser, Subcommand};
use drover::job::JobArguments;
use drover::telemetry::TelemetryOptions;

use crate::runner::RunnerOptions;
use crate::setup::SetupOptions;

/// Starts the Jobs of drover when there is work for them.
///
/// It watches Backups, Restores and the consumers of the queue, and starts a Job from a stage's CronJob when that stage
/// has work; it never does a stage's work itself. Without it all still happens, on the CronJobs' own schedules.
///
/// Exit codes: 0 asked to end; 64 wrong usage or configuration; 69 a service is away, a retry may help; 1 anything else.
#[derive(Debug, Parser)]
#[command(name = "dispatch", args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Watch, and start Jobs, until it is asked to end; in a pod also without this.
    #[arg(long)]
    pub(crate) watch: bool,

    #[command(flatten)]
    pub(crate) runner: RunnerOptions,

    /// The log.
    #[command(flatten)]
    pub(crate) telemetry: TelemetryOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes what drover needs of NATS, and the ResourceSets that are missing.
    Setup(SetupOptions),
}

impl JobArguments for Arguments {
    fn telemetry(&self) -> &TelemetryOptions {
        &self.telemetry
    }

    fn unsaid(&self) -> Option<&'static str> {
        (!self.watch && self.command.is_none()).then_some("--watch")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_is_to_be_done_is_said() {
        for (arguments, expected) in [
            (&[][..], Some("--watch")),
            (&["--listen", "127.0.0.1:0"][..], Some("--watch")),
            (&["--watch"][..], None),
            (&["setup", "queue"][..], None),
        ] {
            let parsed = Arguments::try_parse_from([&["dispatch"][..], arguments].concat()).unwrap();
            assert_eq!(parsed.unsaid(), expected, "{arguments:?}");
        }
    }
}
