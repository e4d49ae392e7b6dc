//! A restore that prunes, as a Restore does unless it says otherwise: the cluster becomes what the archive says, and
//! nothing else is taken from it.

mod changes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use drover::resources::{Restore, RestoreSpec};
use drover_testbed::{Options, Service, rancher, seconds_pass};
use drover_tests::{Finished, Site, api_of, differing_members, key_of, message, objects, versions, written};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

use self::changes::NOBODY;
use crate::items::{archive, held_by, is_going, is_there, item, let_go, make, of, refused, restore};
use crate::nats::until;

/// What a restore changes of Rancher's clusters on purpose.
const CHANGED: &str = "clusters.management.cattle.io /metadata/annotations";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_archive_lacks_goes_and_nothing_else() {
    let site = Site::start_with(Options::only([Service::Controllers, Service::Nats])).await;
    cluster_becomes_the_archive_again(&site).await;
    nothing_is_pruned_where_objects_failed(&site).await;
    finalizers_have_their_time(&site).await;
    what_was_made_after_the_restore_stays(&site).await;
    site.testbed.shutdown().await;
}

async fn cluster_becomes_the_archive_again(site: &Site) {
    rancher::populate(&site.client, 1).await.unwrap();
    let filename = back_up(site).await;
    let before = objects(&site.folder().join(&filename));
    let added = changes::added();
    changes::add(&site.client, &added).await;

    changes::change_and_delete(&site.client).await;
    let spec = RestoreSpec { prune: Some(false), ..of(&filename) };
    let (_, status) = restore(site, "keeps", spec, 0).await;
    assert!(status.summary.unwrap().contains("50 created, 50 updated"));
    let kept = live(site).await;
    let surplus: BTreeSet<&String> = kept.keys().filter(|path| !before.contains_key(*path)).collect();
    let paths: BTreeSet<String> = added.iter().map(|object| key_of(object).path()).collect();
    assert_eq!((surplus, paths.len()), (paths.iter().collect(), 50));
    is_as_before(&before, &kept);

    changes::change_and_delete(&site.client).await;
    seconds_pass(2).await;
    a_plan_says_so_and_writes_nothing(site, &filename).await;
    let spec = RestoreSpec { delete_timeout_seconds: Some(3), ..of(&filename) };
    let (finished, status) = restore(site, "prunes", spec, 0).await;
    let summary = status.summary.unwrap();
    assert!(summary.contains("50 created, 50 updated") && summary.contains("50 pruned"), "{summary}");
    let pruned = live(site).await;
    assert!(pruned.keys().eq(before.keys()), "{:?} before, {:?} after", before.keys(), pruned.keys());
    is_as_before(&before, &pruned);
    removed_finalizers_are_named(&finished, &added);
}

async fn a_plan_says_so_and_writes_nothing(site: &Site, filename: &str) {
    let before = versions(&site.client).await;
    let archive = site.folder().join(filename);
    let arguments = [Path::new("plan"), &archive, Path::new("--prune"), Path::new("--output"), Path::new("json")];
    let finished = site.job("restore").arguments(arguments).succeed().await;
    assert_eq!(written(&before, &versions(&site.client).await), BTreeSet::new());
    let plan: Value = serde_json::from_str(&finished.output).unwrap();
    let counts = &plan["counts"];
    assert!(["created", "updated", "pruned"].iter().all(|result| counts[result] == 50), "{counts}");
}

/// Backs up through both jobs into the folder, and gives the file's name.
async fn back_up(site: &Site) -> String {
    site.resource_set(rancher::RESOURCE_SET).await;
    site.backup("all", "rancher-resource-set", None).await;
    site.job("snapshot").arguments(["--backup", "all"]).succeed().await;
    site.job("upload").succeed().await;
    site.backup_status("all").await.filename.unwrap()
}

/// What the ResourceSet selects now.
async fn live(site: &Site) -> BTreeMap<String, Value> {
    let [set, output] = ["set.yaml", "live.tar.gz"].map(|name| site.testbed.folder().join(name));
    std::fs::write(&set, rancher::RESOURCE_SET).unwrap();
    let arguments = [Path::new("--resource-set"), &set, Path::new("--output"), &output];
    site.job("snapshot").arguments(arguments).succeed().await;
    let objects = objects(&output);
    std::fs::remove_file(output).unwrap();
    objects
}

#[track_caller]
fn is_as_before(before: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) {
    assert_eq!(differing_members(before, now), BTreeSet::from([CHANGED.to_owned()]));
}

fn removed_finalizers_are_named(finished: &Finished, added: &[Value]) {
    for object in added {
        let name = key_of(object).to_string();
        assert!(finished.says(&name, &["pruned"]), "{name}:\n{}", finished.log);
        let is_held = object["metadata"]["finalizers"].is_array();
        assert_eq!(finished.says(&name, &["removed", NOBODY]), is_held, "{name}:\n{}", finished.log);
    }
}

async fn nothing_is_pruned_where_objects_failed(site: &Site) {
    archive(site, "refused.tar.gz", &[refused("item-refused")]);
    let added = item("item-added");
    make(site, &added).await;

    let (finished, status) = restore(site, "fails", of("refused.tar.gz"), 1).await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Failed: ") && ready.contains("item-refused"), "{ready}");
    let name = key_of(&added).to_string();
    assert!(finished.says(&name, &["not pruned, since not all of the archive was restored"]), "{}", finished.log);
    assert!(is_there(site, &added).await);

    let spec = RestoreSpec { ignore_errors: Some(true), ..of("refused.tar.gz") };
    let (finished, status) = restore(site, "ignores", spec, 0).await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    assert!(finished.says(&name, &["pruned"]) && !is_there(site, &added).await, "{}", finished.log);
}

/// Nobody's finalizer is removed before the time is over, and one that its owner takes away by then was not removed.
async fn finalizers_have_their_time(site: &Site) {
    archive(site, "patient.tar.gz", &[item("item-kept")]);
    let [held, cleared] = ["item-held", "item-cleared"].map(|name| held_by("example.io/slow", name));
    for object in [&held, &cleared] {
        make(site, object).await;
    }
    let spec = RestoreSpec { delete_timeout_seconds: Some(4), ..of("patient.tar.gz") };
    let owner = async {
        is_going(site, &cleared).await;
        let_go(site, &cleared).await;
    };
    let ((finished, _), seconds, ()) =
        tokio::join!(restore(site, "patient", spec, 0), seconds_to_go(site, &held), owner);
    // A second less: the time begins just before the deletion is asked for.
    assert!(seconds >= 3.0, "{seconds}");
    let [held, cleared] = [held, cleared].map(|object| key_of(&object).to_string());
    assert!(finished.says(&held, &["pruned", "removed: example.io/slow"]), "{}", finished.log);
    assert!(finished.says(&cleared, &["pruned"]) && !finished.says(&cleared, &["removed"]), "{}", finished.log);
}

/// By the stamps of the API server: whoever made it may have known of the Restore.
async fn what_was_made_after_the_restore_stays(site: &Site) {
    archive(site, "earlier.tar.gz", &[item("item-kept")]);
    let [first, second] = ["item-after", "item-after-too"].map(item);
    site.make_restore(&Restore::new("earlier", of("earlier.tar.gz"))).await;
    make(site, &first).await;
    let finished = site.job("restore").succeed().await;
    let name = key_of(&first).to_string();
    let words = ["held back", "not before the restore was asked for", "drover.dev/prune: all"];
    assert!(finished.says(&name, &words) && is_there(site, &first).await, "{}", finished.log);
    let summary = site.restore_status("earlier").await.summary.unwrap();
    assert!(summary.contains("1 held back") && summary.contains("item-after"), "{summary}");

    let mut everything = Restore::new("everything", of("earlier.tar.gz"));
    everything.annotations_mut().insert("drover.dev/prune".to_owned(), "all".to_owned());
    site.make_restore(&everything).await;
    make(site, &second).await;
    let finished = site.job("restore").succeed().await;
    assert!(finished.says(&key_of(&second).to_string(), &["pruned"]), "{}", finished.log);
    assert!(!is_there(site, &first).await && !is_there(site, &second).await);
}

/// How long an object is being deleted, until it is seen to be gone.
async fn seconds_to_go(site: &Site, object: &Value) -> f64 {
    let (api, name) = (api_of(&site.client, object), key_of(object).name);
    is_going(site, object).await;
    let begun = api.get(&name).await.unwrap().metadata.deletion_timestamp.unwrap().0;
    until("it is gone", async || api.get_opt(&name).await.unwrap().is_none()).await;
    Timestamp::now().duration_since(begun).as_secs_f64()
}
