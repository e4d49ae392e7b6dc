//! Configurations of webhooks that are written anew while a restore is exempt from them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drover_testbed::proxy::{Asked, Fate, Proxy};
use drover_testbed::webhook::Webhook;
use http::Method;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::exemption::{configuration, configurations};
use crate::support::{
    Archive, EXEMPT, api, change, config_map, definition, live, make, run, run_through, testbed, thing, until,
};
use crate::unheard::idle;

/// As its owner writes it: without the condition of a restore.
async fn rewrite(name: &str, webhooks: &Value) {
    change(&configurations().await, name, &json!({"webhooks": webhooks})).await;
}

const GROUP: &str = "rewritten.example.io";
const NAME: &str = "policy.rewritten.example.io";

/// Is asked again from now on, and changes these objects: what a webhook does to a write, done to what was written.
async fn is_asked_about(things: &Api<DynamicObject>, names: &[&str]) {
    rewrite(NAME, &idle(NAME)).await;
    for name in names {
        change(things, name, &json!({"spec": {"by": "webhook"}})).await;
    }
}

/// One object after the other is written, and then looked at once more.
async fn twice(asked: Asked, things: Api<DynamicObject>, puts: Arc<AtomicUsize>) -> Fate {
    let is_third = || serde_json::from_slice::<Value>(&asked.body).is_ok_and(|body| body["metadata"]["name"] == "c");
    if asked.method == Method::POST && is_third() {
        is_asked_about(&things, &["a", "b"]).await;
    }
    let is_put = asked.method == Method::PUT && asked.path.contains("/things/");
    if is_put && puts.fetch_add(1, Ordering::SeqCst) == 1 {
        is_asked_about(&things, &["a"]).await;
    }
    Fate::Passes
}

#[tokio::test]
async fn what_a_webhook_changes_while_its_first_changes_are_mended_is_mended_too() {
    let _exempt = EXEMPT.read().await;
    assert_eq!(run("apply", &Archive::of(&[definition(GROUP, &["v1"])], None)).await.code, 0);
    make(&configurations().await, &configuration(NAME, &idle(NAME))).await;
    let things = api("things", &format!("{GROUP}/v1"), "Thing", None).await;
    let (judged, puts) = (things.clone(), Arc::new(AtomicUsize::new(0)));
    let proxy = Proxy::start(testbed().await).await.unwrap();
    proxy.judge(move |asked| twice(asked, judged.clone(), Arc::clone(&puts)));
    let archive = Archive::of(&["a", "b", "c"].map(|name| thing(GROUP, name, &json!({"spec": {"a": 1}}))), None);
    let option = format!("--exempt-webhooks={NAME}");
    let done = run_through(&proxy.kubeconfig(), "apply", &archive, &[option.as_str(), "--concurrency=1"]).await;
    assert_eq!((done.code, done.count("created")), (0, 3), "{} {}", done.report, done.errors);
    for name in ["a", "b", "c"] {
        assert_eq!(live(&things, name).await["spec"], json!({"a": 1}), "{name}: {}", done.errors);
    }
    let (_, reason) = done.result("things", "a");
    assert_eq!(reason.matches("a webhook changed it").count(), 1, "{reason}");
    let notes = done.report["notes"].to_string();
    assert_eq!(notes.matches("put in again").count(), 2, "{notes}");
}

const WORDS: &str = "no trial is allowed";
const SETTLES: &str = "settles.example.io";

/// A webhook that refuses the Secret by which a restore sees whether it is exempt.
fn of_trials(webhook: &Webhook) -> Value {
    json!([{"name": SETTLES, "clientConfig": webhook.client_config("/"), "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "matchConditions": [{"name": "trial", "expression": "object.metadata.name == 'drover-restore-trial'"}],
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["CREATE"]}]}])
}

async fn is_asked() -> bool {
    let metadata = json!({"name": "drover-restore-trial", "namespace": "default"});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata});
    let secrets = api("secrets", "v1", "Secret", Some("default")).await;
    let on_trial = PostParams { dry_run: true, ..PostParams::default() };
    let asked = secrets.create(&on_trial, &serde_json::from_value(secret).unwrap()).await;
    asked.is_err_and(|error| error.to_string().contains(WORDS))
}

/// At the first write on trial after the condition was put in, whoever owns the configuration writes it anew.
async fn at_the_first_trial(asked: Asked, steps: Arc<AtomicUsize>, webhooks: Value) -> Fate {
    let moves_on = |from, to| steps.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if asked.method == Method::PATCH && asked.path.contains(SETTLES) {
        moves_on(0, 1);
    } else if asked.path.contains("dryRun=All") && moves_on(1, 2) {
        rewrite(SETTLES, &webhooks).await;
    }
    Fate::Passes
}

#[tokio::test]
async fn an_exemption_that_vanishes_before_it_is_in_force_is_put_in_again_at_once() {
    let _exempt = EXEMPT.read().await;
    let webhook = Webhook::start(|_, _| Some(WORDS.to_owned())).await.unwrap();
    let webhooks = of_trials(&webhook);
    make(&configurations().await, &configuration(SETTLES, &webhooks)).await;
    until("the webhook is asked", is_asked).await;
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let steps = Arc::new(AtomicUsize::new(0));
    proxy.judge(move |asked| at_the_first_trial(asked, Arc::clone(&steps), webhooks.clone()));
    let archive = Archive::of(&[config_map("default", "settles", &json!(null))], None);
    let option = format!("--exempt-webhooks={SETTLES}");
    let done = run_through(&proxy.kubeconfig(), "apply", &archive, &[option.as_str()]).await;
    configurations().await.delete(SETTLES, &DeleteParams::default()).await.unwrap();
    assert_eq!((done.code, done.count("created")), (0, 1), "{} {}", done.report, done.errors);
    let notes = done.report["notes"].to_string();
    assert!(notes.contains("put in again") && !notes.contains("writes on trial do not show"), "{notes}");
    assert!(done.errors.contains("in force: writes on trial pass"), "{}", done.errors);
}
