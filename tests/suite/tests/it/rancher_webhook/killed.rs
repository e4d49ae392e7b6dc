//! Jobs that are killed while drover is exempt: whoever comes next takes the exemption away, also where there is nothing to
//! do.

use std::os::unix::process::ExitStatusExt;

use drover_testbed::proxy::Proxy;
use drover_tests::{Finished, api_of, object, write_archive};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::scene::Scene;
use super::world;

const MANAGEMENT: &str = "management.cattle.io/v3";

/// The archive of [`restored`].
const SMALL: &str = "small.tar.gz";

/// SIGKILL, by its number.
const SIGKILL: i32 = 9;

/// A few objects, most of which rancher-webhook would refuse.
fn restored() -> Vec<Value> {
    let of = |kind: &str, place: &str, content: Value| object(MANAGEMENT, kind, place, content);
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let binding = |role: &str| json!({"projectName": "local:p-tower", "roleTemplateName": role, "userName": "u-dot"});
    vec![
        of("Setting", "ui-brand", json!({"value": "restored", "source": "db"})),
        of("RoleTemplate", "gate-keeper", json!({"builtin": true, "context": "project", "rules": rules})),
        of("RoleTemplate", "lamp-lighter", json!({"builtin": true, "context": "project", "rules": rules})),
        of("User", "u-eve", json!({"username": "admin", "principalIds": ["local://u-eve"], "enabled": true})),
        of("GlobalRoleBinding", "grb-eve", json!({"globalRoleName": "user", "userName": "u-eve"})),
        of("ProjectRoleTemplateBinding", "local-p-tower/prtb-gate", binding("gate-keeper")),
        of("ProjectRoleTemplateBinding", "local-p-tower/prtb-lamp", binding("lamp-lighter")),
    ]
}

/// Nothing of the archive is as it says.
async fn damage(scene: &Scene) {
    let client = &scene.site.client;
    for object in restored() {
        let name = object["metadata"]["name"].as_str().unwrap();
        if object["kind"] == "Setting" {
            let changed = Patch::Merge(json!({"value": "changed"}));
            api_of(client, &object).patch(name, &PatchParams::default(), &changed).await.unwrap();
        } else {
            drop(api_of(client, &object).delete(name, &DeleteParams::default()).await);
        }
    }
}

async fn is_restored(scene: &Scene) {
    for object in restored() {
        let name = object["metadata"]["name"].as_str().unwrap();
        let live = api_of(&scene.site.client, &object).get(name).await.unwrap();
        let mut live = serde_json::to_value(live).unwrap();
        assert!(live["metadata"]["ownerReferences"].is_null() && live["metadata"]["annotations"].is_null(), "{live}");
        live["metadata"] = object["metadata"].clone();
        assert_eq!(live, object);
    }
}

/// Starts the job and kills it right after its so many-th write.
async fn kill_after(scene: &Scene, proxy: &Proxy, writes: usize) -> Finished {
    let held = proxy.hold_after(writes);
    let job = scene.through(proxy).environment("DROVER_CONCURRENCY", "1").environment("DROVER_LEASE_SECONDS", "15");
    job.start().kill_when(held.reached()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_every_single_write_leaves_no_exemption_after_the_next_job() {
    let scene = Scene::start().await;
    world::populate(&scene.site.client).await;
    write_archive(&scene.site.folder().join(SMALL), &restored(), &world::resource_set());
    let webhook = scene.webhook().await;
    scene.register(&webhook).await;
    let proxy = scene.proxy().await;
    let (mut kills, mut left) = (0, 0);
    for writes in 1.. {
        damage(&scene).await;
        scene.restore("goes-on", SMALL, &[]).await;
        let killed = kill_after(&scene, &proxy, writes).await;
        if killed.status.signal() != Some(SIGKILL) {
            assert_eq!(killed.code, 0, "{}", killed.log);
            scene.is_completed("goes-on").await;
            is_restored(&scene).await;
            break;
        }
        kills += 1;
        left += usize::from(scene.exempting().await > 0);
        scene.bury().await;
        let next = scene.job().run().await;
        assert_eq!(next.code, 0, "after {writes}: {}", next.log);
        scene.is_completed("goes-on").await;
        is_restored(&scene).await;
        scene.delete_restore("goes-on").await;
        if !is_like_its_neighbours(writes) {
            nothing_to_do(&scene, &proxy, writes).await;
        }
    }
    // The Lease, the status, two Events; who asks, two configurations; seven objects; two configurations; the report, an
    // Event, the status, the Lease.
    assert!(kills >= 16 && left >= 8, "{kills} kills, {left} of them while drover was exempt");
    scene.site.testbed.shutdown().await;
}

/// Between the writes of two objects nothing changes for whoever finds nothing to do. The long run (`DROVER_TEST_KILLS`)
/// takes all.
fn is_like_its_neighbours(writes: usize) -> bool {
    let is_long_run = std::env::var_os("DROVER_TEST_KILLS").is_some();
    writes > 9 && !writes.is_multiple_of(3) && !is_long_run
}

/// The Restore is deleted before the next job, which takes the exemption away and does nothing else.
async fn nothing_to_do(scene: &Scene, proxy: &Proxy, writes: usize) {
    damage(scene).await;
    scene.restore("is-deleted", SMALL, &[]).await;
    kill_after(scene, proxy, writes).await;
    let was_left = scene.exempting().await > 0;
    scene.delete_restore("is-deleted").await;
    scene.bury().await;
    let next = scene.job().run().await;
    assert_eq!(next.code, 0, "after {writes}: {}", next.log);
    assert_eq!(scene.exempting().await, 0, "after {writes}: {}", next.log);
    let is_said = next.log.lines().any(|line| line.contains("rancher.cattle.io"));
    assert!(is_said || !was_left, "after {writes}: {}", next.log);
}
