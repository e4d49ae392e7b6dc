//! The watches of the cluster. Each keeps its collection as the API server says, through broken connections and restarts
//! of the API server.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;
use drover::annotations::is_ours;
use drover::exit::Chain;
use drover::labels::JOB_NAME_LABEL;
use drover::resources::{Backup, BackupPolicy, BackupRun, Restore};
use futures::StreamExt;
use k8s_openapi::api::batch::v1::{CronJob as CronJobObject, Job as JobObject};
use k8s_openapi::api::core::v1::{Event as EventObject, Pod as PodObject};
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, ExponentialBackoff, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::facts::{CronJob, Event, Job, Pod};
use super::shared::Shared;
use super::state::{Collection, State};

/// Objects asked for at once.
const PAGE: u32 = 100;

/// Seconds after which the server ends a watch and the next one goes on: less than the client waits for a byte of a
/// connection, since nothing may happen for long, and few, since a connection that died silently is noticed only then.
const WATCH_SECONDS: u32 = 60;

/// Pauses between tries of a watch that fails: short, for an API server that was restarted is back within seconds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Starts all watches.
pub(crate) fn start(client: &Client, namespace: &str, shared: &Arc<Shared>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let all = || Config::default().page_size(PAGE).timeout(WATCH_SECONDS);
    tasks.spawn(follow(Api::all(client.clone()), all(), Watched::backups(), Arc::clone(shared)));
    tasks.spawn(follow(Api::all(client.clone()), all(), Watched::restores(), Arc::clone(shared)));
    tasks.spawn(follow(Api::all(client.clone()), all(), Watched::runs(), Arc::clone(shared)));
    tasks.spawn(follow(Api::all(client.clone()), all(), Watched::policies(), Arc::clone(shared)));
    let kind = ApiResource::erase::<CronJobObject>(&());
    let cron_jobs = Api::namespaced_with(client.clone(), namespace, &kind);
    tasks.spawn(follow(cron_jobs, all(), Watched::cron_jobs(), Arc::clone(shared)));
    tasks.spawn(follow(Api::namespaced(client.clone(), namespace), all(), Watched::jobs(), Arc::clone(shared)));
    let pods = all().labels(JOB_NAME_LABEL);
    tasks.spawn(follow(Api::namespaced(client.clone(), namespace), pods, Watched::pods(), Arc::clone(shared)));
    let warnings = all().fields("type=Warning");
    tasks.spawn(follow(Api::namespaced(client.clone(), namespace), warnings, Watched::events(), Arc::clone(shared)));
    tasks
}

/// How the objects of one watch are kept.
struct Watched<K, T> {
    what: &'static str,
    /// What is kept of an object; nothing of one that says nothing here.
    keep: fn(K) -> Option<T>,
    collection: fn(&mut State) -> &mut Collection<T>,
    /// What follows from a change.
    after: fn(&mut State),
    /// Whether a type that is not installed has no objects, rather than being waited for.
    is_optional: bool,
}

impl Watched<Backup, Backup> {
    fn backups() -> Self {
        Self::new("Backups", |backup| Some(lean_backup(backup)), |state| &mut state.backups)
    }
}

impl Watched<Restore, Restore> {
    fn restores() -> Self {
        Self::new("Restores", |restore| Some(lean(restore)), |state| &mut state.restores)
    }
}

impl Watched<BackupRun, BackupRun> {
    fn runs() -> Self {
        Self::new("BackupRuns", |run| Some(lean(run)), |state| &mut state.runs)
    }
}

impl Watched<BackupPolicy, BackupPolicy> {
    fn policies() -> Self {
        let policies = Self::new("BackupPolicies", |policy| Some(lean(policy)), |state| &mut state.policies);
        Self { after: State::read_policies, is_optional: true, ..policies }
    }
}

impl Watched<DynamicObject, CronJob> {
    fn cron_jobs() -> Self {
        Self::new("CronJobs", |object| Some(CronJob::of(&object)), |state| &mut state.cron_jobs)
    }
}

impl Watched<JobObject, Job> {
    fn jobs() -> Self {
        let jobs = Self::new("Jobs", |job| Some(Job::of(&job)), |state| &mut state.jobs);
        Self { after: State::count_ends, ..jobs }
    }
}

impl Watched<PodObject, Pod> {
    fn pods() -> Self {
        Self::new("Pods", |pod| Some(Pod::of(&pod)), |state| &mut state.pods)
    }
}

impl Watched<EventObject, Event> {
    fn events() -> Self {
        Self::new("Events", Event::of, |state| &mut state.events)
    }
}

impl<K, T> Watched<K, T> {
    fn new(what: &'static str, keep: fn(K) -> Option<T>, collection: fn(&mut State) -> &mut Collection<T>) -> Self {
        Self { what, keep, collection, after: |_| (), is_optional: false }
    }
}

/// An object without what no decision needs.
fn lean<K: Resource>(mut object: K) -> K {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    metadata.annotations = None;
    metadata.labels = None;
    metadata.owner_references = None;
    object
}

/// The same of a Backup, with drover's own annotations: what they allow, and whether all of them are known.
fn lean_backup(mut backup: Backup) -> Backup {
    let mut annotations = backup.metadata.annotations.take();
    if let Some(annotations) = &mut annotations {
        annotations.retain(|name, _| is_ours(name));
    }
    let mut backup = lean(backup);
    backup.metadata.annotations = annotations;
    backup
}

async fn follow<K, T>(api: Api<K>, config: Config, watched: Watched<K, T>, shared: Arc<Shared>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let pauses = ExponentialBuilder::default().with_min_delay(SHORTEST_PAUSE).with_max_delay(LONGEST_PAUSE);
    let pauses = ExponentialBackoff::from(pauses.with_jitter().without_max_times());
    let mut changes = watcher(api, config).backoff(pauses).boxed();
    let mut is_failing = false;
    while let Some(change) = changes.next().await {
        match change {
            Ok(change) => {
                if is_failing {
                    info!("watching {} again", watched.what);
                }
                is_failing = false;
                shared.change(|state| apply(state, &watched, change));
            }
            Err(error) => {
                if watched.is_optional && is_not_installed(&error) {
                    shared.change(|state| apply_empty(state, &watched));
                } else if !is_failing {
                    warn!("failed to watch {}, trying again: {}", watched.what, Chain(&error));
                }
                is_failing = true;
            }
        }
    }
}

fn apply<K: ResourceExt, T>(state: &mut State, watched: &Watched<K, T>, change: watcher::Event<K>) {
    let collection = (watched.collection)(state);
    match change {
        watcher::Event::Init => collection.begin(),
        watcher::Event::InitApply(object) => {
            let name = object.name_any();
            if let Some(item) = (watched.keep)(object) {
                collection.list(name, item);
            }
            return;
        }
        watcher::Event::InitDone => collection.end(),
        watcher::Event::Apply(object) => {
            let name = object.name_any();
            let Some(item) = (watched.keep)(object) else { return };
            collection.put(name, item);
        }
        watcher::Event::Delete(object) => collection.remove(&object.name_any()),
    }
    (watched.after)(state);
}

fn apply_empty<K, T>(state: &mut State, watched: &Watched<K, T>) {
    let collection = (watched.collection)(state);
    collection.begin();
    collection.end();
    (watched.after)(state);
}

fn is_not_installed(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use drover::annotations::ALLOW_ANNOTATION;
    use drover::resources::BackupSpec;

    use super::*;

    #[test]
    fn what_a_backup_says_to_drover_is_kept_and_nothing_else_of_its_annotations() {
        let mut backup = Backup::new("daily", BackupSpec::default());
        backup.labels_mut().insert("a".to_owned(), "b".to_owned());
        for name in [ALLOW_ANNOTATION, "drover.dev/alow", "kubectl.kubernetes.io/last-applied-configuration"] {
            backup.annotations_mut().insert(name.to_owned(), "missing-types".to_owned());
        }
        let lean = lean_backup(backup);
        assert_eq!(lean.annotations().keys().collect::<Vec<_>>(), [ALLOW_ANNOTATION, "drover.dev/alow"]);
        assert!(lean.labels().is_empty());
    }
}
