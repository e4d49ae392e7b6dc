//! Figures and alerts: promtool's unit tests of the rules, and a real Prometheus that scrapes a real run.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use drover::resources::BackupSpec;
use drover_testbed::programs::{self, Program};
use drover_testbed::{Options, Prometheus, Service};
use drover_tests::{SMALL_SET, Site};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::dispatch::{Dispatch, template};
use crate::manifests::built::{build, own_overlay, text, title};
use crate::nats::until;

/// The unit tests of the rules.
const UNIT_TESTS: &str = include_str!("monitoring/alerts.yaml");

/// What the component installs, and `more` changes.
async fn installed(more: &str) -> Vec<Value> {
    let folder = own_overlay(&["monitoring"], more);
    build(&folder.path().display().to_string()).await
}

/// The groups of rules among objects.
fn groups_of(objects: &[Value]) -> Value {
    let rules: Vec<_> = objects.iter().filter(|object| title(object) == "PrometheusRule drover").collect();
    assert_eq!(rules.len(), 1);
    rules[0]["spec"]["groups"].clone()
}

async fn groups() -> Value {
    groups_of(&installed("").await)
}

fn rules(groups: &Value) -> impl Iterator<Item = &Value> {
    groups.as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap())
}

/// Runs promtool, which must have nothing to complain of.
async fn promtool(arguments: &[&str], input: &str) {
    let program = programs::locate([Program::Promtool]).await.unwrap().remove(&Program::Promtool).unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {}: {}", arguments.join(" "), String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn every_alert_passes_its_unit_tests() {
    let groups = groups().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("rules.json"), serde_json::json!({ "groups": groups }).to_string()).unwrap();
    std::fs::write(path("alerts.yaml"), UNIT_TESTS).unwrap();
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", &path("rules.json")], "").await;
    promtool(&["test", "rules", &path("alerts.yaml")], "").await;
    let tested: Value = serde_saphyr::from_str(UNIT_TESTS).unwrap();
    let tests = tested["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let fires = |test: &&Value| test["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
    let fired: BTreeSet<_> = tests.filter(fires).map(|test| text(test, "/alertname")).collect();
    assert_eq!(rules(&groups).map(|rule| text(rule, "/alert")).collect::<BTreeSet<_>>(), fired);
}

/// By labels and names: Prometheus finds the Service, that the pods, and nothing stands in the way.
#[tokio::test]
async fn the_monitor_leads_to_the_port_of_dispatch() {
    let objects = installed("").await;
    let object = |name: &str| objects.iter().find(|object| title(object) == name).unwrap();
    let has_labels = |of: &Value, wanted: &Value| {
        let wanted = wanted.as_object().unwrap();
        !wanted.is_empty() && wanted.iter().all(|(label, value)| of[label] == *value)
    };
    let (monitor, service) = (object("ServiceMonitor drover"), object("Service dispatch"));
    assert!(has_labels(&service["metadata"]["labels"], &monitor["spec"]["selector"]["matchLabels"]));
    assert_eq!(monitor["spec"]["namespaceSelector"]["matchNames"][0], service["metadata"]["namespace"]);
    let port = &service["spec"]["ports"][0];
    assert_eq!(port["name"], monitor["spec"]["endpoints"][0]["port"]);
    let template = &object("Deployment dispatch")["spec"]["template"];
    assert!(has_labels(&template["metadata"]["labels"], &service["spec"]["selector"]));
    let policy = &object("NetworkPolicy drover-metrics")["spec"];
    assert!(has_labels(&template["metadata"]["labels"], &policy["podSelector"]["matchLabels"]));
    let of_pod = &template["spec"]["containers"][0]["ports"][0];
    assert_eq!((&port["targetPort"], &policy["ingress"][0]["ports"][0]["port"]), (&of_pod["name"], &of_pod["name"]));
    assert_eq!(port["port"], of_pod["containerPort"]);
}

#[tokio::test]
async fn the_patches_of_the_documentation_do_what_it_says() {
    let documented = include_str!("../../../../docs/monitoring.md").split("```");
    let patches: Vec<_> = documented.filter_map(|block| block.strip_prefix("yaml\npatches:")).collect();
    assert_eq!(patches.len(), 2);
    let objects = installed(&format!("patches:{}", patches.concat())).await;
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        let object = objects.iter().find(|object| title(object) == format!("{kind} drover")).unwrap();
        assert_eq!(text(object, "/metadata/labels/release"), "kube-prometheus-stack");
    }
    let groups = groups_of(&objects);
    let patched = rules(&groups).find(|rule| text(rule, "/expr").ends_with("> 6 * 3600")).unwrap();
    assert_eq!(text(patched, "/alert"), "DroverBackupNotFresh");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_finds_the_figures_of_every_rule_in_a_real_run() {
    let services = [Service::ControlPlane, Service::Nats, Service::Minio, Service::Prometheus];
    let site = Site::start_with(Options::only(services)).await;
    site.resource_set(SMALL_SET).await;
    for name in ["snapshot", "upload", "retention-prune", "restore", "setup"] {
        cron_job(&site, &template(name)).await;
    }
    let spec = BackupSpec {
        resource_set_name: "small".to_owned(),
        storage_location: Some(site.bucket("figures")),
        schedule: Some("@yearly".to_owned()),
        ..BackupSpec::default()
    };
    site.make_backup("yearly", spec).await;
    let dispatch = Dispatch::start(&site.testbed).await;
    for job in ["snapshot", "upload", "retention-prune"] {
        site.job(job).succeed().await;
    }
    let prometheus = site.testbed.prometheus().unwrap();
    dispatch.at_work().await;
    let labels = BTreeMap::from([("namespace", "cattle-resources-system"), ("pod", "dispatch")]);
    prometheus.scrape(&dispatch.address().await, &labels).unwrap();
    let groups = groups().await;
    prometheus.evaluate(&groups).await.unwrap();
    for rule in rules(&groups) {
        let selectors = selectors(prometheus, text(rule, "/expr")).await;
        assert!(!selectors.is_empty());
        for selector in selectors {
            let what = format!("{} has data for {selector}", text(rule, "/alert"));
            until(&what, async || !query(prometheus, &selector).await.is_empty()).await;
        }
    }
    until("every rule is evaluated", async || are_evaluated(prometheus, &groups).await).await;
    figures_say_what_the_run_says(&site, prometheus).await;
    promtool(&["check", "metrics"], dispatch.answer("/metrics").await.1.split("\r\n\r\n").nth(1).unwrap()).await;
    site.testbed.shutdown().await;
}

async fn cron_job(site: &Site, object: &Value) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("batch", "v1", "CronJob"));
    let namespace = drover::resources::DEFAULT_NAMESPACE;
    let api: Api<DynamicObject> = Api::namespaced_with(site.client.clone(), namespace, &resource);
    api.patch(text(object, "/metadata/name"), &PatchParams::apply("test"), &Patch::Apply(object)).await.unwrap();
}

/// The selectors of series in an expression, as Prometheus itself reads it.
async fn selectors(prometheus: &Prometheus, expression: &str) -> Vec<String> {
    let mut waiting = vec![prometheus.get("parse_query", &[("query", expression)]).await.unwrap()];
    let mut selectors = Vec::new();
    while let Some(node) = waiting.pop() {
        if ["vectorSelector", "matrixSelector"].contains(&text(&node, "/type")) {
            let matchers = node["matchers"].as_array().unwrap().iter();
            let matchers = matchers
                .map(|matcher| format!("{}{}{}", text(matcher, "/name"), text(matcher, "/type"), matcher["value"]));
            selectors.push(format!("{{{}}}", matchers.collect::<Vec<_>>().join(",")));
        }
        match node {
            Value::Object(members) => waiting.extend(members.into_iter().map(|(_, member)| member)),
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
    selectors
}

/// The series that answer a query now.
async fn query(prometheus: &Prometheus, query: &str) -> Vec<Value> {
    prometheus.get("query", &[("query", query)]).await.unwrap()["result"].as_array().unwrap().clone()
}

/// Whether Prometheus has evaluated every rule, without an error and without an alert.
async fn are_evaluated(prometheus: &Prometheus, groups: &Value) -> bool {
    let found = prometheus.get("rules", &[]).await.unwrap();
    let found: Vec<_> = rules(&found["groups"]).collect();
    found.len() == rules(groups).count()
        && found.iter().all(|rule| rule["health"] == "ok" && rule["state"] == "inactive")
}

async fn figures_say_what_the_run_says(site: &Site, prometheus: &Prometheus) {
    let run = site.runs("yearly").await.pop().unwrap();
    let snapshot = drover::runs::status_of(&run).snapshot.unwrap();
    for (figure, expected) in [
        ("drover_backup_size_bytes", snapshot.bytes),
        ("drover_backup_objects", snapshot.objects),
        ("drover_backup_ready", 1),
    ] {
        let expected = expected.to_string();
        let what = format!("{figure} is {expected}");
        until(&what, async || {
            let found = query(prometheus, &format!("{figure}{{backup=\"yearly\"}}")).await;
            found.len() == 1 && found[0]["value"][1] == expected.as_str()
        })
        .await;
    }
}
