//! The stand-in for rancher-webhook itself: it registers what the real one does, and a real API server hands on its
//! refusals, its failures and its changes.

use std::time::Duration;

use drover_testbed::rancher_webhook::{RancherWebhook, configurations};
use drover_tests::inputs::{Inputs, service};
use drover_tests::{api_of, object};
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::scene::{ADMINISTRATOR, BUILTIN_ROLE_REFUSED, CONDITION, Scene, WEBHOOKS, builtin_role, on_trial};
use super::world;
use crate::nats::until;

/// Late enough that what was just made is not known yet.
const LATE: Duration = Duration::from_secs(5);

const MANAGEMENT: &str = "management.cattle.io/v3";

#[test]
fn the_configurations_are_those_that_rancher_webhook_registers() {
    let ours = configurations(&service);
    for inputs in Inputs::all() {
        let theirs = inputs.webhook_configurations();
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let names = |configuration: &Value| -> Vec<Value> {
                configuration["webhooks"].as_array().unwrap().iter().map(|webhook| webhook["name"].clone()).collect()
            };
            assert_eq!((&ours["kind"], &ours["metadata"]["name"]), (&theirs["kind"], &theirs["metadata"]["name"]));
            assert_eq!(names(ours), names(theirs));
            for (ours, theirs) in
                ours["webhooks"].as_array().unwrap().iter().zip(theirs["webhooks"].as_array().unwrap())
            {
                assert_eq!(ours, theirs);
            }
        }
        assert_eq!(theirs.len(), ours.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_is_asked_by_the_api_server_and_answers_by_what_it_knew() {
    let scene = Scene::with_rancher().await;
    let webhook = RancherWebhook::start(scene.site.client.clone(), LATE).await.unwrap();
    scene.register(&webhook).await;
    let somebody = &scene.somebody;
    assert_eq!(scene.conditions().await.len(), WEBHOOKS);
    let refused = on_trial(somebody, &builtin_role()).await.unwrap_err();
    assert!(refused.contains(BUILTIN_ROLE_REFUSED), "{refused}");
    a_project_fails_over_its_namespace(&scene).await;
    what_is_new_is_not_known_yet(somebody).await;
    a_binding_gets_its_owner(somebody).await;
    whoever_a_condition_leaves_out_is_not_asked(&scene, &webhook).await;
    let of_somebody = webhook.seen().iter().filter(|seen| seen.user == "somebody" && seen.is_refused()).count();
    assert!(of_somebody >= 4, "{of_somebody}");
    scene.site.testbed.shutdown().await;
}

/// The namespace is there, and so was the project: it cannot be made again.
async fn a_project_fails_over_its_namespace(scene: &Scene) {
    let (cluster, name) = world::PROJECTS[0];
    let project =
        object(MANAGEMENT, "Project", &format!("{cluster}/{name}"), json!({"spec": {"clusterName": cluster}}));
    api_of(&scene.site.client, &project).delete(name, &DeleteParams::default()).await.unwrap();
    let failed = on_trial(&scene.somebody, &project).await.unwrap_err();
    let words = format!("namespace {cluster}-{name} already exists");
    assert!(failed.contains("failed calling webhook") && failed.contains(&words), "{failed}");
}

async fn what_is_new_is_not_known_yet(client: &Client) {
    let template = object(MANAGEMENT, "RoleTemplate", "just-made", json!({"context": "project"}));
    let content = json!({"projectName": "local:p-tower", "roleTemplateName": "just-made", "userName": "u-ada"});
    let binding = object(MANAGEMENT, "ProjectRoleTemplateBinding", "local-p-tower/prtb-new", content);
    let new = serde_json::from_value(template.clone()).unwrap();
    api_of(client, &template).create(&PostParams::default(), &new).await.unwrap();
    let refused = on_trial(client, &binding).await.unwrap_err();
    assert!(refused.contains("\"just-made\": the referenced role template was not found"), "{refused}");
    until("the new role is known", async || on_trial(client, &binding).await.is_ok()).await;
}

async fn a_binding_gets_its_owner(client: &Client) {
    let binding =
        object(MANAGEMENT, "GlobalRoleBinding", "grb-new", json!({"globalRoleName": "user", "userName": "u-dot"}));
    let new = serde_json::from_value(binding.clone()).unwrap();
    let made = api_of(client, &binding).create(&PostParams::default(), &new).await.unwrap();
    let owners = made.metadata.owner_references.unwrap();
    assert_eq!((owners[0].kind.as_str(), owners[0].name.as_str()), ("GlobalRole", "user"));
}

/// The API server leaves them out, until the configurations are written anew.
async fn whoever_a_condition_leaves_out_is_not_asked(scene: &Scene, webhook: &RancherWebhook) {
    let client = &scene.site.client;
    let expression = format!("request.userInfo.username != {ADMINISTRATOR:?}");
    for mut configuration in webhook.configurations() {
        for hook in configuration["webhooks"].as_array_mut().unwrap() {
            let mut conditions = hook["matchConditions"].as_array().cloned().unwrap_or_default();
            conditions.push(json!({"name": CONDITION, "expression": expression}));
            hook["matchConditions"] = Value::Array(conditions);
        }
        let patch = Patch::Merge(json!({"webhooks": configuration["webhooks"]}));
        let name = configuration["metadata"]["name"].as_str().unwrap().to_owned();
        api_of(client, &configuration).patch(&name, &PatchParams::default(), &patch).await.unwrap();
    }
    assert_eq!(scene.exempting().await, WEBHOOKS);
    until("the administrator is left out", async || on_trial(client, &builtin_role()).await.is_ok()).await;
    assert!(on_trial(&scene.somebody, &builtin_role()).await.is_err());
    webhook.register_after(Duration::from_millis(100));
    until("all are asked again", async || on_trial(client, &builtin_role()).await.is_err()).await;
    // The mutating ones are written after those that refuse.
    until("no webhook has the condition", async || scene.exempting().await == 0).await;
}
