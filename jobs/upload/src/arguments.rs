use std::path::PathBuf;

use clap::Parser;
use drover::job::{JobArguments, StageOptions};
use drover::telemetry::TelemetryOptions;

/// Brings archives from the object store to where their Backups want them.
///
/// It drains the queue of finished snapshots: each archive is checked, stored, read back and compared; only then is its
/// Backup Ready, and only then is the artifact dropped. What failed stays in the queue for the next Job.
///
/// Exit codes: 0 done or nothing to do; 64 wrong usage or configuration; 65 data refused; 69 a service is away, a retry
/// may help; 1 anything else.
#[derive(Debug, Parser)]
#[command(name = "upload")]
pub struct Arguments {
    /// Drain the queue, and look for runs that wait for their upload and have lost their message; in a pod also without this.
    #[arg(long)]
    pub drain: bool,

    /// Drain the queue only.
    #[arg(long, env = "DROVER_DRAIN_ONLY")]
    pub drain_only: bool,

    /// The folder for archives on their way; its file system needs room for the largest one.
    #[arg(long, env = "DROVER_SPOOL", value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    pub spool: PathBuf,

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
            let parsed = Arguments::try_parse_from([&["upload"][..], arguments].concat()).unwrap();
            assert_eq!(parsed.unsaid(), expected, "{arguments:?}");
        }
    }
}
