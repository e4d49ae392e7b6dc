//! What is to be done, decided from what is known and the time alone. It is decided anew on every change and every half
//! minute, so whatever was not done, or was undone, is done then; and it is the same whoever decides it.

mod backups;
mod deaths;
mod obstacles;
mod place;
mod restores;
mod stages;
mod starting;
mod status;
#[cfg(test)]
mod tests;
mod turn;
mod world;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

pub(crate) use status::{BackupWish, RestoreWish};
use world::World;

use super::state::{Charge, State};

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

/// A Job that died without a word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Death {
    /// UID of the Job.
    pub(crate) job: String,
    /// Its name.
    pub(crate) name: String,
    /// What it was to do.
    pub(crate) stage: String,
    /// How it died, in words that are the same for the next one.
    pub(crate) words: String,
    /// What was not done.
    pub(crate) victims: Vec<Victim>,
}

impl Death {
    /// How it died, with the name of the Job: for a message and an Event, which are of this one alone.
    pub(crate) fn told(&self) -> String {
        format!("{} (the Job {:?})", self.words, self.name)
    }
}

/// What a dead Job did not do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Victim {
    /// A run of a Backup, or its beginning.
    Backup {
        /// The Backup's name.
        name: String,
        /// The run that it left in the middle.
        run: Option<String>,
    },
    /// A Restore.
    Restore {
        /// Its name.
        name: String,
    },
}

/// What is to be done now, and when to look again at the latest.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decision {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake: Option<Timestamp>,
}

impl Decision {
    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn wake_at(&mut self, time: Timestamp) {
        self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
    }
}

/// Decides. While it is not known who is in charge there is nothing to do.
pub(crate) fn decide(state: &State, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    if state.charge == Charge::Unknown || !state.is_synced() {
        return decision;
    }
    let world = World::of(state, now);
    let next_upload = stages::decide(&world, &mut decision);
    backups::decide(&world, &mut decision, next_upload);
    restores::decide(&world, &mut decision);
    decision
}
