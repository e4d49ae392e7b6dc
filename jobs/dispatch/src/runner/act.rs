//! Doing what was decided. Each action may be done twice, and is begun again where it was cut off.

mod announce;

use std::collections::VecDeque;
use std::sync::Arc;

use drover::clock;
use drover::cluster::{ApiError, Events};
use drover::exit::{Chain, Failure};
use drover::resources::{Backup, Restore};
use drover::runs::{RunStore, set_backup_status};
use drover::status;
use k8s_openapi::api::batch::v1 as batch;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::decide::{Action, Adoption};
use super::facts::{CronJob, Job, stable};
use super::shared::Shared;

/// The field manager of all that is written here.
const MANAGER: &str = drover::job::name::DISPATCH;

/// Whoever does what was decided.
pub(crate) struct Actor {
    client: Client,
    shared: Arc<Shared>,
    events: Events,
    runs: RunStore,
    jobs: Api<DynamicObject>,
    cron_jobs: Api<DynamicObject>,
    /// Messages that NATS has not taken yet.
    unsent: VecDeque<drover::events::Event>,
}

impl Actor {
    pub(crate) fn new(client: Client, namespace: &str, identity: &str, shared: Arc<Shared>) -> Self {
        let api = |kind: &ApiResource| Api::namespaced_with(client.clone(), namespace, kind);
        Self {
            events: Events::new(client.clone(), MANAGER, identity),
            runs: RunStore::new(client.clone(), MANAGER),
            jobs: api(&ApiResource::erase::<batch::Job>(&())),
            cron_jobs: api(&ApiResource::erase::<batch::CronJob>(&())),
            unsent: VecDeque::new(),
            client,
            shared,
        }
    }

    /// Does one thing. What fails is decided upon anew, and is said once here.
    pub(crate) async fn act(&mut self, action: Action) {
        match action {
            Action::Start { cron_job, name, manifest } => self.start(&cron_job, &name, *manifest).await,
            Action::Delete { name, uid } => self.delete(&name, uid).await,
            Action::Make { name, manifest, digest } => self.make(&name, *manifest, &digest).await,
            Action::Change { name, uid, spec, labels, digest, adoption } => {
                let changed = self.change(&name, &uid, *spec, labels, adoption).await;
                self.conclude_cron_job(&name, changed, &digest);
            }
            Action::Note { name, uid, annotations } => self.note(&name, &uid, annotations).await,
            Action::TellBackup { name, uid, wish } => {
                let change = |backup: &Backup| {
                    let is_it = backup.uid().is_some_and(|other| other == uid);
                    is_it.then(|| wish.status(backup, clock::now())).flatten()
                };
                warn_of(set_backup_status(self.client.clone(), &name, MANAGER, change).await);
            }
            Action::TellRestore { name, uid, wish } => {
                let change = |restore: &Restore| {
                    let is_it = restore.uid().is_some_and(|other| other == uid);
                    is_it.then(|| wish.status(restore, clock::now())).flatten()
                };
                let restores: Api<Restore> = Api::all(self.client.clone());
                warn_of(status::update(&restores, &name, MANAGER, change).await.map(drop));
            }
            Action::Announce(death) => self.announce(death).await,
        }
    }

    /// Makes a Job. One of that name that is there already was made by the same decision.
    async fn start(&self, cron_job: &str, name: &str, manifest: Value) {
        let created = create(&self.jobs, manifest).await;
        let job = created.map(|job| job.try_parse::<batch::Job>().map(|job| Job::of(&job)).ok());
        match job {
            Ok(job) => {
                info!(cron_job, job = name, "started a Job");
                self.shared.change(|state| {
                    state.refusals.remove(cron_job);
                    // The watch may tell of it only after the next decision.
                    if let Some(job) = job {
                        state.jobs.put(name.to_owned(), job);
                        state.count_ends();
                    }
                });
            }
            Err(error) if error.code() == Some(409) => debug!(job = name, "the Job is there already"),
            Err(error) => self.refused(cron_job, name, "its Job", &error),
        }
    }

    /// Deletes a Job, and its pod with it. One that is gone, or that is another one by now, needs nothing.
    async fn delete(&self, name: &str, uid: String) {
        let parameters =
            DeleteParams::background().preconditions(Preconditions { uid: Some(uid), ..Preconditions::default() });
        match self.jobs.delete(name, &parameters).await.map_err(ApiError::from) {
            Ok(_) => info!(
                job = name,
                "deleted a Job that could not start, and that its CronJob would make otherwise by now"
            ),
            Err(error) if matches!(error.code(), Some(404 | 409)) => {}
            Err(error) => warn!(job = name, "failed to delete a Job that cannot start: {error}"),
        }
    }

    async fn make(&self, name: &str, manifest: Value, digest: &str) {
        match create(&self.cron_jobs, manifest).await {
            // Somebody was quicker: what it is the watch will tell.
            Err(error) if error.code() == Some(409) => debug!(cron_job = name, "the CronJob is there already"),
            made => self.conclude_cron_job(name, made.map(Some), digest),
        }
    }

    /// Changes spec and labels, and leaves what others noted.
    async fn change(
        &self,
        name: &str,
        uid: &str,
        spec: Value,
        labels: std::collections::BTreeMap<String, String>,
        adoption: Option<Box<Adoption>>,
    ) -> Result<Option<DynamicObject>, ApiError> {
        let Some(mut object) = self.cron_jobs.get_opt(name).await? else { return Ok(None) };
        if object.uid().as_deref() != Some(uid) {
            return Ok(None);
        }
        object.data["spec"] = spec;
        object.metadata.labels = Some(labels);
        if let Some(adoption) = adoption {
            // What somebody else owns by now is theirs.
            if !object.owner_references().is_empty() {
                return Ok(None);
            }
            adopt(&mut object, *adoption);
        }
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        Ok(Some(self.cron_jobs.replace(name, &parameters, &object).await?))
    }

    fn conclude_cron_job(&self, name: &str, written: Result<Option<DynamicObject>, ApiError>, digest: &str) {
        let object = match written {
            Ok(Some(object)) => object,
            Ok(None) => return,
            Err(error) if error.code() == Some(409) => {
                return debug!(cron_job = name, "somebody else wrote it: {error}");
            }
            Err(error) => return self.refused(name, "", &format!("the CronJob {name:?}"), &error),
        };
        let cron_job = CronJob::of(&object);
        info!(cron_job = name, "the CronJob is as its Backup and the template say");
        self.shared.change(|state| {
            state.refusals.remove(name);
            if cron_job.digest == digest {
                state.accepted.remove(&cron_job.uid);
            } else {
                warn!(cron_job = name, "something in the cluster changed what was written; it is left so");
                state.accepted.insert(cron_job.uid.clone(), (digest.to_owned(), cron_job.digest.clone()));
            }
            state.cron_jobs.put(name.to_owned(), cron_job);
        });
    }

    async fn note(&self, name: &str, uid: &str, annotations: Value) {
        // The UID goes along, so that another CronJob of that name is left alone.
        let patch = json!({ "metadata": { "uid": uid, "annotations": annotations } });
        let patched = self.cron_jobs.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        match patched.map_err(ApiError::from) {
            Ok(object) => self.shared.change(|state| state.cron_jobs.put(name.to_owned(), CronJob::of(&object))),
            Err(error) if matches!(error.code(), Some(404 | 409)) => {}
            Err(error) => warn!(cron_job = name, "failed to note the pause: {error}"),
        }
    }

    /// What the API server refuses to make is told on the Backup or Restore, and tried again after a growing pause. `job` is
    /// the Job's name, where it is one: another one is made the next time.
    fn refused(&self, cron_job: &str, job: &str, what: &str, error: &ApiError) {
        warn!(cron_job, job, "failed to write {what}: {error}");
        let is_refused = error.code().is_some_and(|code| (400..500).contains(&code) && code != 429);
        if is_refused {
            let message = stable(&format!("{what} was refused: {error}"), job, cron_job);
            self.shared.change(|state| state.refuse(cron_job, message, clock::now()));
        }
    }
}

fn adopt(object: &mut DynamicObject, Adoption { owner, annotations }: Adoption) {
    object.metadata.owner_references = Some(vec![owner]);
    for (name, value) in annotations.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(value) => object.annotations_mut().insert(name.clone(), value.to_owned()),
            None => object.annotations_mut().remove(name),
        };
    }
}

async fn create(api: &Api<DynamicObject>, manifest: Value) -> Result<DynamicObject, ApiError> {
    let object: DynamicObject = serde_json::from_value(manifest).map_err(kube::Error::SerdeError)?;
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    Ok(api.create(&parameters, &object).await?)
}

/// What is gone needs no status.
fn warn_of(outcome: Result<(), status::Error>) {
    match outcome {
        Err(error) if !error.is_gone() => warn!("{}", Chain(&error)),
        _ => {}
    }
}

/// A failure as a log line.
fn say<T>(outcome: Result<T, impl Into<Failure>>) -> Option<T> {
    outcome.map_err(|error| warn!("{}", error.into())).ok()
}
