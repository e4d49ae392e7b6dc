//! The labels that drover writes or selects by, each of which stands here alone.
//!
//! | label | of | written by | read by |
//! | --- | --- | --- | --- |
//! | [`PART_OF_LABEL`] | all that drover is made of and makes | the manifests; with [`ours`] whatever job makes an object | snapshot, restore: [`is_ours`] |
//! | [`BACKUP_UID_LABEL`] | BackupRuns; CronJobs of Backups and their Jobs | snapshot; dispatch | snapshot, upload, retention-prune; dispatch |
//! | [`LEDGER_LABEL`] | BackupArchives | upload, retention-prune | upload, retention-prune |
//! | [`COPY_LABEL`] | Secrets with the copy of an object that is created again | restore | restore |
//! | [`RESTORE_LABEL`] | ConfigMaps with the report of a Restore | restore | `restore report` |
//! | [`SCALED_DOWN_BY_LABEL`] | controllers that must not run while a restore writes | restore | restore |
//! | [`JOB_NAME_LABEL`] | pods of Jobs | Kubernetes | dispatch; restore leaves it to Kubernetes |
//! | [`SERVICE_NAME_LABEL`] | EndpointSlices | Kubernetes | restore |
//!
//! What else Kubernetes labels by itself, and a restore leaves to it, are rows of `jobs/restore/src/server_owned`.

use std::collections::BTreeMap;

/// On every object of drover, with the value [`DROVER`].
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";

/// The value of [`PART_OF_LABEL`].
pub const DROVER: &str = "drover";

/// On a run, a Backup's CronJob and its Jobs: their Backup, as far as a label can name it, by its UID.
pub const BACKUP_UID_LABEL: &str = "drover.dev/backup-uid";

/// On a line of the ledger: its Backup, by a digest of the name, which may be longer than a label.
pub const LEDGER_LABEL: &str = "drover.dev/ledger";

/// On a piece of an object's copy: the id of the copy.
pub const COPY_LABEL: &str = "drover.dev/copy";

/// On a piece of a report: the UID of its Restore.
pub const RESTORE_LABEL: &str = "drover.dev/restore";

/// On a controller that a restore scaled down: the UID of that Restore, or that it was the command line.
pub const SCALED_DOWN_BY_LABEL: &str = "drover.dev/scaled-down-by";

/// On a pod: the Job that has it.
pub const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// On an EndpointSlice: its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// The labels of an object that drover makes: that it is drover's, and `label`.
#[must_use]
pub fn ours(label: &str, value: &str) -> BTreeMap<String, String> {
    [(PART_OF_LABEL, DROVER), (label, value)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Whether an object is drover's, by what `value_of` says of its labels.
#[must_use]
pub fn is_ours<T: AsRef<str>>(value_of: impl FnOnce(&'static str) -> Option<T>) -> bool {
    value_of(PART_OF_LABEL).is_some_and(|value| value.as_ref() == DROVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drover_makes_is_known_as_its_own() {
        let labels = ours(COPY_LABEL, "7");
        assert_eq!(labels.get("drover.dev/copy").map(String::as_str), Some("7"));
        assert!(is_ours(|name| labels.get(name)));
        assert_eq!(labels.get("app.kubernetes.io/part-of").map(String::as_str), Some("drover"));
    }

    #[test]
    fn what_is_part_of_something_else_or_says_nothing_is_not_ours() {
        assert!(!is_ours(|_| Some("rover")));
        assert!(!is_ours(|_| None::<&str>));
    }
}
