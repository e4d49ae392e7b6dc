use std::collections::BTreeMap;

use drover::queue::UPLOAD_CONSUMER;
use drover::resources::{Backup, BackupRun, Trigger};
use drover::runs::{History, is_awaiting_upload, status_of};
use jiff::Timestamp;

use crate::runner::facts::{CronJob, Event, Job, Pod};
use crate::runner::state::{Charge, State};

/// What is known, in the order in which it is asked for.
pub(crate) struct World<'a> {
    pub(crate) state: &'a State,
    pub(crate) now: Timestamp,
    jobs: BTreeMap<&'a str, Vec<&'a Job>>,
    runs: BTreeMap<&'a str, Vec<&'a BackupRun>>,
    pods: BTreeMap<&'a str, Vec<&'a Pod>>,
    events: BTreeMap<&'a str, &'a Event>,
}

impl<'a> World<'a> {
    pub(crate) fn of(state: &'a State, now: Timestamp) -> Self {
        let mut jobs = group(state.jobs.iter().filter_map(|job| Some((job.owner.as_deref()?, job))));
        for jobs in jobs.values_mut() {
            jobs.sort_by_key(|job| (job.created, &job.name));
        }
        let mut pods = group(state.pods.iter().map(|pod| (pod.job.as_str(), pod)));
        for pods in pods.values_mut() {
            pods.sort_by_key(|pod| (pod.created, &pod.name));
        }
        let mut events: BTreeMap<&str, &Event> = BTreeMap::new();
        for event in state.events.iter() {
            let newest = events.entry(&event.about).or_insert(event);
            if newest.last < event.last {
                *newest = event;
            }
        }
        let mut runs = group(state.runs.iter().map(|run| (run.spec.backup_uid.as_str(), run)));
        for runs in runs.values_mut() {
            runs.sort_by_key(|run| run.spec.number);
        }
        Self { state, now, jobs, runs, pods, events }
    }

    /// The Jobs of a CronJob, oldest first.
    pub(crate) fn jobs_of(&self, cron_job: &CronJob) -> &[&'a Job] {
        self.jobs.get(cron_job.uid.as_str()).map(Vec::as_slice).unwrap_or_default()
    }

    /// The runs of a Backup.
    pub(crate) fn history(&self, backup: &Backup) -> History {
        History::of(backup, self.runs_of(backup).map(BackupRun::clone))
    }

    /// The runs that wait for their upload, each with its Backup.
    pub(crate) fn awaiting_upload(&self) -> impl Iterator<Item = (&'a Backup, &'a BackupRun)> {
        let waiting = |run: &&BackupRun| is_awaiting_upload(run);
        self.backups().flat_map(move |backup| self.runs_of(backup).filter(waiting).map(move |run| (backup, run)))
    }

    /// The runs of a Backup, oldest first.
    fn runs_of(&self, backup: &Backup) -> impl Iterator<Item = &'a BackupRun> {
        let runs = self.runs.get(backup.metadata.uid.as_deref().unwrap_or_default());
        runs.into_iter().flatten().copied()
    }

    /// The CronJob whose Jobs bring archives to their places.
    pub(crate) fn uploading(&self) -> Option<&'a CronJob> {
        self.state.cron_jobs.iter().find(|cron_job| cron_job.consumer() == Some(UPLOAD_CONSUMER))
    }

    /// The pods of a Job, oldest first.
    pub(crate) fn pods_of(&self, job: &Job) -> &[&'a Pod] {
        self.pods.get(job.uid.as_str()).map(Vec::as_slice).unwrap_or_default()
    }

    /// The newest telling Event about the object of this UID.
    pub(crate) fn event_about(&self, uid: &str) -> Option<&'a Event> {
        self.events.get(uid).copied()
    }

    /// Whether drover starts anything.
    pub(crate) fn is_ours(&self) -> bool {
        self.state.charge == Charge::Ours
    }

    /// The Backups that are there to stay.
    pub(crate) fn backups(&self) -> impl Iterator<Item = &'a Backup> {
        self.state.lasting_backups()
    }

    /// Whether a Job that opened this run or tried it last has not ended. A run of 0.1 tells its Job's name alone.
    pub(crate) fn is_at_work_on(&self, run: &BackupRun) -> bool {
        let Trigger { by, job_uid, .. } = &run.spec.trigger;
        let last = status_of(run).snapshot.and_then(|stage| stage.job_uid);
        let is_its = |job: &Job| match [job_uid, &last] {
            [None, None] => job.name == *by,
            known => known.into_iter().flatten().any(|uid| *uid == job.uid),
        };
        self.state.jobs.iter().any(|job| job.is_active() && is_its(job))
    }
}

fn group<'a, T>(pairs: impl Iterator<Item = (&'a str, &'a T)>) -> BTreeMap<&'a str, Vec<&'a T>> {
    let mut groups: BTreeMap<&str, Vec<&T>> = BTreeMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}
