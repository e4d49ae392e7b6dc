//! Restores that are killed between the deletion of an object and its being created again, which is refused from then on:
//! nothing is lost.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use drover::labels::COPY_LABEL;
use drover_testbed::proxy::{Answered, Proxy};
use http::Method;
use k8s_openapi::ByteString;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::recreate::{fixed_map, refuse_but_not_on_trial, secret};
use crate::support::{Archive, EXEMPT, Run, api, change, live, namespace, run, run_asking, start, testbed, until};

/// The Secret "a" in a state that it cannot be changed into, so large that its copy takes two Secrets: what is random cannot
/// be packed.
fn large(home: &str, state: &str) -> Archive {
    let random: Vec<u8> = (0..60_000).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
    let content = json!({"type": format!("example.io/{state}"), "data": {"key": ByteString(random)}});
    let (plural, mut object) = secret(home, "a", &content);
    object["metadata"]["labels"] = json!({"state": state});
    Archive::of(&[namespace(home), (plural, object)], None)
}

/// Kills a restore right after each of its writes, until that was the deletion of this object.
async fn kill_after_the_deletion(archive: &Archive, path: &str, arguments: &[&str], before: impl AsyncFn()) {
    let (proxy, collection) = (Proxy::start(testbed().await).await.unwrap(), path.rsplit_once('/').unwrap().0);
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--concurrency=1"]).collect();
    for writes in 1.. {
        before().await;
        let held = proxy.hold_after(writes);
        let child = start(&proxy.kubeconfig(), "apply", &archive.path(), &arguments);
        let ended = Run::kill_when(child, held.reached()).await;
        if let Some(ended) = ended {
            panic!("it ended before its write {writes}: {}", ended.errors);
        }
        let answered = proxy.answered();
        let has = |method: Method, path: &str| answered.iter().any(|one| is(one, &method, path));
        assert!(!has(Method::POST, collection), "after {writes}: {answered:?}");
        if has(Method::DELETE, path) {
            return;
        }
    }
}

fn is(answered: &Answered, method: &Method, path: &str) -> bool {
    answered.is_write() && answered.method == *method && answered.path == path && answered.status.is_success()
}

async fn until_gone(objects: &Api<DynamicObject>, name: &str) {
    until("it is gone", async || objects.get_opt(name).await.unwrap().is_none()).await;
}

/// A namespace in which drover might run.
async fn drovers(name: &str) -> (Api<DynamicObject>, impl AsyncFn()) {
    assert_eq!(run("apply", &Archive::of(&[namespace(name)], None)).await.code, 0);
    let leases = api("leases", "coordination.k8s.io/v1", "Lease", Some(name)).await;
    // The holder is dead: what waiting for that costs is tested elsewhere.
    let bury = async move || {
        leases.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    };
    (api("secrets", "v1", "Secret", Some(name)).await, bury)
}

async fn copies(secrets: &Api<DynamicObject>) -> Vec<DynamicObject> {
    secrets.list(&ListParams::default().labels(COPY_LABEL)).await.unwrap().items
}

#[tokio::test]
async fn what_was_deleted_by_a_restore_that_was_killed_is_put_back_though_the_new_one_is_refused() {
    let _exempt = EXEMPT.write().await;
    let (home, drover) = ("kept", "kept-drover");
    let (copied, bury) = drovers(drover).await;
    assert_eq!(run("apply", &large(home, "old")).await.code, 0);
    refuse_but_not_on_trial(home).await;
    let secrets = api("secrets", "v1", "Secret", Some(home)).await;
    let (before, refused) = (live(&secrets, "a").await, large(home, "refused"));
    let arguments = ["--drover-namespace", drover];
    kill_after_the_deletion(&refused, "/api/v1/namespaces/kept/secrets/a", &arguments, &bury).await;
    until_gone(&secrets, "a").await;
    assert_eq!(copies(&copied).await.len(), 2);

    bury().await;
    let next = run_asking("apply", &refused, &arguments).await;
    let (result, reason) = next.result("secrets", "a");
    assert_eq!((next.code, result.as_str()), (1, "failed"), "{}", next.errors);
    // It was there when the restore planned, was deleted once more, and is there again.
    assert!(reason.contains("what was there before was put back"), "{reason}");
    let mut back = live(&secrets, "a").await;
    for member in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        back["metadata"][member] = before["metadata"][member].clone();
    }
    assert_eq!(back, before);
    assert!(copies(&copied).await.is_empty());
}

#[tokio::test]
async fn a_copy_goes_when_its_object_is_there_and_gives_it_its_finalizers_back() {
    let _exempt = EXEMPT.write().await;
    let (home, drover) = ("finalized", "finalized-drover");
    let (copied, bury) = drovers(drover).await;
    let archive = |value: &str| {
        let metadata = json!({"finalizers": ["example.io/nobody-does-it"]});
        Archive::of(&[namespace(home), fixed_map(home, "a", value, &metadata)], None)
    };
    assert_eq!(run("apply", &archive("old")).await.code, 0);
    let maps = api("configmaps", "v1", "ConfigMap", Some(home)).await;
    let finalizers = async || live(&maps, "a").await["metadata"]["finalizers"].clone();
    let (proxy, arguments) =
        (Proxy::start(testbed().await).await.unwrap(), ["--drover-namespace", drover, "--concurrency=1"]);
    let new = archive("new");
    // The Lease, what the kill before left, the copy, the deletion on trial; then the finalizers are taken away.
    for writes in 1.. {
        bury().await;
        let held = proxy.hold_after(writes);
        let child = start(&proxy.kubeconfig(), "apply", &new.path(), &arguments);
        assert!(Run::kill_when(child, held.reached()).await.is_none());
        drop(held);
        if finalizers().await == Value::Null {
            break;
        }
    }
    assert_eq!(copies(&copied).await.len(), 1);
    bury().await;
    // Another archive: what comes back is no doing of the restore itself.
    let other = run_asking("apply", &Archive::of(&[namespace(home)], None), &["--drover-namespace", drover]).await;
    assert_eq!((other.code, other.count("unchanged")), (0, 1), "{}", other.errors);
    assert_eq!(finalizers().await, json!(["example.io/nobody-does-it"]));
    assert!(copies(&copied).await.is_empty());
    change(&maps, "a", &json!({"metadata": {"finalizers": null}})).await;
}

fn files(archive: &Archive) -> Vec<PathBuf> {
    let files = std::fs::read_dir(archive.path().parent().unwrap()).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("drover-copy-")).collect()
}

#[tokio::test]
async fn without_drover_in_the_cluster_the_copy_lies_beside_the_archive() {
    let home = "kept-beside";
    let archive = |value: &str| Archive::of(&[namespace(home), fixed_map(home, "a", value, &json!({}))], None);
    assert_eq!(run("apply", &archive("old")).await.code, 0);
    let second = archive("second");
    let done = run("apply", &second).await;
    assert_eq!((done.code, done.count("updated"), files(&second)), (0, 1, Vec::new()), "{}", done.errors);

    let third = archive("third");
    kill_after_the_deletion(&third, "/api/v1/namespaces/kept-beside/configmaps/a", &[], async || {}).await;
    until_gone(&api("configmaps", "v1", "ConfigMap", Some(home)).await, "a").await;
    let left = files(&third);
    // Those of earlier kills are named too: nobody knows of which cluster they are.
    let newest = left.iter().max().unwrap();
    let copy: Value = serde_json::from_slice(&std::fs::read(newest).unwrap()).unwrap();
    assert_eq!((&copy["kind"], &copy["data"]["key"]), (&json!("ConfigMap"), &json!("second")));
    assert_eq!(std::fs::metadata(newest).unwrap().permissions().mode() & 0o777, 0o600);
    let next = run("apply", &third).await;
    assert_eq!((next.code, next.count("created")), (0, 1), "{}", next.errors);
    let words = format!("kubectl create --filename {newest:?}");
    assert!(next.errors.contains(&words), "{words}: {}", next.errors);
}
