//! Labels, annotations and names that Jobs and CronJobs carry.

/// The annotation of a Backup's CronJob: the Backup's name, which a label might be too short for.
pub(crate) const BACKUP_ANNOTATION: &str = "drover.dev/backup";

/// The annotation of a CronJob whose Jobs drain the consumer that it names.
pub(crate) const CONSUMER_ANNOTATION: &str = "drover.dev/consumer";

/// The annotation of a Job: who started it.
pub(crate) const STARTED_BY_ANNOTATION: &str = "drover.dev/started-by";

/// The annotation of a Job: the digest of the pod that its CronJob said when it was made.
pub(crate) const POD_ANNOTATION: &str = "drover.dev/pod";

/// The annotation of a Job that names the work it was started for, and of a CronJob that names the work its Jobs since
/// the last success were started for. What is not in it is new, and starts a Job at once.
pub(crate) const ATTEMPTED_ANNOTATION: &str = "drover.dev/attempted";

/// The annotation of a CronJob: how many of its Jobs in a row did not do their work.
pub(crate) const ATTEMPTS_ANNOTATION: &str = "drover.dev/attempts";

/// The annotation of a CronJob: when the next Job is started for work that is not new.
pub(crate) const NEXT_ATTEMPT_ANNOTATION: &str = "drover.dev/next-attempt";

/// The annotation of a CronJob: end and UID of the last Job that is counted in [`ATTEMPTS_ANNOTATION`].
pub(crate) const COUNTED_ANNOTATION: &str = "drover.dev/counted";

/// The CronJob whose template the Backups' CronJobs are made from, and which makes what is due.
pub(crate) const SNAPSHOT: &str = "snapshot";

/// The CronJob whose Jobs carry out Restores.
pub(crate) const RESTORE: &str = "restore";

/// The CronJob whose Jobs make what drover needs of NATS.
pub(crate) const SETUP: &str = "setup";

/// Names that drover's own workloads have, now or later; no Backup's CronJob is called so.
pub(crate) const OWN_NAMES: [&str; 8] =
    [SNAPSHOT, "upload", RESTORE, SETUP, "retention-prune", "heartbeat", "dispatch", "nats"];
