//! The known faults of the Rancher backup operator: drover has none of them.
//!
//! Those of its retention and its charts, custom authorities of S3, and what it never had (a second copy, heartbeats, …)
//! belong to other parts of the project. Of the others, each is shown by a test:
//!
//! | the operator | a test that shows drover without it |
//! | --- | --- |
//! | holds all objects in memory | `listing::objects_as_large_as_they_may_be_are_read_within_the_memory_limits`, `storage::memory::memory_does_not_grow_with_the_archive`, and the benchmark |
//! | repeats everything when one step fails | `backup::backup_goes_through_nats_into_the_bucket_and_into_a_folder`: an upload that failed goes on, and no further snapshot is taken |
//! | matches folders unanchored | `storage::a_folder_does_not_list_another_whose_name_begins_the_same` |
//! | does not restore a path that holds `filters` | `rancher::archive_of_the_operator_comes_back_in_an_empty_cluster` |
//! | loses the replica counts in a crash | `controllers::counts_survive_a_kill_after_every_single_write` |
//! | takes one Backup's skip-verify for all | `storage::verification_is_skipped_for_one_location_alone` |
//! | cannot use plain http | `storage::archives_go_round_over_http`, and every Backup to a bucket here |
//! | panics on a management Cluster without annotations | `rancher::archive_of_the_operator_comes_back_in_an_empty_cluster`: its Clusters have none |
//! | reports a file for `s3: null` and writes none | [`the_operators_faults_are_not_drovers`] |
//! | takes its own and others' parts with a prune | `ground::a_restore_hurts_nothing_that_drover_stands_on_or_that_is_in_use` |
//! | puts its older CRDs and Secrets over live ones | `rancher::archive_of_the_operator_comes_back_in_an_empty_cluster` for the CRDs, `ground` for the Secrets |
//! | leaves a failed Restore without an end | [`the_operators_faults_are_not_drovers`] |
//! | says neither which object failed nor why | [`the_operators_faults_are_not_drovers`], and `reports` for many objects |
//! | ignores `excludeKinds` without kinds | [`the_operators_faults_are_not_drovers`] |
//! | shows no progress | `ended::a_restore_runs_once_and_one_at_a_time` |
//! | has no dry run | `prune::what_the_archive_lacks_goes_and_nothing_else` and `ground`: a plan writes nothing, and is what then happens |
//! | refuses manifests of its own guide | `manifests::manifests_of_users_are_accepted_unchanged_and_whole` |

use drover::resources::{ConditionStatus, RunState};
use drover_testbed::{Options, Service};
use drover_tests::{Site, api_of, message, objects};
use kube::api::{DynamicObject, PostParams};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::items::{archive, is_there, item, make, of, refused, restore};

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_faults_are_not_drovers() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    no_s3_is_a_file_in_the_default_location(&site).await;
    excluded_kinds_hold_without_kinds(&site).await;
    a_failed_restore_has_an_end_and_says_why(&site).await;
    a_damaged_archive_ends_a_restore_without_a_change(&site).await;
    site.testbed.shutdown().await;
}

async fn no_s3_is_a_file_in_the_default_location(site: &Site) {
    make(site, &item("item-one")).await;
    site.resource_set(&set("items", "kinds: [ConfigMap], namespaces: [default], resourceNameRegexp: ^item-")).await;
    let backup = json!({
        "apiVersion": "resources.cattle.io/v1", "kind": "Backup", "metadata": {"name": "nowhere"},
        "spec": {"resourceSetName": "items", "storageLocation": {"s3": null}},
    });
    let object: DynamicObject = serde_json::from_value(backup.clone()).unwrap();
    let made = api_of(&site.client, &backup).create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(made.data["spec"]["storageLocation"], json!({"s3": null}), "the server keeps the null");
    site.job("snapshot").arguments(["--backup", "nowhere"]).succeed().await;
    site.job("upload").succeed().await;

    let status = site.backup_status("nowhere").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
    assert_eq!(status.storage_location.as_deref(), Some("PV"));
    let file = site.folder().join(status.filename.unwrap());
    assert_eq!(objects(&file).into_keys().collect::<Vec<_>>(), ["configmaps.#v1/default/item-one.json"]);
    let run = site.runs("nowhere").await.pop().unwrap().status.unwrap();
    let digest = hex::encode(Sha256::digest(std::fs::read(file).unwrap()));
    assert_eq!((run.state, run.snapshot.unwrap().sha256), (RunState::Completed, Some(digest)));
}

/// A ResourceSet with one selector of core objects.
fn set(name: &str, selector: &str) -> String {
    format!(
        "apiVersion: resources.cattle.io/v1\nkind: ResourceSet\nmetadata: {{name: {name}}}\nresourceSelectors:\n\
         - {{apiVersion: v1, {selector}}}\n"
    )
}

async fn excluded_kinds_hold_without_kinds(site: &Site) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret", "namespace": "default"}});
    make(site, &secret).await;
    for (selector, expected) in [("", true), (", excludeKinds: [secrets]", false), (", excludeKinds: [Secret]", false)]
    {
        let [file, output] = ["set.yaml", "excluded.tar.gz"].map(|name| site.testbed.folder().join(name));
        std::fs::write(&file, set("excluding", &format!("namespaces: [default]{selector}"))).unwrap();
        let arguments = ["--resource-set".as_ref(), file.as_os_str(), "--output".as_ref(), output.as_os_str()];
        site.job("snapshot").arguments(arguments).succeed().await;
        let found = objects(&output);
        assert!(found.contains_key("configmaps.#v1/default/item-one.json"), "{:?}", found.keys());
        assert_eq!(found.contains_key("secrets.#v1/default/secret.json"), expected, "{selector}: {:?}", found.keys());
        std::fs::remove_file(output).unwrap();
    }
}

/// An object that the server does not take, and one that it takes.
async fn a_failed_restore_has_an_end_and_says_why(site: &Site) {
    archive(site, "partly.tar.gz", &[refused("item-refused"), item("item-taken")]);
    let (_, status) = restore(site, "partly", of("partly.tar.gz"), 1).await;
    assert!(status.restore_completion_ts.is_some(), "{status:?}");
    let ready = status.conditions.as_ref().unwrap().get("Ready").unwrap();
    assert_eq!((ready.status, ready.reason.as_deref()), (ConditionStatus::False, Some("Failed")), "{status:?}");
    for text in [ready.message.as_deref().unwrap(), status.summary.as_deref().unwrap()] {
        for word in ["1 created", "1 failed", "configmaps default/item-refused failed: ", "Invalid value: \"no key\""] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    assert!(is_there(site, &item("item-taken")).await, "the rest is restored");
}

async fn a_damaged_archive_ends_a_restore_without_a_change(site: &Site) {
    archive(site, "damaged.tar.gz", &[item("item-never")]);
    let path = site.folder().join("damaged.tar.gz");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let (_, status) = restore(site, "damaged", of("damaged.tar.gz"), 65).await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Failed: ") && ready.contains("\"damaged.tar.gz\""), "{ready}");
    assert!(ready.contains("nothing was changed") && status.restore_completion_ts.is_some(), "{status:?}");
    assert!(!is_there(site, &item("item-never")).await);
    // What a prune by its ResourceSet would take is there as well.
    assert!(is_there(site, &item("item-one")).await);
}
