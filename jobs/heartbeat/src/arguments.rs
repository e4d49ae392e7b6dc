use std::path::PathBuf;

use clap::Parser;
use drover::job::{JobArguments, StageOptions};
use drover::telemetry::TelemetryOptions;

/// Tells heartbeat monitors what becomes of Backups and Restores.
///
/// It drains the queue of events: a run that began, an archive that is verified in all places, whatever failed; and then,
/// also where the queue is away, looks whether each Backup that has a monitor is fresh. Monitors are configured in a file,
/// or by the annotation drover.dev/heartbeat on a Backup, which names a Secret with a `url`. They are reached through the
/// proxies of HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
///
/// Exit codes: 0 done or nothing to do; 64 wrong usage or configuration, also where a monitor refuses a ping; 65 data
/// refused; 69 a service is away, a retry may help; 1 anything else, also where a Backup is not fresh.
#[derive(Debug, Parser)]
#[command(name = "heartbeat")]
pub struct Arguments {
    /// Drain the queue, and look whether each Backup that has a monitor is fresh; in a pod also without this.
    #[arg(long)]
    pub drain: bool,

    /// Drain the queue only.
    #[arg(long, env = "DROVER_DRAIN_ONLY")]
    pub drain_only: bool,

    /// YAML file with the monitors. One that is not there names none.
    #[arg(long, env = "DROVER_MONITORS", value_name = "FILE")]
    pub monitors: Option<PathBuf>,

    /// How long one request to a monitor may take, in seconds.
    #[arg(long, env = "DROVER_PING_SECONDS", default_value_t = 10, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=60))]
    pub ping_seconds: u16,

    /// What it works with.
    #[command(flatten)]
    pub stage: StageOptions,
}

impl JobArguments for Arguments {
    fn telemetry(&self) -> &TelemetryOptions {
        &self.stage.telemetry
    }

    fn unsaid(&self) -> Option<&'static str> {
        (!self.drain && !self.drain_only).then_some("--drain")
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
            (&[][..], Some("--drain")),
            (&["--lease-seconds=9"][..], Some("--drain")),
            (&["--drain"][..], None),
            (&["--drain-only"][..], None),
            // As a Job of another version may have it.
            (&["--drain", "--drain-only"][..], None),
        ] {
            let parsed = Arguments::try_parse_from([&["heartbeat"][..], arguments].concat()).unwrap();
            assert_eq!(parsed.unsaid(), expected, "{arguments:?}");
        }
    }
}
