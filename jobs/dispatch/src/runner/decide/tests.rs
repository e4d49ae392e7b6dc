//! A cluster as the watches would tell of it, and what is decided from it.

mod backups;
mod deaths;
mod metrics;
mod obstacles;
mod restores;
mod rights;
mod stages;

use std::collections::BTreeMap;

use drover::labels::{DROVER, PART_OF_LABEL};
use drover::queue::{CONSUMERS, Survey, Waiting};
use drover::resources::{
    Backup, BackupRun, BackupRunSpec, BackupRunStatus, BackupSpec, BackupStatus, Restore, RestoreSpec, RestoreStatus,
    RunState, SnapshotStage, StageState, Trigger, TriggerKind, rfc3339,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Action, Decision, decide};
use crate::runner::facts::{CronJob, Event, Job, Outcome, Pod};
use crate::runner::state::{Charge, Known, Queue, State};

const STAGES: [&str; 5] = ["snapshot", "upload", "retention-prune", "restore", "setup"];

/// The cluster at a time.
pub(super) struct Fixture {
    pub(super) state: State,
    pub(super) now: Timestamp,
}

/// A time so many seconds after midnight.
pub(super) fn at(seconds: i64) -> Timestamp {
    let midnight: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    midnight + SignedDuration::from_secs(seconds)
}

impl Fixture {
    /// drover installed at midnight, and nothing to do; it is one o'clock.
    pub(super) fn new() -> Self {
        let mut fixture = Self { state: State::default(), now: at(3600) };
        let State { backups, restores, runs, policies, cron_jobs, jobs, pods, events, .. } = &mut fixture.state;
        for (begin, end) in [(true, false), (false, true)] {
            macro_rules! both { ($($each:ident)*) => { $( if begin { $each.begin(); } if end { $each.end(); } )* } }
            both!(backups restores runs policies cron_jobs jobs pods events);
        }
        fixture.state.charge = Charge::Ours;
        for stage in STAGES {
            fixture.stage(stage, 1);
        }
        fixture.consumer(0, 0, 0);
        fixture
    }

    /// A stage's CronJob of this version of the image.
    pub(super) fn stage(&mut self, name: &str, version: u32) {
        let drains = ["upload", "retention-prune", "heartbeat"].contains(&name);
        let annotations = if drains { json!({"drover.dev/consumer": name}) } else { json!({}) };
        let object = json!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": {"name": name, "uid": format!("uid-{name}"), "creationTimestamp": at(0).to_string(),
                "annotations": annotations, "labels": {PART_OF_LABEL: DROVER}},
            "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": {"spec": {"containers": [
                {"name": name, "image": format!("drover:{version}")}]}}}}},
        });
        self.cron_job(object);
    }

    /// A CronJob.
    pub(super) fn cron_job(&mut self, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        self.state.cron_jobs.put(object.name_any(), CronJob::of(&object));
    }

    /// What the queue says: messages pending, in flight, and stored for `upload`.
    pub(super) fn consumer(&mut self, pending: u64, in_flight: u64, stored: u64) {
        self.consumer_of("upload", pending, in_flight, stored);
    }

    /// The same of a stage, while the others have nothing to do.
    pub(super) fn consumer_of(&mut self, stage: &str, pending: u64, in_flight: u64, stored: u64) {
        let mut consumers: BTreeMap<_, _> = CONSUMERS.map(|name| (name.to_owned(), Waiting::default())).into();
        consumers.insert(stage.to_owned(), Waiting { pending, in_flight, stored });
        let survey = Survey { consumers, ..Survey::default() };
        self.state.queue = Queue::Known(Known { survey, ends: self.state.ends });
    }

    /// A Backup that was made at half past midnight.
    pub(super) fn backup(&mut self, name: &str, schedule: Option<&str>) {
        let spec = BackupSpec { schedule: schedule.map(str::to_owned), ..BackupSpec::default() };
        let mut backup = Backup::new(name, spec);
        backup.metadata.uid = Some(format!("uid-of-{name}"));
        backup.metadata.generation = Some(1);
        backup.metadata.creation_timestamp = Some(Time(at(1800)));
        self.state.backups.put(name.to_owned(), backup);
    }

    /// Changes a Backup.
    pub(super) fn edit(&mut self, name: &str, change: impl FnOnce(&mut Backup)) {
        let mut backup = self.state.backups.get(name).unwrap().clone();
        change(&mut backup);
        self.state.backups.put(name.to_owned(), backup);
    }

    /// A Restore that was made at this time.
    pub(super) fn restore(&mut self, name: &str, uid: &str, created: Timestamp, has_ended: bool) {
        let mut restore = Restore::new(name, RestoreSpec::default());
        restore.metadata.uid = Some(uid.to_owned());
        restore.metadata.creation_timestamp = Some(Time(created));
        let ended = has_ended.then(|| rfc3339(created));
        restore.status = Some(RestoreStatus { restore_completion_ts: ended, ..RestoreStatus::default() });
        self.state.restores.put(name.to_owned(), restore);
    }

    /// A run of a Backup that began at this time; one that is in progress waits for its upload if `has_snapshot`.
    pub(super) fn run(&mut self, backup: &str, number: i64, begun: Timestamp, state: RunState, has_snapshot: bool) {
        let spec = BackupRunSpec {
            backup: backup.to_owned(),
            backup_uid: format!("uid-of-{backup}"),
            generation: 1,
            id: Uuid::now_v7(),
            number,
            trigger: Trigger { kind: TriggerKind::Job, by: "nobody".to_owned(), job_uid: None, scheduled_for: None },
            started_at: rfc3339(begun),
            filename: String::new(),
        };
        let stage = if has_snapshot { StageState::Completed } else { StageState::InProgress };
        let snapshot = SnapshotStage { state: stage, started_at: Some(rfc3339(begun)), ..SnapshotStage::default() };
        let ended_at = state.is_final().then(|| rfc3339(begun));
        let name = format!("{backup}-{number}");
        let mut run = BackupRun::new(&name, spec);
        run.status = Some(BackupRunStatus { state, ended_at, snapshot: Some(snapshot), ..BackupRunStatus::default() });
        self.state.runs.put(name, run);
    }

    /// A Job of a CronJob, made ten seconds before it ended or at `now`.
    pub(super) fn job(&mut self, cron_job: &str, name: &str, outcome: Outcome, attempted: &str) {
        let CronJob { uid: owner, pod, .. } = self.state.cron_jobs.get(cron_job).unwrap().clone();
        let ended = outcome.ended_at().map(|time| time - SignedDuration::from_secs(10));
        let job = Job {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            created: ended.unwrap_or(self.now),
            owner: Some(owner),
            is_ours: true,
            is_by_hand: false,
            pod,
            attempted: crate::runner::marks::marks_of(attempted),
            outcome,
        };
        self.state.jobs.put(name.to_owned(), job);
    }

    /// A pod of a Job.
    pub(super) fn pod(&mut self, job: &str, status: &Value) {
        let Job { created, uid, .. } = self.state.jobs.get(job).unwrap().clone();
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": uid, "controller": true});
        let pod = json!({"metadata": {"name": format!("{job}-x"), "uid": format!("uid-{job}-x"),
            "creationTimestamp": created.to_string(), "ownerReferences": [owner]}, "status": status});
        self.state.pods.put(format!("{job}-x"), Pod::of(&serde_json::from_value(pod).unwrap()));
    }

    /// A warning about an object.
    pub(super) fn event(&mut self, about: &str, reason: &str, message: &str) {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        let event = Event { about: about.to_owned(), reason, message, last: self.now };
        self.state.events.put(format!("event-{about}"), event);
    }

    /// What is decided now.
    pub(super) fn decide(&self) -> Decision {
        decide(&self.state, self.now)
    }

    /// The CronJobs of which a Job is started now.
    pub(super) fn starts(&self) -> Vec<String> {
        let started = |action| match action {
            Action::Start { cron_job, .. } => Some(cron_job),
            _ => None,
        };
        self.decide().actions.into_iter().filter_map(started).collect()
    }

    /// Does what is decided about CronJobs, as the API server would.
    pub(super) fn settle(&mut self) {
        for action in self.decide().actions {
            match action {
                Action::Make { manifest, name, .. } => {
                    let mut object = *manifest;
                    object["metadata"]["uid"] = json!(format!("uid-cron-{name}"));
                    self.cron_job(object);
                }
                Action::Change { name, spec, labels, adoption, .. } => {
                    if let Some(adoption) = &adoption {
                        self.note(&name, &adoption.annotations);
                    }
                    let mut cron_job = self.state.cron_jobs.get(&name).unwrap().clone();
                    if let Some(adoption) = adoption {
                        cron_job.owner = cron_job.left_by.take();
                        cron_job.owner.as_mut().unwrap().uid = adoption.owner.uid;
                    }
                    cron_job.digest = crate::runner::facts::digest(&spec, &labels);
                    self.state.cron_jobs.put(name, cron_job);
                }
                Action::Note { name, annotations, .. } => self.note(&name, &annotations),
                _ => {}
            }
        }
    }

    fn note(&mut self, name: &str, annotations: &Value) {
        let mut cron_job = self.state.cron_jobs.get(name).unwrap().clone();
        for (key, value) in annotations.as_object().unwrap() {
            match value.as_str() {
                Some(value) => cron_job.annotations.insert(key.clone(), value.to_owned()),
                None => cron_job.annotations.remove(key),
            };
        }
        self.state.cron_jobs.put(name.to_owned(), cron_job);
    }

    /// The status that a Backup is to have.
    pub(super) fn told(&self, backup: &str) -> Option<BackupStatus> {
        self.decide().actions.into_iter().find_map(|action| match action {
            Action::TellBackup { name, wish, .. } if name == backup => {
                wish.status(self.state.backups.get(backup).unwrap(), self.now)
            }
            _ => None,
        })
    }

    /// Changes a Restore.
    pub(super) fn edit_restore(&mut self, name: &str, change: impl FnOnce(&mut Restore)) {
        let mut restore = self.state.restores.get(name).unwrap().clone();
        change(&mut restore);
        self.state.restores.put(name.to_owned(), restore);
    }

    /// The status that a Restore is to have.
    pub(super) fn told_of_restore(&self, restore: &str) -> Option<RestoreStatus> {
        self.decide().actions.into_iter().find_map(|action| match action {
            Action::TellRestore { name, wish, .. } if name == restore => {
                wish.status(self.state.restores.get(restore).unwrap(), self.now)
            }
            _ => None,
        })
    }

    /// What `Ready` of a Backup is to say.
    pub(super) fn ready(&self, backup: &str) -> Option<String> {
        self.told(backup)?.conditions?.get("Ready")?.message.clone()
    }
}

/// A Job that failed at this time.
pub(super) fn failed(at: Timestamp) -> Outcome {
    Outcome::Failed { at, reason: "BackoffLimitExceeded".to_owned() }
}

#[test]
fn nothing_is_done_before_all_is_known() {
    let mut fixture = Fixture::new();
    fixture.consumer(1, 0, 1);
    assert_eq!(fixture.starts(), ["upload"]);
    fixture.state.charge = Charge::Unknown;
    assert_eq!(fixture.decide(), Decision::default());
    fixture.state.charge = Charge::Ours;
    fixture.state.jobs = crate::runner::state::Collection::default();
    assert_eq!(fixture.decide(), Decision::default());
}
