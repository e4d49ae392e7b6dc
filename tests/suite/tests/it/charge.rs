//! Who is in charge, and when: the Rancher backup operator beside drover, Restores of before drover's time, and the
//! BackupPolicies of people.

use drover::conditions::DROVER_ACTIVE;
use drover::resources::{
    BackupPolicy, BackupPolicySpec, BackupSpec, ConditionStatus, Conditions, DEFAULT_NAMESPACE, Restore,
};
use drover_testbed::{Options, Service};
use drover_tests::{Site, message};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::CronJob;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::items::{archive, is_there, item, of};
use crate::nats::until;

const FILE: &str = "items.tar.gz";

const SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: charge}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^namespaces$}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_old_restores_and_policies_are_heeded() {
    let site = Site::start_with(Options::only([Service::ControlPlane, Service::Nats])).await;
    site.resource_set(SET).await;
    archive(&site, FILE, &[item("item-archived")]);
    nothing_runs_while_the_operator_does(&site).await;
    drover_takes_over_when_the_operator_has_no_replicas(&site).await;
    what_is_suspended_runs_only_when_told(&site).await;
    a_time_zone_moves_the_next_time(&site).await;
    a_restore_of_before_the_installation_never_runs(&site).await;
    site.testbed.shutdown().await;
}

fn deployments(site: &Site) -> Api<Deployment> {
    Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE)
}

async fn nothing_runs_while_the_operator_does(site: &Site) {
    let container = json!({"name": "rancher-backup", "image": "rancher/backup-restore-operator:v8.0.0"});
    let labels = json!({"app.kubernetes.io/name": "rancher-backup"});
    let operator = json!({"metadata": {"name": "rancher-backup"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}});
    let operator = serde_json::from_value(operator).unwrap();
    deployments(site).create(&PostParams::default(), &operator).await.unwrap();
    site.backup("waiting", "charge", None).await;
    site.make_restore(&Restore::new("waiting", of(FILE))).await;

    site.job("snapshot").succeed().await;
    let refused = site.job("snapshot").arguments(["--backup=waiting"]).end_with(64).await;
    site.job("restore").succeed().await;
    assert!(refused.log.contains("the Rancher backup operator is in charge"), "{}", refused.log);
    assert_eq!(site.runs("waiting").await, []);
    assert!(!is_there(site, &item("item-archived")).await);
    let (backup, restore) = (site.backup_status("waiting").await, site.restore_status("waiting").await);
    for conditions in [backup.conditions, restore.conditions] {
        let conditions = conditions.unwrap();
        let told = conditions.get(DROVER_ACTIVE).unwrap();
        assert_eq!(told.status, ConditionStatus::False);
        let words = told.message.as_deref().unwrap();
        assert!(words.ends_with("scale deployment rancher-backup --replicas=0"), "{words}");
        assert_eq!(conditions.get("Ready"), None, "the operator's own words stay as they are");
    }
}

async fn drover_takes_over_when_the_operator_has_no_replicas(site: &Site) {
    let at_rest = Patch::Merge(json!({"spec": {"replicas": 0}}));
    deployments(site).patch("rancher-backup", &PatchParams::default(), &at_rest).await.unwrap();
    site.job("snapshot").succeed().await;
    site.job("upload").succeed().await;
    site.job("restore").succeed().await;
    let is_done = |conditions: Option<Conditions>| {
        let conditions = conditions.unwrap();
        conditions.is_true("Ready") && conditions.is_true(DROVER_ACTIVE)
    };
    assert!(is_done(site.backup_status("waiting").await.conditions));
    assert!(is_done(site.restore_status("waiting").await.conditions));
    assert!(is_there(site, &item("item-archived")).await);
}

async fn policy(site: &Site, name: &str, spec: BackupPolicySpec) {
    let policies: Api<BackupPolicy> = Api::all(site.client.clone());
    policies.create(&PostParams::default(), &BackupPolicy::new(name, spec)).await.unwrap();
}

async fn what_is_suspended_runs_only_when_told(site: &Site) {
    let suspend = Some(true);
    policy(
        site,
        "on-leave",
        BackupPolicySpec { backup_name_regexp: "^paused".to_owned(), suspend, ..Default::default() },
    )
    .await;
    site.backup("paused", "charge", None).await;
    site.job("snapshot").succeed().await;
    assert_eq!(site.runs("paused").await, []);
    site.job("snapshot").arguments(["--backup=paused"]).succeed().await;
    assert_eq!(site.runs("paused").await.len(), 1);
}

async fn a_time_zone_moves_the_next_time(site: &Site) {
    // Half an hour off UTC, and without summer time.
    let time_zone = Some("Asia/Kolkata".to_owned());
    policy(site, "zone", BackupPolicySpec { backup_names: vec!["zoned".to_owned()], time_zone, ..Default::default() })
        .await;
    for name in ["zoned", "plain"] {
        let spec = BackupSpec {
            resource_set_name: "charge".to_owned(),
            schedule: Some("15 3 * * *".to_owned()),
            ..BackupSpec::default()
        };
        site.make_backup(name, spec).await;
    }
    site.job("snapshot").succeed().await;
    let next = async |name: &str| site.backup_status(name).await.next_snapshot_at.unwrap();
    let (zoned, plain) = (next("zoned").await, next("plain").await);
    assert!(zoned.ends_with("T21:45:00Z") && plain.ends_with("T03:15:00Z"), "{zoned} {plain}");
    site.job("upload").succeed().await;
}

async fn a_restore_of_before_the_installation_never_runs(site: &Site) {
    let old = site.make_restore(&Restore::new("old", of(FILE))).await;
    let created = old.creation_timestamp().unwrap().0;
    until("the second of the Restore is over", async || jiff::Timestamp::now().as_second() > created.as_second()).await;
    let container = json!({"name": "restore", "image": "drover"});
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    let cron_job = json!({"metadata": {"name": "restore"}, "spec": {"schedule": "@yearly", "suspend": true,
        "jobTemplate": {"spec": {"template": template}}}});
    let cron_jobs: Api<CronJob> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    cron_jobs.create(&PostParams::default(), &serde_json::from_value(cron_job).unwrap()).await.unwrap();
    site.job("restore").succeed().await;
    let status = site.restore_status("old").await;
    let ready = message(status.conditions.as_ref(), "Ready");
    assert!(ready.starts_with("Failed: it is older than drover's installation"), "{ready}");
    assert!(status.restore_completion_ts.is_some());

    site.restores().delete("old", &DeleteParams::default()).await.unwrap();
    site.make_restore(&Restore::new("old", of(FILE))).await;
    site.job("restore").succeed().await;
    let status = site.restore_status("old").await;
    assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed");
}
