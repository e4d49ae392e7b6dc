use std::collections::BTreeSet;

use async_nats::jetstream::consumer::pull;
use drover::artifacts::Store;
use drover::events::Kind;
use drover::exit::Chain;
use drover::queue::{self, Connection, HEARTBEAT_CONSUMER, JOBS, STREAM, Settings};
use drover_testbed::proxy::Proxy;

use super::{Closed, site};
use crate::nats::{event, until};

/// Whether a job can do what is its own; it may take a while until its connection is back.
async fn works(job: &str, connection: &Connection) -> bool {
    let outcome: Result<(), String> = match job {
        "snapshot" | "upload" => {
            Store::open(&connection.jetstream).await.map(drop).map_err(|error| Chain(&error).to_string())
        }
        "restore" | "retention-prune" => {
            let kind = if job == "restore" { Kind::RestoreStarted } else { Kind::BackupPruned };
            let event = event(kind, "back");
            connection.publish(&event).await.map(drop).map_err(|error| Chain(&error).to_string())
        }
        "heartbeat" => {
            let found = connection.jetstream.get_consumer_from_stream::<pull::Config, _, _>(HEARTBEAT_CONSUMER, STREAM);
            found.await.map(drop).map_err(|error| Chain(&error).to_string())
        }
        "dispatch" => {
            let asked = queue::survey(&connection.jetstream, &BTreeSet::new()).await;
            asked.map(drop).map_err(|error| Chain(&error).to_string())
        }
        _ => {
            let done = queue::setup(&connection.jetstream, &Settings::default()).await;
            done.map_err(|error| Chain(&error).to_string())
        }
    };
    outcome.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_connected_clients() {
    let mut closed = Closed::start(site().await, "closed-rotation").await;
    let mut connections = Vec::new();
    for job in JOBS {
        connections.push((job, closed.connect(job).await));
    }
    let first = std::fs::read(closed.path("mounted-upload").join("nkey")).unwrap();

    // Their pods still have the first keys.
    closed.roll_out().await;
    for (job, connection) in &connections {
        until(job, async || works(job, connection).await).await;
    }
    // Now they get the second ones, and the first are over with the next start.
    for job in JOBS {
        closed.mount(job).await;
    }
    closed.roll_out().await;
    for (job, connection) in &connections {
        until(job, async || works(job, connection).await).await;
    }
    std::fs::write(closed.path("mounted-upload").join("nkey"), &first).unwrap();
    queue::connect(&closed.mounted("upload"), "upload").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_of_the_secrets_that_is_killed_after_any_write_locks_nobody_out() {
    let mut closed = Closed::install(site().await, "closed-killed").await;
    let proxy = Proxy::start(&closed.site.testbed).await.unwrap();
    let kubeconfig = proxy.kubeconfig();
    // First from nothing, then from what runs: the authority is there then.
    for (rotated, writes) in [(false, 7), (true, 6)] {
        for kill in 1..=writes {
            if !rotated {
                for secret in Closed::secret_names() {
                    closed.empty(&secret).await;
                }
            }
            let held = proxy.hold_after(kill);
            let job = closed.setup().environment("KUBECONFIG", kubeconfig.to_str().unwrap());
            let killed = job.start().kill_when(held.reached()).await;
            assert_eq!(killed.code, -1, "it was killed: {}", killed.log);
            let seen = proxy.answered();
            assert!(
                seen.iter().filter(|request| request.is_write()).all(|write| write.status.is_success()),
                "{seen:?}"
            );
            drop(held);

            // The pods of the last server have what was mounted then.
            closed.roll_out().await;
            if rotated && kill < writes {
                for job in JOBS {
                    let earlier = queue::connect(&closed.mounted(job), job).await;
                    earlier.unwrap_or_else(|error| panic!("{job}, killed after {kill}: {error}"));
                }
            }
            for job in JOBS {
                works_after(&closed, job, kill).await;
            }
        }
    }
}

async fn works_after(closed: &Closed<'_>, job: &str, kill: usize) {
    let setup = closed.connect("setup").await;
    queue::setup(&setup.jetstream, &Settings::default()).await.unwrap();
    let connection = closed.connect(job).await;
    assert!(works(job, &connection).await, "{job}, killed after {kill}");
}
