pub(crate) use drover::annotations::REPLICAS_ANNOTATION as ANNOTATION;
pub(crate) use drover::labels::SCALED_DOWN_BY_LABEL as LABEL;
use drover::labels::{DROVER, PART_OF_LABEL};
use drover_testbed::proxy::{Answered, Proxy};
use http::Method;
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::{
    Archive, Run, api, config_map, live, namespace, old_owner, run, run_asking, run_through, testbed, until,
};

/// A Deployment; one that is paused makes no pods.
pub(crate) fn deployment(home: &str, name: &str, replicas: u32, paused: bool) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": home},
        "spec": {
            "replicas": replicas, "paused": paused, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "a", "image": "a"}]},
            },
        },
    })
}

pub(crate) async fn deployments(home: &str) -> Api<DynamicObject> {
    api("deployments", "apps/v1", "Deployment", Some(home)).await
}

pub(crate) async fn make(api: &Api<DynamicObject>, object: Value) {
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

pub(crate) fn reference(home: &str, api_version: &str, resource: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "resource": resource, "namespace": home, "name": name})
}

pub(crate) fn set(references: &[Value]) -> Value {
    json!({"apiVersion": "resources.cattle.io/v1", "kind": "ResourceSet", "metadata": {"name": "set"},
        "resourceSelectors": [], "controllerReferences": references})
}

/// An archive with one ConfigMap, whose ResourceSet names these Deployments.
pub(crate) fn archive(home: &str, names: &[&str]) -> Archive {
    let references: Vec<Value> = names.iter().map(|name| reference(home, "apps/v1", "deployments", name)).collect();
    Archive::of(&[config_map(home, "written", &json!(null))], Some(&set(&references)))
}

/// Makes the namespace and a Deployment in it.
pub(crate) async fn home_of(home: &str, deployment: Value) -> Api<DynamicObject> {
    assert_eq!(run("apply", &Archive::of(&[namespace(home)], None)).await.code, 0);
    let deployments = deployments(home).await;
    make(&deployments, deployment).await;
    deployments
}

/// The pods of a namespace, once there are so many.
pub(crate) async fn pods(home: &str, count: usize) -> (Api<DynamicObject>, Vec<DynamicObject>) {
    let pods = api("pods", "v1", "Pod", Some(home)).await;
    let list = async || pods.list(&ListParams::default()).await.unwrap().items;
    until("there are pods", async || list().await.len() == count).await;
    let found = list().await;
    (pods, found)
}

/// The count of a Deployment, and what is noted on it: who holds it down, and the count that it gets back.
pub(crate) async fn noted(deployments: &Api<DynamicObject>, name: &str) -> (Value, Value, Value) {
    let mut live = live(deployments, name).await;
    let metadata = live["metadata"].take();
    (live["spec"]["replicas"].take(), metadata["labels"][LABEL].clone(), metadata["annotations"][ANNOTATION].clone())
}

pub(crate) async fn is_at(deployments: &Api<DynamicObject>, name: &str, replicas: u32) {
    assert_eq!(noted(deployments, name).await, (json!(replicas), json!(null), json!(null)), "{name}");
}

async fn is_written(home: &str) -> bool {
    api("configmaps", "v1", "ConfigMap", Some(home)).await.get_opt("written").await.unwrap().is_some()
}

fn place(answered: &[Answered], method: &Method, part: &str) -> Vec<usize> {
    let is_it = |answered: &Answered| answered.method == *method && answered.path.contains(part);
    answered.iter().enumerate().filter(|(_, answered)| is_it(answered)).map(|(place, _)| place).collect()
}

#[tokio::test]
async fn controllers_are_down_before_the_first_write_and_back_after_the_last() {
    let home = "scaled";
    let deployments = home_of(home, deployment(home, "boss", 2, false)).await;
    pods(home, 2).await;
    let spec = live(&deployments, "boss").await["spec"].take();
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let run = run_through(&proxy.kubeconfig(), "apply", &archive(home, &["boss"]), &[]).await;
    assert_eq!((run.code, run.count("created")), (0, 1), "{}", run.errors);
    is_at(&deployments, "boss", 2).await;
    assert_eq!(live(&deployments, "boss").await["spec"], spec);

    let answered = proxy.answered();
    let writes: Vec<_> =
        answered.iter().filter(|answered| answered.is_write()).map(|answered| &answered.path).collect();
    let [boss, maps] = [("apps/v1", "deployments/boss"), ("v1", "configmaps")].map(|(group, end)| {
        let root = if group == "v1" { "/api" } else { "/apis" };
        format!("{root}/{group}/namespaces/{home}/{end}")
    });
    assert_eq!(writes, [&boss, &maps, &boss]);
    let last_look = *place(&answered, &Method::GET, "/pods?").last().unwrap();
    let first_write = place(&answered, &Method::POST, "configmaps")[0];
    assert!(place(&answered, &Method::PATCH, "boss")[0] < last_look && last_look < first_write, "{answered:?}");
}

#[tokio::test]
async fn pods_that_do_not_go_end_the_restore_before_its_first_write() {
    let home = "stays";
    let deployments = home_of(home, deployment(home, "boss", 1, false)).await;
    let (api, found) = pods(home, 1).await;
    let name = found[0].metadata.name.clone().unwrap();
    let finalizers = async |finalizers: Value| {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        api.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    };
    finalizers(json!(["example.io/stays"])).await;
    let archive = archive(home, &["boss"]);
    let run = run_asking("apply", &archive, &["--pods-seconds", "1"]).await;
    assert_eq!(run.code, 69, "{}", run.errors);
    assert!(run.errors.contains(&format!("pod \"{home}/{name}\"")), "{}", run.errors);
    assert!(!is_written(home).await);
    is_at(&deployments, "boss", 1).await;
    finalizers(json!(null)).await;
    assert_eq!(run_asking("apply", &archive, &[]).await.code, 0);
    is_at(&deployments, "boss", 1).await;
}

#[tokio::test]
async fn what_is_not_to_be_scaled_stays_as_it_is_and_is_named() {
    let home = "unscaled";
    // A Deployment of drover's would tell the other tests that drover runs here.
    let mut ours = deployment(home, "ours", 2, true);
    ours["kind"] = json!("StatefulSet");
    ours["metadata"]["labels"] = json!({PART_OF_LABEL: DROVER});
    ours["spec"].as_object_mut().unwrap().remove("paused");
    ours["spec"]["serviceName"] = json!("ours");
    assert_eq!(run("apply", &Archive::of(&[namespace(home)], None)).await.code, 0);
    let stateful_sets = api("statefulsets", "apps/v1", "StatefulSet", Some(home)).await;
    make(&stateful_sets, ours).await;
    let references = [
        reference(home, "apps/v1", "statefulsets", "ours"),
        reference(home, "apps/v1", "deployments", "missing"),
        reference(home, "v1", "configmaps", "kube-root-ca.crt"),
        reference(home, "nobody.example.io/v1", "things", "any"),
    ];
    let archive = Archive::of(&[config_map(home, "written", &json!(null))], Some(&set(&references)));
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let run = run_through(&proxy.kubeconfig(), "apply", &archive, &[]).await;
    assert_eq!(run.code, 0, "{}", run.errors);
    for words in ["\"unscaled/ours\" of", "label", "\"unscaled/missing\" of", "no replicas", "not serve its type"] {
        assert!(run.errors.contains(words), "{words}: {}", run.errors);
    }
    assert_eq!(proxy.answered().iter().filter(|answered| answered.is_write()).count(), 1);
    is_at(&stateful_sets, "ours", 2).await;
    assert!(is_written(home).await);
}

#[tokio::test]
async fn a_controller_of_the_archive_stays_down_and_gets_the_archives_count() {
    let home = "archived";
    let deployments = home_of(home, deployment(home, "boss", 2, true)).await;
    // As the server gives it, with all defaults filled in.
    let mut archived = live(&deployments, "boss").await;
    archived["spec"]["replicas"] = json!(5);
    archived["spec"]["minReadySeconds"] = json!(7);
    let mut missing = archived.clone();
    (missing["metadata"]["name"], missing["spec"]["replicas"]) = (json!("missing"), json!(3));
    let references = ["boss", "missing"].map(|name| reference(home, "apps/v1", "deployments", name));
    let objects = [("deployments", archived), ("deployments", missing)].map(|(plural, mut object)| {
        let metadata = object["metadata"].take();
        object["metadata"] = json!({"name": metadata["name"], "namespace": metadata["namespace"],
            "annotations": metadata["annotations"]});
        (plural, object)
    });
    let archive = Archive::of(&objects, Some(&set(&references)));
    let proxy = Proxy::start(testbed().await).await.unwrap();

    let held = proxy.hold_after(1);
    let (kubeconfig, ended) = (proxy.kubeconfig(), ["--concurrency", "1"]);
    let running = run_through(&kubeconfig, "apply", &archive, &ended);
    let watching = async {
        held.reached().await;
        let down = |count: &str| (json!(0), json!("command-line"), json!(count));
        assert_eq!(noted(&deployments, "boss").await, down("2"));
        // Scaling down, writing one, writing the other.
        let next = proxy.hold_after(2);
        held.go_on();
        next.reached().await;
        assert_eq!(noted(&deployments, "boss").await, down("5"));
        assert_eq!(noted(&deployments, "missing").await, down("3"));
        next.go_on();
    };
    let (run, ()) = tokio::join!(running, watching);
    assert_eq!((run.code, run.count("created"), run.count("updated")), (0, 1, 1), "{}", run.errors);
    is_at(&deployments, "boss", 5).await;
    is_at(&deployments, "missing", 3).await;
    assert_eq!(live(&deployments, "boss").await["spec"]["minReadySeconds"], 7);
    let again = run_through(&kubeconfig, "apply", &archive, &[]).await;
    assert_eq!((again.code, again.count("unchanged")), (0, 2), "{}", again.report);
    is_at(&deployments, "boss", 5).await;
}

#[tokio::test]
async fn a_plan_names_what_would_be_scaled_down() {
    let home = "foreseen";
    let deployments = home_of(home, deployment(home, "boss", 2, true)).await;
    let plan = run("plan", &archive(home, &["boss", "missing"])).await;
    let expected = json!([{"group": "apps", "version": "v1", "resource": "deployments", "namespace": home,
        "name": "boss", "replicas": 2}]);
    assert_eq!((plan.code, &plan.report["controllers"]), (0, &expected), "{}", plan.report);
    is_at(&deployments, "boss", 2).await;
}

#[tokio::test]
async fn counts_come_back_however_the_restore_ends() {
    let home = "ends";
    let deployments = home_of(home, deployment(home, "boss", 2, true)).await;
    let (plural, mut refused) = config_map(home, "refused", &json!(null));
    refused["data"] = json!({"no key": "x"});
    let references = [reference(home, "apps/v1", "deployments", "boss")];
    let failed = run("apply", &Archive::of(&[(plural, refused)], Some(&set(&references)))).await;
    assert_eq!((failed.code, failed.count("failed")), (1, 1), "{}", failed.report);
    is_at(&deployments, "boss", 2).await;

    // Asked to end after the first of many writes: what is in work is finished.
    let objects: Vec<_> = (0..200).map(|index| config_map(home, &format!("many-{index}"), &json!(null))).collect();
    let archive = Archive::of(&objects, Some(&set(&references)));
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let held = proxy.hold_after(2);
    let mut child = crate::support::start(&proxy.kubeconfig(), "apply", &archive.path(), &["--concurrency", "1"]);
    held.reached().await;
    Run::ask_to_end(&child);
    // The signal is taken in before the next write begins.
    let said = Run::first_line(&mut child, "asked to end").await;
    held.go_on();
    let stopped = Run::wait(child).await;
    assert_eq!(stopped.code, 1, "{said}{}", stopped.errors);
    assert!(stopped.count("untouched") >= 198, "{}", stopped.report["counts"]);
    is_at(&deployments, "boss", 2).await;
}

/// Damages what the archive holds, so that every object of it is written.
async fn damage(home: &str, deployments: &Api<DynamicObject>) {
    let maps = api("configmaps", "v1", "ConfigMap", Some(home)).await;
    for (index, name) in names().enumerate() {
        if index % 2 == 0 {
            drop(maps.delete(&name, &kube::api::DeleteParams::default()).await);
        } else {
            let map =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "x"}});
            maps.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&map)).await.unwrap();
        }
    }
    let changed = Patch::Merge(json!({"spec": {"replicas": 2, "minReadySeconds": 1}}));
    deployments.patch("held", &PatchParams::default(), &changed).await.unwrap();
}

fn names() -> impl Iterator<Item = String> {
    (0..9).map(|index| format!("map-{index}"))
}

/// Ten objects, one of them a controller; another controller is not in the archive. Every single write of the restore is
/// the last one of a process that is killed then.
#[tokio::test]
async fn counts_survive_a_kill_after_every_single_write() {
    let home = "killed";
    let deployments = home_of(home, deployment(home, "boss", 3, true)).await;
    make(&deployments, deployment(home, "held", 2, true)).await;
    let owner = json!([old_owner("v1", "ConfigMap", "map-0")]);
    let mut objects: Vec<_> = names().skip(1).map(|name| config_map(home, &name, &owner)).collect();
    objects.push(config_map(home, "map-0", &json!(null)));
    let archived = live(&deployments, "held").await;
    let mut spec = archived["spec"].clone();
    (spec["replicas"], spec["minReadySeconds"]) = (json!(5), json!(7));
    objects.push((
        "deployments",
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec,
        "metadata": {"name": "held", "namespace": home, "annotations": archived["metadata"]["annotations"]}}),
    ));
    let references = ["boss", "held"].map(|name| reference(home, "apps/v1", "deployments", name));
    let archive = Archive::of(&objects, Some(&set(&references)));
    let proxy = Proxy::start(testbed().await).await.unwrap();
    let mut kills = 0;
    for writes in 1.. {
        damage(home, &deployments).await;
        let held = proxy.hold_after(writes);
        let child = crate::support::start(&proxy.kubeconfig(), "apply", &archive.path(), &["--concurrency", "1"]);
        let ended = Run::kill_when(child, held.reached()).await;
        drop(held);
        is_noted(&deployments, "boss", &[3]).await;
        is_noted(&deployments, "held", &[2, 5]).await;
        if let Some(run) = ended {
            assert_eq!(run.code, 0, "{}", run.errors);
            break;
        }
        kills += 1;
        let next = run("apply", &archive).await;
        assert_eq!((next.code, next.count("failed")), (0, 0), "after {writes} writes: {}", next.errors);
        is_at(&deployments, "boss", 3).await;
        is_at(&deployments, "held", 5).await;
        assert_eq!(run("plan", &archive).await.count("unchanged"), 10, "after {writes} writes");
    }
    // Two are scaled down, ten objects are written, two are put back.
    assert_eq!(kills, 14);
}

/// Whatever a process was at when it was killed: a controller has its count, or it says which it is to get.
async fn is_noted(deployments: &Api<DynamicObject>, name: &str, counts: &[i64]) {
    let (replicas, holder, noted) = noted(deployments, name).await;
    let count = if holder.is_null() { replicas.as_i64() } else { noted.as_str().and_then(|count| count.parse().ok()) };
    assert!(counts.contains(&count.unwrap()), "{name}: {replicas} {holder} {noted}");
}
