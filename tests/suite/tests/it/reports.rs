//! What became of every object of a Restore: in the status what matters, in `restore report` all of it.

use std::path::PathBuf;

use drover::archive::{Key, Writer};
use drover::labels::RESTORE_LABEL;
use drover::resources::{DEFAULT_NAMESPACE, RestoreSpec, RestoreStatus};
use drover_testbed::{Options, Service};
use drover_tests::{Site, message};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An archive of which the API server refuses most.
const REFUSING: &str = "refused.tar.gz";
/// Objects of the archive, and those of them that the API server refuses.
const OBJECTS: usize = 30;
const REFUSED: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_a_restore_is_told_of_when_its_pod_is_gone() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    archive(&site);
    failed_objects_end_a_restore(&site).await;
    ignored_ones_are_named_all_the_same(&site).await;
    a_later_try_takes_the_place_of_an_earlier_one(&site).await;
    a_report_that_no_config_map_could_hold_is_cut(&site).await;
    what_has_no_report_is_said(&site).await;
    site.testbed.shutdown().await;
}

fn archive(site: &Site) -> PathBuf {
    let path = site.folder().join(REFUSING);
    let mut writer = Writer::new(std::fs::File::create(&path).unwrap(), jiff::Timestamp::UNIX_EPOCH);
    for index in 0..OBJECTS {
        let name = format!("told-{index:02}");
        let key = if index < REFUSED { "no key" } else { "key" };
        let metadata = json!({"name": name, "namespace": "default"});
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: "x"}});
        let key = Key::from_path(&format!("configmaps.#v1/default/{name}.json")).unwrap();
        writer.append(&key, object.to_string().as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// Makes a Restore and runs it to this end.
async fn run(site: &Site, name: &str, filename: &str, ignore_errors: bool, code: i32) -> RestoreStatus {
    let spec = RestoreSpec {
        backup_filename: filename.to_owned(),
        prune: Some(false),
        ignore_errors: Some(ignore_errors),
        ..RestoreSpec::default()
    };
    let restore = drover::resources::Restore::new(name, spec);
    site.restores().create(&PostParams::default(), &restore).await.unwrap();
    let finished = site.job("restore").end_with(code).await;
    // One cause is one warning.
    let warned = |line: &&str| line.contains(" WARN ") && line.contains("valid config key");
    assert!(filename != REFUSING || finished.log.lines().filter(warned).count() == 1, "{}", finished.log);
    site.restore_status(name).await
}

/// What `restore report` shows: as a document, and as text.
async fn report(site: &Site, name: &str) -> (Value, String) {
    let json = site.job("restore").arguments(["report", name, "--output", "json"]).succeed().await;
    let text = site.job("restore").arguments(["report", name]).succeed().await;
    (serde_json::from_str(&json.output).unwrap(), text.output)
}

/// The server's words are there once, with the first ten objects, behind the way to all of them.
#[track_caller]
fn names_the_first(words: &str) {
    let named = (0..OBJECTS).filter(|index| words.contains(&format!("told-{index:02}"))).count();
    assert_eq!((named, words.matches("valid config key").count()), (10, 1), "{words}");
    for part in ["5 created, 25 failed; all: `restore report ", "; 25 configmaps failed: ", "told-00", " and 15 more"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

async fn pieces(site: &Site) -> Vec<ConfigMap> {
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    maps.list(&ListParams::default().labels(RESTORE_LABEL)).await.unwrap().items
}

async fn failed_objects_end_a_restore(site: &Site) {
    let status = run(site, "fails", REFUSING, false, 1).await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Failed: ") && status.restore_completion_ts.is_some(), "{status:?}");
    names_the_first(&ready);
    let (document, text) = report(site, "fails").await;
    assert_eq!(document["objects"].as_array().map(Vec::len), Some(OBJECTS));
    assert_eq!((&document["counts"]["failed"], &document["counts"]["created"]), (&json!(25), &json!(5)));
    assert!(text.contains("failed configmaps v1: default/told-00"), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.ends_with("5 created, 25 failed")), "{text}");

    let restore = site.restores().get("fails").await.unwrap();
    let pieces = pieces(site).await;
    let names: Vec<String> = pieces.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, [format!("restore-report-{}-0", restore.uid().unwrap())]);
    // With its Restore, it goes.
    let owner = &pieces[0].metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((&owner.kind, Some(&owner.uid)), (&"Restore".to_owned(), restore.metadata.uid.as_ref()));
    assert_eq!(pieces[0].labels()["app.kubernetes.io/part-of"], "drover");
}

async fn ignored_ones_are_named_all_the_same(site: &Site) {
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    maps.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let status = run(site, "ignores", REFUSING, true, 0).await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    names_the_first(status.summary.as_deref().unwrap());
    assert_eq!(report(site, "ignores").await.0["counts"]["failed"], 25);
}

/// A report that is half of another try's is none, and the next try mends it.
async fn a_later_try_takes_the_place_of_an_earlier_one(site: &Site) {
    let uid = site.restores().get("ignores").await.unwrap().uid().unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    let mut first = maps.get(&format!("restore-report-{uid}-0")).await.unwrap();
    first.annotations_mut().insert("drover.dev/pieces".to_owned(), "2".to_owned());
    first = maps.replace(&first.name_any(), &PostParams::default(), &first).await.unwrap();
    let mut second = first.clone();
    second.metadata.name = Some(format!("restore-report-{uid}-1"));
    second.metadata.resource_version = None;
    second.metadata.uid = None;
    second.annotations_mut().insert("drover.dev/report".to_owned(), "another".to_owned());
    maps.create(&PostParams::default(), &second).await.unwrap();
    let refused = site.job("restore").arguments(["report", "ignores"]).end_with(1).await;
    assert!(refused.log.contains("do not belong together"), "{}", refused.log);

    // As if its job had been killed before it told the end.
    let again = kube::api::Patch::Merge(json!({"status": {"restoreCompletionTs": null}}));
    site.restores().patch_status("ignores", &kube::api::PatchParams::default(), &again).await.unwrap();
    site.job("restore").succeed().await;
    let (document, _) = report(site, "ignores").await;
    assert_eq!((&document["counts"]["unchanged"], &document["counts"]["failed"]), (&json!(5), &json!(25)));
    let of_it = |map: &&ConfigMap| map.labels()[RESTORE_LABEL] == uid;
    assert_eq!(pieces(site).await.iter().filter(of_it).count(), 1);
}

/// Objects of a type that nobody serves fail without a request; their long names cannot be packed to less than half.
async fn a_report_that_no_config_map_could_hold_is_cut(site: &Site) {
    let count = 12_000;
    let path = site.folder().join("many.tar.gz");
    let mut writer = Writer::new(std::fs::File::create(&path).unwrap(), jiff::Timestamp::UNIX_EPOCH);
    for index in 0..count {
        let name: String = (0..3).map(|part| hex::encode(Sha256::digest(format!("{index} {part}")))).collect();
        let object = json!({"apiVersion": "nobody.io/v1", "kind": "Thing", "metadata": {"name": name}});
        let key = Key::from_path(&format!("things.nobody.io#v1/{name}.json")).unwrap();
        writer.append(&key, object.to_string().as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    run(site, "many", "many.tar.gz", true, 0).await;
    let (document, _) = report(site, "many").await;
    assert_eq!(document["objects"].as_array().map(Vec::len), Some(count));
    assert_eq!(document["counts"]["failed"], count);
    let uid = site.restores().get("many").await.unwrap().uid();
    let of_it = |map: &&ConfigMap| Some(&map.labels()[RESTORE_LABEL]) == uid.as_ref();
    assert_eq!(pieces(site).await.iter().filter(of_it).count(), 2);
}

async fn what_has_no_report_is_said(site: &Site) {
    let missing = site.job("restore").arguments(["report", "nobody"]).end_with(64).await;
    assert!(missing.log.contains("failed to find the Restore \"nobody\""), "{}", missing.log);
    site.restore("early", "nowhere.tar.gz", None).await;
    site.job("restore").end_with(64).await;
    let none = site.job("restore").arguments(["report", "early"]).end_with(1).await;
    assert!(none.log.contains("no try of it has come to writing"), "{}", none.log);
}
