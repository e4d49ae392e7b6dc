use std::time::{Duration, Instant};

use drover_testbed::webhook::Webhook;
use drover_testbed::{Options, Service, Testbed};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::controllers::{deployment, home_of, reference, set};
use crate::support::{
    Archive, Run, api, change, config_map, definition, live, make, namespace, resource, run, run_asking, run_through,
    start, testbed, thing, until,
};

const ADMISSION: &str = "admissionregistration.k8s.io/v1";
/// Where nobody listens.
const NOWHERE: &str = "https://127.0.0.1:1/";
/// How long a restore says that it waits.
const WAIT: Duration = Duration::from_mins(1);

/// A configuration that has the ConfigMaps of one namespace judged, and nothing of other tests; with all defaults filled in.
fn configuration(namespace: &str, server: &Value) -> (&'static str, Value) {
    let webhook = json!({
        "name": format!("maps.{namespace}.example.io"), "clientConfig": server, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "failurePolicy": "Fail", "timeoutSeconds": 5,
        "matchPolicy": "Equivalent", "objectSelector": {},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
            "operations": ["CREATE", "UPDATE"], "scope": "*"}],
    });
    let configuration = json!({"apiVersion": ADMISSION, "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace}, "webhooks": [webhook]});
    ("validatingwebhookconfigurations", configuration)
}

async fn configurations() -> Api<DynamicObject> {
    api("validatingwebhookconfigurations", ADMISSION, "ValidatingWebhookConfiguration", None).await
}

/// Makes the namespace and the configuration, and waits until nothing is written past it.
async fn guard(name: &str, server: &Value) {
    assert_eq!(run("apply", &Archive::of(&[namespace(name)], None)).await.code, 0);
    make(&configurations().await, &configuration(name, server).1).await;
    let maps = api("configmaps", "v1", "ConfigMap", Some(name)).await;
    let probe = config_map(name, "probe", &json!(null)).1;
    let on_trial = PostParams { dry_run: true, ..PostParams::default() };
    until("the webhook is asked", async || {
        let probe = serde_json::from_value(probe.clone()).unwrap();
        maps.create(&on_trial, &probe).await.is_err_and(|error| error.to_string().contains("failed calling webhook"))
    })
    .await;
}

fn maps(namespace: &str, count: usize) -> Vec<(&'static str, Value)> {
    (0..count).map(|index| config_map(namespace, &format!("map-{index}"), &json!(null))).collect()
}

fn secret(namespace: &str) -> (&'static str, Value) {
    let metadata = json!({"namespace": namespace, "name": "free"});
    ("secrets", json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"}))
}

#[tokio::test]
async fn a_webhook_that_is_away_is_named_once_and_waited_for_once() {
    let name = "away-gone";
    guard(name, &json!({"url": NOWHERE})).await;
    let mut objects = maps(name, 48);
    objects.push(secret(name));
    let begun = Instant::now();
    let run = run("apply", &Archive::of(&objects, None)).await;
    let took = begun.elapsed();
    configurations().await.delete(name, &DeleteParams::default()).await.unwrap();
    assert_eq!((run.code, run.count("failed"), run.count("created")), (1, 48, 1), "{} {}", run.counts(), run.errors);
    assert!(took < WAIT + Duration::from_secs(5), "{took:?}: {}", run.errors);
    let who =
        format!("the webhook \"maps.{name}.example.io\" of the ValidatingWebhookConfiguration \"{name}\" ({NOWHERE})");
    let lines = |words: &str| run.errors.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("is not tried object by object"), 1, "{}", run.errors);
    assert_eq!(lines("waiting up to 60 s for"), 1, "{}", run.errors);
    for index in [0, 47] {
        let (_, reason) = run.result("configmaps", &format!("map-{index}"));
        assert!(reason.starts_with(&who) && reason.contains("connection refused"), "{reason}");
    }
}

#[tokio::test]
async fn what_a_webhook_that_is_away_keeps_from_being_pruned_is_told_within_seconds() {
    let name = "away-pruned";
    let mut objects = maps(name, 49);
    objects.push(namespace(name));
    assert_eq!(run("apply", &Archive::of(&objects, None)).await.code, 0);
    let kept = [namespace(name), objects[48].clone()];
    let mut configuration = configuration(name, &json!({"url": NOWHERE})).1;
    configuration["webhooks"][0]["rules"][0]["operations"] = json!(["DELETE"]);
    make(&configurations().await, &configuration).await;
    let maps = api("configmaps", "v1", "ConfigMap", Some(name)).await;
    let on_trial = DeleteParams { dry_run: true, ..DeleteParams::default() };
    until("the webhook is asked", async || {
        maps.delete("map-0", &on_trial).await.is_err_and(|error| error.to_string().contains("failed calling webhook"))
    })
    .await;
    let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
        "resourceSelectors": [{"apiVersion": "v1", "kindsRegexp": "^configmaps$",
            "namespaceRegexp": format!("^{name}$")}]});
    let begun = Instant::now();
    let run = run_asking("apply", &Archive::of(&kept, Some(&set)), &["--prune"]).await;
    let took = begun.elapsed();
    configurations().await.delete(name, &DeleteParams::default()).await.unwrap();
    assert_eq!((run.code, run.count("failed"), run.count("pruned")), (1, 48, 0), "{} {}", run.counts(), run.errors);
    let (_, reason) = run.result("configmaps", "map-47");
    assert!(reason.starts_with("failed to delete it") && reason.contains("failed calling webhook"), "{reason}");
    assert!(took < SECONDS, "{took:?}: {}", run.errors);
}

#[tokio::test]
async fn what_waits_for_a_webhook_is_written_when_it_answers() {
    let name = "away-back";
    let webhook = Webhook::start(|_, _| None).await.unwrap();
    webhook.set_away(true);
    guard(name, &webhook.client_config("/")).await;
    let archive = Archive::of(&maps(name, 20), None);
    let mut child = start(testbed().await.kubeconfig().unwrap(), "apply", &archive.path(), &[]);
    let said = Run::first_line(&mut child, "waiting up to").await;
    assert!(said.contains("(20 objects)"), "{said}");
    webhook.set_away(false);
    let run = Run::wait(child).await;
    configurations().await.delete(name, &DeleteParams::default()).await.unwrap();
    assert_eq!((run.code, run.count("created")), (0, 20), "{} {}", run.report, run.errors);
}

#[tokio::test]
async fn a_wait_that_a_controller_cut_short_begins_anew() {
    let name = "away-cut-short";
    let deployments = home_of(name, deployment(name, "boss", 1, true)).await;
    let webhook = Webhook::start(|_, _| None).await.unwrap();
    webhook.set_away(true);
    guard(name, &webhook.client_config("/")).await;
    let set = set(&[reference(name, "apps/v1", "deployments", "boss")]);
    let archive = Archive::of(&maps(name, 3), Some(&set));
    let mut child = start(testbed().await.kubeconfig().unwrap(), "apply", &archive.path(), &[]);
    Run::first_line(&mut child, "waiting up to").await;
    change(&deployments, "boss", &json!({"spec": {"replicas": 1}})).await;
    let said = Run::first_line(&mut child, "waiting up to").await;
    webhook.set_away(false);
    let run = Run::wait(child).await;
    configurations().await.delete(name, &DeleteParams::default()).await.unwrap();
    assert!(said.contains("writing pauses") && said.contains("waiting up to"), "{said} {}", run.errors);
    assert_eq!((run.code, run.count("created")), (0, 3), "{} {}", run.report, run.errors);
}

#[tokio::test]
async fn configurations_of_webhooks_come_after_what_they_would_refuse() {
    let name = "away-last";
    let mut objects =
        vec![configuration(name, &json!({"service": {"namespace": name, "name": "nobody", "port": 443}}))];
    objects.push(namespace(name));
    objects.extend(maps(name, 3));
    let archive = Archive::of(&objects, None);
    let first = run("apply", &archive).await;
    let live = live(&configurations().await, name).await;
    let second = run("apply", &archive).await;
    configurations().await.delete(name, &DeleteParams::default()).await.unwrap();
    assert_eq!((first.code, first.count("created")), (0, 5), "{} {}", first.report, first.errors);
    assert_eq!(live["webhooks"][0]["clientConfig"]["service"]["name"], "nobody");
    let (_, note) = first.result("validatingwebhookconfigurations", name);
    assert!(note.contains(&format!("Service \"{name}/nobody\" had no ready endpoint after 60 s")), "{note}");
    assert!(first.errors.contains("in force without its server"), "{}", first.errors);
    // Nothing is to be written, so nothing is waited for.
    assert_eq!((second.code, second.count("unchanged")), (0, 5), "{} {}", second.report, second.errors);
    assert!(!second.errors.contains("waiting up to"), "{}", second.errors);
}

const CONVERTED: &str = "converted.example.io";
const DOWN: &str = "down.example.io";
/// How long one of these restores may take on a busy machine, beside the stated wait.
const SECONDS: Duration = Duration::from_secs(25);

/// In a control plane of its own: what cannot be listed holds up Kubernetes' own controllers.
#[tokio::test]
async fn types_whose_server_is_away_fail_alone_and_name_it() {
    let own = Testbed::start(Options::only([Service::ControlPlane])).await.unwrap();
    let client = own.client().await.unwrap();
    converted(&client).await;
    of_a_conversion_webhook(&own).await;
    down(&client).await;
    of_an_aggregated_api(&own).await;
    own.shutdown().await;
}

fn all(client: &Client, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &resource(plural, api_version, kind))
}

/// A type whose second version only a webhook that is nowhere could give.
async fn converted(client: &Client) {
    let definitions = all(client, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
    let mut definition = definition(CONVERTED, &["v1", "v2"]).1;
    definition.as_object_mut().unwrap().remove("status");
    make(&definitions, &definition).await;
    let things = all(client, &format!("{CONVERTED}/v1"), "Thing", "things");
    let one: DynamicObject = serde_json::from_value(thing(CONVERTED, "live", &json!({})).1).unwrap();
    let params = PostParams::default();
    until("its things can be made", async || things.create(&params, &one).await.is_ok()).await;
    let conversion = json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/convert"}}});
    let patch = Patch::Merge(json!({"spec": {"conversion": conversion}}));
    definitions.patch(&format!("things.{CONVERTED}"), &PatchParams::default(), &patch).await.unwrap();
    let list = format!("/apis/{CONVERTED}/v2/things?limit=1");
    let request = || http::Request::get(&list).body(Vec::new()).unwrap();
    until("its second version fails", async || {
        matches!(client.request::<Value>(request()).await, Err(kube::Error::Api(status)) if status.code == 500)
    })
    .await;
}

async fn of_a_conversion_webhook(own: &Testbed) {
    let mut second = thing(CONVERTED, "live", &json!({}));
    second.1["apiVersion"] = json!(format!("{CONVERTED}/v2"));
    let archive = Archive::of(&[namespace("converted"), second], None);
    let who = format!("the conversion webhook of the definition \"things.{CONVERTED}\" (https://127.0.0.1:1/convert)");
    for (subcommand, code) in [("plan", 0), ("apply", 1)] {
        let run = run_in(own, subcommand, &archive, &[]).await;
        assert_eq!(
            (run.code, run.count("created"), run.count("failed")),
            (code, 1, 1),
            "{} {}",
            run.report,
            run.errors
        );
        let (_, reason) = run.result("things", "live");
        assert!(reason.starts_with(&who), "{reason}");
    }
    let ignored = run_in(own, "apply", &archive, &["--ignore-errors"]).await;
    assert_eq!((ignored.code, ignored.count("failed")), (0, 1), "{} {}", ignored.report, ignored.errors);
}

/// An aggregated API whose server is nowhere.
async fn down(client: &Client) {
    let services = all(client, "apiregistration.k8s.io/v1", "APIService", "apiservices");
    let service = json!({"name": "nobody", "namespace": "default", "port": 443});
    let spec = json!({"group": DOWN, "version": "v1", "service": service, "insecureSkipTLSVerify": true,
        "groupPriorityMinimum": 1000, "versionPriority": 15});
    let name = format!("v1.{DOWN}");
    let api = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": name}, "spec": spec});
    make(&services, &api).await;
    until("it is known to be down", async || {
        live(&services, &name).await["status"].to_string().contains("ServiceNotFound")
    })
    .await;
}

async fn of_an_aggregated_api(own: &Testbed) {
    let archive = Archive::of(&[namespace("down"), thing(DOWN, "one", &json!({}))], None);
    let named = format!("the APIService \"v1.{DOWN}\" (Service \"default/nobody\") is not available: ServiceNotFound");
    let begun = Instant::now();
    let refused = run_in(own, "apply", &archive, &[]).await;
    assert!(refused.code == 65 && refused.errors.contains(&named), "{} {}", refused.code, refused.errors);
    let ignored = run_in(own, "apply", &archive, &["--ignore-errors"]).await;
    assert_eq!((ignored.code, ignored.count("created"), ignored.count("failed")), (0, 1, 1), "{}", ignored.report);
    let (_, reason) = ignored.result("things", "one");
    assert!(reason.starts_with(&named), "{reason}");
    assert!(begun.elapsed() < SECONDS, "{:?}: {}", begun.elapsed(), ignored.errors);
}

async fn run_in(own: &Testbed, subcommand: &str, archive: &Archive, arguments: &[&str]) -> Run {
    let kubeconfig = own.kubeconfig().unwrap();
    run_through(kubeconfig, subcommand, archive, arguments).await
}
