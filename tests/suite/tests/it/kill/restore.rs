use std::path::Path;
use std::time::Instant;

use drover_testbed::compare::{contents, differences};
use drover_testbed::rancher;
use drover_tests::{Site, message};
use futures::future::join_all;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::Scene;
use super::backups::{Target, populate};
use crate::nats::until;

/// What a restore annotates Rancher's clusters with, so that Rancher deploys its agents again.
const RESTORED: &str = "io.cattle.agent.force.deploy";

const SYSTEM: Option<&str> = Some("cattle-system");

fn api(site: &Site, group: &str, version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(site.client.clone(), namespace, &resource),
        None => Api::all_with(site.client.clone(), &resource),
    }
}

fn of_rancher(site: &Site, kind: &str) -> Api<DynamicObject> {
    api(site, "management.cattle.io", "v3", kind, None)
}

/// Deletes all objects of a type, and waits until they are gone: what a controller still deletes later would be missing
/// after the restore.
async fn delete_all(api: &Api<DynamicObject>) {
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    until("all are deleted", async || {
        let left = api.list(&ListParams::default()).await.unwrap().items;
        // The controllers make this one again.
        left.iter().all(|object| object.name_any() == "kube-root-ca.crt")
    })
    .await;
}

/// Deletes most objects and changes others, their status too.
async fn damage(site: &Site) {
    // The owned before their owners, so that the garbage collector finds nothing to do.
    for kind in ["GlobalRoleBinding", "User", "Setting", "GlobalRole"] {
        delete_all(&of_rancher(site, kind)).await;
    }
    for kind in ["Secret", "ConfigMap"] {
        delete_all(&api(site, "", "v1", kind, SYSTEM)).await;
    }
    let clusters = of_rancher(site, "Cluster");
    let listed = clusters.list_metadata(&ListParams::default()).await.unwrap().items;
    assert!(!listed.is_empty());
    let (spec, status) = (json!({"spec": {"displayName": "damaged"}}), json!({"status": {"damaged": true}}));
    let (spec, status) = (Patch::Merge(&spec), Patch::Merge(&status));
    let parameters = PatchParams::default();
    let changed = listed.iter().map(async |cluster| {
        clusters.patch(&cluster.name_any(), &parameters, &spec).await.unwrap();
        clusters.patch_status(&cluster.name_any(), &parameters, &status).await.unwrap();
    });
    join_all(changed).await;
}

/// Compares what is live with what the Backup's archive holds.
async fn check_live(scene: &Scene, target: &Target, resource_set: &Path) {
    let archive = resource_set.with_extension("tar.gz");
    let snapshot = scene.process("snapshot", "compare");
    snapshot.arguments([Path::new("--resource-set"), resource_set, Path::new("--output"), &archive]).succeed().await;
    let differences = differences(&target.reference, &contents(&archive).unwrap());
    assert!(differences.is_empty(), "{differences:?}");
    std::fs::remove_file(archive).unwrap();
}

async fn check_completed(site: &Site, name: &str) {
    let status = site.restore_status(name).await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed", "{status:?}");
    assert!(status.restore_completion_ts.is_some(), "{status:?}");
    assert!(status.summary.as_deref().is_some_and(|summary| !summary.contains("failed")), "{status:?}");
}

/// Gives the clusters the annotation that a restore gives to those without one, as Rancher's operator does: with it
/// what was and what is are the same.
async fn annotate_clusters(site: &Site) {
    let clusters = of_rancher(site, "Cluster");
    let annotation = json!({"metadata": {"annotations": {RESTORED: "true"}}});
    for cluster in clusters.list_metadata(&ListParams::default()).await.unwrap().items {
        clusters.patch(&cluster.name_any(), &PatchParams::default(), &Patch::Merge(&annotation)).await.unwrap();
    }
}

/// What the kill has hit.
async fn seen(site: &Site, name: &str) -> &'static str {
    let restore = site.restores().get(name).await.unwrap();
    if restore.has_ended() {
        return "after the restore";
    }
    if restore.status.is_none() {
        return "before the restore";
    }
    let settings = of_rancher(site, "Setting").list_metadata(&ListParams::default()).await.unwrap().items;
    if settings.is_empty() { "before the first write" } else { "between writes" }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_goes_on_to_its_end() {
    let mut scene = Scene::start("restore").await;
    let mut targets = populate(&scene.site, 4).await;
    annotate_clusters(&scene.site).await;
    for target in &mut targets {
        target.back_up(&scene).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let resource_set = folder.path().join("set.yaml");
    std::fs::write(&resource_set, rancher::RESOURCE_SET).unwrap();

    for turn in 0.. {
        let (target, name) = (&targets[turn % 2], format!("restore-{turn}"));
        damage(&scene.site).await;
        target.restore(&scene.site, &name).await;
        let restore = |scene: &Scene| scene.process("restore", &name);
        if turn == 0 {
            let begun = Instant::now();
            restore(&scene).succeed().await;
            scene.span = begun.elapsed();
        } else {
            scene.cut_off(restore, async |scene| seen(&scene.site, &name).await).await;
            scene.finish(restore).await;
        }
        check_completed(&scene.site, &name).await;
        check_live(&scene, target, &resource_set).await;
        if scene.is_done() {
            break;
        }
    }
    scene.end().await;
}
