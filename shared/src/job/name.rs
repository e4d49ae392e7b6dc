//! The names of jobs, each of which stands here alone.
//!
//! A job is called so as a CronJob or Deployment, as a user of NATS, as the field manager of what it writes, as the source of
//! its events and the stage that they name, and as the consumer of the messages that it drains.

/// Packs objects into an archive. Of its CronJob the Backups' CronJobs are made; its own Jobs make what is due.
pub const SNAPSHOT: &str = "snapshot";

/// Stores archives at their places.
pub const UPLOAD: &str = "upload";

/// Deletes expired archives. Whoever else holds an archive writes as it, for what two field managers have applied neither can
/// take back.
pub const RETENTION_PRUNE: &str = "retention-prune";

/// Carries out Restores.
pub const RESTORE: &str = "restore";

/// Tells monitors.
pub const HEARTBEAT: &str = "heartbeat";

/// Starts Jobs.
pub const DISPATCH: &str = "dispatch";

/// Makes what drover needs of NATS: a command of dispatch.
pub const SETUP: &str = "setup";
