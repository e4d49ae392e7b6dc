//! The command line, as people write it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use drover::cluster::ClusterOptions;
use drover::job::JobArguments;
use drover::queue::NatsOptions;
use drover::resources::DEFAULT_NAMESPACE;
use drover::storage::StorageOptions;
use drover::telemetry::TelemetryOptions;
use jiff::Timestamp;

use crate::apply::exemption::configuration_name;
use crate::command_line::listing::Listing;
use crate::command_line::output::Output;
use crate::plan::made_anew::{Named, ObjectName};
use crate::plan::wishes::{Prune, Wishes};

/// Restores Kubernetes objects from an archive of drover or of the Rancher backup operator.
///
/// With --pending it is the job: it carries out every Restore of the cluster that has not run, and gives up those that were
/// applied more than an hour ago. The commands need only an archive and a kubeconfig.
///
/// Exit codes: 0 all is done, or there was nothing to do; 1 objects failed, or the restore was stopped; 64 wrong usage or
/// configuration; 65 the archive was refused and nothing changed; 69 a service is away, another restore is at work, or the
/// pods of controllers do not go, or come back: a retry may help.
#[derive(Debug, Parser)]
#[command(name = "restore")]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) job: JobOptions,

    #[command(flatten)]
    pub(crate) telemetry: TelemetryOptions,
}

/// What the job needs besides the Restores themselves.
#[derive(ClapArgs, Debug)]
pub(crate) struct JobOptions {
    /// Carry out every Restore that has not run; in a pod also without this.
    #[arg(long)]
    pending: bool,
    /// The folder for archives that are read; its file system needs room for the largest one, packed and unpacked.
    #[arg(long, env = "DROVER_SPOOL", value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    pub(crate) spool: PathBuf,
    /// How long to wait for another restore of this cluster, in seconds; then the job ends with 69.
    #[arg(long, env = "DROVER_WAIT_SECONDS", default_value_t = 600, value_name = "SECONDS")]
    pub(crate) wait: u32,
    #[command(flatten)]
    pub(crate) limits: WorkLimits,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
    #[command(flatten)]
    pub(crate) cluster: ClusterOptions,
    #[command(flatten)]
    pub(crate) nats: NatsOptions,
}

/// How much is done and taken at once.
#[derive(ClapArgs, Clone, Copy, Debug)]
pub(crate) struct WorkLimits {
    /// The most bytes that the archive may have unpacked; one with more is refused.
    #[arg(long, value_name = "BYTES", env = "DROVER_UNPACKED_LIMIT")]
    pub(crate) unpacked_limit: Option<u64>,
    /// The most requests in flight. While the API server says that they are too many (429), there are fewer.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000), env = "DROVER_CONCURRENCY")]
    pub(crate) concurrency: u32,
}

/// How long is waited for what others have to do.
#[derive(ClapArgs, Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long the pods of controllers that are scaled down may take to go, in seconds; then nothing is restored.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=3600), value_name = "SECONDS", env = "DROVER_PODS_SECONDS")]
    pods_seconds: u16,
}

impl Patience {
    pub(crate) fn for_pods(self) -> Duration {
        Duration::from_secs(self.pods_seconds.into())
    }
}

impl JobArguments for Args {
    fn telemetry(&self) -> &TelemetryOptions {
        &self.telemetry
    }

    fn unsaid(&self) -> Option<&'static str> {
        (!self.job.pending && self.command.is_none()).then_some("--pending")
    }

    fn is_interactive(&self) -> bool {
        self.command.is_some()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what an archive holds. Needs no cluster.
    ///
    /// Of encrypted objects it tells the provider and the key's name; with --encryption-config it decrypts and checks them.
    Inspect(Inspecting),
    /// Shows what `apply` would do. Writes nothing to the cluster.
    ///
    /// The server is asked about each update on trial (dry run): what is deleted and created again for it, and what is
    /// refused, is named with the reason. What is created is not tried, for much of it needs what is created before it.
    Plan(Restoring),
    /// Restores an archive: creates what is missing and replaces what differs. Deletes nothing unless told to prune.
    ///
    /// Objects that failed or were kept are named with the reason. It can be run again at any time: only what differs is
    /// written. While it writes, the controllers that the archive's ResourceSet names are at 0 replicas; where there is
    /// nothing to write they go on. What has to be deleted to be created again lies in a Secret of drover's namespace
    /// meanwhile, or in a file beside the archive where the cluster has no such namespace.
    Apply(Applying),
    /// Shows the archives that lie at a place, the newest first.
    List(Listing),
    /// Shows what became of every object of a Restore, as `apply` shows it.
    Report(Reporting),
    /// Ends the exemption from admission webhooks that a restore left behind which was killed.
    ///
    /// It takes the match condition "drover-restore" out of all webhook configurations. The next restore job does so by
    /// itself. Where somebody holds the Lease of restores, it waits until that one is seen to live, or counts as dead (15 s),
    /// and says for whom.
    Unexempt(Unexempting),
}

/// Where an exemption is ended.
#[derive(ClapArgs, Debug)]
pub(crate) struct Unexempting {
    /// The context of the kubeconfig; without it the current one. `KUBECONFIG` names the file.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// The namespace that drover runs in, if it does: it holds the Lease that tells whether a restore is at work.
    #[arg(long = "drover-namespace", env = "DROVER_NAMESPACE", default_value = DEFAULT_NAMESPACE, value_name = "NAME")]
    pub(crate) namespace: String,
    /// End it without a look at the Lease. A restore that is at work puts its own in again.
    #[arg(long)]
    pub(crate) force: bool,
}

/// What is restored, and how others are waited for.
#[derive(ClapArgs, Debug)]
pub(crate) struct Applying {
    #[command(flatten)]
    pub(crate) restoring: Restoring,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Exempt the user of the kubeconfig, and with that all who are this user, from the admission webhooks of these
    /// configurations while the archive is written; "rancher.cattle.io" are Rancher's.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = configuration_name)]
    pub(crate) exempt_webhooks: Vec<String>,
}

/// Which Restore.
#[derive(ClapArgs, Debug)]
pub(crate) struct Reporting {
    /// The name of the Restore.
    pub(crate) name: String,
    /// How the result is shown. JSON is one document: the result of every object and the counts.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// The context of the kubeconfig; without it the current one. `KUBECONFIG` names the file.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// The namespace that drover runs in, where its reports lie.
    #[arg(long = "drover-namespace", env = "DROVER_NAMESPACE", default_value = DEFAULT_NAMESPACE, value_name = "NAME")]
    pub(crate) namespace: String,
}

/// Which archive, and how it is shown.
#[derive(ClapArgs, Debug)]
pub(crate) struct Reading {
    /// The archive; "-" reads standard input.
    pub(crate) file: PathBuf,
    /// How the result is shown. JSON is one document: of `inspect` the summary, of `plan` and `apply` the result of every
    /// object and the counts.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// The most bytes that the archive may have unpacked; one with more is refused.
    #[arg(long, value_name = "BYTES", env = "DROVER_UNPACKED_LIMIT")]
    pub(crate) unpacked_limit: Option<u64>,
    /// The Kubernetes EncryptionConfiguration that decrypts the archive.
    #[arg(long, value_name = "FILE")]
    pub(crate) encryption_config: Option<PathBuf>,
}

/// Which archive, and how much of it is listed.
#[derive(ClapArgs, Debug)]
pub(crate) struct Inspecting {
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// List every entry with its size, and with what it is encrypted; JSON lists them always.
    #[arg(long)]
    pub(crate) entries: bool,
}

/// Which archive, and into which cluster.
#[derive(ClapArgs, Debug)]
pub(crate) struct Restoring {
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The context of the kubeconfig; without it the current one. `KUBECONFIG` names the file.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// The most requests in flight. While the API server says that they are too many (429), there are fewer.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000), env = "DROVER_CONCURRENCY")]
    pub(crate) concurrency: u32,
    #[command(flatten)]
    pub(crate) wishes: WishOptions,
}

/// What is asked beside putting objects back; a Restore says the same in its spec and annotations.
#[derive(ClapArgs, Debug)]
pub(crate) struct WishOptions {
    /// Delete what the archive's ResourceSet selects and the archive lacks. What would take running pods, volumes or
    /// others' objects with it, what was made since the command began, and types that an archive without
    /// filters/drover.json holds nothing of are held back, unless it is "all". Nothing is deleted of a type that the archive
    /// says it did not list.
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "safe")]
    pub(crate) prune: Option<PruneScope>,
    /// How long a deletion may take before finalizers are removed, in seconds: also that of an object which was being
    /// deleted when the restore began, and which the archive holds. Without --prune none are removed, but
    /// from what is deleted to be created again.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(..=3600), value_name = "SECONDS")]
    delete_timeout: u16,
    /// Go on although types are not served, and end well although objects failed.
    #[arg(long)]
    pub(crate) ignore_errors: bool,
    /// Write also the Secrets that live Backups, Restores and BackupPolicies name, and those of the default location.
    #[arg(long)]
    pub(crate) restore_credentials: bool,
    /// Refuse an archive unless something proves who made it: its MAC, which is checked with --encryption-config, or what the
    /// cluster recorded of it.
    #[arg(long, value_enum, value_name = "WHAT")]
    require: Option<Requirement>,
    /// Delete this object and create it again, where the server does not let it be changed into what the archive has, as
    /// the result of an earlier try says. TYPE/NAMESPACE/NAME or TYPE/NAME, such as deployments.apps/default/web; can be
    /// given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) recreate: Vec<ObjectName>,
    /// The namespace that drover runs in, if it does: it is never written over or pruned, and holds the Lease that lets one
    /// restore at a time work.
    #[arg(long = "drover-namespace", env = "DROVER_NAMESPACE", default_value = DEFAULT_NAMESPACE, value_name = "NAME")]
    pub(crate) namespace: String,
}

/// What a prune takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum PruneScope {
    /// What nothing else would be lost with.
    Safe,
    /// Everything.
    All,
}

/// What an archive must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Requirement {
    /// Something proves who made it.
    Authentic,
}

impl WishOptions {
    /// What is asked by who began at that time.
    pub(crate) fn wishes(&self, begun: Option<Timestamp>) -> Wishes {
        let prune = self.prune.map(|scope| Prune {
            timeout: Duration::from_secs(self.delete_timeout.into()),
            everything: scope == PruneScope::All,
            asked_at: begun,
        });
        let recreate = Named::new(self.recreate.clone());
        let (ignore_errors, credentials) = (self.ignore_errors, self.restore_credentials);
        let require_authentic = self.require == Some(Requirement::Authentic);
        Wishes { prune, ignore_errors, credentials, require_authentic, recreate, ..Wishes::default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_namespace_of_drover_is_not_to_be_taken_for_that_of_what_is_restored() {
        for command in ["plan", "apply"] {
            let given = ["restore", command, "a.tar.gz", "--namespace", "shop"];
            let refused = Args::command().try_get_matches_from(given).unwrap_err();
            assert_eq!(refused.kind(), clap::error::ErrorKind::UnknownArgument);
            assert!(refused.to_string().contains("'--drover-namespace'"), "{refused}");
        }
    }

    #[test]
    fn what_is_to_be_done_is_said() {
        for (arguments, expected) in [
            (&[][..], Some("--pending")),
            (&["--wait=0"][..], Some("--pending")),
            (&["--pending", "--wait=0"][..], None),
            (&["plan", "backup.tar.gz"][..], None),
        ] {
            let parsed = Args::try_parse_from([&["restore"][..], arguments].concat()).unwrap();
            assert_eq!(parsed.unsaid(), expected, "{arguments:?}");
        }
    }
}
