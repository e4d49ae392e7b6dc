//! `restore apply` on somebody's machine, where the user may be everybody's: exempt only who is asked for.

use std::path::Path;

use drover_testbed::proxy::Proxy;
use drover_tests::{Job, api_of, object, write_archive};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::scene::{ADMINISTRATOR, Scene};
use super::world;

const MANAGEMENT: &str = "management.cattle.io/v3";
const FLAG: [&str; 2] = ["--exempt-webhooks", "rancher.cattle.io"];

/// What rancher-webhook refuses: the object as it is reported, and the words.
const REFUSED: [(&str, &str); 2] = [
    ("gate-keeper", "roletemplate: Forbidden: creating new builtIn RoleTemplates is forbidden"),
    (
        "prtb-gate",
        "projectroletemplatebinding.roleTemplateName: Invalid value: \"gate-keeper\": the referenced role template was not found",
    ),
];

fn restored() -> [Value; 2] {
    let role = json!({"builtin": true, "context": "project"});
    let binding = json!({"projectName": "local:p-tower", "roleTemplateName": "gate-keeper", "userName": "u-dot"});
    [
        object(MANAGEMENT, "RoleTemplate", "gate-keeper", role),
        object(MANAGEMENT, "ProjectRoleTemplateBinding", "local-p-tower/prtb-gate", binding),
    ]
}

fn apply(scene: &Scene, archive: &Path, options: &[&str]) -> Job {
    let job = scene.site.job("restore").arguments([Path::new("apply"), archive]);
    job.arguments(options).arguments(["--output", "json"])
}

/// How many of the archive's objects are there.
async fn there(scene: &Scene) -> usize {
    let mut there = 0;
    for object in restored() {
        let name = object["metadata"]["name"].as_str().unwrap();
        there += usize::from(api_of(&scene.site.client, &object).get_opt(name).await.unwrap().is_some());
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_command_line_only_the_flag_exempts_and_the_way_out_is_printed() {
    let scene = Scene::start().await;
    world::populate(&scene.site.client).await;
    let archive = scene.site.folder().join("small.tar.gz");
    write_archive(&archive, &restored(), &world::resource_set());
    let webhook = scene.webhook().await;
    scene.register(&webhook).await;

    let plan = scene.site.job("restore").arguments([Path::new("plan"), &archive]).end_with(0).await;
    assert!(plan.output.contains("--exempt-webhooks rancher.cattle.io has apply go past them"), "{}", plan.output);
    let refused = apply(&scene, &archive, &[]).end_with(1).await;
    let report: Value = serde_json::from_str(&refused.output).unwrap();
    for (name, words) in REFUSED {
        let objects = report["objects"].as_array().unwrap();
        let told = objects.iter().find(|object| object["name"] == name).unwrap();
        assert_eq!(told["result"], "failed", "{told}");
        assert!(told["reason"].as_str().unwrap().contains(words), "{told}");
    }
    let notes = report["notes"].to_string();
    assert!(notes.contains("--exempt-webhooks rancher.cattle.io has apply go past"), "{notes}");
    assert_eq!((there(&scene).await, scene.exempting().await), (0, 0));

    let applied = apply(&scene, &archive, &FLAG).end_with(0).await;
    let said = format!("{}{}", applied.output, applied.log);
    assert!(
        [ADMINISTRATOR, "rancher.cattle.io", "restore unexempt"].iter().all(|words| said.contains(words)),
        "{said}"
    );
    assert!(!said.contains("has apply go past"), "{said}");
    assert_eq!((there(&scene).await, scene.exempting().await), (2, 0));
    what_a_kill_leaves_is_taken_away_by_hand(&scene, &archive).await;
    what_a_kill_leaves_exempts_nobody_who_did_not_ask(&scene, &archive).await;
    scene.site.testbed.shutdown().await;
}

async fn delete_restored(scene: &Scene) {
    for object in restored() {
        let name = object["metadata"]["name"].as_str().unwrap();
        drop(api_of(&scene.site.client, &object).delete(name, &DeleteParams::default()).await);
    }
}

/// Killed while it is exempt.
async fn kill_while_exempt(scene: &Scene, archive: &Path) {
    let proxy = Proxy::start(&scene.site.testbed).await.unwrap();
    for writes in 1..20 {
        delete_restored(scene).await;
        let held = proxy.hold_after(writes);
        let job = apply(scene, archive, &FLAG).environment("KUBECONFIG", proxy.kubeconfig().to_str().unwrap());
        job.start().kill_when(held.reached()).await;
        scene.bury().await;
        if scene.exempting().await > 0 {
            return;
        }
    }
    panic!("no kill left an exemption");
}

/// By whoever was told how, and never starts it again.
async fn what_a_kill_leaves_is_taken_away_by_hand(scene: &Scene, archive: &Path) {
    kill_while_exempt(scene, archive).await;
    let ended = scene.site.job("restore").arguments(["unexempt"]).end_with(0).await;
    assert!(format!("{}{}", ended.output, ended.log).contains("rancher.cattle.io"), "{}{}", ended.output, ended.log);
    assert_eq!(scene.exempting().await, 0);
    // There is nothing to end any more.
    scene.site.job("restore").arguments(["unexempt"]).end_with(0).await;
}

/// It has ended, and is out of force, before the first object is written.
async fn what_a_kill_leaves_exempts_nobody_who_did_not_ask(scene: &Scene, archive: &Path) {
    kill_while_exempt(scene, archive).await;
    delete_restored(scene).await;
    let refused = apply(scene, archive, &[]).end_with(1).await;
    assert!(refused.log.contains("had left somebody exempt"), "{}", refused.log);
    assert_eq!((there(scene).await, scene.exempting().await), (0, 0));
}
