//! What is told late, or no more.

use drover::events::{Data, Event, Kind};
use drover_tests::Site;
use jiff::{SignedDuration, Timestamp};

use super::server::{Behaviour, Received, Server, TOKEN};
use super::{drain, heartbeat, snapshot, start};

/// The status of each ping that came since the last time, by what it is about.
pub(super) fn told(server: &Server) -> Vec<String> {
    let status = |request: &Received| {
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        let about = ["backup", "restore"].into_iter().find_map(|kind| body[kind].as_str()).unwrap().to_owned();
        format!("{about} {}", body["status"].as_str().unwrap())
    };
    server.take().iter().map(status).collect()
}

pub(super) fn monitors(server: &Server) -> String {
    let url = server.url(&format!("/heartbeat/{TOKEN}"));
    format!("monitors: [{{name: all, url: '{url}', backups: {{}}, restores: {{}}}}]")
}

/// A failure of so many hours ago, that no run tells of.
async fn fail(site: &Site, kind: Kind, name: &str, hours: i64) {
    let (run, stage) = (uuid::Uuid::now_v7(), Some("snapshot".to_owned()));
    let data = Data { name: name.to_owned(), run, stage, attempt: Some(1), ..Data::default() };
    let event = Event::new(kind, "dispatch", Timestamp::now() - SignedDuration::from_hours(hours), data);
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    drover::queue::publish(&jetstream, &event).await.unwrap();
}

/// The component is installed where others have failed long ago, and where the queue stood still for a day.
#[tokio::test(flavor = "multi_thread")]
async fn what_happened_days_ago_is_no_news() {
    let site = start().await;
    let server = Server::start(Behaviour::Documented).await;
    for name in ["long-ago", "yesterday"] {
        site.backup(name, "small", None).await;
        site.restore(&format!("{name}-back"), "a.tar.gz", None).await;
    }
    for (name, hours) in [("long-ago", 73), ("yesterday", 25)] {
        fail(&site, Kind::BackupFailed, name, hours).await;
        fail(&site, Kind::RestoreFailed, &format!("{name}-back"), hours).await;
    }
    let job = drain(&site, &monitors(&server)).succeed().await;
    assert_eq!(told(&server), ["yesterday failed", "yesterday-back failed"], "{}", job.log);
    assert!(job.says("long-ago", &["nothing older than 72 hours is told"]), "{}", job.log);
    site.testbed.shutdown().await;
}

/// The event of a success waits in the queue, the archive is deleted, and the audit says so first.
#[tokio::test(flavor = "multi_thread")]
async fn a_success_of_before_an_audit_does_not_follow_its_failure() {
    let site = start().await;
    let server = Server::start(Behaviour::Documented).await;
    let monitors = monitors(&server);
    site.backup("daily", "small", None).await;
    snapshot(&site, "daily").await;
    site.job("upload").succeed().await;
    let first = site.folder().join(site.backup_status("daily").await.filename.unwrap());
    std::fs::remove_file(&first).unwrap();
    // The queue is away for this one alone.
    let audit = heartbeat(&site, &monitors).environment("NATS_URL", "nats://127.0.0.1:1");
    audit.environment("NATS_CONNECT_SECONDS", "1").end_with(1).await;
    assert_eq!(told(&server), ["daily failed"]);
    snapshot(&site, "daily").await;
    let job = drain(&site, &monitors).succeed().await;
    assert_eq!(told(&server), <[&str; 0]>::default(), "the old success is none any more: {}", job.log);

    site.job("upload").succeed().await;
    heartbeat(&site, &monitors).succeed().await;
    // By its event, and by the audit after it.
    assert_eq!(told(&server), ["daily success", "daily success"], "a run that was stored later");
    site.testbed.shutdown().await;
}
