use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::server::{Behaviour, CHECK, Server, TOKEN};
use super::{drain, notes, readable, snapshot, start};

#[tokio::test(flavor = "multi_thread")]
async fn monitors_in_trouble_hold_up_nothing_and_are_told_when_they_are_back() {
    let site = start().await;
    let good = Server::start(Behaviour::Documented).await;
    let elsewhere = Server::start(Behaviour::Documented).await;
    let foreign = format!("http://localhost:{}/ping/{CHECK}", elsewhere.address.port());
    let troubles = [
        ("hangs", Behaviour::Hangs),
        ("resets", Behaviour::Resets),
        ("broken", Behaviour::Answers(500)),
        ("unknown", Behaviour::Answers(404)),
        ("redirects", Behaviour::Redirects(307, foreign)),
    ];
    let mut servers = Vec::new();
    for (name, behaviour) in troubles {
        servers.push((name, Server::start(behaviour).await));
    }
    let refusing = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let mut monitors = "monitors:\n".to_owned();
    let all = servers
        .iter()
        .map(|(name, server)| (*name, server.address))
        .chain([("good", good.address), ("refuses", refusing)]);
    for (name, address) in all {
        let url = format!("http://{address}/ping/{CHECK}");
        writeln!(monitors, "- {{name: {name}, url: '{url}', backups: {{}}, signals: [success]}}").unwrap();
    }

    site.backup("daily", "small", None).await;
    let begun = Instant::now();
    snapshot(&site, "daily").await;
    site.job("upload").succeed().await;
    eprintln!("a backup beside seven monitors, six of them in trouble: {:?}", begun.elapsed());
    let begun = Instant::now();
    let job = drain(&site, &monitors).environment("DROVER_PING_SECONDS", "2").run().await;
    assert_eq!(job.code, 69, "{}", job.log);
    let taken = begun.elapsed();
    eprintln!("telling them: {taken:?}");
    assert!(taken < Duration::from_secs(40), "they are told beside each other, and a few times at most: {taken:?}");
    assert_eq!(good.take().len(), 1);
    let tries = |name: &str| servers.iter().find(|(other, _)| *other == name).unwrap().1.take().len();
    assert_eq!((tries("hangs"), tries("broken"), tries("unknown"), tries("redirects")), (3, 3, 1, 1));
    assert!(elsewhere.take().is_empty(), "another host learns no URL");
    for (name, words) in [
        ("hangs", "does not answer"),
        ("resets", "does not answer"),
        ("refuses", "does not answer"),
        ("broken", "answered 500"),
        ("unknown", "answered 404"),
        ("redirects", "redirects to"),
    ] {
        assert!(job.says(name, &[words, "127.0.0.1#"]), "{name}: {}", job.log);
    }
    let events = notes(&site).await;
    for (name, is_told) in [("unknown", true), ("redirects", true), ("broken", false), ("hangs", false)] {
        let found = events.iter().any(|note| note.contains(&format!("monitor {name:?}")));
        assert_eq!(found, is_told, "{name}: {events:?}");
    }

    let again = drain(&site, &monitors).environment("DROVER_PING_SECONDS", "1").run().await;
    assert_eq!(again.code, 69, "{}", again.log);
    assert!(good.take().is_empty(), "one that was told is not told again");

    for (_, server) in &servers {
        server.take();
        server.behave(Behaviour::Documented);
    }
    let back = Server::start_at(refusing, Behaviour::Documented).await;
    let last = drain(&site, &monitors).succeed().await;
    for (name, server) in servers.iter().map(|(name, server)| (*name, server)).chain([("refuses", &back)]) {
        assert_eq!(server.take().len(), 1, "{name}: {}", last.log);
    }
    assert!(good.take().is_empty());
    let everything = [job.log, again.log, last.log, readable(&site).await].join("\n");
    assert!(!everything.contains(CHECK), "{everything}");
    an_old_success_never_follows_a_newer_failure(&site, &good).await;
    site.testbed.shutdown().await;
}

/// The first run is stored while its monitor is away, the second fails: only the failure is told.
async fn an_old_success_never_follows_a_newer_failure(site: &drover_tests::Site, server: &Server) {
    let monitors = format!(
        "monitors: [{{name: kuma, url: '{}', backups: {{names: [turned]}}}}]",
        server.url(&format!("/api/push/{TOKEN}"))
    );
    site.backup("turned", "small", None).await;
    snapshot(site, "turned").await;
    site.job("upload").succeed().await;
    server.behave(Behaviour::Answers(503));
    drain(site, &monitors).end_with(69).await;
    server.take();
    server.behave(Behaviour::Documented);
    let mut backup = site.backups().get("turned").await.unwrap();
    "nothing".clone_into(&mut backup.spec.resource_set_name);
    site.backups().replace("turned", &kube::api::PostParams::default(), &backup).await.unwrap();
    assert_ne!(site.job("snapshot").arguments(["--backup", "turned"]).run().await.code, 0);
    drain(site, &monitors).succeed().await;
    let lines: Vec<_> = server.take().iter().map(super::server::Received::line).collect();
    assert!(matches!(&lines[..], [line] if line.contains("status=down")), "{lines:?}");
}
