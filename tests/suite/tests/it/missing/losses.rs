use drover::resources::{
    BackupArchive, BackupPolicy, BackupPolicySpec, BackupSpec, ConditionStatus, FurtherLocation, LocalLocation, Losses,
    RunState,
};
use drover::runs::RunStore;
use drover_testbed::{Options, Service};
use drover_tests::message;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DeleteParams, ObjectMeta};

use super::*;

const GROUP: &str = "lost.example.io";

const BACKUP: &str = "daily";

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_before_held_is_kept_and_named_until_somebody_confirms() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    let api_version = format!("{GROUP}/v1");
    define(&site, &definition(GROUP, &[("v1", true)])).await;
    make_things(&site, &api_version, 2).await;
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    for index in 0..6 {
        make_map(&maps, index).await;
    }
    let items = json!({"apiVersion": "v1", "kinds": ["ConfigMap"], "resourceNameRegexp": "^item-"});
    // They keep what is left of all objects above half, so that the loss of one type is all there is to tell.
    let roles = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kindsRegexp": "^clusterroles$"});
    let set = set("set", &[all_of(&api_version), items, roles]);
    site.resource_set(&set.to_string()).await;
    site.make_backup(BACKUP, spec()).await;
    let first = backed_up(&site).await;
    assert_eq!((whole(&site).await.0, losses(&site).await), (ConditionStatus::True, Vec::new()));

    undefine(&site).await;
    for index in 0..4 {
        maps.delete(&format!("item-{index}"), &DeleteParams::default()).await.unwrap();
    }
    let second = backed_up(&site).await;
    let mut found = losses(&site).await;
    assert_eq!(found.len(), 1, "one archive has all: {found:?}");
    let found = found.remove(0);
    assert_eq!((found.kept.as_str(), found.count), (first.as_str(), 2), "{found:?}");
    let (status, words) = whole(&site).await;
    assert_eq!(status, ConditionStatus::False);
    let of_things = format!("things.{GROUP} (2 before, 0 now, the cluster serves it no longer)");
    for expected in [&of_things, "configmaps (6 before, 2 now)", &first, &found.confirmation] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    let status = site.backup_status(BACKUP).await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed", "it is stored and verified as any");

    // The ledger says so before retention-prune has looked.
    assert_eq!(held(&site).await, [(first.clone(), found.confirmation.clone())]);

    // The next one lacks no more than that one, and says the same; the one that has all outlives the others.
    let third = backed_up(&site).await;
    assert_eq!(losses(&site).await, std::slice::from_ref(&found));
    assert_eq!(pruned(&site).await, sorted([&first, &third]));
    assert_eq!(held(&site).await, [(first.clone(), found.confirmation.clone())], "the ledger keeps it too");
    // A confirmation of something else confirms nothing.
    annotate(&site, "fewer-objects,loss-00000000").await;
    assert_eq!(pruned(&site).await, sorted([&first, &third]));
    assert!(!site.folder().join(&second).exists());

    annotate(&site, &format!("fewer-objects,{}", found.confirmation)).await;
    assert_eq!(pruned(&site).await, [third]);
    assert_eq!(held(&site).await, []);
    let (status, words) = whole(&site).await;
    assert_eq!(status, ConditionStatus::True, "{words}");
    assert!(words.starts_with("confirmed: ") && words.contains(&of_things), "{words}");
    let fourth = backed_up(&site).await;
    assert_eq!((whole(&site).await.0, losses(&site).await), (ConditionStatus::True, Vec::new()));

    // It was for that loss alone.
    for index in 6..12 {
        make_map(&maps, index).await;
    }
    backed_up(&site).await;
    for index in 6..12 {
        maps.delete(&format!("item-{index}"), &DeleteParams::default()).await.unwrap();
    }
    let last = backed_up(&site).await;
    let again = losses(&site).await.remove(0);
    assert_eq!((whole(&site).await.0, again.confirmation == found.confirmation), (ConditionStatus::False, false));
    assert_eq!(pruned(&site).await, sorted([&again.kept, &last]));
    assert!(again.kept > fourth, "{again:?}");

    annotate(&site, &again.confirmation).await;
    assert_eq!(pruned(&site).await, [last]);
    for index in 6..12 {
        make_map(&maps, index).await;
    }
    let full = backed_up(&site).await;
    make_policy(&site).await;
    for index in 6..12 {
        maps.delete(&format!("item-{index}"), &DeleteParams::default()).await.unwrap();
    }
    lost_while_a_place_is_away(&site, &full).await;
    site.testbed.shutdown().await;
}

/// Things and maps go one after the other, so that no archive has both.
#[tokio::test(flavor = "multi_thread")]
async fn each_archive_that_is_the_last_with_a_type_is_kept_until_its_own_word_confirms() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), "default");
    let api_version = format!("{GROUP}/v1");
    define(&site, &definition(GROUP, &[("v1", true)])).await;
    make_things(&site, &api_version, 5).await;
    let items = json!({"apiVersion": "v1", "kinds": ["ConfigMap"], "resourceNameRegexp": "^item-"});
    let roles = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kindsRegexp": "^clusterroles$"});
    site.resource_set(&set("set", &[all_of(&api_version), items, roles]).to_string()).await;
    site.make_backup(BACKUP, spec()).await;
    let with_things = backed_up(&site).await;

    undefine(&site).await;
    for index in 0..4 {
        make_map(&maps, index).await;
    }
    let with_maps = backed_up(&site).await;
    for index in 0..4 {
        maps.delete(&format!("item-{index}"), &DeleteParams::default()).await.unwrap();
    }
    let third = backed_up(&site).await;
    let found = losses(&site).await;
    let [things, others] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&things.kept, &others.kept), (&with_things, &with_maps));
    let (_, words) = whole(&site).await;
    let of_things = format!("things.{GROUP} (5 before, 0 now, the cluster serves it no longer), in {with_things:?}");
    for expected in [&of_things, &format!("configmaps (4 before, 0 now), in {with_maps:?}")] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    let command = format!("drover.dev/allow={},{}", things.confirmation, others.confirmation);
    assert!(words.ends_with(&command), "{words}");
    let both = [(with_things.clone(), things.confirmation.clone()), (with_maps.clone(), others.confirmation.clone())];
    assert_eq!(held(&site).await, both);
    assert_eq!(pruned(&site).await, sorted([&with_things, &with_maps, &third]));

    annotate(&site, &things.confirmation).await;
    assert_eq!(pruned(&site).await, sorted([&with_maps, &third]));
    assert_eq!((whole(&site).await.0, held(&site).await), (ConditionStatus::False, both[1..].to_vec()));

    annotate(&site, &format!("{},{}", things.confirmation, others.confirmation)).await;
    assert_eq!((pruned(&site).await, held(&site).await), (vec![third], vec![]));
    assert_eq!(whole(&site).await.0, ConditionStatus::True);

    made_again_before_a_prune(&site, &maps).await;
    site.testbed.shutdown().await;
}

/// What is held is so although no prune has looked between the upload and the Backup that was made again.
async fn made_again_before_a_prune(site: &Site, maps: &Api<ConfigMap>) {
    for index in 4..9 {
        make_map(maps, index).await;
    }
    let full = backed_up(site).await;
    for index in 4..9 {
        maps.delete(&format!("item-{index}"), &DeleteParams::default()).await.unwrap();
    }
    let last = backed_up(site).await;
    let found = losses(site).await.remove(0);
    assert_eq!(found.kept, full);
    site.backups().delete(BACKUP, &DeleteParams::default()).await.unwrap();
    until("the Backup is gone", async || site.backups().get_opt(BACKUP).await.unwrap().is_none()).await;
    site.make_backup(BACKUP, spec()).await;
    let runs: Vec<_> = site.runs(BACKUP).await.iter().map(ResourceExt::name_any).collect();
    RunStore::new(site.client.clone(), "test").delete(&runs).await;
    assert_eq!(pruned(site).await, sorted([&full, &last]));
    let said = message(site.backup_status(BACKUP).await.conditions.as_ref(), "Pruned");
    let word = &found.confirmation;
    let command = format!("kubectl annotate backups.resources.cattle.io {BACKUP} --overwrite drover.dev/allow={word}");
    assert!(said.contains(&full) && said.contains(&command), "{said}");
    annotate(site, word).await;
    assert_eq!((pruned(site).await, held(site).await), (vec![last], vec![]));
}

fn spec() -> BackupSpec {
    BackupSpec {
        resource_set_name: "set".to_owned(),
        schedule: Some("@yearly".to_owned()),
        retention_count: Some(1),
        ..BackupSpec::default()
    }
}

/// A further place of the Backup that is not there.
async fn make_policy(site: &Site) {
    let away = LocalLocation { volume: Some("away".to_owned()) };
    let spec = BackupPolicySpec {
        backup_names: vec![BACKUP.to_owned()],
        additional_storage_locations: Some(vec![FurtherLocation {
            name: "away".to_owned(),
            s3: None,
            local: Some(away),
        }]),
        ..BackupPolicySpec::default()
    };
    let policies: Api<BackupPolicy> = Api::all(site.client.clone());
    policies.create(&PostParams::default(), &BackupPolicy::new("away", spec)).await.unwrap();
}

/// The archive that has all is kept although no later run is complete: the one that lacks some waits for the further place.
/// What came and went meanwhile is told, and kept, too.
async fn lost_while_a_place_is_away(site: &Site, full: &String) {
    let lossy = stored_here(site).await;
    assert_eq!(pruned_here(site).await, sorted([full, &lossy]));

    define(site, &definition(GROUP, &[("v1", true)])).await;
    make_things(site, &format!("{GROUP}/v1"), 2).await;
    let with_things = stored_here(site).await;
    undefine(site).await;
    let last = stored_here(site).await;
    let found = losses(site).await;
    let kept: Vec<_> = found.iter().map(|losses| &losses.kept).collect();
    assert_eq!(kept, [full, &with_things]);
    assert!(whole(site).await.1.contains(&format!("things.{GROUP} (2 before, 0 now")));
    assert_eq!(pruned_here(site).await, sorted([full, &with_things, &last]));
}

fn volumes(site: &Site) -> String {
    site.testbed.folder().join("volumes").display().to_string()
}

/// Makes a backup that waits for the further place, and gives its file.
async fn stored_here(site: &Site) -> String {
    site.job("snapshot").arguments(["--backup", BACKUP]).succeed().await;
    let uploaded = site.job("upload").environment("DROVER_VOLUMES", &volumes(site)).run().await;
    assert_ne!(uploaded.code, 0, "{}", uploaded.log);
    let run = site.runs(BACKUP).await.pop().unwrap();
    assert_eq!(run.status.unwrap().state, RunState::InProgress);
    run.spec.filename
}

/// Prunes the place that is there, and gives the archives that are left.
async fn pruned_here(site: &Site) -> Vec<String> {
    let prune = site.job("retention-prune").environment("NATS_CONNECT_SECONDS", "1");
    let ended = prune.environment("DROVER_VOLUMES", &volumes(site)).run().await;
    assert_ne!(ended.code, 0, "{}", ended.log);
    archives(site)
}

/// Deletes the definition, and waits until its type is not served any more.
async fn undefine(site: &Site) {
    let definitions: Api<Definition> = Api::all(site.client.clone());
    definitions.delete(&format!("things.{GROUP}"), &DeleteParams::default()).await.unwrap();
    let things = format!("/apis/{GROUP}/v1/things");
    until("the type is gone", async || {
        !is_served(site, &things).await && !is_served(site, &format!("/apis/{GROUP}")).await
    })
    .await;
}

async fn make_map(maps: &Api<ConfigMap>, index: usize) {
    let metadata = ObjectMeta { name: Some(format!("item-{index}")), ..ObjectMeta::default() };
    maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await.unwrap();
}

/// Makes a backup, and gives its file.
async fn backed_up(site: &Site) -> String {
    site.job("snapshot").arguments(["--backup", BACKUP]).succeed().await;
    site.job("upload").succeed().await;
    site.backup_status(BACKUP).await.filename.unwrap()
}

async fn whole(site: &Site) -> (ConditionStatus, String) {
    let conditions = site.backup_status(BACKUP).await.conditions.unwrap();
    (conditions.get("Whole").unwrap().status, message(Some(&conditions), "Whole"))
}

/// What the newest run says that it lost.
async fn losses(site: &Site) -> Vec<Losses> {
    site.runs(BACKUP).await.pop().unwrap().status.unwrap().snapshot.unwrap().losses
}

/// Prunes, and gives the archives that are left.
async fn pruned(site: &Site) -> Vec<String> {
    site.job("retention-prune").environment("NATS_CONNECT_SECONDS", "1").succeed().await;
    archives(site)
}

fn archives(site: &Site) -> Vec<String> {
    let files =
        std::fs::read_dir(site.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut archives: Vec<_> = files.filter(|name| name.ends_with(".tar.gz")).collect();
    archives.sort();
    archives
}

/// The archives that the ledger says are held, each with the word that confirms that it may go.
async fn held(site: &Site) -> Vec<(String, String)> {
    let archives: Api<BackupArchive> = Api::all(site.client.clone());
    let lines = archives.list(&ListParams::default()).await.unwrap().items.into_iter();
    lines.filter_map(|line| Some((line.spec.filename, line.status?.held?.confirmation))).collect()
}

fn sorted<const N: usize>(names: [&String; N]) -> Vec<String> {
    let mut names: Vec<_> = names.into_iter().cloned().collect();
    names.sort();
    names
}

async fn annotate(site: &Site, words: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"drover.dev/allow": words}}}));
    site.backups().patch(BACKUP, &PatchParams::default(), &patch).await.unwrap();
}
