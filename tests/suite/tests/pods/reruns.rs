//! What a person starts again by hand gets the work at once.

use std::time::Instant;

use kube::api::DeleteParams;

use drover::resources::DEFAULT_NAMESPACE;
use serde_json::{Value, json};

use crate::place::{CREDENTIALS, Place, SERVER, bucket};

pub(crate) async fn get_the_work_at_once(place: &Place) {
    a_backup_that_is_done(place).await;
    a_backup_whose_secret_was_missing(place).await;
    a_backup_whose_secret_lies_elsewhere(place).await;
    an_upload_that_failed(place).await;
    a_restore_that_is_applied_again(place).await;
    a_job_of_an_earlier_version(place).await;
}

/// `kubectl create job --from`, as a person does.
async fn again(place: &Place, cron_job: &str, job: &str) {
    let from = format!("--from=cronjob/{cron_job}");
    place.kubectl_here(&["create", "job", &from, job]).await;
}

/// A Backup makes another archive when it is told to.
async fn a_backup_that_is_done(place: &Place) {
    place.backup("by-hand", None).await;
    place.until_completed("by-hand").await;
    again(place, "by-hand", "by-hand-again").await;
    place.until("there is a second archive", async || place.runs("by-hand").await.len() == 2).await;
    place.until_completed("by-hand").await;
    let trigger = &place.runs("by-hand").await[1].spec.trigger;
    assert_eq!(trigger.by, "by-hand-again");
}

async fn a_backup_whose_secret_was_missing(place: &Place) {
    let name = "mended";
    let mut location = bucket(name);
    location.s3.as_mut().unwrap().credential_secret_name = Some("forgotten".to_owned());
    place.backup_to(name, location, None).await;
    place.until_backup_says(name, "failed to find the Secret \"forgotten\"").await;
    copy_credentials(place, "forgotten", DEFAULT_NAMESPACE).await;
    let begun = Instant::now();
    again(place, "upload", "after-mending").await;
    place.until_completed(name).await;
    eprintln!("done {:.1} s after it was mended and started by hand", begun.elapsed().as_secs_f64());
}

/// The S3 server's Secret under another name.
async fn copy_credentials(place: &Place, name: &str, namespace: &str) {
    let data = place.kubectl_here(&["get", "secret", CREDENTIALS, "--output=jsonpath={.data}"]).await;
    let data: Value = serde_json::from_str(&data).unwrap();
    let metadata = json!({"name": name, "namespace": namespace});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
    place.kubectl(&["apply", "-f", &place.write(&format!("{name}.json"), &secret.to_string())]).await;
}

/// The Backup says which command allows it, to the letter, and goes on by itself once it was run.
async fn a_backup_whose_secret_lies_elsewhere(place: &Place) {
    let (name, secret) = ("elsewhere", "of-another-namespace");
    copy_credentials(place, secret, "default").await;
    let mut location = bucket(name);
    let s3 = location.s3.as_mut().unwrap();
    s3.credential_secret_name = Some(secret.to_owned());
    s3.credential_secret_namespace = Some("default".to_owned());
    place.backup_to(name, location, None).await;
    let hint = "to allow it, run \"kubectl ";
    place.until_backup_says(name, hint).await;
    let said = place.backup_says(name).await;
    let command = said.split(hint).nth(1).unwrap().split('"').next().unwrap();
    let made = command.strip_suffix(" | kubectl apply -f -").unwrap();
    let binding = place.kubectl(&made.split(' ').collect::<Vec<_>>()).await;
    place.kubectl(&["apply", "-f", &place.write("binding.yaml", &binding)]).await;
    place.until_completed(name).await;
    place.kubectl(&["delete", "rolebinding", "--namespace=default", "drover-secrets"]).await;
}

/// While the S3 server is away the message waits; the Job of a person takes it as soon as the server is back.
async fn an_upload_that_failed(place: &Place) {
    let name = "away";
    place.stop(SERVER).await;
    place.backup(name, None).await;
    place.until_backup_says(name, "Failed: ").await;
    let server = format!("statefulset/{SERVER}");
    place.kubectl_here(&["scale", &server, "--replicas=1"]).await;
    place.kubectl_here(&["rollout", "status", &server, "--timeout=240s"]).await;
    again(place, "upload", "storage-is-back").await;
    place.until_completed(name).await;
    assert_eq!(place.runs(name).await.len(), 1, "the archive of the first run is stored, no other is made");
}

async fn a_restore_that_is_applied_again(place: &Place) {
    let apply = async || {
        place.restore("twice", "by-hand").await;
        place.until_restored("twice").await;
    };
    apply().await;
    place.restores().delete("twice", &DeleteParams::default()).await.unwrap();
    apply().await;
}

/// Its manifests name no arguments: in a pod a job without any does its whole work.
async fn a_job_of_an_earlier_version(place: &Place) {
    let from = ["create", "job", "--from=cronjob/upload", "without-arguments", "--dry-run=client", "--output=json"];
    let mut job: Value = serde_json::from_str(&place.kubectl_here(&from).await).unwrap();
    let arguments = job["spec"]["template"]["spec"]["containers"][0]["args"].take();
    assert_eq!(arguments, json!(["--drain"]));
    place.kubectl(&["apply", "-f", &place.write("without-arguments.json", &job.to_string())]).await;
    place.kubectl_here(&["wait", "--for=condition=Complete", "--timeout=240s", "job/without-arguments"]).await;
}
