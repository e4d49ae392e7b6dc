//! Configurations of webhooks that are written anew while a restore is exempt from them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drover_testbed::proxy::{Asked, Fate, Proxy};
use http::Method;
use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::exemption::{configuration, configurations};
use crate::support::{Archive, api, change, definition, live, make, run, run_through, testbed, thing};
use crate::unheard::idle;

/// As its owner writes it: without the condition of a restore.
async fn rewrite(name: &str, webhooks: &Value) {
    change(&configurations().await, name, &json!({"webhooks": webhooks})).await;
}

const GROUP: &str = "twice.example.io";
const NAME: &str = "policy.twice.example.io";

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
