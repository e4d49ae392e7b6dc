//! Somebody scales a controller up while a Restore is carried out, and controllers that need not be scaled down at all.
//!
//! Rancher's pod is one that the test makes: as long as that is there, the job waits for it, and nothing is written.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use drover_testbed::rancher;
use drover_tests::message;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{ANNOTATION, HOME, LABEL, MAPS, PROXY, RANCHER, SIGKILL, Scene};
use crate::nats::until;

/// Within that time one that is scaled up is down again.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

impl Scene {
    /// A pod of Rancher's.
    pub(super) async fn make_pod(&self) {
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": HOME}});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "rancher-1", "namespace": HOME, "labels": {"app": RANCHER.0}},
            "spec": {"containers": [{"name": "a", "image": "a"}]},
        });
        for object in [account, pod] {
            rancher::make(&self.site.client, &object).await.unwrap();
        }
    }

    pub(super) async fn delete_pod(&self) {
        let pods: Api<Pod> = Api::namespaced(self.site.client.clone(), HOME);
        pods.delete("rancher-1", &DeleteParams::default().grace_period(0)).await.unwrap();
    }

    /// Changes Rancher's Deployment, as Argo CD does.
    async fn change_rancher(&self, patch: Value) {
        let patch = Patch::Merge(patch);
        self.deployments().patch(RANCHER.0, &PatchParams::apply("argocd-controller"), &patch).await.unwrap();
    }

    /// Waits until Rancher is down and its count noted, and gives how long that took.
    async fn rancher_is_down(&self) -> Duration {
        let begun = Instant::now();
        let is_down = async || matches!(self.noted(RANCHER.0).await, (0, Some((_, count))) if count == "3");
        until("it is down", is_down).await;
        begun.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_scaled_up_again_and_again_is_named_and_the_restore_waits() {
    let scene = Scene::start().await;
    scene.make_pod().await;
    scene.damage().await;
    scene.restore("contended").await;
    let running = scene.job().start();
    scene.rancher_is_down().await;
    for _ in 0..2 {
        scene.change_rancher(json!({"spec": {"replicas": 1}})).await;
        let taken = scene.rancher_is_down().await;
        assert!(taken < SEEN_WITHIN, "{taken:?}");
    }
    scene.change_rancher(json!({"spec": {"replicas": 1}})).await;
    let finished = running.wait().await;
    assert_eq!(finished.code, 69, "{}", finished.log);
    is_told(&scene).await;
    assert_eq!(scene.damaged().await, MAPS);
    scene.all_are_up(&[PROXY.1]).await;
    killed_after_the_note_was_taken_off(&scene).await;
    scene.site.testbed.shutdown().await;
}

/// On the Restore, which waits, in its Events and in its report.
async fn is_told(scene: &Scene) {
    let status = scene.site.restore_status("contended").await;
    let ready = message(status.conditions.as_ref(), "Ready");
    for words in ["\"cattle-system/rancher\"", "\"argocd-controller\"", "self-heal"] {
        assert!(ready.contains(words), "{words}: {ready}");
    }
    assert_eq!(status.restore_completion_ts, None);
    let events: Api<Event> = Api::namespaced(scene.site.client.clone(), "default");
    let events = events.list(&ListParams::default().fields("reason=ControllerScaledUp")).await.unwrap().items;
    let names = |event: &Event| event.note.as_ref().is_some_and(|note| note.contains("\"argocd-controller\""));
    assert!(events.iter().any(names), "{events:?}");
    let report = scene.site.job("restore").arguments(["report", "contended", "--output", "json"]).succeed().await;
    let report: Value = serde_json::from_str(&report.output).unwrap();
    let rancher = report["objects"].as_array().unwrap().iter().find(|object| object["name"] == RANCHER.0).unwrap();
    assert_eq!(rancher["result"], "kept");
    assert!(rancher["reason"].as_str().unwrap().contains("3 times in all"), "{rancher}");
}

/// Whoever takes the note off takes the count away. The job remembers it and notes it again; only then it is killed.
async fn killed_after_the_note_was_taken_off(scene: &Scene) {
    let running = scene.job().start();
    scene.rancher_is_down().await;
    scene.change_rancher(json!({"metadata": {"labels": {LABEL: null}, "annotations": {ANNOTATION: null}}})).await;
    scene.rancher_is_down().await;
    let killed = running.kill().await;
    assert_eq!(killed.status.signal(), Some(SIGKILL), "{}", killed.log);
    scene.counts_are_known().await;
    scene.bury().await;
    scene.delete_pod().await;
    scene.site.job("restore").succeed().await;
    scene.is_restored().await;
}

/// As a job leaves it that is killed between putting back one controller and the other: there is nothing to write, so
/// the one that runs is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_written_what_is_down_is_put_back_and_what_runs_is_not_scaled() {
    let scene = Scene::start().await;
    scene.damage().await;
    scene.restore("first").await;
    scene.site.job("restore").succeed().await;
    scene.is_restored().await;
    let uid = scene.restore("killed").await.uid().unwrap();
    let down = json!({"metadata": {"labels": {LABEL: uid}, "annotations": {ANNOTATION: PROXY.2.to_string()}},
        "spec": {"replicas": 0}});
    scene.deployments().patch(PROXY.0, &PatchParams::default(), &Patch::Merge(down)).await.unwrap();
    let generation = async || scene.deployments().get(RANCHER.0).await.unwrap().metadata.generation;
    let before = generation().await;
    scene.site.job("restore").succeed().await;
    assert_eq!(generation().await, before);
    let status = scene.site.restore_status("killed").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    assert_eq!(status.summary.as_deref(), Some("30 unchanged"));
    scene.is_restored().await;
    scene.site.testbed.shutdown().await;
}
