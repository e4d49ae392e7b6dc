//! Names of CronJobs.

/// The CronJob whose template the Backups' CronJobs are made from, and which makes what is due.
pub(crate) const SNAPSHOT: &str = "snapshot";

/// The CronJob whose Jobs carry out Restores.
pub(crate) const RESTORE: &str = "restore";

/// The CronJob whose Jobs make what drover needs of NATS.
pub(crate) const SETUP: &str = "setup";

/// Names that drover's own workloads have, now or later; no Backup's CronJob is called so.
pub(crate) const OWN_NAMES: [&str; 8] =
    [SNAPSHOT, "upload", RESTORE, SETUP, "retention-prune", "heartbeat", "dispatch", "nats"];
