use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover::encryption::CONFIGURATION_KEY;
use drover::resources::{BackupSpec, ConditionStatus};
use drover_testbed::Part;
use drover_tests::{Site, message};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::server::{Behaviour, Server, TOKEN};
use super::{snapshot, start};

fn configuration(seed: u8) -> String {
    let keys = json!([{"name": "key", "secret": STANDARD.encode([seed; 32])}]);
    let rule = json!({"resources": ["namespaces"], "providers": [{"secretbox": {"keys": keys}}, {"identity": {}}]});
    let kind = "EncryptionConfiguration";
    json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": kind, "resources": [rule]}).to_string()
}

/// What the guide's user has, with the annotation in the place of the CronJob: found fresh without NATS and dispatch, and
/// each thing that is lost is named.
#[tokio::test(flavor = "multi_thread")]
async fn freshness_is_told_whatever_else_is_dead() {
    let site = start().await;
    let server = Server::start(Behaviour::Documented).await;
    site.secret("backup-heartbeat", &[("url", &server.url(&format!("/heartbeat/{TOKEN}")))]).await;
    site.secret("keys", &[(CONFIGURATION_KEY, &configuration(1))]).await;
    let spec = BackupSpec {
        resource_set_name: "small".to_owned(),
        schedule: Some("0 2 * * *".to_owned()),
        encryption_config_secret_name: Some("keys".to_owned()),
        ..BackupSpec::default()
    };
    site.make_backup("rancher-monitored-backup", spec).await;
    site.backup("unwatched", "small", None).await;
    annotate(&site, "rancher-monitored-backup").await;
    audit(&site, 0).await;
    assert!(server.take().is_empty(), "it is too new");
    snapshot(&site, "rancher-monitored-backup").await;
    site.job("upload").succeed().await;

    site.testbed.stop(Part::Nats).await.unwrap();
    // Fresh; that the queue is away is told by the exit code alone.
    audit(&site, 69).await;
    let [told] = &server.take()[..] else { panic!("one success") };
    assert!(told.body.contains(r#""status":"success""#) && told.body.contains("fresh"), "{told:?}");
    assert_eq!(fresh(&site).await.0, ConditionStatus::True);

    // Another key of the same name.
    site.secret("keys", &[(CONFIGURATION_KEY, &configuration(2))]).await;
    stale(&site, &server, "cannot be decrypted: the Secret \\\"keys\\\" does not open it: failed to decrypt").await;
    site.secret("keys", &[(CONFIGURATION_KEY, &configuration(1))]).await;
    let file = site.folder().join(site.backup_status("rancher-monitored-backup").await.filename.unwrap());
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[1..]).unwrap();
    stale(&site, &server, "bytes at its place").await;
    std::fs::remove_file(&file).unwrap();
    stale(&site, &server, "is not at its place any more").await;
    std::fs::write(&file, &whole).unwrap();
    suspend(&site).await;
    stale(&site, &server, "the BackupPolicy \\\"holiday\\\" suspends it").await;
    site.testbed.shutdown().await;
}

async fn annotate(site: &Site, name: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"drover.dev/heartbeat": "backup-heartbeat"}}}));
    site.backups().patch(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn audit(site: &Site, code: i32) -> String {
    let job = site.job("heartbeat").environment("NATS_CONNECT_SECONDS", "1");
    job.end_with(code).await.log
}

async fn stale(site: &Site, server: &Server, words: &str) {
    let log = audit(site, 1).await;
    assert!(log.contains("failed to find fresh: 1 of 1 Backups: rancher-monitored-backup"), "{log}");
    let [told] = &server.take()[..] else { panic!("one failure: {log}") };
    assert!(told.body.contains(r#""status":"failed""#) && told.body.contains(words), "{told:?}");
    let (status, said) = fresh(site).await;
    assert_eq!(status, ConditionStatus::False, "{said}");
    assert!(said.contains(&words.replace('\\', "")), "{said}");
    assert!(!log.contains(TOKEN) && !said.contains(TOKEN));
}

async fn fresh(site: &Site) -> (ConditionStatus, String) {
    let conditions = site.backup_status("rancher-monitored-backup").await.conditions.unwrap();
    (conditions.get("Fresh").unwrap().status, message(Some(&conditions), "Fresh"))
}

async fn suspend(site: &Site) {
    let spec = json!({"suspend": true, "backupNames": ["rancher-monitored-backup"]});
    let policy =
        json!({"apiVersion": "drover.dev/v1", "kind": "BackupPolicy", "metadata": {"name": "holiday"}, "spec": spec});
    let policies: kube::Api<drover::resources::BackupPolicy> = kube::Api::all(site.client.clone());
    policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
}
