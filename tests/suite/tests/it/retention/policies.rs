//! Tiers, adopted clusters, Restores and drops, on a volume; and that a dry run tells what the real run does then.

use drover::resources::{BackupPolicy, BackupPolicySpec, FurtherLocation, LocalLocation, Retention};
use drover::runs::archive_name;
use drover_tests::Site;
use kube::Api;
use kube::api::{DeleteParams, PostParams};

use super::rounds::{Rounds, day, dry_run_at, sweep_at};

const ADOPTED: &str = "11111111-6c77-43ec-9323-d6191e5ef67b";
const OTHER: &str = "99999999-6c77-43ec-9323-d6191e5ef67b";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_promised_outlives_the_policy() {
    let site = Site::start().await;
    let rounds = Rounds::of(&site, "tiers", 1, None).await;
    policy(&site).await;
    for number in 1..=20 {
        rounds.round(number, if number <= 5 { 700 } else { 300 }).await;
    }
    let foreign = |uid: &str| archive_name("tiers", uid, day(0), false);
    for uid in [ADOPTED, OTHER] {
        rounds.store(&foreign(uid), None).await;
    }
    site.restore("undo", &rounds.archive(2), None).await;

    let planned = dry_run_at(&site, "tiers", day(20)).await;
    assert_eq!(rounds.lying().await.len(), 20, "a dry run deletes nothing");
    sweep_at(&site, day(20)).await;
    // Three days; two weeks (2026-01-21 is a Wednesday), whose newer is that of the newest day; the pair around the drop;
    // what the Restore names.
    assert_eq!(rounds.lying().await, [2, 5, 6, 17, 18, 19, 20]);
    assert!(site.folder().join(foreign(OTHER)).exists() && !site.folder().join(foreign(ADOPTED)).exists());
    for number in 1..=20 {
        let line = planned.lines().find(|line| line.contains(&rounds.archive(number))).unwrap();
        assert_eq!(line.contains("  delete  "), !rounds.lying().await.contains(&number), "{line}");
    }
    let reason = |number: i64| planned.lines().find(|line| line.contains(&rounds.archive(number))).unwrap();
    assert!(reason(2).ends_with("the Restore \"undo\" has not ended"), "{planned}");
    assert!(reason(5).ends_with("the last one before a drop from 700 to 300 objects"), "{planned}");
    assert!(reason(17).ends_with("weekly 2 of 2 (2026-W03)"), "{planned}");
    rounds.is_ready().await;

    site.restores().delete("undo", &DeleteParams::default()).await.unwrap();
    sweep_at(&site, day(20)).await;
    assert_eq!(rounds.lying().await, [5, 6, 17, 18, 19, 20]);
    the_further_place_is_pruned_too(&site, &rounds).await;
    site.testbed.shutdown().await;
}

async fn policy(site: &Site) {
    let retention = Retention { keep_daily: Some(3), keep_weekly: Some(2), ..Retention::default() };
    let near = FurtherLocation {
        name: "near".to_owned(),
        s3: None,
        local: Some(LocalLocation { volume: Some("near".to_owned()) }),
    };
    let spec = BackupPolicySpec {
        backup_names: vec!["tiers".to_owned()],
        retention: Some(retention),
        adopt_cluster_uids: Some(vec![ADOPTED.to_owned()]),
        additional_storage_locations: Some(vec![near]),
        ..BackupPolicySpec::default()
    };
    std::fs::create_dir_all(site.testbed.folder().join("volumes/near")).unwrap();
    let policies: Api<BackupPolicy> = Api::all(site.client.clone());
    policies.create(&PostParams::default(), &BackupPolicy::new("tiers", spec)).await.unwrap();
}

/// Copies that the ledger does not know of here, and that are newer than its first line, stay.
async fn the_further_place_is_pruned_too(site: &Site, rounds: &Rounds<'_>) {
    let near = site.testbed.folder().join("volumes/near");
    for number in 1..=4 {
        std::fs::write(near.join(rounds.archive(number)), "x").unwrap();
    }
    sweep_at(site, day(20)).await;
    assert_eq!(std::fs::read_dir(&near).unwrap().count(), 4);
    let printed = dry_run_at(site, "tiers", day(20)).await;
    assert!(printed.contains("not in the ledger, and newer than its first line"), "{printed}");
}
