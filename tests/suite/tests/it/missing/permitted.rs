use std::collections::BTreeMap;

use drover::encryption::CONFIGURATION_KEY;
use drover::resources::{BackupSpec, DEFAULT_NAMESPACE, RunState};
use drover::runs::status_of;
use drover_testbed::aggregated::AggregatedApi;
use drover_testbed::{Options, Service};
use drover_tests::{Job, message};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1 as batch;
use kube::ResourceExt;

use super::*;
use crate::dispatch::{Dispatch, template};
use crate::kubectl;
use crate::manifests::built::root;

const GROUP: &str = "by-name.example.io";

const BACKUP: &str = "named";

const KEYS: &str = "named-keys";

/// After how many failures in a row a pause is longer than anything else takes here.
const FAILURES: usize = 4;

/// The pause after them.
const PAUSE: SignedDuration = SignedDuration::from_secs(80);

/// The job has the rights of the manifests, and all that it asks for by name is among them but this type.
#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_is_only_read_by_name_is_named_with_its_cluster_role_and_archived_once_that_is_there() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    let _server = api_without_lists(&site).await;
    let kubeconfig = rights_of_the_manifests(&site).await;
    let snapshot = || snapshot(&site, &kubeconfig);
    make_backup(&site).await;

    let refused = snapshot().arguments(["--backup", BACKUP]).end_with(64).await;
    assert!(refused.log.contains(&format!("failed to get \"things.{GROUP}\"")), "{}", refused.log);
    let ready = message(site.backup_status(BACKUP).await.conditions.as_ref(), "Ready");
    let commands = commands(&ready);
    allow_missing_types(&site, true).await;
    snapshot().arguments(["--backup", BACKUP]).succeed().await;
    let whole = message(site.backup_status(BACKUP).await.conditions.as_ref(), "Whole");
    assert_eq!(self::commands(&whole), commands);
    allow_missing_types(&site, false).await;

    let paused = fail_until_it_pauses(&site, &kubeconfig).await;
    let _dispatch = dispatch(&site).await;
    assert!(jobs_of_backup(&site).await.is_empty(), "it pauses");
    for command in &commands {
        // kubectl knows the type a moment after the API server does.
        let command: Vec<_> = command.split(' ').skip(1).collect();
        until("the command is obeyed", async || site.testbed.kubectl(&command).await.is_ok()).await;
    }
    until("the right is there", async || may_get_things(&site).await).await;
    until("dispatch has it tried again", async || !jobs_of_backup(&site).await.is_empty()).await;
    let begun = jobs_of_backup(&site).await[0].creation_timestamp().unwrap().0;
    assert!(begun < paused, "{begun} is behind the pause, which ends at {paused}");
    // Nobody asks for it by name: it is due.
    snapshot().succeed().await;
    let runs = site.runs(BACKUP).await;
    let stages: Vec<_> = runs.iter().map(|run| (status_of(run).state, status_of(run).snapshot.unwrap())).collect();
    let things = format!("things.{GROUP}");
    assert_eq!(stages[0].0, RunState::Failed);
    assert_eq!(stages[1].1.missing_types, [things.as_str()]);
    let (_, last) = stages.last().unwrap();
    assert_eq!((stages.len(), last.types.get(&things)), (2 + FAILURES + 1, Some(&1)), "{stages:?}");
    site.testbed.shutdown().await;
}

/// An aggregated API with a type that has no `list`.
async fn api_without_lists(site: &Site) -> AggregatedApi {
    let version = format!("{GROUP}/v1");
    let things =
        json!({"name": "things", "singularName": "thing", "namespaced": false, "kind": "Thing", "verbs": ["get"]});
    let types = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [things]});
    let mut one = thing(&version, "one");
    one["metadata"]["uid"] = json!("5e7e6c4e-0000-4000-8000-000000000001");
    let path = format!("/apis/{version}");
    let answers = BTreeMap::from([(format!("{path}/things/one"), one), (path.clone(), types)]);
    let server = AggregatedApi::start(answers).await.unwrap();
    for object in server.registration(GROUP, "v1") {
        make(site, &object).await;
    }
    until("its API is served", async || is_served(site, &path).await).await;
    server
}

/// Gives a kubeconfig of the job's own ServiceAccount, with the rights of the manifests.
async fn rights_of_the_manifests(site: &Site) -> PathBuf {
    for file in ["snapshot/rights.yaml", "common/secrets.yaml"] {
        let file = root().join("manifests").join(file);
        kubectl::on(site, &["apply", "-f", file.to_str().unwrap()]).await;
    }
    let text = std::fs::read_to_string(site.testbed.kubeconfig().unwrap()).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["as"] = json!(format!("system:serviceaccount:{DEFAULT_NAMESPACE}:drover-snapshot"));
    let path = site.testbed.folder().join("snapshot.kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    path
}

/// The job as in a pod.
fn snapshot(site: &Site, kubeconfig: &Path) -> Job {
    let job = site.job("snapshot").environment("KUBECONFIG", kubeconfig.to_str().unwrap());
    job.environment("DROVER_POD_NAME", "snapshot-1")
}

/// Has the Backup fail for the lack of the right until the next try is far away, and gives when it is.
async fn fail_until_it_pauses(site: &Site, kubeconfig: &Path) -> Timestamp {
    for _ in 0..FAILURES {
        snapshot(site, kubeconfig).arguments(["--backup", BACKUP]).end_with(64).await;
    }
    let failed = status_of(site.runs(BACKUP).await.last().unwrap());
    let right = failed.snapshot.unwrap().missing_right;
    assert_eq!(right, Some(format!("get things.{GROUP}")));
    failed.ended_at.unwrap().parse::<Timestamp>().unwrap() + PAUSE
}

/// A runner that has made the Backup's CronJob, and so has decided that it pauses.
async fn dispatch(site: &Site) -> Dispatch {
    let cron_jobs: Api<batch::CronJob> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    let parameters = PatchParams::apply("test").force();
    cron_jobs.patch("snapshot", &parameters, &Patch::Apply(&template("snapshot"))).await.unwrap();
    let dispatch = Dispatch::start(&site.testbed).await;
    let told = async || {
        let conditions = site.backup_status(BACKUP).await.conditions;
        message(conditions.as_ref(), "Reconciling").contains("; the next try begins at ")
    };
    until("the pause is told", told).await;
    dispatch
}

/// The Jobs that the runner made, which nobody runs.
async fn jobs_of_backup(site: &Site) -> Vec<batch::Job> {
    let jobs: Api<batch::Job> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    jobs.list(&ListParams::default()).await.unwrap().items
}

async fn make_backup(site: &Site) {
    let things = json!({"apiVersion": format!("{GROUP}/v1"), "kindsRegexp": "^things$", "resourceNames": ["one"]});
    site.resource_set(&set("named", &[things]).to_string()).await;
    let provider =
        json!({"aescbc": {"keys": [{"name": "k", "secret": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}});
    let configuration = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [provider]}]});
    site.secret(KEYS, &[(CONFIGURATION_KEY, &configuration.to_string())]).await;
    let spec = BackupSpec {
        resource_set_name: "named".to_owned(),
        encryption_config_secret_name: Some(KEYS.to_owned()),
        ..BackupSpec::default()
    };
    site.make_backup(BACKUP, spec).await;
}

/// The commands that a message ends a reason with.
fn commands(message: &str) -> Vec<String> {
    let begun = message.split("to allow it, run \"").nth(1).unwrap_or_else(|| panic!("no command: {message}"));
    let (commands, _) = begun.split_once('"').unwrap();
    let commands: Vec<_> = commands.split(" && ").map(str::to_owned).collect();
    assert!(commands.len() == 2 && commands.iter().all(|command| command.starts_with("kubectl create clusterrole")));
    commands
}

async fn allow_missing_types(site: &Site, are_allowed: bool) {
    let word = are_allowed.then_some("missing-types");
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"drover.dev/allow": word}}}));
    site.backups().patch(BACKUP, &PatchParams::default(), &patch).await.unwrap();
}

async fn may_get_things(site: &Site) -> bool {
    let user = format!("--as=system:serviceaccount:{DEFAULT_NAMESPACE}:drover-snapshot");
    site.testbed.kubectl(&["auth", "can-i", "get", &format!("things.{GROUP}"), &user]).await.is_ok()
}
