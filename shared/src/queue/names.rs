//! What the stream and its consumers are called.

use crate::job::name::{HEARTBEAT, RETENTION_PRUNE, UPLOAD};

/// The stream of all events.
pub const STREAM: &str = "DROVER";

/// The durable consumer of the stage that uploads.
pub const UPLOAD_CONSUMER: &str = UPLOAD;

/// The durable consumer of the stage that deletes expired archives.
pub const RETENTION_PRUNE_CONSUMER: &str = RETENTION_PRUNE;

/// The durable consumer of the stage that tells monitors.
pub const HEARTBEAT_CONSUMER: &str = HEARTBEAT;

/// Every consumer that [`setup`](super::setup()) makes.
pub const CONSUMERS: [&str; 3] = [UPLOAD_CONSUMER, RETENTION_PRUNE_CONSUMER, HEARTBEAT_CONSUMER];

/// The subjects of all events of Backups.
pub const BACKUP_EVENTS: &str = "drover.backup.>";

/// The subjects of all events of Restores.
pub const RESTORE_EVENTS: &str = "drover.restore.>";

/// What stands before the subject of a message whose copy is kept because nobody can or may work on it.
pub(super) const DEAD_PREFIX: &str = "drover.dead.";
