use drover::resources::DEFAULT_NAMESPACE;
use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::{Cluster, arguments, template};
use crate::nats::until;

#[tokio::test]
async fn a_new_backup_gets_one_job_and_what_keeps_its_pod_from_running_is_told_until_it_runs() {
    let cluster = Cluster::start().await;
    let _dispatch = cluster.dispatch().await;
    let backup = cluster.make_backup("once", None).await;
    let job = cluster.nth_job("once", 1).await;
    assert_eq!(arguments(&job), ["--backup=once"]);
    assert_eq!(job.labels().get("drover.dev/backup-uid"), backup.metadata.uid.as_ref());
    assert_eq!(job.annotations().get("drover.dev/started-by").map(String::as_str), Some("dispatch"));

    cluster.until_ready_says("once", "no nodes available").await;
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}});
    cluster.say_of_pod(&job, "Pending", waiting).await;
    cluster.until_ready_says("once", "ErrImagePull: manifest unknown").await;
    cluster.run_pod(&job).await;
    until("it is taken back", async || cluster.ready("once").await == "Pending").await;
    assert_eq!(cluster.jobs_of("once").await.len(), 1);
}

#[tokio::test]
async fn a_job_that_dies_without_a_word_is_announced_and_tried_again() {
    let cluster = Cluster::start().await;
    let nats = cluster.testbed.nats().await.unwrap();
    let mut messages = nats.subscribe("drover.backup.failed.once").await.unwrap();
    let _dispatch = cluster.dispatch().await;
    cluster.make_backup("once", None).await;
    let job = cluster.nth_job("once", 1).await;
    cluster.end_pod(&job, 137).await;
    let message = messages.next().await.unwrap();
    let event = drover::events::Event::parse(&message.payload).unwrap();
    let reason = event.data.reason.unwrap();
    assert!(reason.contains(&job.name_any()) && reason.contains("137 (OOMKilled)"), "{reason}");
    assert_eq!(event.data.stage.as_deref(), Some("snapshot"));
    cluster.until_ready_says("once", "(OOMKilled)").await;
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), "default");
    let is_told = async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        events.iter().any(|event| event.reason.as_deref() == Some("JobFailed"))
    };
    until("an Event tells it", is_told).await;
    let second = cluster.nth_job("once", 2).await;
    let annotations = cluster.cron_job("once").await.unwrap().metadata.annotations.unwrap();
    assert_eq!(annotations["drover.dev/attempts"], "1");
    let (ended, again) = (cluster.jobs().get(&job.name_any()).await.unwrap(), second.creation_timestamp().unwrap().0);
    let conditions = ended.status.unwrap().conditions.unwrap();
    let ended = conditions.iter().find(|condition| condition.type_ == "Failed").unwrap();
    let pause = again.duration_since(ended.last_transition_time.as_ref().unwrap().0);
    assert!(pause.as_secs() >= 10, "{pause:?}");
}

#[tokio::test]
async fn a_killed_runner_loses_nothing_and_doubles_nothing() {
    let cluster = Cluster::start().await;
    let first = cluster.dispatch().await;
    for number in 0..5 {
        cluster.make_backup(&format!("once-{number}"), None).await;
    }
    until("some have a CronJob", async || cluster.cron_job("once-0").await.is_some()).await;
    first.kill().await;
    cluster.make_backup("while-it-was-away", None).await;
    let _second = cluster.dispatch().await;
    for name in ["once-0", "once-1", "once-2", "once-3", "once-4", "while-it-was-away"] {
        cluster.nth_job(name, 1).await;
    }
    let third = cluster.dispatch().await;
    let (status, text) = third.answer("/readyz").await;
    assert!(matches!(status, 200 | 503), "{text}");
    until("it stands by", async || third.answer("/readyz").await.1.contains("standing by")).await;
    assert_eq!(cluster.jobs().list(&ListParams::default()).await.unwrap().items.len(), 6);
}

#[tokio::test]
async fn a_job_that_a_person_made_counts() {
    let cluster = Cluster::start().await;
    let dispatch = cluster.dispatch().await;
    dispatch.at_work().await;
    cluster.make_backup("once", None).await;
    let job = cluster.nth_job("once", 1).await;
    cluster.end_pod(&job, 69).await;
    let by_hand = ["-n", DEFAULT_NAMESPACE, "create", "job", "again", "--from=cronjob/once"];
    crate::kubectl::on_testbed(&cluster.testbed, &by_hand).await;
    // The pause of the failed one is over after ten seconds, and its deadline is told.
    cluster.until_ready_says("once", "no nodes available").await;
    let again = cluster.jobs().get("again").await.unwrap();
    assert_eq!(arguments(&again), ["--backup=once"]);
    let jobs: Vec<_> = cluster.jobs_of("once").await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(jobs.len(), 2, "{jobs:?}");
}

#[tokio::test]
async fn a_job_that_cannot_start_makes_room_once_its_cron_job_is_mended_and_one_at_work_stays() {
    let cluster = Cluster::start().await;
    let _dispatch = cluster.dispatch().await;
    cluster.make_backup("once", None).await;
    let first = cluster.nth_job("once", 1).await;
    cluster.say_of_pod(&first, "Pending", json!({"waiting": {"reason": "ImagePullBackOff"}})).await;
    cluster.until_ready_says("once", "ImagePullBackOff").await;
    set_image(&cluster, "drover:2").await;
    until("it is gone", async || cluster.jobs().get_opt(&first.name_any()).await.unwrap().is_none()).await;
    let second = cluster.nth_job("once", 1).await;
    let pod = second.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    assert_eq!(pod.containers[0].image.as_deref(), Some("drover:2"));
    cluster.run_pod(&second).await;
    until("it is at work", async || cluster.ready("once").await == "Pending").await;
    set_image(&cluster, "drover:3").await;
    // What is decided for another one was decided for this one too.
    cluster.make_backup("another", None).await;
    let another = cluster.nth_job("another", 1).await;
    cluster.end_pod(&another, 69).await;
    cluster.nth_job("another", 2).await;
    assert_eq!(cluster.nth_job("once", 1).await.metadata.uid, second.metadata.uid);
}

/// Gives the stage, and thereby all Backups, another image.
async fn set_image(cluster: &Cluster, image: &str) {
    let mut stage = template("snapshot");
    stage["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    cluster.apply(&stage).await;
}

#[tokio::test]
async fn quotas_of_pods_and_of_jobs_that_refuse_are_told_until_they_let_go() {
    let cluster = Cluster::start().await;
    let quotas: Api<ResourceQuota> = Api::namespaced(cluster.client.clone(), DEFAULT_NAMESPACE);
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}}});
    quotas.patch("none", &PatchParams::apply("test"), &Patch::Apply(&quota)).await.unwrap();
    let is_counted = async || quotas.get("none").await.unwrap().status.and_then(|status| status.hard).is_some();
    until("the quota holds", is_counted).await;
    let _dispatch = cluster.dispatch().await;
    cluster.make_backup("once", None).await;
    cluster.until_ready_says("once", "exceeded quota: none").await;

    quotas.delete("none", &DeleteParams::default()).await.unwrap();
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-jobs"},
        "spec": {"hard": {"count/jobs.batch": "0"}}});
    quotas.patch("no-jobs", &PatchParams::apply("test"), &Patch::Apply(&quota)).await.unwrap();
    let is_counted = async || quotas.get("no-jobs").await.unwrap().status.and_then(|status| status.hard).is_some();
    until("the quota holds", is_counted).await;
    cluster.make_backup("another", None).await;
    cluster.until_ready_says("another", "exceeded quota: no-jobs").await;
    quotas.delete("no-jobs", &DeleteParams::default()).await.unwrap();
    cluster.nth_job("another", 1).await;
}

#[tokio::test]
async fn an_admission_policy_that_refuses_a_job_or_a_cron_job_is_told() {
    let cluster = Cluster::start().await;
    for (name, resource, subject) in
        [("no-jobs", "jobs", "refused-job"), ("no-cron-jobs", "cronjobs", "refused-cron-job")]
    {
        refuse(&cluster, name, resource, subject).await;
    }
    let _dispatch = cluster.dispatch().await;
    for name in ["refused-job", "refused-cron-job"] {
        cluster.make_backup(name, None).await;
        cluster.until_ready_says(name, "nobody may").await;
        assert!(cluster.jobs_of(name).await.is_empty());
    }
}

/// Lets nobody make such a resource whose name begins so, and waits until it holds.
async fn refuse(cluster: &Cluster, policy: &str, resource: &str, name: &str) {
    let rule =
        json!({"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]});
    let object = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": policy},
        "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [
            {"expression": format!("!object.metadata.name.startsWith('{name}')"), "message": "nobody may"}]},
    });
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(cluster.client.clone());
    policies.patch(policy, &PatchParams::apply("test"), &Patch::Apply(&object)).await.unwrap();
    let object = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": policy},
        "spec": {"policyName": policy, "validationActions": ["Deny"]},
    });
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(cluster.client.clone());
    bindings.patch(policy, &PatchParams::apply("test"), &Patch::Apply(&object)).await.unwrap();
    let trial = PostParams { dry_run: true, ..PostParams::default() };
    let is_refused = async || {
        let mut cron_job: CronJob = serde_json::from_value(super::template("snapshot")).unwrap();
        cron_job.metadata.name = Some(format!("{name}-trial"));
        if resource == "cronjobs" {
            cluster.cron_jobs().create(&trial, &cron_job).await.is_err()
        } else {
            let job = json!({"metadata": {"name": format!("{name}-trial")}, "spec": cron_job.spec.unwrap().job_template.spec});
            cluster.jobs().create(&trial, &serde_json::from_value::<Job>(job).unwrap()).await.is_err()
        }
    };
    until("the policy holds", is_refused).await;
}

#[tokio::test]
async fn a_restore_gets_a_job_and_one_of_before_the_installation_none() {
    let cluster = Cluster::start().await;
    // The CronJob `restore` stands for the installation, and Kubernetes tells times in whole seconds.
    cluster.cron_jobs().delete("restore", &DeleteParams::background()).await.unwrap();
    let old = cluster.make_restore("old").await.creation_timestamp().unwrap();
    until("a second passes", async || jiff::Timestamp::now().as_second() > old.0.as_second() + 1).await;
    cluster.apply(&super::template("restore")).await;
    let _dispatch = cluster.dispatch().await;
    let restore = cluster.make_restore("new").await;
    let job = cluster.nth_job("restore", 1).await;
    assert_eq!(job.annotations().get("drover.dev/attempted"), restore.metadata.uid.as_ref());
    assert!(arguments(&job).is_empty());
}
