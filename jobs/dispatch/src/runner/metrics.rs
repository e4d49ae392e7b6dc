//! What Prometheus asks (`/metrics`): figures of every Backup, of the Restores and of the queue.
//!
//! They are read off what is known at the moment of the scrape, from runs and statuses, so that they also tell of Jobs which
//! are gone, and a runner that begins anew tells the same. Labels are names of Backups, of consumers, and words of fixed
//! sets; the names follow <https://prometheus.io/docs/practices/naming/>.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicU64;

use drover::clock::is_future;
use drover::conditions::{BLOCKED, PRUNED, READY, WHOLE, reason};
use drover::policy::Settings;
use drover::resources::{
    Backup, BackupRun, BackupRunStatus, BackupType, Condition, ConditionStatus, RunState, SnapshotStage, StageState,
    UploadStage,
};
use drover::runs::{History, begun_at, expected_at, status_of};
use jiff::Timestamp;
use kube::ResourceExt;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::facts::CronJob;
use super::state::{Charge, Known, Queue, State};

/// The content type of what is answered.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfBackup {
    backup: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfStage {
    backup: String,
    stage: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfFailure {
    backup: String,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfConsumer {
    consumer: String,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfState {
    state: &'static str,
}

type Figure<L> = Family<L, Gauge<f64, AtomicU64>>;

/// The stages at which a Backup can be failing, what keeps their Jobs from running, and what is neither.
const REASONS: [&str; 4] = ["snapshot", "upload", "blocked", "other"];

/// All figures at this moment, in the text format of OpenMetrics.
///
/// # Errors
/// When one of them cannot be written, which only a fault of this program brings about.
pub(crate) fn render(state: &State, now: Timestamp) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("drover");
    of_backups(state, now).register(&mut registry);
    of_restores(state, &mut registry);
    of_queue(state, &mut registry);
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The figures that there is one of for each Backup.
#[derive(Default)]
struct Backups {
    ready: Figure<OfBackup>,
    suspended: Figure<OfBackup>,
    failing: Figure<OfFailure>,
    whole: Figure<OfBackup>,
    last_success: Figure<OfBackup>,
    age: Figure<OfBackup>,
    due: Figure<OfBackup>,
    bytes: Figure<OfBackup>,
    objects: Figure<OfBackup>,
    duration: Figure<OfStage>,
    pruned: Figure<OfBackup>,
}

fn of_backups(state: &State, now: Timestamp) -> Backups {
    let figures = Backups::default();
    let mut runs: BTreeMap<&str, Vec<&BackupRun>> = BTreeMap::new();
    for run in state.runs.iter() {
        runs.entry(&run.spec.backup_uid).or_default().push(run);
    }
    for backup in state.lasting_backups() {
        let own = runs.remove(backup.metadata.uid.as_deref().unwrap_or_default()).unwrap_or_default();
        figures.tell(state, backup, &History::of(backup, own.into_iter().cloned()), now);
    }
    figures
}

impl Backups {
    fn tell(&self, state: &State, backup: &Backup, history: &History, now: Timestamp) {
        let of = || OfBackup { backup: backup.name_any() };
        let settings = state.settings.settings(backup);
        set(&self.ready, &of(), f64::from(backup.condition(READY).is_some_and(is_true)));
        set(&self.suspended, &of(), f64::from(settings.is_suspended()));
        let verified = history.last_verified();
        if let Some(begun) = verified.and_then(|run| begun_at(run, now)) {
            set(&self.last_success, &of(), seconds(begun));
            set(&self.age, &of(), seconds(now) - seconds(begun));
        }
        if let Some(run) = verified {
            self.tell_of_run(run);
        }
        if state.charge == Charge::Ours {
            self.tell_of_duties(backup, &settings, history, now);
        }
    }

    /// What is expected of drover: nothing while the Rancher backup operator is in charge.
    fn tell_of_duties(&self, backup: &Backup, settings: &Settings, history: &History, now: Timestamp) {
        let of = || OfBackup { backup: backup.name_any() };
        let failing = reason_of_failure(backup, settings, history);
        for reason in REASONS {
            let labels = OfFailure { backup: backup.name_any(), reason };
            set(&self.failing, &labels, f64::from(failing == Some(reason)));
        }
        if let Some(whole) = backup.condition(WHOLE) {
            set(&self.whole, &of(), f64::from(is_true(whole)));
        }
        if let Ok(Some(due)) = expected_at(backup, settings, history, now) {
            set(&self.due, &of(), seconds(due));
        }
        if let Some(at) = pruned_at(backup, history).filter(|at| !is_future(*at, now)) {
            set(&self.pruned, &of(), seconds(at));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    fn tell_of_run(&self, run: &BackupRun) {
        let backup = || run.spec.backup.clone();
        let status = status_of(run);
        let snapshot: SnapshotStage = status.snapshot.unwrap_or_default();
        let upload: UploadStage = status.upload.unwrap_or_default();
        set(&self.bytes, &OfBackup { backup: backup() }, snapshot.bytes as f64);
        set(&self.objects, &OfBackup { backup: backup() }, snapshot.objects as f64);
        let stages =
            [("snapshot", snapshot.started_at, snapshot.ended_at), ("upload", upload.started_at, upload.ended_at)];
        for (stage, started, ended) in stages {
            let at = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok()).map(seconds);
            if let (Some(started), Some(ended)) = (at(started), at(ended)) {
                set(&self.duration, &OfStage { backup: backup(), stage }, (ended - started).max(0.0));
            }
        }
    }

    fn register(self, registry: &mut Registry) {
        registry.register("backup_ready", "Whether the Backup is Ready", self.ready);
        registry.register("backup_suspended", "Whether a BackupPolicy suspends the Backup", self.suspended);
        let help =
            "Whether the Backup is failing, and at what; not told while the Rancher backup operator is in charge";
        registry.register("backup_failing", help, self.failing);
        let help = "Whether the newest archive of the Backup has all that it should, or what is gone was confirmed";
        registry.register("backup_whole", help, self.whole);
        let help = "When the newest verified archive was begun";
        registry.register("backup_last_success_timestamp_seconds", help, self.last_success);
        let help = "Age of the newest verified archive";
        registry.register_with_unit("backup_newest_verified_age", help, Unit::Seconds, self.age);
        let help = "When the next verified archive of the Backup is due, or has been since";
        registry.register("backup_due_timestamp_seconds", help, self.due);
        registry.register_with_unit("backup_size", "Size of the newest verified archive", Unit::Bytes, self.bytes);
        registry.register("backup_objects", "Objects in the newest verified archive", self.objects);
        let help = "How long a stage took for the newest verified archive, its last try";
        registry.register_with_unit("backup_stage_duration", help, Unit::Seconds, self.duration);
        let help =
            "When expired archives of the Backup were last looked for and nothing stood in the way, or when that ended";
        registry.register("backup_last_prune_timestamp_seconds", help, self.pruned);
    }
}

fn set<L: Clone + std::hash::Hash + Eq>(figure: &Figure<L>, labels: &L, value: f64) {
    figure.get_or_create(labels).set(value);
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

fn is_true(condition: &Condition) -> bool {
    condition.status == ConditionStatus::True
}

/// At what a Backup is failing: something failed since its newest verified archive, or keeps it from being made. The next
/// try alone does not change that, only its success.
fn reason_of_failure(backup: &Backup, settings: &Settings, history: &History) -> Option<&'static str> {
    let verified = history.last_verified().map_or(0, |run| run.spec.number);
    let since: Vec<_> = history.iter().filter(|run| run.spec.number > verified).map(status_of).collect();
    if settings.is_suspended() && since.iter().all(|status| status.state.is_final()) {
        return None;
    }
    let blocked = backup.condition(BLOCKED).filter(|blocked| is_true(blocked));
    let has_died = blocked.is_some_and(|blocked| blocked.reason.as_deref() == Some(reason::JOB_FAILED));
    let fails = |state: StageState, attempts: i64| {
        state == StageState::Failed || (state == StageState::InProgress && attempts > 1)
    };
    let at_upload = |status: &BackupRunStatus| status.upload.as_ref().is_some_and(|at| fails(at.state, at.attempts));
    let at_snapshot = |status: &BackupRunStatus| {
        status.snapshot.as_ref().is_some_and(|at| fails(at.state, at.attempts)) || status.state == RunState::Failed
    };
    if blocked.is_some() && !has_died {
        Some("blocked")
    } else if since.iter().any(at_upload) {
        Some("upload")
    } else if has_died || since.iter().any(at_snapshot) {
        Some("snapshot")
    } else {
        let is_refused = backup.condition(READY).is_some_and(|ready| ready.status == ConditionStatus::False);
        is_refused.then_some("other")
    }
}

/// When retention last stood well with a Backup: when nothing stood in the way of a look, or when that ended, or where there
/// was no look yet, when there was an archive. Of one-time Backups nothing expires.
fn pruned_at(backup: &Backup, history: &History) -> Option<Timestamp> {
    if backup.kind_of_backup() == BackupType::OneTime {
        return None;
    }
    let text = match backup.condition(PRUNED) {
        Some(pruned) if is_true(pruned) => pruned.last_update_time.clone(),
        Some(pruned) => pruned.last_transition_time.clone(),
        None => status_of(history.last_verified()?).ended_at,
    };
    text?.parse().ok()
}

fn of_restores(state: &State, registry: &mut Registry) {
    let mut counts = BTreeMap::from(["waiting", "completed", "failed"].map(|word| (word, 0.0)));
    for restore in state.restores.iter() {
        let is_ready = restore.conditions().is_some_and(|conditions| conditions.is_true(READY));
        let word = match (restore.has_ended(), is_ready) {
            (false, _) => "waiting",
            (true, true) => "completed",
            (true, false) => "failed",
        };
        *counts.entry(word).or_default() += 1.0;
    }
    let restores: Figure<OfState> = Figure::default();
    for (state, count) in counts {
        set(&restores, &OfState { state }, count);
    }
    registry.register("restores", "Restores that there are, by how they stand", restores);
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn of_queue(state: &State, registry: &mut Registry) {
    let up: Gauge<f64, AtomicU64> = Gauge::default();
    let messages: Figure<OfConsumer> = Figure::default();
    if let Queue::Known(Known { survey, .. }) = &state.queue {
        up.set(f64::from(survey.missing.is_empty()));
        // What nobody is to drain waits without end: all of it beside the operator, and the messages for heartbeat where that
        // component is not installed.
        let drained: BTreeSet<_> = state.cron_jobs.iter().filter_map(CronJob::consumer).collect();
        let drained = |consumer: &&String| state.charge == Charge::Ours && drained.contains(consumer.as_str());
        for (consumer, waiting) in survey.consumers.iter().filter(|(consumer, _)| drained(consumer)) {
            let of = |state| OfConsumer { consumer: consumer.clone(), state };
            set(&messages, &of("pending"), waiting.pending as f64);
            set(&messages, &of("in_flight"), waiting.in_flight as f64);
        }
    }
    registry.register("queue_up", "Whether NATS answers and has the queue", up);
    registry.register("queue_messages", "Messages that a consumer has to work on", messages);
    let in_charge: Gauge<f64, AtomicU64> = Gauge::default();
    in_charge.set(f64::from(state.charge == Charge::Ours));
    registry.register("in_charge", "Whether drover is in charge, and not the Rancher backup operator", in_charge);
}
