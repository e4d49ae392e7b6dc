//! What is known: of the cluster by its watches, of the queue by asking it.

mod collection;

use std::collections::{BTreeMap, BTreeSet};

use drover::coexistence::Operator;
use drover::policy::Policies;
use drover::queue::Survey;
use drover::resources::{Backup, BackupPolicy, BackupRun, Restore};
use jiff::Timestamp;

pub(crate) use collection::Collection;

use super::facts::{CronJob, Event, Job, Pod};

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) backups: Collection<Backup>,
    pub(crate) restores: Collection<Restore>,
    pub(crate) runs: Collection<BackupRun>,
    pub(crate) policies: Collection<BackupPolicy>,
    pub(crate) cron_jobs: Collection<CronJob>,
    pub(crate) jobs: Collection<Job>,
    pub(crate) pods: Collection<Pod>,
    pub(crate) events: Collection<Event>,
    /// The policies, ready to be asked.
    pub(crate) settings: Policies,
    pub(crate) charge: Charge,
    pub(crate) queue: Queue,
    /// The rights for whose lack snapshots failed, and that are there by now.
    pub(crate) given: BTreeSet<String>,
    /// What the API server refused, by the name of the CronJob that it concerns.
    pub(crate) refusals: BTreeMap<String, Refusal>,
    /// CronJobs that are not what was asked for although they were just written, by UID: the digest that was asked for and
    /// the one that came of it. Something in the cluster changes them, and to ask again would not end.
    pub(crate) accepted: BTreeMap<String, (String, String)>,
    /// UIDs of Jobs that died without a word, and that word was said.
    pub(crate) announced: BTreeSet<String>,
    /// How many times Jobs were seen to end. What the queue said before the last of them is out of date.
    pub(crate) ends: u64,
    /// UIDs of the Jobs that have not ended.
    active: BTreeSet<String>,
}

/// Who is in charge of Backups and Restores.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Charge {
    /// It is not known yet: nothing is started.
    #[default]
    Unknown,
    /// drover.
    Ours,
    /// The Rancher backup operator.
    Theirs(Operator),
}

impl Charge {
    pub(crate) fn operator(&self) -> Option<&Operator> {
        match self {
            Self::Theirs(operator) => Some(operator),
            Self::Unknown | Self::Ours => None,
        }
    }
}

/// What the queue last said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Queue {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It does not answer, or not as it should.
    Away {
        /// Why, as far as is known.
        reason: String,
        /// What is said of what waits for it, the same as long as it is away.
        words: String,
    },
    /// It answered.
    Known(Known),
}

/// What is in the queue.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Known {
    /// What was found.
    pub(crate) survey: Survey,
    /// [`State::ends`] when it was asked.
    pub(crate) ends: u64,
}

/// Something that the API server refused to make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// Its words.
    pub(crate) message: String,
    /// When it last did.
    pub(crate) at: Timestamp,
    /// How often in a row.
    pub(crate) count: u32,
}

impl State {
    /// The Backups that are there to stay.
    pub(crate) fn lasting_backups(&self) -> impl Iterator<Item = &Backup> {
        self.backups.iter().filter(|backup| backup.metadata.deletion_timestamp.is_none())
    }

    /// Whether all watches have told what there is.
    pub(crate) fn is_synced(&self) -> bool {
        self.not_synced().is_empty()
    }

    /// The watches that have not yet.
    pub(crate) fn not_synced(&self) -> Vec<&'static str> {
        let watches = [
            ("Backups", self.backups.is_synced()),
            ("Restores", self.restores.is_synced()),
            ("BackupRuns", self.runs.is_synced()),
            ("BackupPolicies", self.policies.is_synced()),
            ("CronJobs", self.cron_jobs.is_synced()),
            ("Jobs", self.jobs.is_synced()),
            ("Pods", self.pods.is_synced()),
            ("Events", self.events.is_synced()),
        ];
        watches.into_iter().filter(|(_, is_synced)| !is_synced).map(|(name, _)| name).collect()
    }

    /// Follows from a change of the policies.
    pub(crate) fn read_policies(&mut self) {
        self.settings = Policies::new(self.policies.iter().cloned());
        self.settings.warn();
    }

    /// Follows from a change of the Jobs.
    pub(crate) fn count_ends(&mut self) {
        let active = self.jobs.iter().filter(|job| job.is_active()).map(|job| job.uid.clone()).collect();
        if !self.active.is_subset(&active) {
            self.ends += 1;
        }
        self.active = active;
    }

    /// Notes that something was refused once more.
    pub(crate) fn refuse(&mut self, cron_job: &str, message: String, at: Timestamp) {
        let count = self.refusals.get(cron_job).map_or(0, |refusal| refusal.count).saturating_add(1);
        self.refusals.insert(cron_job.to_owned(), Refusal { message, at, count });
    }
}
