use drover::resources::{BackupPolicy, BackupPolicySpec};
use k8s_openapi::api::batch::v1::CronJob;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::{Cluster, template};
use crate::nats::until;

fn timing(cron_job: &CronJob) -> (String, Option<String>, Option<bool>) {
    let spec = cron_job.spec.clone().unwrap();
    (spec.schedule, spec.time_zone, spec.suspend)
}

fn container(cron_job: &CronJob) -> Value {
    let pod = cron_job.spec.clone().unwrap().job_template.spec.unwrap().template.spec.unwrap();
    json!(pod.containers[0])
}

async fn patch(cluster: &Cluster, name: &str, patch: Value) {
    cluster.cron_jobs().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

#[tokio::test]
async fn each_backup_has_a_cron_job_that_follows_schedule_policy_and_template() {
    let cluster = Cluster::start().await;
    let dispatch = cluster.dispatch().await;
    cluster.make_backup("rancher-daily", Some("CRON_TZ=Asia/Tokyo 30 4 * * *")).await;
    cluster.make_backup("hourly", Some("@hourly")).await;
    cluster.make_backup("once", None).await;
    cluster.make_backup("upload", Some("@every 90m")).await;
    for name in ["rancher-daily", "hourly", "once"] {
        until("it has a CronJob", async || cluster.cron_job(name).await.is_some()).await;
    }
    let of = async |name: &str| timing(&cluster.cron_job(name).await.unwrap());
    let zone = |name: &str| Some(name.to_owned());
    assert_eq!(of("rancher-daily").await, ("30 4 * * *".to_owned(), zone("Asia/Tokyo"), Some(false)));
    assert_eq!(of("hourly").await, ("@hourly".to_owned(), zone("Etc/UTC"), Some(false)));
    assert_eq!(of("once").await.2, Some(true));
    let container_of = async |name: &str| container(&cluster.cron_job(name).await.unwrap());
    assert_eq!(container_of("hourly").await["args"], json!(["--backup=hourly"]));
    let names = async || {
        let listed = cluster.cron_jobs().list(&kube::api::ListParams::default()).await.unwrap().items;
        listed.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
    };
    until("a stage's name is not taken", async || names().await.iter().any(|name| name.starts_with("upload-"))).await;

    // Something changes one, and somebody deletes another.
    patch(&cluster, "hourly", json!({"spec": {"schedule": "1 1 1 1 1", "concurrencyPolicy": "Allow"}})).await;
    until("the schedule is put right", async || of("hourly").await.0 == "@hourly").await;
    let policy = async || cluster.cron_job("hourly").await.unwrap().spec.unwrap().concurrency_policy;
    assert_eq!(policy().await.as_deref(), Some("Forbid"));
    cluster.cron_jobs().delete("once", &kube::api::DeleteParams::background()).await.unwrap();
    until("it is made again", async || cluster.cron_job("once").await.is_some()).await;

    // A new image reaches all.
    let mut next = template("snapshot");
    next["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] = json!("drover:2");
    cluster.apply(&next).await;
    for name in ["rancher-daily", "hourly", "once"] {
        until("the image is the new one", async || container_of(name).await["image"] == "drover:2").await;
    }

    let policies: Api<BackupPolicy> = Api::all(cluster.client.clone());
    let spec = BackupPolicySpec {
        time_zone: Some("Europe/Berlin".to_owned()),
        suspend: Some(true),
        ..BackupPolicySpec::default()
    };
    policies.create(&PostParams::default(), &BackupPolicy::new("all", spec)).await.unwrap();
    let expected = ("@hourly".to_owned(), zone("Europe/Berlin"), Some(true));
    until("the policy holds", async || of("hourly").await == expected).await;

    cluster.delete_backup("hourly").await;
    until("it goes with its Backup", async || cluster.cron_job("hourly").await.is_none()).await;
    assert!(dispatch.end().await.success());
}

#[tokio::test]
async fn a_cron_job_of_somebody_else_is_never_touched() {
    let cluster = Cluster::start().await;
    let mut foreign = template("daily");
    foreign["metadata"]["labels"] = json!({});
    cluster.apply(&foreign).await;
    let before = cluster.cron_job("daily").await.unwrap();
    let _dispatch = cluster.dispatch().await;
    let backup = cluster.make_backup("daily", Some("@daily")).await;
    let own = async || {
        let listed = cluster.cron_jobs().list(&kube::api::ListParams::default()).await.unwrap().items;
        listed
            .into_iter()
            .find(|job| job.owner_references().iter().any(|owner| Some(&owner.uid) == backup.metadata.uid.as_ref()))
    };
    until("the Backup has a CronJob of another name", async || own().await.is_some()).await;
    assert!(own().await.unwrap().name_any().starts_with("daily-"));
    assert_eq!(cluster.cron_job("daily").await.unwrap().metadata.resource_version, before.metadata.resource_version);
}

/// `kubectl delete --cascade=orphan`, and the same manifest again.
#[tokio::test]
async fn a_backup_that_was_deleted_without_its_cron_job_has_it_again() {
    let cluster = Cluster::start().await;
    let _dispatch = cluster.dispatch().await;
    cluster.make_backup("daily", Some("0 0 1 1 *")).await;
    let first = cluster.nth_job("daily", 1).await;
    cluster.end_pod(&first, 1).await;
    cluster.backups().delete("daily", &DeleteParams::orphan()).await.unwrap();
    until("it is gone", async || cluster.backups().get_opt("daily").await.unwrap().is_none()).await;
    let backup = cluster.make_backup("daily", Some("0 0 1 1 *")).await;
    let owners = async || cluster.cron_job("daily").await.unwrap().owner_references().to_vec();
    until("it is the new one's", async || {
        owners().await.iter().map(|owner| &owner.uid).eq(backup.metadata.uid.as_ref())
    })
    .await;
    cluster.nth_job("daily", 2).await;
    let listed = cluster.cron_jobs().list(&kube::api::ListParams::default()).await.unwrap().items;
    assert_eq!(listed.iter().filter(|cron_job| cron_job.name_any().starts_with("daily")).count(), 1);
}

#[tokio::test]
async fn a_schedule_that_nobody_can_read_is_told_and_the_next_time_follows_the_schedule() {
    let cluster = Cluster::start().await;
    let _dispatch = cluster.dispatch().await;
    cluster.make_backup("daily", Some("99 * * * *")).await;
    cluster.until_ready_says("daily", "Failed: failed to read the schedule \"99 * * * *\"").await;
    assert!(cluster.jobs_of("daily").await.is_empty());
    let schedule = json!({"spec": {"schedule": "0 0 1 1 *"}});
    cluster.backups().patch("daily", &PatchParams::default(), &Patch::Merge(schedule)).await.unwrap();
    cluster.nth_job("daily", 1).await;
    let next = async || cluster.status("daily").await.next_snapshot_at.unwrap_or_default();
    until("the next time is told", async || next().await.ends_with("-01-01T00:00:00Z")).await;
}
