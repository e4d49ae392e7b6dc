//! What cannot be read is not "none": without the definitions of policies or of the ledger nothing expires, and what a changed
//! retention would take has a day.

use drover::resources::{
    ArchiveState, BackupArchive, BackupPolicy, BackupPolicySpec, BackupRun, BackupSpec, FurtherLocation, LocalLocation,
    Retention, RunState, definitions,
};
use drover_testbed::prepare;
use drover_tests::{SMALL_SET, Site, message};
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{CustomResourceExt, ResourceExt};
use serde_json::json;

use super::rounds::{Rounds, day, dry_run_at, sweep_at, sweep_ends_with};
use crate::nats::until;

fn later(time: Timestamp, hours: i64) -> Timestamp {
    time + SignedDuration::from_hours(hours)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_changed_retention_would_take_has_a_day() {
    let site = Site::start().await;
    for (name, location) in [("bucket", Some(site.bucket("changed"))), ("folder", None)] {
        let rounds = Rounds::of(&site, name, 3, location).await;
        policy(&site, name, 5).await;
        for number in 1..=6 {
            rounds.round(number, 700).await;
            sweep_at(&site, day(number)).await;
        }
        assert_eq!(rounds.lying().await, [2, 3, 4, 5, 6]);
        a_smaller_number_waits(&site, &rounds).await;
        what_is_changed_back_was_never_changed(&site, &rounds).await;
        a_policy_that_is_gone_waits_too(&site, &rounds).await;
        site.backups().delete(name, &DeleteParams::default()).await.unwrap();
    }
    site.testbed.shutdown().await;
}

fn policies(site: &Site) -> Api<BackupPolicy> {
    Api::all(site.client.clone())
}

/// Keeps so many archives of this Backup.
async fn policy(site: &Site, backup: &str, count: i64) {
    let retention = Retention { keep_last: Some(count), ..Retention::default() };
    let spec = BackupPolicySpec {
        backup_names: vec![backup.to_owned()],
        retention: Some(retention),
        ..BackupPolicySpec::default()
    };
    let policy = BackupPolicy::new(backup, spec);
    policies(site).patch(backup, &PatchParams::apply("test").force(), &Patch::Apply(&policy)).await.unwrap();
}

async fn a_smaller_number_waits(site: &Site, rounds: &Rounds<'_>) {
    policy(site, &rounds.name, 2).await;
    let changed = later(day(6), 1);
    sweep_at(site, changed).await;
    assert_eq!(rounds.lying().await, [2, 3, 4, 5, 6]);
    let (is_done, said) = rounds.pruned().await;
    let words =
        "the retention was changed, and 3 archives that the former one kept will go at 2026-01-08T03:00:00Z, or sooner";
    assert!(is_done && said.contains(words), "{said}");
    assert!([2, 3, 4].iter().all(|number| said.contains(&rounds.archive(*number))), "{said}");
    let planned = dry_run_at(site, &rounds.name, changed).await;
    assert!(planned.contains("kept by the former retention; it goes at 2026-01-08T03:00:00Z, or sooner"), "{planned}");

    // What both do not keep goes as ever.
    rounds.round(7, 700).await;
    sweep_at(site, day(7)).await;
    assert_eq!(rounds.lying().await, [3, 4, 5, 6, 7]);
    // A clock that was ahead for once decides nothing after it is right again, and neither does one that went back.
    sweep_at(site, later(changed, 24)).await;
    assert_eq!(rounds.lying().await, [6, 7]);
    assert!(rounds.pruned().await.1.starts_with("deleted 3, kept 2; last deleted 3 at "));
}

async fn what_is_changed_back_was_never_changed(site: &Site, rounds: &Rounds<'_>) {
    policy(site, &rounds.name, 1).await;
    sweep_at(site, day(9)).await;
    policy(site, &rounds.name, 2).await;
    sweep_at(site, later(day(9), 12)).await;
    policy(site, &rounds.name, 1).await;
    sweep_at(site, later(day(9), 23)).await;
    sweep_at(site, later(day(9), 25)).await;
    assert_eq!(rounds.lying().await, [6, 7]);
    policy(site, &rounds.name, 5).await;
    sweep_at(site, day(10)).await;
    assert!(!rounds.pruned().await.1.contains("retention was changed"), "nothing waits");
    sweep_at(site, day(11)).await;
}

/// Without it the Backup's own count holds, which is smaller.
async fn a_policy_that_is_gone_waits_too(site: &Site, rounds: &Rounds<'_>) {
    for number in 12..=14 {
        rounds.round(number, 700).await;
        sweep_at(site, day(number)).await;
    }
    assert_eq!(rounds.lying().await, [6, 7, 12, 13, 14]);
    policies(site).delete(&rounds.name, &DeleteParams::default()).await.unwrap();
    sweep_at(site, later(day(14), 1)).await;
    sweep_at(site, later(day(14), 24)).await;
    assert_eq!(rounds.lying().await, [6, 7, 12, 13, 14]);
    sweep_at(site, later(day(14), 25)).await;
    assert_eq!(rounds.lying().await, [12, 13, 14]);
    rounds.is_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_backup_that_gets_a_schedule_keeps_its_archives_for_a_day() {
    let site = Site::start().await;
    let spec = BackupSpec { resource_set_name: "small".to_owned(), retention_count: Some(1), ..BackupSpec::default() };
    let backup = site.make_backup("once", spec).await;
    let rounds = Rounds::reaching(&site, &backup).await;
    for number in 1..=3 {
        rounds.round(number, 700).await;
    }
    sweep_at(&site, day(3)).await;
    let scheduled = Patch::Merge(json!({"spec": {"schedule": "@daily"}}));
    site.backups().patch("once", &PatchParams::default(), &scheduled).await.unwrap();
    sweep_at(&site, day(4)).await;
    assert_eq!(rounds.lying().await, [1, 2, 3]);
    sweep_at(&site, day(5)).await;
    assert_eq!(rounds.lying().await, [3]);
    site.testbed.shutdown().await;
}

/// Nothing of it expires, and what is seen of its archives is noted and told all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_backup_is_looked_at_too() {
    let site = Site::start().await;
    let spec = BackupSpec { resource_set_name: "small".to_owned(), ..BackupSpec::default() };
    let backup = site.make_backup("once", spec).await;
    let rounds = Rounds::reaching(&site, &backup).await;
    for number in 1..=2 {
        rounds.round_before_the_ledger(number, 700).await;
    }
    rounds.store(&rounds.archive(3), Some(700)).await;
    sweep_at(&site, day(3)).await;
    assert_eq!(rounds.ledger().await, [(1, ArchiveState::Verified), (2, ArchiveState::Verified)]);
    assert_eq!(rounds.pruned().await, (true, "deleted 0, kept 3".to_owned()), "nothing is asked of anybody");
    rounds.is_ready().await;

    rounds.put(&rounds.archive(2), "cut off").await;
    sweep_at(&site, day(3)).await;
    let conditions = rounds.backup().await.status.unwrap().conditions.unwrap();
    assert!(!conditions.is_true("Ready") && !conditions.is_true("Verified"), "{conditions:?}");
    assert_eq!(rounds.ledger().await, [(1, ArchiveState::Verified), (2, ArchiveState::Damaged)]);
    uninstall::<BackupArchive>(&site).await;
    sweep_ends_with(&site, day(3), 64).await;
    let (is_done, said) = rounds.pruned().await;
    assert!(!is_done && said.contains("failed to find the definition of BackupArchive"), "{said}");
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_definitions_nothing_expires_and_no_archive_passes_for_being_everywhere() {
    let site = Site::start().await;
    site.resource_set(SMALL_SET).await;
    let rounds = Rounds::of(&site, "kept", 1, None).await;
    policy(&site, "kept", 5).await;
    for number in 1..=5 {
        rounds.round(number, 700).await;
    }
    sweep_at(&site, day(5)).await;
    uninstall::<BackupPolicy>(&site).await;
    without_policies(&site, &rounds).await;
    an_archive_waits_for_places_that_nobody_knows(&site).await;
    prepare::install_definitions(&site.client, &definitions()).await.unwrap();
    site.job("upload").succeed().await;
    let run = site.runs("waiting").await.remove(0);
    assert_eq!(run.status.unwrap().state, RunState::Completed);
    // They went with their definition: what is left is a changed retention.
    sweep_at(&site, later(day(5), 1)).await;
    assert_eq!(rounds.lying().await, [1, 2, 3, 4, 5]);
    assert!(rounds.pruned().await.1.contains("4 archives that the former one kept will go at"));

    uninstall::<BackupArchive>(&site).await;
    without_the_ledger(&site, &rounds).await;
    prepare::install_definitions(&site.client, &definitions()).await.unwrap();
    what_runs_tell_is_taken_over(&site, &rounds).await;
    site.testbed.shutdown().await;
}

pub(super) async fn uninstall<K>(site: &Site)
where
    K: kube::Resource<DynamicType = ()>
        + CustomResourceExt
        + Clone
        + std::fmt::Debug
        + k8s_openapi::serde::de::DeserializeOwned,
{
    let name = K::crd().name_any();
    crate::kubectl::on(site, &["delete", "crd", &name]).await;
    let api: Api<K> = Api::all(site.client.clone());
    let is_gone =
        async || matches!(api.list(&ListParams::default()).await, Err(kube::Error::Api(status)) if status.code == 404);
    until("the definition is gone", is_gone).await;
}

async fn without_policies(site: &Site, rounds: &Rounds<'_>) {
    sweep_ends_with(site, later(day(5), 1), 64).await;
    assert_eq!(rounds.lying().await, [1, 2, 3, 4, 5]);
    let (is_done, said) = rounds.pruned().await;
    assert!(!is_done && said.contains("so nothing expires: failed to find the definition of BackupPolicy"), "{said}");
    rounds.is_ready().await;
}

/// The archive is at the Backup's own place, and whether it is to be elsewhere too nobody knows.
async fn an_archive_waits_for_places_that_nobody_knows(site: &Site) {
    site.backup("waiting", "small", None).await;
    site.job("snapshot").arguments(["--backup", "waiting"]).succeed().await;
    site.job("upload").end_with(64).await;
    let status = site.backup_status("waiting").await;
    let said = message(status.conditions.as_ref(), "Ready");
    assert!(said.starts_with("Failed: further places: failed to find the definition of BackupPolicy"), "{said}");
    assert!(site.folder().join(&site.runs("waiting").await[0].spec.filename).exists());
    assert_eq!(site.artifacts().await.names.len(), 1);
}

async fn without_the_ledger(site: &Site, rounds: &Rounds<'_>) {
    sweep_ends_with(site, day(9), 64).await;
    assert_eq!(rounds.lying().await, [1, 2, 3, 4, 5]);
    let (is_done, said) = rounds.pruned().await;
    assert!(!is_done && said.contains("failed to find the definition of BackupArchive"), "{said}");
    // No backup fails for it.
    site.backup("without-ledger", "small", None).await;
    site.job("snapshot").arguments(["--backup", "without-ledger"]).succeed().await;
    let finished = site.job("upload").succeed().await;
    assert!(finished.log.contains("failed to find the definition of BackupArchive"), "{}", finished.log);
    assert!(site.backup_status("without-ledger").await.conditions.unwrap().is_true("Ready"));
}

async fn what_runs_tell_is_taken_over(site: &Site, rounds: &Rounds<'_>) {
    let planned = dry_run_at(site, "kept", day(9)).await;
    assert!(planned.contains("1 kept, 4 to delete"), "{planned}");
    assert_eq!(rounds.ledger().await, [], "a dry run writes nothing");
    sweep_at(site, day(9)).await;
    assert_eq!(rounds.lying().await, [5]);
    assert_eq!(rounds.ledger().await.len(), 5);
}

/// What somebody wrote into one object, where its schema lets it through, stops no other.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_one_object_stops_no_backup_and_what_stops_one_is_told_on_it() {
    let site = Site::start().await;
    let rounds = Rounds::of(&site, "whole", 1, None).await;
    for number in 1..=2 {
        rounds.round(number, 700).await;
    }
    let (as_test, lines): (_, Api<BackupArchive>) = (PatchParams::default(), Api::all(site.client.clone()));
    let line = lines.list(&ListParams::default()).await.unwrap().items.remove(0).name_any();
    let nonsense = Patch::Merge(json!({"spec": {"run": "nonsense"}}));
    lines.patch(&line, &as_test, &nonsense).await.unwrap();
    site.backup("odd", "small", None).await;
    let odd = Patch::Merge(json!({"status": {"conditions": [{"type": "Odd", "status": "nonsense"}]}}));
    site.backups().patch_status("odd", &as_test, &odd).await.unwrap();
    sweep_at(&site, day(2)).await;
    assert_eq!(rounds.lying().await, [2]);
    assert!(rounds.pruned().await.0);

    let (runs, run): (Api<BackupRun>, _) = (Api::all(site.client.clone()), site.runs("whole").await.remove(0));
    let nonsense = Patch::Merge(json!({"spec": {"id": "nonsense"}}));
    let refused = runs.patch(&run.name_any(), &as_test, &nonsense).await.unwrap_err().to_string();
    assert!(refused.contains("spec.id"), "{refused}");

    uninstall::<BackupRun>(&site).await;
    sweep_ends_with(&site, day(3), 1).await;
    let (is_done, said) = rounds.pruned().await;
    assert!(!is_done && said.contains("failed to list the BackupRuns of the Backup \"whole\""), "{said}");
    site.testbed.shutdown().await;
}

/// A further place whose policy cannot be read any more is still one that archives are to go to.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_with_places_that_cannot_be_read_lets_no_run_be_completed() {
    let site = Site::start().await;
    site.resource_set(SMALL_SET).await;
    let near = FurtherLocation {
        name: "near".to_owned(),
        s3: None,
        local: Some(LocalLocation { volume: Some("near".to_owned()) }),
    };
    let spec = BackupPolicySpec {
        backup_name_regexp: "(".to_owned(),
        additional_storage_locations: Some(vec![near]),
        ..BackupPolicySpec::default()
    };
    policies(&site).create(&PostParams::default(), &BackupPolicy::new("broken", spec)).await.unwrap();
    site.backup("waiting", "small", None).await;
    site.job("snapshot").arguments(["--backup", "waiting"]).succeed().await;
    site.job("upload").end_with(64).await;
    let said = message(site.backup_status("waiting").await.conditions.as_ref(), "Ready");
    assert!(said.contains("failed to read backupNameRegexp \"(\""), "{said}");
    let mended = Patch::Merge(json!({"spec": {"backupNameRegexp": "^other$"}}));
    policies(&site).patch("broken", &PatchParams::default(), &mended).await.unwrap();
    site.job("upload").succeed().await;
    assert!(site.backup_status("waiting").await.conditions.unwrap().is_true("Ready"));
    site.testbed.shutdown().await;
}
