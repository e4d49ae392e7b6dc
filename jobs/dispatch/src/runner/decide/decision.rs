//! What may be decided.

mod death;
mod wish;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

pub(crate) use death::{Death, Victim};
pub(crate) use wish::{BackupWish, RestoreWish, Wish};

/// What is to be done now, and when to look again at the latest.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decision {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake: Option<Timestamp>,
}

impl Decision {
    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn wake_at(&mut self, time: Timestamp) {
        self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Make a Job.
    Start {
        /// The CronJob that it is of.
        cron_job: String,
        /// Its name, the same whoever decides it.
        name: String,
        /// The whole Job.
        manifest: Box<Value>,
    },
    /// Delete a Job that cannot start, and that nobody would make like that any more.
    Delete {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// Make a Backup's CronJob.
    Make {
        /// Its name.
        name: String,
        /// The whole CronJob.
        manifest: Box<Value>,
        /// The digest that it is to have.
        digest: String,
    },
    /// Make a Backup's CronJob what it is to be.
    Change {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// The spec that it is to have.
        spec: Box<Value>,
        /// The labels that it is to have.
        labels: BTreeMap<String, String>,
        /// The digest that it is to have.
        digest: String,
        /// Whose it becomes, where it was left by an earlier Backup.
        adoption: Option<Box<Adoption>>,
    },
    /// Note on a CronJob when its next Job may start.
    Note {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// The annotations.
        annotations: Value,
    },
    /// Write a Backup's status.
    TellBackup {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// What is to be told.
        wish: Box<BackupWish>,
    },
    /// Write a Restore's status.
    TellRestore {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// What is to be told.
        wish: Box<RestoreWish>,
    },
    /// Say that a Job died without a word.
    Announce(Death),
}

/// A CronJob that was left becomes another Backup's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Adoption {
    /// The Backup.
    pub(crate) owner: OwnerReference,
    /// The annotations, `null` for what is to go: a new Backup has no Jobs behind it.
    pub(crate) annotations: Value,
}
