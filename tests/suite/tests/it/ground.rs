//! What a restore must not hurt: the operator's archive, which knows neither drover nor what users made since, restored
//! with prune over a cluster in which both are.

mod residents;
mod secrets;

use std::collections::BTreeSet;
use std::path::Path;

use drover::resources::{Restore, RestoreSpec};
use drover_testbed::{Options, Service, seconds_pass};
use drover_tests::inputs::{Inputs, Kind};
use drover_tests::{Finished, Site, Versions, message, objects, versions, written};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::populate::populate_awkwardly;

/// The archive in the site's own folder.
const FILE: &str = "before-drover.tar.gz";

/// What is held back, as logs name it, and why.
const HELD_BACK: [(&str, &str); 9] = [
    ("namespaces.#v1/c-team-shop", "it has pods that would be lost"),
    ("secrets.#v1/c-team-shop/app", "its namespace \"c-team-shop\" is held back"),
    ("namespaces.#v1/user-portal", "it has pods that would be lost"),
    ("secrets.#v1/user-portal/app", "its namespace \"user-portal\" is held back"),
    ("namespaces.#v1/u-volumes", "it has volumes (PersistentVolumeClaims) that would be lost"),
    ("secrets.#v1/u-volumes/app", "its namespace \"u-volumes\" is held back"),
    (
        "customresourcedefinitions.apiextensions.k8s.io#v1/widgets.management.cattle.io",
        "it has objects that the archive lacks, Widget \"first\" among them",
    ),
    ("widgets.management.cattle.io#v3/first", "its definition \"widgets.management.cattle.io\" is held back"),
    ("widgets.management.cattle.io#v3/second", "its definition \"widgets.management.cattle.io\" is held back"),
];

/// The namespaces that every cluster has.
const CLUSTERS_OWN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_hurts_nothing_that_drover_stands_on_or_that_is_in_use() {
    for inputs in Inputs::all() {
        hurts_nothing(&inputs).await;
    }
}

async fn hurts_nothing(inputs: &Inputs) {
    let archive = inputs.archive(Kind::Plain);
    let site = Site::start_with(Options::only([Service::Controllers, Service::Nats])).await;
    std::fs::copy(&archive, site.folder().join(FILE)).unwrap();
    populate_awkwardly(&site, inputs).await;
    residents::move_in(&site).await;

    let before = versions(&site.client).await;
    seconds_pass(2).await;
    let plan = plan(&site, &archive).await;
    assert_eq!(written(&before, &versions(&site.client).await), BTreeSet::new(), "a plan writes nothing");
    let after = in_use_is_held_back(&site, &before).await;
    plan_is_what_happened(&plan, inputs.paths(Kind::Plain).len(), &before, &after);
    everything_is_taken_when_told(&site, &after).await;
    credentials_are_restored_when_told(&site, &archive).await;
    site.testbed.shutdown().await;
}

/// What `restore plan --prune` says of each object.
async fn plan(site: &Site, archive: &Path) -> Value {
    let arguments = [Path::new("plan"), archive, Path::new("--prune"), Path::new("--output"), Path::new("json")];
    let finished = site.job("restore").arguments(arguments).succeed().await;
    serde_json::from_str(&finished.output).unwrap()
}

/// Makes a Restore with these annotations, which prunes as Restores do, and runs the job; it must be Completed.
async fn restore(site: &Site, name: &str, annotations: &[(&str, &str)]) -> Finished {
    let spec = RestoreSpec { backup_filename: FILE.to_owned(), ..RestoreSpec::default() };
    let mut restore = Restore::new(name, spec);
    let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    restore.annotations_mut().extend(annotations);
    site.make_restore(&restore).await;
    let finished = site.job("restore").succeed().await;
    let status = site.restore_status(name).await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed", "{status:?}");
    rancher_runs_as_before(site).await;
    finished
}

/// The archive's ResourceSet names the Deployment `rancher`, which has three replicas.
async fn rancher_runs_as_before(site: &Site) {
    let deployments: Api<Deployment> = Api::namespaced(site.client.clone(), "cattle-system");
    let rancher = deployments.get("rancher").await.unwrap();
    assert_eq!(rancher.spec.as_ref().unwrap().replicas, Some(3));
    let noted = rancher.annotations().keys().chain(rancher.labels().keys());
    let left: Vec<_> = noted.filter(|name| name.starts_with("drover.dev/")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[track_caller]
fn are_untouched<'a>(objects: impl IntoIterator<Item = &'a &'a str>, before: &Versions, after: &Versions) {
    for object in objects {
        assert!(before.contains_key(*object), "{object} was not there");
        assert_eq!(after.get(*object), before.get(*object), "{object}");
    }
}

async fn in_use_is_held_back(site: &Site, before: &Versions) -> Versions {
    let finished = restore(site, "old", &[]).await;
    let after = versions(&site.client).await;
    are_untouched(&residents::OF_DROVER, before, &after);
    are_untouched(&residents::NEEDED_SECRETS, before, &after);
    are_untouched(&residents::IN_USE, before, &after);
    for (object, reason) in HELD_BACK {
        let told = finished.says(object, &["held back", reason, "drover.dev/prune: all"]);
        assert!(told, "{object}: {reason}\n{}", finished.log);
    }
    for name in residents::NEEDED_BY_BACKUPS {
        let told = finished.says(name, &["kept", "a live Backup, Restore or BackupPolicy", "names this Secret"]);
        assert!(told, "{name}\n{}", finished.log);
    }
    what_was_on_its_way_out_is_back(&finished, before, &after);
    what_nobody_needs_is_gone(&finished, &after);
    the_clusters_own_stays(&finished, &after);
    after
}

/// Populating leaves an object that waits for its finalizer, and the archive holds it.
fn what_was_on_its_way_out_is_back(finished: &Finished, before: &Versions, after: &Versions) {
    let held = "configmaps/cattle-system/held-by-finalizer";
    assert!(before.contains_key(held) && after.contains_key(held) && before[held] != after[held], "{held}");
    let told = ["it was being deleted", "so they were removed: "];
    assert!(finished.says("configmaps.#v1/cattle-system/held-by-finalizer", &told), "{}", finished.log);
}

fn what_nobody_needs_is_gone(finished: &Finished, after: &Versions) {
    for (object, name) in residents::STRAYS {
        assert!(!after.contains_key(object) && finished.says(name, &["pruned"]), "{object}:\n{}", finished.log);
    }
}

/// The namespaces of every cluster carry a label that the archive's ResourceSet selects namespaces by.
fn the_clusters_own_stays(finished: &Finished, after: &Versions) {
    for name in CLUSTERS_OWN {
        assert!(after.contains_key(&format!("namespaces/{name}")), "{name}");
        let told = finished.says(&format!("namespaces.#v1/{name}"), &["kept", "every cluster has this namespace"]);
        assert!(told, "{name}\n{}", finished.log);
    }
}

/// Each object is there, gone, written or untouched as the plan said of it.
fn plan_is_what_happened(plan: &Value, archived: usize, before: &Versions, after: &Versions) {
    let mut seen = 0;
    for object in plan["objects"].as_array().unwrap() {
        let text = |member: &str| object[member].as_str().unwrap_or_default();
        let group = if text("group").is_empty() { String::new() } else { format!(".{}", text("group")) };
        let namespace = if text("namespace").is_empty() { String::new() } else { format!("{}/", text("namespace")) };
        let name = format!("{}{group}/{namespace}{}", text("resource"), text("name"));
        let (was, is) = (before.get(&name), after.get(&name));
        let holds = match text("result") {
            "created" => was.is_none() && is.is_some(),
            "updated" => was.is_some() && is.is_some() && was != is,
            "pruned" => was.is_some() && is.is_none(),
            _ => was == is,
        };
        assert!(holds, "{object}: {was:?} before, {is:?} after");
        seen += 1;
    }
    assert!(seen > archived, "{seen} of {archived}");
    let counts = &plan["counts"];
    assert!(["created", "updated", "pruned", "unchanged"].iter().all(|result| counts[result] != 0), "{counts}");
    assert_eq!((&counts["heldBack"], &counts["failed"]), (&json!(HELD_BACK.len()), &json!(0)), "{counts}");
}

/// Whoever asks for everything gets it, but for what drover, Backups and the cluster stand on.
async fn everything_is_taken_when_told(site: &Site, before: &Versions) {
    let finished = restore(site, "everything", &[("drover.dev/prune", "all")]).await;
    let after = versions(&site.client).await;
    are_untouched(&residents::OF_DROVER, before, &after);
    are_untouched(&residents::NEEDED_SECRETS, before, &after);
    the_clusters_own_stays(&finished, &after);
    for object in residents::IN_USE {
        assert!(!after.contains_key(object), "{object}");
    }
    for (object, _) in HELD_BACK {
        assert!(finished.says(object, &["pruned"]), "{object}\n{}", finished.log);
    }
}

async fn credentials_are_restored_when_told(site: &Site, archive: &Path) {
    let before = versions(&site.client).await;
    restore(site, "credentials", &[("drover.dev/restore-credentials", "true")]).await;
    let after = versions(&site.client).await;
    are_untouched(&residents::OF_DROVER, &before, &after);
    are_untouched(&[residents::ELSEWHERE], &before, &after);
    let archived = objects(archive);
    for name in residents::NEEDED_BY_BACKUPS {
        let Some(object) = archived.get(&format!("{name}.json")) else { continue };
        let (namespace, secret) = name.trim_start_matches("secrets.#v1/").split_once('/').unwrap();
        let secrets: Api<Secret> = Api::namespaced(site.client.clone(), namespace);
        let live = serde_json::to_value(secrets.get(secret).await.unwrap()).unwrap();
        assert_eq!(live["data"], object["data"], "{name}");
    }
}
