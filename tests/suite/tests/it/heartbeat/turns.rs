//! Jobs that are at work at once, and jobs that are killed.

use std::time::{Duration, Instant};

use drover::resources::DEFAULT_NAMESPACE;
use drover_testbed::proxy::Proxy;
use drover_tests::Site;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;

use super::server::{Behaviour, CHECK, Received, Server, TOKEN};
use super::{drain, snapshot, start};
use crate::nats::until;

/// A success is on its way to a monitor that does not answer, when the next run fails and another Job tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_at_once_tell_one_after_the_other_and_hold_up_no_other_backup() {
    let site = start().await;
    let (slow, good) = (Server::start(Behaviour::Hangs).await, Server::start(Behaviour::Documented).await);
    let monitors = format!(
        "monitors:
- {{name: slow, url: '{}', backups: {{names: [daily]}}, signals: [success, failure]}}
- {{name: good, url: '{}', backups: {{names: [other]}}, signals: [success]}}",
        slow.url(&format!("/ping/{CHECK}")),
        good.url(&format!("/heartbeat/{TOKEN}")),
    );
    for name in ["daily", "other"] {
        site.backup(name, "small", None).await;
    }
    snapshot(&site, "daily").await;
    site.job("upload").succeed().await;
    let first = drain(&site, &monitors).environment("DROVER_PING_SECONDS", "15").start();
    until("the first Job waits for the monitor", async || !slow.is_untold()).await;
    let mut told = slow.take();

    fail(&site, "daily").await;
    let begun = Instant::now();
    snapshot(&site, "other").await;
    site.job("upload").succeed().await;
    eprintln!("a backup while a monitor does not answer: {:?}", begun.elapsed());
    let second = drain(&site, &monitors).start();
    until("the other Backup is told of", async || !good.is_untold()).await;
    slow.behave(Behaviour::Documented);
    let (first, second) = tokio::join!(first.wait(), second.wait());
    assert_eq!((first.code, second.code), (0, 0), "{}\n{}", first.log, second.log);

    told.extend(slow.take());
    let [stored, failed] = &site.runs("daily").await[..] else { panic!("two runs") };
    let (stored, failed) = (stored.spec.id, failed.spec.id);
    let success = format!("POST /ping/{CHECK}?rid={stored}");
    let expected = [success.clone(), success, format!("POST /ping/{CHECK}/fail?rid={failed}")];
    assert_eq!(told.iter().map(Received::line).collect::<Vec<_>>(), expected, "{}\n{}", first.log, second.log);
    let [other] = &good.take()[..] else { panic!("the other Backup is told of once") };
    assert!(other.at < told[1].at, "the other Backup waited for a monitor that is none of its own");
    drain(&site, &monitors).succeed().await;
    assert!(slow.take().is_empty() && good.take().is_empty(), "nothing was forgotten");
    leases_go_with_their_backups(&site).await;
    site.testbed.shutdown().await;
}

/// In one Job, too: what is told behind a monitor that does not answer comes at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_does_not_answer_delays_no_ping_about_another_backup() {
    let site = start().await;
    let (slow, good) = (Server::start(Behaviour::Hangs).await, Server::start(Behaviour::Documented).await);
    let path = format!("/ping/{CHECK}");
    let monitors = format!(
        "monitors:
- {{name: slow, url: '{}', backups: {{names: [daily]}}, signals: [success]}}
- {{name: good, url: '{}', backups: {{names: [other]}}, signals: [success]}}",
        slow.url(&path),
        good.url(&path),
    );
    for name in ["daily", "other"] {
        site.backup(name, "small", None).await;
        snapshot(&site, name).await;
        site.job("upload").succeed().await;
    }
    let job = drain(&site, &monitors).end_with(69).await;
    let (tries, told) = (slow.take(), good.take());
    assert_eq!((tries.len(), told.len()), (3, 1), "{}", job.log);
    let behind = told[0].at - tries[0].at;
    eprintln!("told behind a monitor that does not answer: after {behind:?}");
    assert!(behind < Duration::from_secs(10), "{behind:?}: {}", job.log);
    site.testbed.shutdown().await;
}

/// The next run finds nothing.
async fn fail(site: &Site, name: &str) {
    let mut backup = site.backups().get(name).await.unwrap();
    "nothing".clone_into(&mut backup.spec.resource_set_name);
    site.backups().replace(name, &PostParams::default(), &backup).await.unwrap();
    assert_ne!(site.job("snapshot").arguments(["--backup", name]).run().await.code, 0);
}

async fn leases_go_with_their_backups(site: &Site) {
    let leases: Api<Lease> = Api::namespaced(site.client.clone(), DEFAULT_NAMESPACE);
    let uid = site.backups().get("daily").await.unwrap().metadata.uid.unwrap();
    let Lease { metadata, spec } = leases.get(&format!("heartbeat-backup.{uid}")).await.unwrap();
    assert_eq!(spec.unwrap().holder_identity.as_deref(), Some(""), "given back");
    let owners = metadata.owner_references.unwrap();
    assert!(matches!(&owners[..], [owner] if owner.uid == uid && owner.kind == "Backup"), "{owners:?}");
}

/// Its writes are: the Lease, what was told, the Lease again. The ping is sent after the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_after_any_write_repeats_one_ping_at_most() {
    let site = start().await;
    // A killed job's message comes again sooner, and still later than its Lease is known as dead.
    site.job("dispatch").arguments(["setup", "queue"]).environment("DROVER_ACK_WAIT_SECONDS", "9").succeed().await;
    let server = Server::start(Behaviour::Documented).await;
    let proxy = Proxy::start(&site.testbed).await.unwrap();
    let kubeconfig = proxy.kubeconfig();
    for writes in 1..=4 {
        let name = format!("killed-{writes}");
        let url = server.url(&format!("/ping/{CHECK}"));
        let monitors =
            format!("monitors: [{{name: a, url: '{url}', backups: {{names: [{name}]}}, signals: [success]}}]");
        site.backup(&name, "small", None).await;
        snapshot(&site, &name).await;
        site.job("upload").succeed().await;
        let held = proxy.hold_after(writes);
        let job = drain(&site, &monitors).environment("KUBECONFIG", kubeconfig.to_str().unwrap()).start();
        let killed = job.kill_when(held.reached()).await;
        drop(held);
        assert_eq!(killed.code == -1, writes <= 3, "there are three writes: {}", killed.log);
        let before = server.take().len();
        let begun = Instant::now();
        let next = drain(&site, &monitors).succeed().await;
        let after = server.take().len();
        eprintln!("killed after {writes} writes: {before} and then {after} pings, after {:?}", begun.elapsed());
        assert!((1..=2).contains(&(before + after)), "{before} and {after}: {}", next.log);
        assert!(writes == 1 || (before, after) == (1, 0), "{before} and {after}: {}", next.log);
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}: {}", begun.elapsed(), next.log);
    }
    site.testbed.shutdown().await;
}
