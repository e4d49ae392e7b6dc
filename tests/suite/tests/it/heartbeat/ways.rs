//! How monitors are reached: through a proxy, over TLS, with long texts.

use drover::events::{Data, Event, Kind};
use drover_testbed::forward::Forward;
use drover_tests::{Job, Site};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::server::{Behaviour, CHECK, Server, TOKEN};
use super::{drain, heartbeat, readable, start};

/// A Job that died before it opened a run, in so many bytes.
async fn fail(site: &Site, name: &str, bytes: usize) {
    let (run, reason) = (uuid::Uuid::now_v7(), Some("r".repeat(bytes)));
    let data = Data { name: name.to_owned(), run, reason, attempt: Some(1), ..Data::default() };
    let event = Event::new(Kind::BackupFailed, "dispatch", Timestamp::now(), data);
    let jetstream = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
    drover::queue::publish(&jetstream, &event).await.unwrap();
}

/// The authority as `ca` of the file.
fn ca(authority: &str) -> String {
    format!("ca: {}", serde_json::to_string(authority).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_a_password_leads_to_monitors_and_no_proxy_past_it() {
    let site = start().await;
    let (plain, direct) = (Server::start(Behaviour::Documented).await, Server::start(Behaviour::Documented).await);
    let other_port = Server::start(Behaviour::Documented).await;
    let (secure, authority) = Server::start_tls(&["monitor.example"]).await;
    let (secure_direct, authority_of_direct) = Server::start_tls(&["127.0.0.1"]).await;
    let path = format!("/heartbeat/{TOKEN}");
    let monitors = format!(
        "monitors:
- {{name: plain, url: 'http://monitor.example:{}{path}', backups: {{}}}}
- {{name: secure, url: 'https://monitor.example:{}{path}', backups: {{}}, {}}}
- {{name: other-port, url: '{}', backups: {{}}}}
- {{name: direct, url: '{}', backups: {{}}}}
- {{name: secure-direct, url: 'https://{}{path}', backups: {{}}, {}}}",
        plain.address.port(),
        secure.address.port(),
        ca(&authority),
        other_port.url(&path),
        direct.url(&path),
        secure_direct.address,
        ca(&authority_of_direct),
    );
    // Ports of one host may be named, and its others are not.
    let past = format!("{},{}", direct.address, secure_direct.address);
    let proxy = Forward::start().await.unwrap();
    let through = |url: &str| -> Job {
        let job = drain(&site, &monitors).environment("HTTP_PROXY", url).environment("HTTPS_PROXY", url);
        // NATS and the API server are reached past proxies in any case.
        job.environment("NO_PROXY", &past)
    };
    site.backup("daily", "small", None).await;
    fail(&site, "daily", 9).await;
    // A wrong password is a fault of the configuration, and said as what it is.
    let refused = through(&proxy.url_with("wr0ng")).run().await;
    let directly = (direct.take().len(), secure_direct.take().len());
    assert_eq!((proxy.passed(), directly), (0, (1, 1)), "{}", refused.log);
    for name in ["plain", "secure", "other-port"] {
        assert!(refused.says(name, &["the proxy wants a name and a password", "HTTPS_PROXY"]), "{}", refused.log);
    }
    assert_eq!(refused.code, 64, "{}", refused.log);

    let job = through(&proxy.url()).succeed().await;
    let told = [&plain, &secure, &other_port, &direct, &secure_direct].map(|server| server.take().len());
    assert_eq!(told, [1, 1, 1, 0, 0], "those that were told are not told again: {}", job.log);
    assert_eq!(proxy.passed(), 3, "two requests and one tunnel: {}", job.log);
    let all = [refused.log, job.log, readable(&site).await].join("\n");
    for secret in [proxy.password(), "wr0ng", TOKEN] {
        assert!(!all.contains(secret), "{all}");
    }
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_the_file_is_trusted_and_no_other() {
    let site = start().await;
    let (server, authority) = Server::start_tls(&["127.0.0.1"]).await;
    let (_, other) = Server::start_tls(&["127.0.0.1"]).await;
    let monitors = |more: &str| {
        let url = format!("https://{}/ping/{CHECK}", server.address);
        format!("monitors: [{{name: own, url: '{url}', backups: {{}}{more}}}]")
    };
    site.backup("daily", "small", None).await;
    fail(&site, "daily", 9).await;
    for more in [String::new(), format!(", {}", ca(&other))] {
        let job = drain(&site, &monitors(&more)).end_with(69).await;
        assert!(job.says("own", &["certificate", "127.0.0.1#"]) && !job.log.contains(CHECK), "{}", job.log);
    }
    assert!(server.take().is_empty());
    drain(&site, &monitors(&format!(", {}", ca(&authority)))).succeed().await;
    assert_eq!(server.take().len(), 1);
    site.testbed.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_as_long_as_the_service_says_that_it_keeps() {
    let site = start().await;
    let usual = Server::start(Behaviour::Documented).await;
    let raised = Server::start(Behaviour::Keeps(100_000)).await;
    let of = |name: &str, server: &Server| {
        format!("- {{name: {name}, url: '{}', backups: {{}}}}\n", server.url(&format!("/ping/{CHECK}")))
    };
    let monitors = format!("monitors:\n{}{}", of("usual", &usual), of("raised", &raised));
    site.backup("daily", "small", None).await;
    // What it keeps is known from its first answer. The audit after it has more to say than an event may.
    fail(&site, "daily", 9).await;
    let ready = json!({"type": "Ready", "status": "False", "message": "r".repeat(20_000)});
    let status = Patch::Merge(json!({"status": {"conditions": [ready]}}));
    site.backups().patch_status("daily", &PatchParams::default(), &status).await.unwrap();
    heartbeat(&site, &monitors).end_with(1).await;
    let lengths = |server: &Server| server.take().iter().map(|ping| ping.body.len()).collect::<Vec<_>>();
    let (usual, raised) = (lengths(&usual), lengths(&raised));
    assert!(matches!(usual[..], [1..100, 10_000]), "{usual:?}");
    assert!(matches!(raised[..], [1..100, 20_001..=30_000]), "{raised:?}");
    site.testbed.shutdown().await;
}
