//! Controllers that run while there is nothing to write, and that somebody scales up while there is.

use std::time::{Duration, Instant};

use drover_testbed::proxy::{Held, Proxy};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};

use crate::controllers::{ANNOTATION, LABEL, archive, deployment, home_of, is_at, make, noted, pods, reference, set};
use crate::support::{Archive, Run, api, change, config_map, live, run, run_through, start, testbed, until};

/// Within that time one that is scaled up is seen.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// Who takes 0 replicas for a drift.
const HEALER: &str = "argocd-controller";

async fn heal(deployments: &Api<DynamicObject>, name: &str) {
    let patch = Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments.patch(name, &PatchParams::apply(HEALER), &patch).await.unwrap();
}

/// What a process logs.
struct Log(Lines<BufReader<ChildStderr>>);

impl Log {
    fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stderr.take().unwrap()).lines())
    }

    /// Waits until it says that somebody scaled a controller up.
    async fn names_the_healer(&mut self) {
        loop {
            let line = self.0.next_line().await.unwrap();
            if line.unwrap().contains(HEALER) {
                return;
            }
        }
    }

    async fn rest(mut self) -> String {
        let mut rest = String::new();
        while let Some(line) = self.0.next_line().await.unwrap() {
            rest += &line;
        }
        rest
    }
}

/// Nine ConfigMaps that are not there, and a controller that is.
fn nine(home: &str) -> Archive {
    let maps: Vec<_> = (0..9).map(|index| config_map(home, &format!("map-{index}"), &json!(null))).collect();
    Archive::of(&maps, Some(&set(&[reference(home, "apps/v1", "deployments", "boss")])))
}

#[tokio::test]
async fn a_restore_that_finds_nothing_to_write_scales_none_and_puts_back_what_a_killed_one_left() {
    let home = "untouched";
    let deployments = home_of(home, deployment(home, "boss", 2, true)).await;
    let archive = archive(home, &["boss", "left"]);
    assert_eq!(run("apply", &archive).await.count("created"), 1);
    let mut left = deployment(home, "left", 0, true);
    left["metadata"]["labels"] = json!({LABEL: "command-line"});
    left["metadata"]["annotations"] = json!({ANNOTATION: "3"});
    make(&deployments, left).await;
    let generation = async || live(&deployments, "boss").await["metadata"]["generation"].clone();
    let before = generation().await;

    let proxy = Proxy::start(testbed().await).await.unwrap();
    let again = run_through(&proxy.kubeconfig(), "apply", &archive, &[]).await;
    assert_eq!((again.code, again.count("unchanged")), (0, 1), "{} {}", again.report, again.errors);
    let writes = proxy.answered().into_iter().filter(drover_testbed::proxy::Answered::is_write);
    let paths: Vec<String> = writes.map(|answered| answered.path).collect();
    assert_eq!(paths, [format!("/apis/apps/v1/namespaces/{home}/deployments/left")]);
    assert_eq!(generation().await, before);
    is_at(&deployments, "boss", 2).await;
    is_at(&deployments, "left", 3).await;
    let plan = run("plan", &archive).await;
    assert_eq!((plan.code, &plan.report["controllers"]), (0, &json!(null)), "{}", plan.report);
}

#[tokio::test]
async fn a_controller_that_its_user_keeps_at_zero_is_not_written_where_nothing_else_is() {
    let home = "kept-at-zero";
    let deployments = home_of(home, deployment(home, "boss", 0, true)).await;
    let archive = archive(home, &["boss"]);
    assert_eq!(run("apply", &archive).await.count("created"), 1);
    is_at(&deployments, "boss", 0).await;
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let again = run_through(&proxy.kubeconfig(), "apply", &archive, &[]).await;
    assert_eq!((again.code, again.count("unchanged")), (0, 1), "{} {}", again.report, again.errors);
    let writes = proxy.answered().into_iter().filter(drover_testbed::proxy::Answered::is_write);
    let paths: Vec<String> = writes.map(|answered| answered.path).collect();
    assert_eq!(paths, Vec::<String>::new());
}

#[tokio::test]
async fn for_what_is_written_last_alone_none_is_scaled() {
    let home = "registered";
    let deployments = home_of(home, deployment(home, "boss", 2, true)).await;
    let name = "registered.example.io";
    let webhook = json!({"name": name, "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore", "rules": [{"apiGroups": ["nowhere.example.io"],
            "apiVersions": ["*"], "resources": ["things"], "operations": ["CREATE"]}]});
    let group = "admissionregistration.k8s.io/v1";
    let configuration = json!({"apiVersion": group, "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": [webhook]});
    let map = config_map(home, "written", &json!(null));
    assert_eq!(run("apply", &Archive::of(std::slice::from_ref(&map), None)).await.code, 0);
    let generation = async || live(&deployments, "boss").await["metadata"]["generation"].clone();
    let before = generation().await;

    let set = set(&[reference(home, "apps/v1", "deployments", "boss")]);
    let archive = Archive::of(&[map, ("validatingwebhookconfigurations", configuration)], Some(&set));
    let plan = run("plan", &archive).await;
    assert_eq!((plan.count("created"), &plan.report["controllers"]), (1, &json!(null)), "{}", plan.report);
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let written = run_through(&proxy.kubeconfig(), "apply", &archive, &[]).await;
    let counts = ["created", "unchanged"].map(|count| written.count(count));
    assert_eq!((written.code, counts), (0, [1, 1]), "{} {}", written.report, written.errors);
    let writes = proxy.answered().into_iter().filter(drover_testbed::proxy::Answered::is_write);
    let paths: Vec<String> = writes.map(|answered| answered.path).collect();
    assert_eq!(paths, [format!("/apis/{group}/validatingwebhookconfigurations")]);
    assert_eq!(generation().await, before);
    is_at(&deployments, "boss", 2).await;
}

#[tokio::test]
async fn what_is_written_until_the_pods_are_gone_is_compared_and_what_is_made_stays() {
    let home = "compared";
    let deployments = home_of(home, deployment(home, "boss", 1, false)).await;
    let (pods, found) = pods(home, 1).await;
    let pod = found[0].metadata.name.clone().unwrap();
    change(&pods, &pod, &json!({"metadata": {"finalizers": ["example.io/stays"]}})).await;
    let maps = api("configmaps", "v1", "ConfigMap", Some(home)).await;
    let of = |name: &str| config_map(home, name, &json!(null));
    make(&maps, of("same").1).await;
    let mut set = set(&[reference(home, "apps/v1", "deployments", "boss")]);
    set["resourceSelectors"] =
        json!([{"apiVersion": "v1", "kindsRegexp": "^configmaps$", "namespaceRegexp": format!("^{home}$")}]);
    let archive = Archive::of(&[of("same"), of("missing")], Some(&set));

    let kubeconfig = testbed().await.kubeconfig().unwrap();
    let child = start(kubeconfig, "apply", &archive.path(), &["--prune"]);
    let is_down = async || noted(&deployments, "boss").await == (json!(0), json!("command-line"), json!("1"));
    until("it is scaled down", is_down).await;
    // Its last pod goes on with its work.
    change(&maps, "same", &json!({"data": {"key": "changed"}})).await;
    make(&maps, of("extra").1).await;
    change(&pods, &pod, &json!({"metadata": {"finalizers": null}})).await;
    let run = Run::wait(child).await;
    let counts = ["created", "updated", "pruned", "heldBack"].map(|count| run.count(count));
    assert_eq!((run.code, counts), (0, [1, 1, 0, 1]), "{} {}", run.report, run.errors);
    let (result, reason) = run.result("configmaps", "extra");
    assert!(result == "heldBack" && reason.contains("not before the restore was asked for"), "{result}: {reason}");
    is_at(&deployments, "boss", 1).await;
}

/// Scales the controller up while a write is held, and gives how long it took until that was seen.
async fn disturb(deployments: &Api<DynamicObject>, held: &Held, log: &mut Log) -> Duration {
    held.reached().await;
    heal(deployments, "boss").await;
    let begun = Instant::now();
    log.names_the_healer().await;
    begun.elapsed()
}

#[tokio::test]
async fn one_that_is_scaled_up_in_the_middle_is_seen_and_down_again_before_anything_more_is_written() {
    let home = "healed";
    let deployments = home_of(home, deployment(home, "boss", 3, true)).await;
    let proxy = Proxy::start(testbed().await).await.unwrap();
    // It is scaled down, and three objects are written.
    let held = proxy.hold_after(4);
    let archive = nine(home);
    let mut child = start(&proxy.kubeconfig(), "apply", &archive.path(), &["--concurrency", "1"]);
    let mut log = Log::of(&mut child);
    let taken = disturb(&deployments, &held, &mut log).await;
    assert!(taken < SEEN_WITHIN, "{taken:?}");
    held.go_on();
    let (run, errors) = tokio::join!(Run::wait(child), log.rest());
    assert_eq!((run.code, run.count("created"), run.count("unchanged")), (0, 9, 0), "{} {errors}", run.report);
    let (result, reason) = run.result("deployments", "boss");
    assert!(result == "kept" && reason.contains("scaled up to 1 by \"argocd-controller\""), "{result}: {reason}");
    is_at(&deployments, "boss", 3).await;

    let answered = proxy.answered();
    let writes = answered.iter().filter(|answered| answered.is_write());
    let names: String = writes.map(|answered| if answered.path.contains("deployments") { 'd' } else { 'm' }).collect();
    assert_eq!(names, "dmmmdmmmmmmd");
}

#[tokio::test]
async fn one_that_comes_up_three_times_ends_the_restore_and_the_next_one_goes_on() {
    let home = "contended";
    let deployments = home_of(home, deployment(home, "boss", 3, true)).await;
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let archive = nine(home);
    let mut held = proxy.hold_after(2);
    let mut child = start(&proxy.kubeconfig(), "apply", &archive.path(), &["--concurrency", "1"]);
    let mut log = Log::of(&mut child);
    for _ in 0..2 {
        disturb(&deployments, &held, &mut log).await;
        // That it is scaled down again may be one of these writes.
        let next = proxy.hold_after(2);
        held.go_on();
        held = next;
    }
    disturb(&deployments, &held, &mut log).await;
    held.go_on();
    let (run, errors) = tokio::join!(Run::wait(child), log.rest());
    assert_eq!(run.code, 69, "{errors}");
    for words in ["\"contended/boss\" down: 3 times", "\"argocd-controller\"", "self-heal"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    assert!(run.count("created") >= 3 && run.count("untouched") >= 3, "{}", run.counts());
    is_at(&deployments, "boss", 3).await;
    let next = run_through(&proxy.kubeconfig(), "apply", &archive, &[]).await;
    assert_eq!((next.code, next.count("failed")), (0, 0), "{}", next.errors);
    is_at(&deployments, "boss", 3).await;
}

/// Whoever takes the note off takes no count away: it is the one from before.
#[tokio::test]
async fn a_note_that_is_taken_off_is_put_on_again_with_the_count_from_before() {
    let home = "unnoted";
    let deployments = home_of(home, deployment(home, "boss", 3, true)).await;
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let held = proxy.hold_after(2);
    let archive = nine(home);
    let child = start(&proxy.kubeconfig(), "apply", &archive.path(), &["--concurrency", "1"]);
    held.reached().await;
    let note: Value = json!({"metadata": {"labels": {LABEL: null}, "annotations": {ANNOTATION: null}}});
    change(&deployments, "boss", &note).await;
    held.go_on();
    let run = Run::wait(child).await;
    assert_eq!((run.code, run.count("created")), (0, 9), "{} {}", run.report, run.errors);
    assert!(run.errors.contains("\"unnoted/boss\" lost the note"), "{}", run.errors);
    is_at(&deployments, "boss", 3).await;
}
