use clap::Parser;
use drover::job::{JobArguments, StageOptions};
use drover::telemetry::TelemetryOptions;

/// Deletes the expired archives of Backups, at every place where they lie.
///
/// Which ones expire a Backup says with its retentionCount, or a BackupPolicy with tiers. Never deleted are the newest verified
/// archive, those that a Restore still needs, those before and after a sharp drop in objects, each that is the last to have
/// what the newest lacks, and those of other clusters; docs/retention.md has all of them. What a bucket keeps by a lock or a policy is reported as retained, and is no failure.
///
/// Exit codes: 0 done or nothing to do; 64 wrong usage or configuration; 69 a service is away, a retry may help; 1 anything
/// else.
#[derive(Debug, Parser)]
#[command(name = "retention-prune")]
pub struct Arguments {
    /// Drain the queue, look at every Backup, and remove what cut-off uploads left; in a pod also without this.
    #[arg(long, conflicts_with = "dry_run")]
    pub drain: bool,

    /// Drain the queue only.
    #[arg(long, env = "DROVER_DRAIN_ONLY", conflicts_with = "dry_run")]
    pub drain_only: bool,

    /// Print what would be deleted and why the rest is kept, and delete nothing. It needs no NATS.
    #[arg(long)]
    pub dry_run: bool,

    /// With --dry-run: this Backup alone.
    #[arg(long, value_name = "NAME", requires = "dry_run")]
    pub backup: Option<String>,

    /// What it works with.
    #[command(flatten)]
    pub stage: StageOptions,
}

impl JobArguments for Arguments {
    fn telemetry(&self) -> &TelemetryOptions {
        &self.stage.telemetry
    }

    fn unsaid(&self) -> Option<&'static str> {
        (!self.drain && !self.drain_only && !self.dry_run).then_some("--drain")
    }

    fn is_interactive(&self) -> bool {
        self.dry_run
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
            (&["--dry-run"][..], None),
        ] {
            let parsed = Arguments::try_parse_from([&["retention-prune"][..], arguments].concat()).unwrap();
            assert_eq!(parsed.unsaid(), expected, "{arguments:?}");
        }
    }
}
