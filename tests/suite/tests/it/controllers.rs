//! The controllers that a Restore holds down: their counts outlive every end that the job and the Restore can have.
//!
//! No controllers run in this cluster, so a Deployment makes no pods unless the test does, and nothing but the jobs
//! writes.

mod watched;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use drover::annotations::REPLICAS_ANNOTATION as ANNOTATION;
use drover::archive::{Key, Writer};
use drover::labels::SCALED_DOWN_BY_LABEL as LABEL;
use drover::lease::{Acquired, Holder, RESTORES, Settings, Wait};
use drover::resources::{DEFAULT_NAMESPACE, Restore};
use drover_testbed::proxy::{Held, Proxy};
use drover_testbed::{Options, Service, prepare, rancher};
use drover_tests::{Finished, Job, Running, Site, message};
use futures::future::join_all;
use http::{Method, StatusCode};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::nats::until;

/// Where everything is that is restored.
const HOME: &str = "cattle-system";
const ARCHIVE: &str = "thirty.tar.gz";

/// The ConfigMaps of the archive; the 30th object is a controller.
const MAPS: usize = 29;

/// A controller that the archive does not hold, and its count.
const RANCHER: (&str, i32) = ("rancher", 3);
/// One that it holds: its count before, and in the archive.
const PROXY: (&str, i32, i32) = ("proxy", 2, 5);

struct Scene {
    site: Site,
    proxy: Proxy,
}

impl Scene {
    async fn start() -> Self {
        let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
        prepare::make_namespace(&site.client, HOME).await.unwrap();
        for (name, replicas) in [RANCHER, (PROXY.0, PROXY.1)] {
            rancher::make(&site.client, &deployment(name, replicas)).await.unwrap();
        }
        let proxy = Proxy::start(&site.testbed).await.unwrap();
        let scene = Self { site, proxy };
        scene.write_archive().await;
        scene
    }

    /// Written as drover writes it, with the ResourceSet that names both controllers.
    async fn write_archive(&self) {
        let mut archived = serde_json::to_value(self.deployments().get(PROXY.0).await.unwrap()).unwrap();
        (archived["spec"]["replicas"], archived["spec"]["minReadySeconds"]) = (json!(PROXY.2), json!(7));
        archived["metadata"] = json!({"name": PROXY.0, "namespace": HOME});
        (archived["apiVersion"], archived["kind"]) = (json!("apps/v1"), json!("Deployment"));
        let file = std::fs::File::create(self.site.folder().join(ARCHIVE)).unwrap();
        let mut writer = Writer::new(file, jiff::Timestamp::UNIX_EPOCH);
        for index in 0..MAPS {
            let (name, object) = config_map(index);
            let key = Key::from_path(&format!("configmaps.#v1/{HOME}/{name}.json")).unwrap();
            writer.append(&key, object.to_string().as_bytes()).unwrap();
        }
        let key = Key::from_path(&format!("deployments.apps#v1/{HOME}/{}.json", PROXY.0)).unwrap();
        writer.append(&key, archived.to_string().as_bytes()).unwrap();
        writer.resource_set(resource_set().to_string().as_bytes()).unwrap();
        writer.finish().unwrap();
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.site.client.clone(), HOME)
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.site.client.clone(), HOME)
    }

    /// The state in which all of the archive has something to do: maps are missing or changed, and the counts are others.
    async fn damage(&self) {
        let maps = &self.maps();
        let damaged = (0..MAPS).map(async |index| {
            let (name, mut object) = config_map(index);
            if index % 2 == 0 {
                drop(maps.delete(&name, &DeleteParams::default()).await);
            } else {
                object["data"]["key"] = json!("damaged");
                maps.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await.unwrap();
            }
        });
        join_all(damaged).await;
        let changed = Patch::Merge(json!({"spec": {"replicas": PROXY.1, "minReadySeconds": 1}}));
        self.deployments().patch(PROXY.0, &PatchParams::default(), &changed).await.unwrap();
    }

    /// The job, one request after the other, through the proxy.
    fn job(&self) -> Job {
        let kubeconfig = self.proxy.kubeconfig();
        let job = self.site.job("restore").environment("KUBECONFIG", kubeconfig.to_str().unwrap());
        job.environment("DROVER_CONCURRENCY", "1").environment("DROVER_LEASE_SECONDS", "15")
    }

    /// Starts the job and kills it right after its so many-th write.
    async fn kill_after(&self, writes: usize) -> Finished {
        let held = self.proxy.hold_after(writes);
        self.job().start().kill_when(held.reached()).await
    }

    /// The holder of the Lease is dead: what waiting for that costs is tested elsewhere.
    async fn bury(&self) {
        let leases: Api<Lease> = Api::namespaced(self.site.client.clone(), DEFAULT_NAMESPACE);
        drop(leases.delete(RESTORES, &DeleteParams::default()).await);
    }

    async fn restore(&self, name: &str) -> Restore {
        self.site.restore(name, ARCHIVE, None).await
    }

    async fn delete(&self, name: &str) {
        self.site.restores().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// The count of a controller, and, while it is held down, who holds it and the count that it gets back.
    async fn noted(&self, name: &str) -> (i32, Option<(String, String)>) {
        let live = self.deployments().get(name).await.unwrap();
        let noted = live.labels().get(LABEL).cloned().zip(live.annotations().get(ANNOTATION).cloned());
        (live.spec.unwrap().replicas.unwrap(), noted)
    }

    /// The count that a controller has or gets back, whatever has been killed.
    async fn count(&self, name: &str) -> i32 {
        match self.noted(name).await {
            (replicas, None) => replicas,
            (_, Some((_, noted))) => noted.parse().unwrap(),
        }
    }

    async fn counts_are_known(&self) {
        assert_eq!(self.count(RANCHER.0).await, RANCHER.1);
        let count = self.count(PROXY.0).await;
        assert!(count == PROXY.1 || count == PROXY.2, "{count}");
    }

    /// Nothing is held down; the count of the controller that the archive holds is one of these.
    async fn all_are_up(&self, counts: &[i32]) {
        assert_eq!(self.noted(RANCHER.0).await, (RANCHER.1, None));
        let (count, noted) = self.noted(PROXY.0).await;
        assert!(counts.contains(&count) && noted.is_none(), "{count} {noted:?}");
    }

    async fn is_restored(&self) {
        self.all_are_up(&[PROXY.2]).await;
        let held = self.deployments().get(PROXY.0).await.unwrap();
        assert_eq!(held.spec.unwrap().min_ready_seconds, Some(7));
        let live = self.maps().list(&ListParams::default()).await.unwrap().items;
        let equal = live.iter().filter(|map| map.data.as_ref().is_some_and(|data| data["key"] == map.name_any()));
        assert_eq!((live.len(), equal.count()), (MAPS, MAPS));
    }

    /// How many maps the restore has not come to.
    async fn damaged(&self) -> usize {
        let live = self.maps().list(&ListParams::default()).await.unwrap().items;
        MAPS - live.iter().filter(|map| map.data.as_ref().is_some_and(|data| data["key"] == map.name_any())).count()
    }
}

fn deployment(name: &str, replicas: i32) -> Value {
    let labels = json!({"app": name});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": HOME},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    })
}

fn config_map(index: usize) -> (String, Value) {
    let name = format!("map-{index}");
    let metadata = json!({"name": name, "namespace": HOME});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": name}});
    (name, object)
}

fn resource_set() -> Value {
    let reference =
        |name: &str| json!({"apiVersion": "apps/v1", "resource": "deployments", "namespace": HOME, "name": name});
    json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
        "resourceSelectors": [], "controllerReferences": [reference(RANCHER.0), reference(PROXY.0)]})
}

/// SIGKILL, by its number.
const SIGKILL: i32 = 9;

/// Each single write of a restore of 30 objects is the last one of a job that is killed then. Where the Restore is still
/// there, the next job goes on; where it was deleted, the next job puts the counts back.
#[tokio::test(flavor = "multi_thread")]
async fn counts_survive_a_kill_after_every_single_write() {
    let (scene, begun) = (Scene::start().await, Instant::now());
    let mut kills = 0;
    for writes in 1.. {
        scene.damage().await;
        scene.restore("goes-on").await;
        let killed = scene.kill_after(writes).await;
        if killed.status.signal() != Some(SIGKILL) {
            assert_eq!(killed.code, 0, "{}", killed.log);
            scene.is_restored().await;
            break;
        }
        kills += 1;
        scene.counts_are_known().await;
        scene.bury().await;
        let next = scene.site.job("restore").succeed().await;
        let status = scene.site.restore_status("goes-on").await;
        assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed", "after {writes}: {}", next.log);
        scene.is_restored().await;
        scene.delete("goes-on").await;

        if is_like_its_neighbours(writes) {
            continue;
        }
        scene.damage().await;
        scene.restore("is-deleted").await;
        scene.kill_after(writes).await;
        scene.delete("is-deleted").await;
        scene.bury().await;
        scene.site.job("restore").succeed().await;
        scene.all_are_up(&[PROXY.1, PROXY.2]).await;
    }
    eprintln!("{kills} kills in {:?}", begun.elapsed());
    // The Lease, the status, two Events; two scaled down, an Event, 30 objects, two back, an Event; the report, an Event, the
    // status, the Lease. The status of a slow machine tells its progress, too.
    assert!(kills >= 44, "{kills}");
    killed_while_it_puts_back(&scene).await;
    scene.site.testbed.shutdown().await;
}

/// Between the writes of two objects nothing that concerns a deleted Restore changes: of those every fifth is enough, to
/// keep this below 90 s on two busy cores. The long run (`DROVER_TEST_KILLS`) takes all.
fn is_like_its_neighbours(writes: usize) -> bool {
    let is_long_run = std::env::var_os("DROVER_TEST_KILLS").is_some();
    (10..37).contains(&writes) && !writes.is_multiple_of(5) && !is_long_run
}

/// Whoever puts back is killed in the middle, too.
async fn killed_while_it_puts_back(scene: &Scene) {
    scene.damage().await;
    scene.restore("deleted").await;
    // The Lease, the status, two Events, two scaled down, an Event, and the first object.
    scene.kill_after(8).await;
    assert_eq!((scene.noted(RANCHER.0).await.0, scene.noted(PROXY.0).await.0), (0, 0));
    scene.delete("deleted").await;
    for writes in 1..=3 {
        scene.bury().await;
        let killed = scene.kill_after(writes).await;
        assert_eq!(killed.status.signal(), Some(SIGKILL), "{}", killed.log);
        scene.counts_are_known().await;
    }
    scene.bury().await;
    scene.site.job("restore").succeed().await;
    scene.all_are_up(&[PROXY.1]).await;
    let idle = scene.site.job("restore").succeed().await;
    assert!(idle.log.contains("nothing to do: no Restore waits"), "{}", idle.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_deleted_while_it_runs_stops_and_leaves_nothing_down() {
    let scene = Scene::start().await;
    deleted_between_writes(&scene).await;
    deleted_while_pods_are_waited_for(&scene).await;
    a_restore_that_still_waits_holds_nothing_down(&scene).await;
    the_command_line_takes_the_lease(&scene).await;
    scene.site.testbed.shutdown().await;
}

/// Whether the job has looked for the Restore since it was deleted.
fn has_noticed(scene: &Scene, name: &str) -> bool {
    scene.proxy.answered().iter().any(|answered| {
        answered.method == Method::GET
            && answered.status == StatusCode::NOT_FOUND
            && answered.path.ends_with(&format!("/restores/{name}"))
    })
}

/// Starts the job, deletes the Restore after its so many-th write, and lets the job go on.
async fn delete_after(scene: &Scene, name: &str, writes: usize, notices: bool) -> Finished {
    scene.damage().await;
    scene.restore(name).await;
    let held: Held = scene.proxy.hold_after(writes);
    let running: Running = scene.job().start();
    held.reached().await;
    scene.delete(name).await;
    if notices {
        until("the job notices", async || has_noticed(scene, name)).await;
    }
    held.go_on();
    running.wait().await
}

async fn deleted_between_writes(scene: &Scene) {
    // Before it begins, as it begins, while controllers are scaled down, while objects are written, as they are put back.
    for (writes, notices) in [(1, false), (2, false), (5, true), (6, true), (10, true), (38, false)] {
        let finished = delete_after(scene, "deleted", writes, notices).await;
        assert_eq!(finished.code, 0, "after {writes} writes: {}", finished.log);
        scene.all_are_up(&[PROXY.1, PROXY.2]).await;
        if notices {
            assert!(finished.log.contains("was deleted while it ran"), "after {writes} writes: {}", finished.log);
            assert!(scene.damaged().await > MAPS / 2, "after {writes} writes: {}", finished.log);
        }
    }
}

async fn deleted_while_pods_are_waited_for(scene: &Scene) {
    scene.make_pod().await;
    scene.damage().await;
    scene.restore("waits").await;
    let running = scene.job().start();
    let words = "waits for pods of deployments.apps \"cattle-system/rancher\" (kubectl ";
    until("it says for what it waits", async || {
        let status = scene.site.restore_status("waits").await;
        message(status.conditions.as_ref(), "Ready").contains(words)
    })
    .await;
    scene.delete("waits").await;
    let finished = running.wait().await;
    assert_eq!(finished.code, 0, "{}", finished.log);
    assert!(finished.log.contains("was deleted while it ran"), "{}", finished.log);
    scene.all_are_up(&[PROXY.1]).await;

    // Without being deleted it names the controller, the log names the pod, and it waits for another try.
    scene.restore("names").await;
    let finished = scene.job().environment("DROVER_PODS_SECONDS", "1").end_with(69).await;
    assert!(finished.log.contains("pod \"cattle-system/rancher-1\""), "{}", finished.log);
    let status = scene.site.restore_status("names").await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.contains("pods of deployments.apps \"cattle-system/rancher\" (kubectl "), "{ready}");
    assert!(!ready.contains("rancher-1"), "{ready}");
    assert_eq!((status.restore_completion_ts, scene.damaged().await), (None, MAPS));
    scene.all_are_up(&[PROXY.1]).await;
    scene.delete_pod().await;
    scene.site.job("restore").succeed().await;
    scene.is_restored().await;
    scene.delete("names").await;
}

/// It was killed, and its next try does not come as far as to the controllers: they are put back all the same.
async fn a_restore_that_still_waits_holds_nothing_down(scene: &Scene) {
    scene.damage().await;
    scene.restore("stuck").await;
    scene.kill_after(8).await;
    scene.bury().await;
    let (there, away) = (scene.site.folder().join(ARCHIVE), scene.site.folder().join("away.tar.gz"));
    std::fs::rename(&there, &away).unwrap();
    let finished = scene.site.job("restore").run().await;
    assert_ne!(finished.code, 0, "{}", finished.log);
    scene.all_are_up(&[PROXY.1]).await;
    std::fs::rename(&away, &there).unwrap();
    scene.site.job("restore").succeed().await;
    scene.is_restored().await;
    scene.delete("stuck").await;
}

async fn the_command_line_takes_the_lease(scene: &Scene) {
    let archive = scene.site.folder().join(ARCHIVE);
    let apply = || scene.site.job("restore").arguments([Path::new("apply"), &archive]);
    scene.damage().await;
    let settings = Settings { duration: Duration::from_secs(15) };
    let client = scene.site.client.clone();
    let somebody = Holder::new(client, DEFAULT_NAMESPACE, "somebody", settings);
    let acquired = somebody.acquire(RESTORES, Wait::No).await;
    let Ok(Acquired::Held(held)) = acquired else { panic!("{acquired:?}") };
    let refused = apply().end_with(69).await;
    assert!(refused.log.contains("\"somebody\" restores this cluster"), "{}", refused.log);
    assert_eq!(scene.damaged().await, MAPS);
    scene.all_are_up(&[PROXY.1]).await;
    held.release().await.unwrap();

    // What an earlier command left down is put back as well, although this archive does not name it.
    let mut left = deployment("left", 0);
    left["metadata"]["labels"] = json!({LABEL: "command-line"});
    left["metadata"]["annotations"] = json!({ANNOTATION: "4"});
    rancher::make(&scene.site.client, &left).await.unwrap();
    apply().succeed().await;
    scene.is_restored().await;
    assert_eq!(scene.noted("left").await, (4, None));
    let leases: Api<Lease> = Api::namespaced(scene.site.client.clone(), DEFAULT_NAMESPACE);
    let holder = leases.get(RESTORES).await.unwrap().spec.unwrap().holder_identity;
    assert_eq!(holder.as_deref(), Some(""));
}
