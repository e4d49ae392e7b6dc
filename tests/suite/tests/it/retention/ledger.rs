//! The ledger through the real jobs: what upload writes, what prune does with it, and what is said of a damaged archive.

use drover::resources::{ArchiveState, BackupArchive, BackupSpec, PlaceState, Restore, RestoreSpec, definitions};
use drover::runs::{RunStore, archive_name, split_archive_name};
use drover_testbed::prepare;
use drover_tests::{SMALL_SET, Site, message};
use jiff::SignedDuration;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::histories::annotate;
use super::rounds::{Rounds, day, dry_run_at, sweep_at};
use super::unknown::uninstall;
use crate::refusals::limited_kubeconfig;

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_newest_archive_pushes_no_good_one_out_and_its_backup_is_not_ready() {
    let site = Site::start().await;
    for (name, location) in [("short-bucket", Some(site.bucket("short"))), ("short-folder", None)] {
        let here = json!(location);
        let rounds = Rounds::of(&site, name, 1, location).await;
        rounds.round(1, 700).await;
        sweep_at(&site, day(1)).await;
        rounds.round(2, 700).await;
        rounds.put(&rounds.archive(2), "cut off").await;
        sweep_at(&site, day(2)).await;
        assert_eq!(rounds.lying().await, [1, 2]);
        let words = "is damaged at the place \"default\": it has 7 bytes instead of the ";
        says_damage(&rounds, words).await;
        let columns = "custom-columns=REASON:.reason,ABOUT:.involvedObject.name,NOTE:.message";
        let events = crate::kubectl::on(&site, &["get", "events", "--all-namespaces", "--output", columns]).await;
        let is_it = |event: &str| event.starts_with("Damaged ") && event.contains(name) && event.contains(words);
        assert!(events.lines().any(is_it), "{events}");
        assert_eq!(rounds.ledger().await, [(1, ArchiveState::Verified), (2, ArchiveState::Damaged)]);

        // Where it is not looked at, for the Backup names another place now, it is no better.
        move_to(&site, name, &json!(site.bucket("elsewhere"))).await;
        sweep_at(&site, day(2)).await;
        says_damage(&rounds, words).await;
        move_to(&site, name, &here).await;

        rounds.storage.remove(&rounds.archive(2)).await.unwrap();
        sweep_at(&site, day(2)).await;
        says_damage(&rounds, "is not at the place \"default\" any more").await;
        assert_eq!(rounds.lying().await, [1]);

        // It is whole again, by a person's hand; then a newer one takes its place.
        rounds.store(&rounds.archive(2), Some(700)).await;
        sweep_at(&site, day(2)).await;
        rounds.is_ready().await;
        assert_eq!(rounds.lying().await, [2]);
        rounds.put(&rounds.archive(2), "cut off").await;
        sweep_at(&site, day(2)).await;
        says_damage(&rounds, words).await;
        rounds.round(3, 700).await;
        rounds.is_ready().await;
        sweep_at(&site, day(3)).await;
        rounds.is_ready().await;
        assert_eq!(rounds.lying().await, [3], "one that is damaged expires as it would if it were whole");
        site.backups().delete(name, &DeleteParams::default()).await.unwrap();
    }
    site.testbed.shutdown().await;
}

async fn move_to(site: &Site, name: &str, location: &Value) {
    let patch = Patch::Merge(json!({"spec": {"storageLocation": location}}));
    site.backups().patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Neither Ready nor Verified, and why.
async fn says_damage(rounds: &Rounds<'_>, words: &str) {
    let conditions = rounds.backup().await.status.unwrap().conditions.unwrap();
    assert!(!conditions.is_true("Ready") && !conditions.is_true("Verified"), "{conditions:?}");
    for condition in ["Ready", "Verified"] {
        let said = message(Some(&conditions), condition);
        assert!(said.contains(words) && said.contains(&rounds.archive(2)), "{condition}: {said}");
        assert!(said.contains("put the file back, or make a new one: kubectl -n "), "{condition}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_in_the_ledger_before_its_run_is_completed() {
    let site = Site::start().await;
    site.resource_set(SMALL_SET).await;
    for (name, location) in [("bucket", Some(site.bucket("ledger"))), ("folder", None)] {
        let spec = BackupSpec {
            resource_set_name: "small".to_owned(),
            schedule: Some("@yearly".to_owned()),
            retention_count: Some(1),
            storage_location: location,
            ..BackupSpec::default()
        };
        site.make_backup(name, spec).await;
        back_up(&site, name).await;
        let run = site.runs(name).await.remove(0);
        let snapshot = run.status.clone().unwrap().snapshot.unwrap();
        let [line] = &lines(&site, name).await[..] else { panic!("one line") };
        let spec = &line.spec;
        assert_eq!((&spec.filename, &spec.run, spec.number), (&run.spec.filename, &run.spec.id.to_string(), 1));
        assert_eq!(
            (spec.bytes, spec.objects, Some(&spec.sha256)),
            (snapshot.bytes, snapshot.objects, snapshot.sha256.as_ref())
        );
        assert_eq!(line.owner_references().len(), 0, "it outlives its Backup and its run");
        let place = &line.status.as_ref().unwrap().places[0];
        assert_eq!(
            (place.state, &place.location),
            (PlaceState::Verified, &run.status.unwrap().upload.unwrap().places[0].location)
        );
        assert!(site.backup_status(name).await.conditions.unwrap().is_true("Verified"));

        back_up(&site, name).await;
        site.job("retention-prune").arguments(["--drain-only"]).succeed().await;
        let [old, new] = &lines(&site, name).await[..] else { panic!("two lines") };
        let place = &old.status.as_ref().unwrap().places[0];
        assert_eq!((place.state, place.reason.as_str()), (PlaceState::Deleted, "older than the newest 1 (removed)"));
        assert_eq!(new.status.as_ref().unwrap().state, ArchiveState::Verified);
    }
    site.testbed.shutdown().await;
}

pub(super) async fn back_up(site: &Site, name: &str) {
    site.job("snapshot").arguments(["--backup", name]).succeed().await;
    site.job("upload").succeed().await;
}

/// The lines of a Backup, oldest first.
pub(super) async fn lines(site: &Site, backup: &str) -> Vec<BackupArchive> {
    let all: Api<BackupArchive> = Api::all(site.client.clone());
    let mut lines = all.list(&ListParams::default()).await.unwrap().items;
    lines.retain(|line| line.spec.backup == backup);
    lines.sort_by_key(ResourceExt::name_any);
    lines
}

/// Archives of a version that had no ledger are taken over from the runs that are remembered; older ones are beside it.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_takes_over_what_runs_tell() {
    let site = Site::start().await;
    for (name, location) in [("old-bucket", Some(site.bucket("old"))), ("old-folder", None)] {
        let rounds = Rounds::of(&site, name, 4, location).await;
        for number in 1..=2 {
            // Their runs are forgotten.
            rounds.store(&rounds.archive(number), Some(700)).await;
        }
        for number in 3..=6 {
            rounds.round_before_the_ledger(number, 700).await;
        }
        // The version before has deleted it.
        rounds.storage.remove(&rounds.archive(4)).await.unwrap();
        sweep_at(&site, day(6)).await;
        assert_eq!(rounds.lying().await, [2, 3, 5, 6]);
        let states = [(3, ArchiveState::Verified), (4, ArchiveState::Deleted), (5, ArchiveState::Verified)];
        assert_eq!(rounds.ledger().await[..3], states);
        rounds.round(7, 700).await;
        sweep_at(&site, day(7)).await;
        assert_eq!(rounds.lying().await, [3, 5, 6, 7]);
        site.backups().delete(name, &DeleteParams::default()).await.unwrap();
    }
    site.testbed.shutdown().await;
}

/// The ledger outlives the Backup, and does not grow for ever.
#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_backup_that_is_gone_are_forgotten_in_the_end() {
    let site = Site::start().await;
    let rounds = Rounds::of(&site, "gone", 1, None).await;
    for number in 1..=3 {
        rounds.round(number, 700).await;
    }
    sweep_at(&site, day(3)).await;
    site.backups().delete("gone", &DeleteParams::default()).await.unwrap();
    for (at, left) in [(4, vec![1, 2, 3]), (11, vec![1, 3]), (404, vec![])] {
        sweep_at(&site, day(at)).await;
        let numbers: Vec<_> = rounds.ledger().await.into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, left, "day {at}");
    }
    assert_eq!(rounds.lying().await, [3], "its archive stays where it is");
    site.testbed.shutdown().await;
}

/// What the ledger says of an archive that lacks types decides, and where the runs are gone, for the Backup was made again, also
/// what it says of one that waits for somebody's word.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_lacks_types_fills_no_place_and_one_that_is_held_stays_until_somebody_confirms() {
    let site = Site::start().await;
    let rounds = Rounds::of(&site, "partial", 1, None).await;
    for number in 1..=4 {
        rounds.round(number, 700).await;
    }
    let lines: Vec<_> = lines(&site, "partial").await.iter().map(ResourceExt::name_any).collect();
    let all: Api<BackupArchive> = Api::all(site.client.clone());
    let (as_test, lacks) = (PatchParams::default(), json!({"spec": {"missingTypes": ["clusters.example.com"]}}));
    all.patch(&lines[3], &as_test, &Patch::Merge(&lacks)).await.unwrap();
    let (word, reason) = ("loss-00000001", "the types of its successor are fewer");
    let held = json!({"status": {"held": {"confirmation": word, "reason": reason}}});
    all.patch_status(&lines[0], &as_test, &Patch::Merge(&held)).await.unwrap();
    rounds.forget_runs().await;
    sweep_at(&site, day(4)).await;
    assert_eq!(rounds.lying().await, [1, 3, 4]);
    let planned = dry_run_at(&site, "partial", day(4)).await;
    assert!(planned.contains("it lacks clusters.example.com; it fills no place of the policy"), "{planned}");
    assert!(planned.contains(reason), "{planned}");
    let shown = crate::kubectl::on(&site, &["get", "backuparchives.drover.dev"]).await;
    let shows = |line: &str, words: &str| shown.lines().any(|row| row.starts_with(line) && row.contains(words));
    assert!(shows(&lines[0], word) && shows(&lines[3], "clusters.example.com"), "{shown}");
    let (is_done, said) = rounds.pruned().await;
    let command = format!("kubectl annotate backups.resources.cattle.io partial --overwrite drover.dev/allow={word}");
    assert!(is_done && said.contains(&rounds.archive(1)) && said.contains(&command), "{said}");
    annotate(&site, "partial", Some(word)).await;
    sweep_at(&site, day(4)).await;
    assert_eq!(rounds.lying().await, [3, 4]);
    site.testbed.shutdown().await;
}

/// A Restore of the latest archive takes the ledger's, and asks where newer ones lie that drover did not store.
#[tokio::test(flavor = "multi_thread")]
async fn the_latest_archive_is_one_of_the_ledger() {
    let site = Site::start().await;
    site.resource_set(SMALL_SET).await;
    site.backup("daily", "small", None).await;
    back_up(&site, "daily").await;
    let good = site.backup_status("daily").await.filename.unwrap();
    let listed = site.job("restore").arguments(["list", "--backup", "daily"]).succeed().await.output;
    assert!(listed.lines().any(|line| line.contains(&good) && line.contains("   yes   ")), "{listed}");

    who_may_not_read_the_ledger_sees_what_lies_there(&site, &good).await;

    // Without a record beside it nobody takes it for the latest.
    let later = good.replace("Z.tar.gz", "Z.tar.gz.enc");
    std::fs::write(site.folder().join(&later), "junk").unwrap();
    let listed = site.job("restore").arguments(["list", "--backup", "daily"]).succeed().await.output;
    assert!(listed.lines().any(|line| line.contains(&later) && line.contains("   unknown   ")), "{listed}");
    latest(&site, "first").await;
    site.job("restore").succeed().await;
    assert_eq!(site.restores().get("first").await.unwrap().archive(), Some(good.as_str()));

    let stranger = Rounds::reaching(&site, &site.backups().get("daily").await.unwrap()).await;
    let just_after = split_archive_name(&good).unwrap().1.time + SignedDuration::from_secs(1);
    let newer = archive_name("daily", &stranger.uid, just_after, false);
    stranger.store(&newer, Some(9999)).await;
    latest(&site, "second").await;
    let finished = site.job("restore").end_with(64).await;
    assert!(
        finished.log.contains("newer there and not in it: 1, the newest") && finished.log.contains(&newer),
        "{}",
        finished.log
    );
    the_ledger_alone_says_yes(&site, &good, &newer).await;
    site.restores().delete("second", &DeleteParams::default()).await.unwrap();

    // Its run is forgotten, and what is recorded beside it changed: the ledger still knows its digest.
    std::fs::remove_file(site.folder().join(&newer)).unwrap();
    for run in site.runs("daily").await {
        RunStore::new(site.client.clone(), "test").delete(&[run.name_any()]).await;
    }
    let bytes = std::fs::metadata(site.folder().join(&good)).unwrap().len();
    std::fs::write(site.folder().join(&good), vec![0; usize::try_from(bytes).unwrap()]).unwrap();
    std::fs::remove_file(site.folder().join(format!("{good}.sha256"))).unwrap();
    latest(&site, "third").await;
    let finished = site.job("restore").end_with(65).await;
    assert!(finished.log.contains("and its BackupArchive"), "{}", finished.log);
    site.testbed.shutdown().await;
}

/// Without the ledger's definition no archive can be told from a stranger's, and where it is back what runs tell decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_waits_for_the_ledgers_definition_unless_a_run_knows_the_archive() {
    let site = Site::start().await;
    site.resource_set(SMALL_SET).await;
    site.backup("daily", "small", None).await;
    back_up(&site, "daily").await;
    let good = site.backup_status("daily").await.filename.unwrap();
    let stranger = Rounds::reaching(&site, &site.backups().get("daily").await.unwrap()).await;
    let just_after = split_archive_name(&good).unwrap().1.time + SignedDuration::from_secs(1);
    let newer = archive_name("daily", &stranger.uid, just_after, false);
    stranger.store(&newer, Some(9999)).await;
    uninstall::<BackupArchive>(&site).await;

    latest(&site, "latest").await;
    site.restore("known", &good, None).await;
    site.restore("unknown", &newer, None).await;
    site.job("restore").end_with(64).await;
    for waiting in ["latest", "unknown"] {
        let restore = site.restores().get(waiting).await.unwrap();
        let said = message(restore.status.as_ref().unwrap().conditions.as_ref(), "Ready");
        assert!(!restore.has_ended(), "{waiting}: {said}");
        assert!(said.contains("failed to find the definition of BackupArchive"), "{waiting}: {said}");
        assert!(said.contains("apply your overlay's foundation again"), "{waiting}: {said}");
    }
    assert_eq!(site.restores().get("latest").await.unwrap().archive(), None, "nothing is pinned");
    let said = message(site.restore_status("known").await.conditions.as_ref(), "Ready");
    assert!(said.starts_with("Completed"), "{said}");
    let listed = site.job("restore").arguments(["list", "--backup", "daily"]).succeed().await;
    assert!(listed.output.lines().any(|line| line.contains(&good) && line.contains("   unknown   ")), "{listed:?}");
    assert!(listed.log.contains("failed to find the definition of BackupArchive"), "{}", listed.log);

    prepare::install_definitions(&site.client, &definitions()).await.unwrap();
    site.restores().delete("unknown", &DeleteParams::default()).await.unwrap();
    let finished = site.job("restore").end_with(64).await;
    assert!(finished.log.contains("newer there and not in it: 1, the newest"), "{}", finished.log);
    std::fs::remove_file(site.folder().join(&newer)).unwrap();
    site.job("restore").succeed().await;
    assert_eq!(site.restores().get("latest").await.unwrap().archive(), Some(good.as_str()));
    site.testbed.shutdown().await;
}

/// Of what the ledger has, `good`; of `stranger` it says that it does not know it, and nothing where it is not asked.
async fn the_ledger_alone_says_yes(site: &Site, good: &str, stranger: &str) {
    let folder = site.folder().display().to_string();
    for (arguments, of_good, of_stranger) in [
        (["list", "--restore", "second"], "   yes   ", "   unknown   "),
        (["list", "--folder", &folder], "   recorded   ", "   recorded   "),
    ] {
        let listed = site.job("restore").arguments(arguments).succeed().await.output;
        let says = |name: &str, word: &str| listed.lines().any(|line| line.contains(name) && line.contains(word));
        assert!(says(good, of_good) && says(stranger, of_stranger), "{listed}");
    }
}

async fn who_may_not_read_the_ledger_sees_what_lies_there(site: &Site, archive: &str) {
    let rules = json!([
        {"apiGroups": ["resources.cattle.io"], "resources": ["backups"], "verbs": ["get"]},
        {"apiGroups": ["drover.dev"], "resources": ["backuppolicies"], "verbs": ["list"]},
    ]);
    let kubeconfig = limited_kubeconfig(site, &rules).await;
    let path = site.testbed.folder().join("limited.kubeconfig");
    std::fs::write(&path, serde_json::to_string(&kubeconfig).unwrap()).unwrap();
    let job = site.job("restore").environment("KUBECONFIG", path.to_str().unwrap());
    let listed = job.arguments(["list", "--backup", "daily"]).succeed().await;
    assert!(listed.log.contains("as the ledger may not be read"), "{}", listed.log);
    let says = |line: &str| line.contains(archive) && line.contains("   unknown   ");
    assert!(listed.output.lines().any(says), "{}", listed.output);
}

pub(super) async fn latest(site: &Site, name: &str) {
    let spec = RestoreSpec { backup_filename: "latest".to_owned(), prune: Some(false), ..RestoreSpec::default() };
    let mut restore = Restore::new(name, spec);
    restore.annotations_mut().insert("drover.dev/latest-of".to_owned(), "daily".to_owned());
    site.make_restore(&restore).await;
}
