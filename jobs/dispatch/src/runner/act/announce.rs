use drover::clock;
use drover::cluster;
use drover::conditions::reason;
use drover::events::{Data, Event, Kind};
use drover::job::name::SNAPSHOT;
use drover::queue::RETENTION_PRUNE_CONSUMER;
use drover::resources::{Backup, BackupRun, Restore, RunState, StageState};
use drover::runs::report::pruned;
use drover::runs::{failed_event, set_backup_status, status_of};
use kube::{Resource, ResourceExt};
use tracing::warn;
use uuid::Uuid;

use super::{Actor, MANAGER, say, warn_of};
use crate::runner::decide::{Death, Victim};

/// The most messages that are kept for a NATS that is away; the statuses say the same.
const UNSENT_LIMIT: usize = 100;

impl Actor {
    /// Says that a Job died: in an Event on what it did not do, and in a message, for the monitors that listen.
    pub(super) async fn announce(&mut self, death: Death) {
        warn!(stage = death.stage, "{}", death.told());
        for victim in &death.victims {
            let event = match victim {
                Victim::Backup { name, run } => self.announce_backup(&death, name, run.as_deref()).await,
                Victim::Restore { name } => self.announce_restore(&death, name).await,
            };
            self.unsent.extend(event);
        }
        self.shared.change(|state| {
            let jobs: std::collections::BTreeSet<_> = state.jobs.iter().map(|job| job.uid.clone()).collect();
            state.announced.retain(|uid| jobs.contains(uid));
            state.announced.insert(death.job);
        });
    }

    /// Sends the messages that wait. What NATS does not take now it gets later.
    pub(crate) async fn send(&mut self) {
        let surplus = self.unsent.len().saturating_sub(UNSENT_LIMIT);
        self.unsent.drain(..surplus);
        while let Some(event) = self.unsent.front() {
            let Some(connection) = self.shared.connection() else { return };
            if say(connection.publish(event).await).is_none() {
                return;
            }
            self.unsent.pop_front();
        }
    }

    async fn announce_backup(&self, death: &Death, name: &str, run: Option<&str>) -> Option<Event> {
        let backup = say(cluster::find::<Backup>(&self.client, name).await)??;
        let run = match run {
            Some(run) => say(self.runs.find(run).await)?,
            None => None,
        };
        if run.as_ref().is_some_and(|run| has_gone_on(run, &death.stage)) {
            return None;
        }
        self.events.warning(&backup, reason::JOB_FAILED, death.told()).await;
        if death.stage == RETENTION_PRUNE_CONSUMER {
            let change = |backup: &Backup| Some(pruned(backup, false, reason::JOB_FAILED, &death.words, clock::now()));
            warn_of(set_backup_status(self.client.clone(), name, MANAGER, change).await);
        }
        Some(match run {
            Some(run) => of_run(death, &run),
            None => of_job(death, Kind::BackupFailed, name, &backup.uid().unwrap_or_default(), &death.job),
        })
    }

    async fn announce_restore(&self, death: &Death, name: &str) -> Option<Event> {
        let restore = say(cluster::find::<Restore>(&self.client, name).await)??;
        if restore.has_ended() {
            return None;
        }
        self.events.warning(&restore, reason::JOB_FAILED, death.told()).await;
        let uid = restore.meta().uid.clone().unwrap_or_default();
        Some(of_job(death, Kind::RestoreFailed, name, &uid, &uid))
    }
}

/// Whether the run says by itself by now how that stage ended.
fn has_gone_on(run: &BackupRun, stage: &str) -> bool {
    let status = status_of(run);
    let is_taken = status.snapshot.is_some_and(|snapshot| snapshot.state == StageState::Completed);
    matches!(status.state, RunState::Completed | RunState::Failed) || (stage == SNAPSHOT && is_taken)
}

fn of_run(death: &Death, run: &BackupRun) -> Event {
    let status = status_of(run);
    let attempts = match death.stage.as_str() {
        SNAPSHOT => status.snapshot.unwrap_or_default().attempts,
        _ => status.upload.unwrap_or_default().attempts,
    };
    let mut event = failed_event(&death.stage, run, attempts, &death.told());
    event.source = format!("drover/{MANAGER}");
    event
}

/// The message about what has no run: the id of the Job, or of the Restore, stands for it.
fn of_job(death: &Death, kind: Kind, name: &str, uid: &str, run: &str) -> Event {
    let data = Data {
        name: name.to_owned(),
        uid: uid.to_owned(),
        run: Uuid::parse_str(run).unwrap_or_default(),
        stage: Some(death.stage.clone()),
        attempt: Some(1),
        reason: Some(death.told()),
        ..Data::default()
    };
    Event::new(kind, MANAGER, clock::now(), data)
}
