//! Heartbeat monitors: each kind against a server that answers as that service documents, and monitors in every kind of
//! trouble.

mod audit;
mod hanging;
mod kinds;
mod lacking;
mod late;
mod shared;
mod trouble;
mod turns;
mod ways;

use std::path::PathBuf;

use drover_testbed::{Options, Service};
use drover_tests::{Job, SMALL_SET, Site, monitor_server as server};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams};

/// A ResourceSet that selects nothing, so that its Backups fail.
const EMPTY_SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: nothing}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^namespaces$, resourceNameRegexp: ^nothing$}
";

/// A cluster and NATS, with what the manifests bring for this job.
async fn start() -> Site {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    for set in [SMALL_SET, EMPTY_SET] {
        site.resource_set(set).await;
    }
    let metadata = ObjectMeta { name: Some("heartbeat-told".to_owned()), ..ObjectMeta::default() };
    let told = ConfigMap { metadata, ..ConfigMap::default() };
    told_maps(&site).patch("heartbeat-told", &PatchParams::apply("test"), &Patch::Apply(&told)).await.unwrap();
    site
}

fn told_maps(site: &Site) -> Api<ConfigMap> {
    Api::namespaced(site.client.clone(), drover::resources::DEFAULT_NAMESPACE)
}

/// The job, with these monitors.
fn heartbeat(site: &Site, monitors: &str) -> Job {
    let path: PathBuf = site.testbed.folder().join(format!("monitors-{}.yaml", uuid::Uuid::now_v7()));
    std::fs::write(&path, monitors).unwrap();
    site.job("heartbeat").environment("DROVER_MONITORS", path.to_str().unwrap())
}

fn drain(site: &Site, monitors: &str) -> Job {
    heartbeat(site, monitors).arguments(["--drain-only"])
}

async fn snapshot(site: &Site, backup: &str) {
    site.job("snapshot").arguments(["--backup", backup]).succeed().await;
}

/// The notes of all Events about Backups and Restores.
async fn notes(site: &Site) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(site.client.clone(), "default");
    let events = events.list(&ListParams::default()).await.unwrap().items;
    events.into_iter().filter_map(|event| event.note).collect()
}

/// Everything that people and programs of the cluster can read of what was told: Events, statuses, and the memory.
async fn readable(site: &Site) -> String {
    let mut all = notes(site).await.join("\n");
    for backup in site.backups().list(&ListParams::default()).await.unwrap() {
        all.push_str(&serde_json::to_string(&backup.status).unwrap());
        for run in site.runs(backup.metadata.name.as_deref().unwrap()).await {
            all.push_str(&serde_json::to_string(&run).unwrap());
        }
    }
    all.push_str(&serde_json::to_string(&told_maps(site).get("heartbeat-told").await.unwrap()).unwrap());
    all
}
