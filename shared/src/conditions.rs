//! The types and reasons of conditions, each of which stands here alone.
//!
//! | type | of | written by | read by |
//! | --- | --- | --- | --- |
//! | [`READY`] | Backup, Restore | snapshot, upload, restore, dispatch; retention-prune where the newest archive is damaged | dispatch, heartbeat, `kubectl wait` |
//! | [`RECONCILING`] | Backup, Restore | snapshot, upload, restore; dispatch adds when the next try begins | restore, dispatch, kstatus |
//! | [`STALLED`] | Backup, Restore | snapshot, upload, restore; dispatch for what keeps a Job from running for good | dispatch, kstatus |
//! | [`UPLOADED`] | Backup | upload | |
//! | [`ENCRYPTED`] | Backup | snapshot | |
//! | [`WHOLE`] | Backup | snapshot; dispatch and retention-prune once losses are confirmed | dispatch, retention-prune |
//! | [`VERIFIED`] | Backup | upload, retention-prune | dispatch, retention-prune |
//! | [`PRUNED`] | Backup | retention-prune; dispatch where its Job died | dispatch, heartbeat, retention-prune |
//! | [`BLOCKED`] | Backup, Restore | dispatch | dispatch |
//! | [`DROVER_ACTIVE`] | Backup, Restore | snapshot, upload, restore, dispatch | |
//! | [`FRESH`] | Backup | heartbeat | heartbeat, `kubectl wait` |
//!
//! [`Conditions`](crate::resources::Conditions) sets `Ready`, `Reconciling` and `Stalled` together where they are of one step.
//! A condition that another field manager owns cannot be taken away, so none is: it becomes False or Unknown.

/// What it is at: one of the four words of [`Ready`](crate::resources::Ready), which are its reasons, or that it waits.
pub const READY: &str = "Ready";

/// Whether a job works on it, or it is tried again by itself.
pub const RECONCILING: &str = "Reconciling";

/// Whether nothing is tried again before somebody mends something.
pub const STALLED: &str = "Stalled";

/// Whether the last archive is at its places.
pub const UPLOADED: &str = "Uploaded";

/// Whether objects of the newest archive are encrypted, and no keys lie in it in clear; a reason too.
pub const ENCRYPTED: &str = "Encrypted";

/// Whether the newest archive has all that it should; a reason too.
pub const WHOLE: &str = "Whole";

/// Whether the newest archive is still what was verified, as far as can be seen without reading it.
pub const VERIFIED: &str = "Verified";

/// Whether the expired archives are deleted.
pub const PRUNED: &str = "Pruned";

/// Whether something keeps a Job from running. Its reasons are those of dispatch below, and Kubernetes' own.
pub const BLOCKED: &str = "Blocked";

/// Whether drover is in charge, and not the Rancher backup operator; it is there once it was not.
pub const DROVER_ACTIVE: &str = "DroverActive";

/// Whether the newest verified archive is as new as it should be; a reason too.
pub const FRESH: &str = "Fresh";

/// The reasons of drover's own.
pub mod reason {
    /// Not begun.
    pub const PENDING: &str = "Pending";
    /// A job works on it.
    pub const IN_PROGRESS: &str = "InProgress";
    /// Done, and proved.
    pub const COMPLETED: &str = "Completed";
    /// Ended, or a try failed.
    pub const FAILED: &str = "Failed";
    /// It waits, and is tried again by itself.
    pub const WAITING: &str = "Waiting";

    /// The archive lacks types that could not be read (`Whole`, `Stalled`).
    pub const MISSING_TYPES: &str = "MissingTypes";
    /// The archive lacks what one before held (`Whole`).
    pub const OBJECTS_LOST: &str = "ObjectsLost";
    /// Somebody confirmed what it lacks (`Whole`).
    pub const CONFIRMED: &str = "Confirmed";

    /// Secrets with encryption keys lie in the archive in clear (`Encrypted`).
    pub const KEYS_IN_CLEAR: &str = "KeysInClear";
    /// The Backup names no encryption configuration (`Encrypted`).
    pub const NO_CONFIGURATION: &str = "NoConfiguration";
    /// The configuration encrypts none of the objects (`Encrypted`).
    pub const NOTHING_ENCRYPTED: &str = "NothingEncrypted";

    /// The newest archive is not what was verified, or missing (`Verified`).
    pub const DAMAGED: &str = "Damaged";

    /// A changed retention does not hold yet (`Pruned`).
    pub const RETENTION_CHANGED: &str = "RetentionChanged";
    /// Archives that the ledger does not know are kept (`Pruned`).
    pub const UNKNOWN_ARCHIVES: &str = "UnknownArchives";
    /// Archives are kept until somebody confirms (`Pruned`).
    pub const HELD_ARCHIVES: &str = "HeldArchives";
    /// Archives of the future are kept (`Pruned`).
    pub const FUTURE_ARCHIVES: &str = "FutureArchives";
    /// A place or the API server did not answer (`Pruned`).
    pub const UNAVAILABLE: &str = "Unavailable";

    /// The operator has replicas (`DroverActive`).
    pub const OPERATOR_AT_WORK: &str = "OperatorAtWork";
    /// The operator was scaled to 0 (`DroverActive`).
    pub const OPERATOR_AT_REST: &str = "OperatorAtRest";

    /// It is too old, or lacks something (`Fresh`).
    pub const NOT_FRESH: &str = "NotFresh";
    /// No monitor watches the Backup (`Fresh`).
    pub const NOT_WATCHED: &str = "NotWatched";
    /// The last audit could not look at it (`Fresh`).
    pub const NOT_LOOKED_AT: &str = "NotLookedAt";

    /// A Job died (`Blocked`, `Pruned`).
    pub const JOB_FAILED: &str = "JobFailed";
    /// NATS does not answer (`Blocked`).
    pub const NATS_AWAY: &str = "NatsAway";
    /// The CronJob that Jobs are made of is missing (`Blocked`).
    pub const TEMPLATE_MISSING: &str = "TemplateMissing";
    /// The API server refuses the Job or CronJob (`Blocked`).
    pub const REFUSED: &str = "Refused";
    /// The schedule cannot be read (`Blocked`).
    pub const SCHEDULE_REFUSED: &str = "ScheduleRefused";
    /// The Backup's name is too long for its objects (`Blocked`).
    pub const NAME_TOO_LONG: &str = "NameTooLong";
    /// The Backup has an annotation of drover's that drover does not know (`Blocked`).
    pub const UNKNOWN_ANNOTATION: &str = "UnknownAnnotation";
    /// Somebody else has a CronJob of the Backup's name (`Blocked`).
    pub const NAME_TAKEN: &str = "NameTaken";
    /// A Job of a former template is still there (`Blocked`).
    pub const JOB_OF_BEFORE: &str = "JobOfBefore";
    /// A Job has no pod for long (`Blocked`).
    pub const JOB_PENDING: &str = "JobPending";
    /// A pod does not start for long (`Blocked`).
    pub const POD_PENDING: &str = "PodPending";
    /// Another Restore comes first (`Blocked`).
    pub const BEHIND: &str = "Behind";
    /// Nothing is in the way any more (`Blocked`, `Stalled`).
    pub const UNBLOCKED: &str = "Unblocked";
}
