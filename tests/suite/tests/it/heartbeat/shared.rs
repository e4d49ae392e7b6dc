//! One monitor that Backups share, and a memory that is lost.

use drover_tests::Site;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::late::{monitors, told};
use super::server::{Behaviour, Server};
use super::{drain, heartbeat, snapshot, start, told_maps};

/// An audit while the queue is away, and what it tells, in the order of the names.
async fn audit(site: &Site, server: &Server, code: i32) -> (String, Vec<String>) {
    let job = heartbeat(site, &monitors(server)).environment("NATS_URL", "nats://127.0.0.1:1");
    let log = job.environment("NATS_CONNECT_SECONDS", "1").end_with(code).await.log;
    let mut told = told(server);
    told.sort();
    (log, told)
}

async fn back_up(site: &Site, name: &str, set: &str) {
    let patch = Patch::Merge(json!({"spec": {"resourceSetName": set}}));
    site.backups().patch(name, &PatchParams::default(), &patch).await.unwrap();
    if set == "nothing" {
        assert_ne!(site.job("snapshot").arguments(["--backup", name]).run().await.code, 0);
        return;
    }
    snapshot(site, name).await;
    site.job("upload").succeed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_of_one_backup_does_not_hide_the_failure_of_another() {
    let site = start().await;
    let server = Server::start(Behaviour::Documented).await;
    for (name, set) in [("broken", "nothing"), ("daily", "small")] {
        site.backup(name, "small", None).await;
        back_up(&site, name, set).await;
    }
    let job = drain(&site, &monitors(&server)).succeed().await;
    assert_eq!(told(&server), ["broken failed"], "{}", job.log);
    assert!(job.says("daily", &["withheld"]), "{}", job.log);
    let (log, pings) = audit(&site, &server, 1).await;
    assert_eq!(pings, ["broken failed"], "{log}");

    back_up(&site, "broken", "small").await;
    let job = drain(&site, &monitors(&server)).succeed().await;
    assert_eq!(told(&server), ["broken success"], "{}", job.log);
    // Exit 69 is for the queue.
    let (log, pings) = audit(&site, &server, 69).await;
    assert_eq!(pings, ["broken success", "daily success"], "{log}");

    // Both failed, and neither waits for the other.
    for name in ["broken", "daily"] {
        back_up(&site, name, "nothing").await;
    }
    drain(&site, &monitors(&server)).succeed().await;
    assert_eq!(told(&server), ["broken failed", "daily failed"]);
    for name in ["broken", "daily"] {
        back_up(&site, name, "small").await;
    }
    let job = drain(&site, &monitors(&server)).succeed().await;
    assert_eq!(told(&server), ["daily success"], "the last that is mended: {}", job.log);
    let (log, pings) = audit(&site, &server, 69).await;
    assert_eq!(pings, ["broken success", "daily success"], "{log}");
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_speaks_without_a_memory_and_takes_back_what_nobody_watches() {
    let site = start().await;
    let server = Server::start(Behaviour::Documented).await;
    site.backup("broken", "small", None).await;
    back_up(&site, "broken", "nothing").await;
    told_maps(&site).delete("heartbeat-told", &DeleteParams::default()).await.unwrap();
    let (log, pings) = audit(&site, &server, 1).await;
    assert_eq!(pings, ["broken failed"], "{log}");
    assert!(log.contains("failed to find the ConfigMap \"heartbeat-told\""), "{log}");

    back_up(&site, "broken", "small").await;
    let (log, pings) = audit(&site, &server, 64).await;
    assert_eq!(pings, ["broken success"], "{log}");
    let fresh = async || {
        let conditions = site.backup_status("broken").await.conditions.unwrap();
        conditions.get("Fresh").unwrap().reason.clone().unwrap()
    };
    assert_eq!(fresh().await, "Fresh");
    let unwatched = heartbeat(&site, "monitors: []").environment("NATS_URL", "nats://127.0.0.1:1");
    let job = unwatched.environment("NATS_CONNECT_SECONDS", "1").run().await;
    assert_eq!(fresh().await, "NotWatched", "{}", job.log);
    site.testbed.shutdown().await;
}
