use std::path::PathBuf;

use clap::Parser;
use drover::cluster::ClusterOptions;
use drover::job::JobArguments;
use drover::queue::NatsOptions;
use drover::runs::ALLOW_MISSING_TYPES;
use drover::telemetry::TelemetryOptions;

/// Makes archives of the cluster's objects.
///
/// In a cluster it makes the archive of the Backup named by --backup, or of every Backup that is due (--due), and hands it
/// to the job "upload" through NATS. With --resource-set and --output it needs a kubeconfig alone and changes nothing in
/// the cluster.
///
/// With --backup 0 means that there is a snapshot that began after it was asked for; without it, that no Backup that was
/// due is left without a run.
///
/// Exit codes: 0 done or nothing to do; 64 wrong usage or configuration; 65 data refused; 69 a service is away, a retry
/// may help; 1 anything else.
#[derive(Debug, Parser)]
#[command(name = "snapshot")]
pub struct Arguments {
    /// Make the archive of every Backup that is due; in a pod also without this.
    #[arg(long, conflicts_with_all = ["resource_set", "output"])]
    pub due: bool,

    /// Make the archive of this Backup now, due or not.
    #[arg(long, env = "DROVER_BACKUP", value_name = "NAME", conflicts_with_all = ["resource_set", "output"])]
    pub backup: Option<String>,

    /// With --backup: how long to wait for another job that works on the Backup, and for a restore, in seconds; then the
    /// job ends with 69.
    #[arg(long, env = "DROVER_WAIT_SECONDS", default_value_t = 600, value_name = "SECONDS")]
    pub wait: u32,

    /// Take the ResourceSet from this YAML file.
    #[arg(long, value_name = "FILE", requires = "output")]
    pub resource_set: Option<PathBuf>,

    /// Write the archive to this file, which must not exist yet.
    #[arg(long, value_name = "FILE.tar.gz", requires = "resource_set")]
    pub output: Option<PathBuf>,

    /// Encrypt by the Kubernetes EncryptionConfiguration in this file; an archive is then named .tar.gz.enc by custom, and
    /// a file beside it, with .sha256 behind its name, holds the MAC that proves who made it. A Backup names its Secret
    /// itself.
    #[arg(long, value_name = "FILE", requires = "output")]
    pub encryption_config: Option<PathBuf>,

    /// Write the archive also where types that the ResourceSet selects cannot be read. A Backup says it in its annotation
    /// drover.dev/allow.
    #[arg(long, value_name = "missing-types", value_parser = [ALLOW_MISSING_TYPES], requires = "output")]
    pub allow: Option<String>,

    /// Where drover runs.
    #[command(flatten)]
    pub cluster: ClusterOptions,

    /// How NATS is reached.
    #[command(flatten)]
    pub nats: NatsOptions,

    /// The log.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
}

impl JobArguments for Arguments {
    fn telemetry(&self) -> &TelemetryOptions {
        &self.telemetry
    }

    fn unsaid(&self) -> Option<&'static str> {
        (!self.due && self.backup.is_none() && self.output.is_none()).then_some("--due")
    }

    fn is_interactive(&self) -> bool {
        self.output.is_some()
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
            (&[][..], Some("--due")),
            (&["--wait", "5"][..], Some("--due")),
            (&["--due"][..], None),
            (&["--backup=daily"][..], None),
            // As a Job of another version may have it.
            (&["--due", "--backup=daily"][..], None),
            (&["--output", "a", "--resource-set", "b"][..], None),
        ] {
            let parsed = Arguments::try_parse_from([&["snapshot"][..], arguments].concat()).unwrap();
            assert_eq!(parsed.unsaid(), expected, "{arguments:?}");
        }
    }

    #[test]
    fn output_needs_a_resource_set() {
        assert!(Arguments::try_parse_from(["snapshot", "--output", "a.tar.gz"]).is_err());
        assert!(Arguments::try_parse_from(["snapshot", "--encryption-config", "keys.yaml"]).is_err());
        assert!(
            Arguments::try_parse_from(["snapshot", "--output", "a", "--resource-set", "b", "--backup", "c"]).is_err()
        );
    }
}
