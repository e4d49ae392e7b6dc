//! What a place goes through in years, at a bucket and in a folder: the operator before and in between, a Backup that is made
//! again, files that come back, a copy of the cluster, strangers. The archives of the ledger expire by the policy; what drover
//! did not store takes no place from them, and newer ones stay.

use drover::resources::{ArchiveState, BackupSpec};
use drover::runs::{RunStore, archive_name};
use drover_tests::Site;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::rounds::{Rounds, day, dry_run_at, sweep_at};

/// A history with its name, told at a place.
macro_rules! at_both_places {
    ($site:expr, $($history:ident),+) => {$(
        let name = stringify!($history).replace('_', "-");
        let bucket = format!("{name}-bucket");
        $history(&$site, Rounds::of(&$site, &bucket, COUNT, Some($site.bucket(&bucket))).await).await;
        forget(&$site, &bucket).await;
        let folder = format!("{name}-folder");
        $history(&$site, Rounds::of(&$site, &folder, COUNT, None).await).await;
        forget(&$site, &folder).await;
    )+};
}

/// How many archives the Backups keep.
const COUNT: i64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_lies_beside_them_archives_of_the_ledger_expire_by_the_policy_alone() {
    let site = Site::start().await;
    at_both_places!(site, operator, made_again, copied_back, copy_of_the_cluster, set_back, strangers);
    site.testbed.shutdown().await;
}

/// Each history looks at its own Backup alone.
async fn forget(site: &Site, name: &str) {
    site.backups().delete(name, &DeleteParams::default()).await.unwrap();
}

pub(super) async fn annotate(site: &Site, name: &str, value: Option<&str>) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"drover.dev/allow": value}}}));
    site.backups().patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// The condition names these as unknown to the ledger, and says what to do.
async fn names_as_unknown(rounds: &Rounds<'_>, count: usize, names: &[String]) {
    let (is_done, said) = rounds.pruned().await;
    let archives = if count == 1 { "archive" } else { "archives" };
    assert!(is_done && said.contains(&format!("kept {count} {archives} not in drover's ledger")), "{said}");
    assert!(names.iter().all(|name| said.contains(name)), "{said}");
    let command = format!(
        "kubectl annotate backups.resources.cattle.io {} --overwrite drover.dev/allow=unknown-archives",
        rounds.name
    );
    assert!(said.contains(&command), "{said}");
}

/// From the operator to drover, back, and here again. The operator records nothing beside its archives, and prunes by itself.
async fn operator(site: &Site, rounds: Rounds<'_>) {
    for number in 1..=5 {
        rounds.put(&rounds.archive(number), "of the operator").await;
    }
    sweep_at(site, day(5)).await;
    assert_eq!(rounds.lying().await, [1, 2, 3, 4, 5], "drover has stored nothing yet");
    rounds.round(6, 700).await;
    sweep_at(site, day(6)).await;
    assert_eq!(rounds.lying().await, [4, 5, 6], "those of before fill the places that are left");

    for number in [7, 8] {
        rounds.put(&rounds.archive(number), "of the operator again").await;
    }
    for number in [4, 5] {
        rounds.storage.remove(&rounds.archive(number)).await.unwrap();
    }
    rounds.round(9, 700).await;
    sweep_at(site, day(9)).await;
    assert_eq!(rounds.lying().await, [6, 7, 8, 9]);
    names_as_unknown(&rounds, 2, &[rounds.archive(7), rounds.archive(8)]).await;
    let planned = dry_run_at(site, &rounds.name, day(9)).await;
    assert!(planned.contains("not in the ledger, and newer than its first line"), "{planned}");
    rounds.is_ready().await;

    annotate(site, &rounds.name, Some("unknown-archives")).await;
    for (number, lying) in [(10, vec![6, 8, 9, 10]), (11, vec![9, 10, 11]), (12, vec![10, 11, 12])] {
        rounds.round(number, 700).await;
        sweep_at(site, day(number)).await;
        assert_eq!(rounds.lying().await, lying, "they leave when they would if they were of the ledger");
    }
    assert!(!rounds.pruned().await.1.contains("ledger"));
    let expected: Vec<_> = [(6, ArchiveState::Deleted), (9, ArchiveState::Deleted)]
        .into_iter()
        .chain((10..=12).map(|number| (number, ArchiveState::Verified)))
        .collect();
    assert_eq!(rounds.ledger().await, expected);
}

/// One that was deleted and made again has another UID and no runs, and goes on with its archives.
async fn made_again(site: &Site, rounds: Rounds<'_>) {
    for number in 1..=4 {
        rounds.round(number, 700).await;
        sweep_at(site, day(number)).await;
    }
    let spec = rounds.backup().await.spec;
    forget(site, &rounds.name).await;
    rounds.forget_runs().await;
    site.make_backup(&rounds.name, spec.clone()).await;
    sweep_at(site, day(4)).await;
    assert_eq!(rounds.lying().await, [2, 3, 4], "the ledger knows them without a run");
    rounds.round(5, 700).await;
    sweep_at(site, day(5)).await;
    assert_eq!(rounds.lying().await, [3, 4, 5]);
    rounds.has_deleted(1, COUNT).await;

    // Made again with less to keep: that is a changed retention, which waits.
    forget(site, &rounds.name).await;
    rounds.forget_runs().await;
    site.make_backup(&rounds.name, BackupSpec { retention_count: Some(1), ..spec }).await;
    sweep_at(site, day(5)).await;
    assert_eq!(rounds.lying().await, [3, 4, 5]);
    let (_, said) = rounds.pruned().await;
    assert!(said.contains("2 archives that the former one kept will go at 2026-01-07T02:00:00Z"), "{said}");
    assert!(said.contains(&rounds.archive(3)) && said.contains(&rounds.archive(4)), "{said}");
    sweep_at(site, day(6)).await;
    assert_eq!(rounds.lying().await, [5]);
}

/// A file that was deleted and that a person copies back is that person's.
async fn copied_back(site: &Site, rounds: Rounds<'_>) {
    for number in 1..=4 {
        rounds.round(number, 700).await;
        sweep_at(site, day(number)).await;
    }
    rounds.store(&rounds.archive(1), Some(700)).await;
    for number in 5..=6 {
        rounds.round(number, 700).await;
        sweep_at(site, day(number)).await;
    }
    assert_eq!(rounds.lying().await, [1, 4, 5, 6]);
    names_as_unknown(&rounds, 1, &[rounds.archive(1)]).await;
    let planned = dry_run_at(site, &rounds.name, day(6)).await;
    assert!(planned.contains("drover deleted it, and it was copied back"), "{planned}");
    assert_eq!(rounds.ledger().await[0], (1, ArchiveState::Deleted));
    annotate(site, &rounds.name, Some("unknown-archives")).await;
    sweep_at(site, day(6)).await;
    assert_eq!(rounds.lying().await, [4, 5, 6]);
}

/// A copy of the cluster has its UID, and writes archives to the same place, with all that drover records beside them.
async fn copy_of_the_cluster(site: &Site, rounds: Rounds<'_>) {
    for number in [1, 3, 5] {
        rounds.round(number, 700).await;
    }
    sweep_at(site, day(5)).await;
    let of_copy = [2, 4, 6, 8];
    for number in of_copy {
        rounds.store(&rounds.archive(number), Some(700)).await;
    }
    sweep_at(site, day(8)).await;
    assert_eq!(rounds.lying().await, [1, 2, 3, 4, 5, 6, 8], "the copy pushes nothing out");
    names_as_unknown(&rounds, 4, &of_copy.map(|number| rounds.archive(number))).await;
    rounds.round(9, 700).await;
    sweep_at(site, day(9)).await;
    assert_eq!(rounds.lying().await, [2, 3, 4, 5, 6, 8, 9], "pruning goes on");
}

/// A cluster that is set back to an older state of etcd knows nothing of what it has stored since.
async fn set_back(site: &Site, rounds: Rounds<'_>) {
    for number in 1..=3 {
        rounds.round(number, 700).await;
    }
    sweep_at(site, day(3)).await;
    for number in 4..=6 {
        rounds.store(&rounds.archive(number), Some(700)).await;
    }
    rounds.round(7, 700).await;
    sweep_at(site, day(7)).await;
    assert_eq!(rounds.lying().await, [2, 3, 4, 5, 6, 7]);
    names_as_unknown(&rounds, 3, &[rounds.archive(4), rounds.archive(5), rounds.archive(6)]).await;
}

/// Whoever may write at the place puts there what looks like newer and older archives, with and without what drover records.
async fn strangers(site: &Site, rounds: Rounds<'_>) {
    for number in [20, 21, 22] {
        rounds.round(number, 700).await;
    }
    let junk = |number: i64| archive_name(&rounds.name, &rounds.uid, day(number), true);
    for number in [10, 23] {
        rounds.put(&junk(number), "junk").await;
    }
    for (number, objects) in [(11, 700), (24, 9999), (25, 9999), (99, 9999)] {
        rounds.store(&junk(number), Some(objects)).await;
    }
    sweep_at(site, day(26)).await;
    assert_eq!(rounds.lying().await, [20, 21, 22], "both real archives and their elder are there");
    let listed = async |name: String| rounds.storage.label(&name).await.unwrap().is_some();
    assert_eq!(
        (listed(junk(10)).await, listed(junk(11)).await, listed(junk(23)).await, listed(junk(24)).await),
        (false, false, true, true),
        "older ones expire beside the ledger's, and newer ones stay"
    );
    names_as_unknown(&rounds, 3, &[junk(23), junk(24), junk(25)]).await;
    let (_, said) = rounds.pruned().await;
    let (_, future) = said.split_once("kept 1 archive whose time is in the future").unwrap();
    assert!(future.contains(&junk(99)), "{said}");
    let printed = dry_run_at(site, &rounds.name, day(26)).await;
    let future = printed.lines().find(|line| line.contains(&junk(99))).unwrap().to_owned();
    assert!(future.ends_with("its time is in the future; it fills no place of the policy"), "{future}");
    rounds.round(27, 700).await;
    sweep_at(site, day(27)).await;
    assert_eq!(rounds.lying().await, [21, 22, 27]);
}

/// 168 hourly archives, as the guide keeps them, of which ten runs are remembered.
#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_hourly_archives_is_known_although_few_runs_are() {
    const KEPT: i64 = 168;
    let site = Site::start().await;
    let names = [("hourly-bucket", Some(site.bucket("hourly"))), ("hourly-folder", None)];
    for (name, location) in names {
        let rounds = Rounds::of(&site, name, KEPT, location).await;
        let last = KEPT + 2;
        for number in 1..=last {
            rounds.round(number, 700).await;
            if number % 20 == 0 {
                rounds.keep_ten_runs().await;
            }
        }
        rounds.keep_ten_runs().await;
        assert_eq!(site.runs(name).await.len(), 10);
        sweep_at(&site, day(last)).await;
        assert_eq!(rounds.lying().await, (3..=last).collect::<Vec<_>>());
        rounds.has_deleted(2, KEPT).await;

        // One that no run remembers is another file now: it fills no place.
        rounds.put(&rounds.archive(5), "junk").await;
        rounds.round(last + 1, 700).await;
        sweep_at(&site, day(last + 1)).await;
        assert_eq!(rounds.lying().await, (3..=last + 1).collect::<Vec<_>>());
        let states = rounds.ledger().await;
        assert_eq!(states[4], (5, ArchiveState::Damaged));
        assert_eq!(states.len(), usize::try_from(last + 1).unwrap());
        forget(&site, name).await;
    }
    let table = crate::kubectl::on(&site, &["get", "backuparchives"]).await;
    let head = table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(head, ["NAME", "BACKUP", "TAKEN", "OBJECTS", "BYTES", "PLACES", "STATE", "HELD", "LACKS", "AGE"]);
    assert!(table.lines().any(|line| line.contains("hourly-bucket") && line.contains("default   Verified")), "{table}");
    site.testbed.shutdown().await;
}

impl Rounds<'_> {
    /// Deletes the runs, as they go with a Backup that is deleted.
    pub(super) async fn forget_runs(&self) {
        let runs = self.site.runs(&self.name).await;
        RunStore::new(self.site.client.clone(), "test")
            .delete(&runs.iter().map(ResourceExt::name_any).collect::<Vec<_>>())
            .await;
    }

    /// As a snapshot does after each run.
    async fn keep_ten_runs(&self) {
        let store = RunStore::new(self.site.client.clone(), "test");
        let history = store.history(&self.backup().await).await.unwrap();
        store.delete(&history.expired()).await;
    }
}
