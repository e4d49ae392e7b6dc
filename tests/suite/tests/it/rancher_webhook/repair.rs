//! A repair in place: much is deleted and changed in a Rancher that goes on running, and is restored.

use std::collections::BTreeSet;
use std::time::Duration;

use drover_testbed::proxy::Proxy;
use drover_testbed::rancher_webhook::RancherWebhook;
use drover_tests::{Job, api_of, object, objects};
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::scene::{
    ARCHIVE, BUILTIN_ROLE_REFUSED, CONDITION, RESTORER, Scene, WEBHOOKS, asked, builtin_role, on_trial,
};
use super::world;
use crate::kill::dice::Dice;
use crate::nats::until;

const MANAGEMENT: &str = "management.cattle.io/v3";

/// Role templates that are deleted, built-in ones among them.
const ROLES: [&str; 6] =
    ["cluster-owner", "project-member", "read-only", "crane-driver", "quay-guard", "harbour-master"];

/// What is deleted, in an order that the webhook lets happen: 8 bindings of projects and 5 of global roles, 6 role
/// templates, 3 tokens, 2 users, 3 projects.
fn deleted() -> Vec<Value> {
    let of = |kind: &str, place: &str| object(MANAGEMENT, kind, place, json!({}));
    let bindings = world::project_bindings();
    let bindings = bindings.iter().take(8).map(|(namespace, name)| format!("{namespace}/{name}"));
    let mut objects: Vec<_> = bindings.map(|place| of("ProjectRoleTemplateBinding", &place)).collect();
    objects.extend(world::GLOBAL_BINDINGS.iter().take(5).map(|(name, ..)| of("GlobalRoleBinding", name)));
    objects.extend(ROLES.map(|name| of("RoleTemplate", name)));
    objects.extend(["token-admin", "token-ben", "token-cid"].map(|name| of("Token", name)));
    objects.extend(["u-ada", "u-ben"].map(|name| of("User", name)));
    objects.extend(world::PROJECTS.map(|(cluster, name)| of("Project", &format!("{cluster}/{name}"))));
    objects
}

/// Deletes and changes what is restored then. The webhook is asked, and lets all of it happen.
async fn damage(client: &Client) {
    for object in deleted() {
        let name = object["metadata"]["name"].as_str().unwrap();
        api_of(client, &object).delete(name, &DeleteParams::default()).await.unwrap();
    }
    let changed = Patch::Merge(json!({"value": "changed by hand"}));
    for name in world::SETTINGS {
        let setting = object(MANAGEMENT, "Setting", name, json!({}));
        api_of(client, &setting).patch(name, &PatchParams::default(), &changed).await.unwrap();
    }
}

/// The job on its way through a proxy, which may hold it for a while.
fn through(scene: &Scene, proxy: &Proxy) -> Job {
    scene.through(proxy).environment("DROVER_LEASE_SECONDS", "60")
}

async fn is_repaired(scene: &Scene, name: &str) {
    scene.is_completed(name).await;
    scene.is_equal(&objects(&scene.site.folder().join(ARCHIVE)), &BTreeSet::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_in_place_is_refused_nothing_and_others_are_refused_all_the_time() {
    let scene = Scene::with_rancher().await;
    let webhook = scene.webhook().await;
    scene.register(&webhook).await;
    damage(&scene.site.client).await;
    scene.restore("repair", ARCHIVE, &[]).await;
    scene.job().succeed().await;
    is_repaired(&scene, "repair").await;
    assert_eq!(asked(&webhook, RESTORER), Vec::<String>::new());
    others_are_refused_meanwhile(&scene).await;
    scene.site.testbed.shutdown().await;
}

/// In the middle of a restore each webhook has the condition beside its own, drover is let through, and nobody else is.
async fn others_are_refused_meanwhile(scene: &Scene) {
    let before = scene.conditions().await;
    damage(&scene.site.client).await;
    let proxy = scene.proxy().await;
    scene.restore("meanwhile", ARCHIVE, &[]).await;
    let held = proxy.hold_after(21);
    let running = through(scene, &proxy).start();
    held.reached().await;
    let meanwhile = scene.conditions().await;
    assert_eq!(meanwhile.len(), WEBHOOKS);
    for (before, meanwhile) in before.iter().zip(&meanwhile) {
        let mut expected = before.clone();
        expected.push(CONDITION.to_owned());
        let [expected, found] = [&expected, meanwhile].map(|names| names.iter().collect::<BTreeSet<_>>());
        assert_eq!((expected, meanwhile.len()), (found, before.len() + 1));
    }
    let refused = on_trial(&scene.somebody, &builtin_role()).await.unwrap_err();
    assert!(refused.contains(BUILTIN_ROLE_REFUSED), "{refused}");
    until("drover's user is exempt", async || on_trial(&scene.restorer, &builtin_role()).await.is_ok()).await;
    held.go_on();
    let finished = running.wait().await;
    assert_eq!(finished.code, 0, "{}", finished.log);
    is_repaired(scene, "meanwhile").await;
    assert_eq!(scene.conditions().await, before);
    let restorer = &scene.restorer;
    until("drover's user is asked again", async || on_trial(restorer, &builtin_role()).await.is_err()).await;
}

/// rancher-webhook starts, gets another certificate or becomes leader, at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn configurations_that_are_written_anew_in_the_middle_refuse_nothing() {
    let scene = Scene::with_rancher().await;
    let webhook = scene.webhook().await;
    scene.register(&webhook).await;
    let mut dice = Dice::of("configurations");
    damage(&scene.site.client).await;
    written_anew_between_writes(&scene, &webhook, &mut dice).await;
    for turn in 0..3 {
        damage(&scene.site.client).await;
        let name = format!("at-any-time-{turn}");
        scene.restore(&name, ARCHIVE, &[]).await;
        webhook.register_after(dice.point_of(Duration::from_secs(2)));
        let finished = scene.job().run().await;
        assert_eq!(finished.code, 0, "{name}: {}", finished.log);
        is_repaired(&scene, &name).await;
    }
    scene.site.testbed.shutdown().await;
}

/// Between two writes of objects, seen by the API server before the second one.
async fn written_anew_between_writes(scene: &Scene, webhook: &RancherWebhook, dice: &mut Dice) {
    let proxy = scene.proxy().await;
    let writes = 15 + usize::try_from(dice.below(12)).unwrap();
    scene.restore("between-writes", ARCHIVE, &[]).await;
    let held = proxy.hold_after(writes);
    let running = through(scene, &proxy).start();
    held.reached().await;
    webhook.register().await.unwrap();
    assert_eq!(scene.exempting().await, 0);
    let restorer = &scene.restorer;
    until("drover's user is asked again", async || on_trial(restorer, &builtin_role()).await.is_err()).await;
    held.go_on();
    let finished = running.wait().await;
    assert_eq!(finished.code, 0, "after {writes} writes: {}", finished.log);
    is_repaired(scene, "between-writes").await;
}
