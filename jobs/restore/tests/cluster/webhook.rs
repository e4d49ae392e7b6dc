use drover_testbed::webhook::Webhook;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::support::{Archive, api, definition, live, make, run, run_asking, until};

const API_VERSION: &str = "management.cattle.io/v3";
const WORDS: &str = "value \"x\" is no address of a server";

fn settings() -> (&'static str, Value) {
    let (plural, mut settings) = definition("management.cattle.io", &["v3"]);
    settings["metadata"]["name"] = json!("settings.management.cattle.io");
    settings["spec"]["names"] =
        json!({"plural": "settings", "singular": "setting", "kind": "Setting", "listKind": "SettingList"});
    (plural, settings)
}

fn setting(name: &str, value: &str) -> (&'static str, Value) {
    let metadata = json!({"name": name, "labels": {"asks": "webhook"}});
    ("settings", json!({"apiVersion": API_VERSION, "kind": "Setting", "metadata": metadata, "value": value}))
}

/// Has Settings judged by two webhooks; Rancher's own has the name of the second.
async fn guard(webhook: &Webhook) {
    let one = |name: &str, path: &str| {
        json!({"name": name, "clientConfig": webhook.client_config(path), "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "objectSelector": {"matchLabels": {"asks": "webhook"}},
            "rules": [{"apiGroups": ["management.cattle.io"], "apiVersions": ["*"], "resources": ["settings"],
                "operations": ["CREATE", "UPDATE"]}]})
    };
    let webhooks = [
        one("settings.policy.example.io", "/policy"),
        one("rancher.cattle.io.settings.management.cattle.io", "/rancher"),
    ];
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "settings"}, "webhooks": webhooks});
    let group = "admissionregistration.k8s.io/v1";
    let configurations = api("validatingwebhookconfigurations", group, "ValidatingWebhookConfiguration", None).await;
    make(&configurations, &configuration).await;
    let settings = api("settings", API_VERSION, "Setting", None).await;
    let on_trial = PostParams { dry_run: true, ..PostParams::default() };
    until("the webhook is asked", async || {
        let probe = serde_json::from_value(setting("refused", "x").1).unwrap();
        settings.create(&on_trial, &probe).await.is_err_and(|error| error.to_string().contains(WORDS))
    })
    .await;
}

#[tokio::test]
async fn what_a_webhook_refuses_is_named_in_its_words_and_the_rest_comes_back() {
    let webhook = Webhook::start(|path, request| {
        let refused = if path == "/policy" { "refused" } else { "guarded" };
        (request["name"] == refused).then(|| WORDS.to_owned())
    })
    .await
    .unwrap();
    assert_eq!(run("apply", &Archive::of(&[settings()], None)).await.code, 0);
    guard(&webhook).await;
    let names = ["first", "guarded", "refused", "last"];
    let archive = Archive::of(&names.map(|name| setting(name, "x")), None);
    for (options, code) in [(&[][..], 1), (&["--ignore-errors"], 0)] {
        let run = run_asking("apply", &archive, options).await;
        assert_eq!((run.code, run.count("failed"), run.count("kept")), (code, 1, 1), "{} {}", run.report, run.errors);
        let (_, failed) = run.result("settings", "refused");
        let denied = "admission webhook \"settings.policy.example.io\" denied the request: ";
        assert_eq!(failed, format!("{denied}{WORDS}"));
        let (result, kept) = run.result("settings", "guarded");
        assert!(result == "kept" && kept.contains(WORDS), "{result}: {kept}");
    }
    let api = api("settings", API_VERSION, "Setting", None).await;
    assert_eq!((&live(&api, "first").await["value"], &live(&api, "last").await["value"]), (&json!("x"), &json!("x")));
}
