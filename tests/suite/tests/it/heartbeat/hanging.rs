//! An audit of Backups whose places accept and never answer.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use drover::resources::{S3Location, StorageLocation};
use drover_tests::{CREDENTIALS, Site};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::server::{Behaviour, Server, TOKEN};
use super::{heartbeat, start};

/// How many places there are that never answer.
const PLACES: usize = 12;

/// How many further Backups lie at the first of them.
const NEIGHBOURS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn each_backup_gets_its_verdict_beside_places_that_never_answer() {
    let site = start().await;
    let server = Server::start(Behaviour::Documented).await;
    site.secret(CREDENTIALS, &[("accessKey", "a"), ("secretKey", "b")]).await;
    let hanging: Vec<_> = (0..PLACES).map(|index| format!("hanging-{index:02}")).collect();
    let neighbours: Vec<_> = (0..NEIGHBOURS).map(|index| format!("neighbour-{index}")).collect();
    for name in hanging.iter().chain(&neighbours).map(String::as_str).chain(["whole"]) {
        site.backup(name, "small", None).await;
    }
    site.job("snapshot").succeed().await;
    site.job("upload").succeed().await;
    // Nobody takes the connections, which the system has accepted.
    let places: Vec<_> = (0..PLACES).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    for (name, place) in hanging.iter().zip(&places).chain(neighbours.iter().map(|name| (name, &places[0]))) {
        move_to(&site, name, place).await;
    }

    let url = server.url(&format!("/heartbeat/{TOKEN}"));
    // Another name, for the failures of the others would withhold this success from their monitor.
    let monitors = format!(
        "monitors:
- {{name: others, url: '{url}', backups: {{nameRegexp: '^(hanging|neighbour)'}}}}
- {{name: whole, url: '{url}', backups: {{names: [whole]}}}}"
    );
    let audit = heartbeat(&site, &monitors).environment("NATS_URL", "nats://127.0.0.1:1");
    let begun = Instant::now();
    let job = audit.environment("NATS_CONNECT_SECONDS", "1").end_with(1).await;
    let taken = begun.elapsed();
    eprintln!("{} Backups at {PLACES} places that never answer, and one good one: {taken:?}", PLACES + NEIGHBOURS);
    assert!(taken < Duration::from_secs(100), "{taken:?}: {}", job.log);
    assert!(job.log.contains("looked_at=17 stale=16"), "{}", job.log);
    let told = server.take();
    let count =
        |status: &str| told.iter().filter(|ping| ping.body.contains(&format!(r#""status":"{status}""#))).count();
    assert_eq!((count("success"), count("failed")), (1, PLACES + NEIGHBOURS), "{}", job.log);
    let of_neighbours = |words: &str| told.iter().filter(|ping| ping.body.contains(words)).count();
    assert_eq!(of_neighbours("did not answer a moment ago"), NEIGHBOURS, "{}", job.log);
    site.testbed.shutdown().await;
}

/// The Backup's place is another one from now on, of which its run says that it has the archive.
async fn move_to(site: &Site, name: &str, place: &TcpListener) {
    let s3 = S3Location {
        bucket_name: "archives".to_owned(),
        endpoint: Some(format!("http://{}", place.local_addr().unwrap())),
        credential_secret_name: Some(CREDENTIALS.to_owned()),
        ..S3Location::default()
    };
    let patch = Patch::Merge(json!({"spec": {"storageLocation": StorageLocation { s3: Some(s3) }}}));
    site.backups().patch(name, &PatchParams::default(), &patch).await.unwrap();
}
