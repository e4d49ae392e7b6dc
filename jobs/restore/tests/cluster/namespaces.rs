use std::io::{BufRead, BufReader, Read};
use std::process::Child;

use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{
    Archive, Run, api, change, command, config_map, make, namespace, run, run_asking, testbed, until,
};

/// The program while it runs.
struct Running {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    report: JoinHandle<Vec<u8>>,
}

impl Running {
    async fn start(archive: &Archive) -> Self {
        let kubeconfig = testbed().await.kubeconfig().unwrap();
        let mut child = command(kubeconfig, "apply", &archive.path()).spawn().unwrap();
        let (log, mut out) = (BufReader::new(child.stderr.take().unwrap()), child.stdout.take().unwrap());
        let report = tokio::task::spawn_blocking(move || {
            let mut report = Vec::new();
            out.read_to_end(&mut report).unwrap();
            report
        });
        Self { child, log, report }
    }

    /// Waits until it says this.
    async fn says(mut self, words: &'static str) -> Self {
        tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains(words) {
                line.clear();
                assert!(self.log.read_line(&mut line).unwrap() > 0, "it ended and never said {words:?}");
            }
            self
        })
        .await
        .unwrap()
    }

    async fn end(mut self) -> Run {
        let status = tokio::task::spawn_blocking(move || {
            let mut errors = Vec::new();
            self.log.read_to_end(&mut errors).unwrap();
            (self.child.wait().unwrap(), errors)
        });
        let (status, stderr) = status.await.unwrap();
        Run::of(&std::process::Output { status, stdout: self.report.await.unwrap(), stderr })
    }
}

const HOLD: &str = "example.io/hold";

/// A ConfigMap that stays when it is deleted.
async fn make_held(home: &str, name: &str) -> Api<DynamicObject> {
    let maps = api("configmaps", "v1", "ConfigMap", Some(home)).await;
    let metadata = json!({"name": name, "finalizers": [HOLD]});
    make(&maps, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).await;
    maps
}

async fn let_go(maps: &Api<DynamicObject>, name: &str) {
    change(maps, name, &json!({"metadata": {"finalizers": null}})).await;
}

/// A namespace on its way out that something holds.
async fn leaving(home: &str) -> Api<DynamicObject> {
    let namespaces = api("namespaces", "v1", "Namespace", None).await;
    make(&namespaces, &namespace(home).1).await;
    let maps = make_held(home, "held").await;
    namespaces.delete(home, &DeleteParams::default()).await.unwrap();
    until("Kubernetes says what holds the namespace", async || {
        let live = namespaces.get(home).await.unwrap();
        live.data["status"]["conditions"].to_string().contains(HOLD)
    })
    .await;
    maps
}

#[tokio::test]
async fn a_namespace_that_is_nowhere_is_made_and_told_of() {
    let set = json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
        "resourceSelectors": [{"apiVersion": "v1", "kinds": ["Namespace"], "resourceNameRegexp": "^made$"}]});
    let objects = [
        config_map("made", "a", &json!(null)),
        // Kubernetes makes this one, so nothing needs its namespace.
        config_map("not-made", "kube-root-ca.crt", &json!(null)),
    ];
    let archive = Archive::of(&objects, Some(&set));
    let made = "made: the archive has objects in it and no Namespace object";
    for subcommand in ["plan", "apply"] {
        let run = run(subcommand, &archive).await;
        assert_eq!((run.code, run.count("created"), run.count("kept")), (0, 2, 1), "{}", run.report);
        assert_eq!(run.result("namespaces", "made"), ("created".to_owned(), made.to_owned()));
    }
    let namespaces = api("namespaces", "v1", "Namespace", None).await;
    assert!(namespaces.get_opt("not-made").await.unwrap().is_none());
    // The archive lacks it, and its ResourceSet selects it: deleted, it would take along what was just restored.
    let second = run_asking("apply", &archive, &["--prune=all"]).await;
    assert_eq!((second.code, second.count("unchanged"), second.count("pruned")), (0, 1, 0), "{}", second.report);
    assert_eq!(second.result("namespaces", "made").1, "objects of the archive lie in it");
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_waited_for_and_comes_back() {
    let objects = |home: &str| vec![config_map(home, "held", &json!(null)), config_map(home, "a", &json!(null))];
    let (with, without) = (leaving("leaving").await, leaving("leaving-too").await);
    let all = [vec![namespace("leaving")], objects("leaving"), objects("leaving-too")].concat();
    let archive = Archive::of(&all, None);
    let running = Running::start(&archive).await.says("waiting for namespaces").await;
    let_go(&with, "held").await;
    let_go(&without, "held").await;
    let ended = running.end().await;
    assert_eq!((ended.code, ended.count("created")), (0, 6), "{} {}", ended.report, ended.errors);
    assert_eq!(run("plan", &archive).await.count("unchanged"), 5);
}

#[tokio::test]
async fn an_object_that_is_being_deleted_is_waited_for() {
    assert_eq!(run("apply", &Archive::of(&[namespace("going")], None)).await.code, 0);
    let maps = make_held("going", "held").await;
    maps.delete("held", &DeleteParams::default()).await.unwrap();
    let objects = [config_map("going", "held", &json!(null)), config_map("going", "sign", &json!(null))];
    let archive = Archive::of(&objects, None);
    let running = Running::start(&archive).await;
    until("the stage has begun", async || maps.get_opt("sign").await.unwrap().is_some()).await;
    let_go(&maps, "held").await;
    let ended = running.end().await;
    assert_eq!((ended.code, ended.count("created")), (0, 2), "{} {}", ended.report, ended.errors);
}

/// Both take a minute, so they are in one test.
#[tokio::test]
async fn what_does_not_go_within_a_minute_is_named_with_what_holds_it() {
    leaving("stuck").await;
    assert_eq!(run("apply", &Archive::of(&[namespace("fine")], None)).await.code, 0);
    let maps = make_held("fine", "held").await;
    maps.delete("held", &DeleteParams::default()).await.unwrap();
    let stuck = Archive::of(&[namespace("stuck"), config_map("stuck", "a", &json!(null))], None);
    let owned = config_map("fine", "owned", &json!([crate::support::old_owner("v1", "ConfigMap", "held")]));
    let fine = Archive::of(&[config_map("fine", "held", &json!(null)), owned], None);
    let (stuck, fine) = tokio::join!(run("apply", &stuck), run("apply", &fine));
    assert_eq!((stuck.code, stuck.count("failed")), (1, 2), "{} {}", stuck.report, stuck.errors);
    for (plural, name) in [("namespaces", "stuck"), ("configmaps", "a")] {
        let (_, reason) = stuck.result(plural, name);
        assert!(reason.contains("\"stuck\" is being deleted") && reason.contains(HOLD), "{reason}");
    }
    let (_, reason) = fine.result("configmaps", "held");
    assert_eq!((fine.code, fine.count("failed"), fine.count("created")), (1, 1, 1), "{}", fine.report);
    assert!(reason.contains("waits for its finalizers") && reason.contains(HOLD), "{reason}");
    // Named, it would go with its owner.
    assert_eq!(crate::support::live(&maps, "owned").await["metadata"]["ownerReferences"], Value::Null);
    let deleted = maps.create(&PostParams::default(), &serde_json::from_value(fine_map()).unwrap()).await;
    assert!(deleted.is_err(), "it is still there");
}

fn fine_map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held"}})
}
