//! What the API server stamps decides, and no name that was of the future when its archive was made.

use drover::resources::BackupArchive;
use drover_testbed::proxy::Proxy;
use drover_tests::{SMALL_SET, Site, message};
use futures::TryStreamExt;
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::ledger::{back_up, latest, lines};
use super::rounds::{Rounds, day, dry_run_at, sweep_at};

/// A node's clock was days ahead once, with a version that named archives by it, and then its name's time comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_of_the_future_takes_no_place_also_once_its_time_has_come() {
    let site = Site::start().await;
    let today = Timestamp::now().duration_since(day(0)).as_hours() / 24;
    let ahead = today + 3;
    for (name, location) in [("bucket", Some(site.bucket("stamps"))), ("folder", None)] {
        let rounds = Rounds::of(&site, name, 1, location).await;
        rounds.round(today - 1, 700).await;
        rounds.round(today, 700).await;
        rounds.round_before_the_ledger(ahead, 700).await;
        for now in [today + 1, today + 5] {
            let planned = dry_run_at(&site, name, day(now)).await;
            sweep_at(&site, day(now)).await;
            let listed: Vec<_> = rounds.storage.list().try_collect().await.unwrap();
            let mut names: Vec<_> = listed.into_iter().map(|archive| archive.name).collect();
            names.sort();
            assert_eq!(names, [rounds.archive(today), rounds.archive(ahead)], "day {now}: {planned}");
            let conditions = rounds.backup().await.status.unwrap().conditions.unwrap();
            assert_eq!(message(Some(&conditions), "Verified"), rounds.archive(today));
        }
        let planned = dry_run_at(&site, name, day(today + 5)).await;
        assert!(planned.contains("its time was in the future when it was made"), "{planned}");
        let (is_done, said) = rounds.pruned().await;
        assert!(is_done && said.contains("so that it fills no place; delete it by hand"), "{said}");
        assert!(said.contains(&rounds.archive(ahead)), "{said}");
        site.backups().delete(name, &DeleteParams::default()).await.unwrap();
    }
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_whose_run_was_stamped_before_the_time_in_its_name_is_not_the_latest() {
    let site = Site::start().await;
    site.resource_set(SMALL_SET).await;
    site.backup("daily", "small", None).await;
    for _ in 0..2 {
        back_up(&site, "daily").await;
    }
    let [first, second] = &lines(&site, "daily").await[..] else { panic!("two lines") };
    assert!(second.spec.stamped_at.is_some(), "upload notes it");
    let ledger: Api<BackupArchive> = Api::all(site.client.clone());
    let before = Patch::Merge(json!({"spec": {"stampedAt": "2026-01-01T00:00:00Z"}}));
    ledger.patch(&second.name_any(), &PatchParams::default(), &before).await.unwrap();
    latest(&site, "latest").await;
    site.job("restore").succeed().await;
    assert_eq!(site.restores().get("latest").await.unwrap().archive(), Some(first.spec.filename.as_str()));
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_time_of_the_api_server_nothing_expires_and_each_backup_says_so() {
    let site = Site::start().await;
    let rounds = Rounds::of(&site, "timeless", 1, None).await;
    for number in 1..=2 {
        rounds.round(number, 700).await;
    }
    let proxy = Proxy::start(&site.testbed).await.unwrap();
    proxy.strip_dates();
    let job = site.job("retention-prune").environment("KUBECONFIG", proxy.kubeconfig().to_str().unwrap());
    job.end_with(69).await;
    assert_eq!(rounds.lying().await, [1, 2]);
    let (is_done, said) = rounds.pruned().await;
    assert!(!is_done && said.contains("the API server's answers have no Date"), "{said}");
    site.job("retention-prune").succeed().await;
    assert_eq!(rounds.lying().await, [2]);
    assert!(rounds.pruned().await.0);
    site.testbed.shutdown().await;
}
