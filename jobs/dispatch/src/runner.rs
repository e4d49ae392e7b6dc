//! The runner: it knows, decides and acts.
//!
//! ```text
//! API server ──watches──▶ State ──decide(state, now)──▶ actions ──▶ Jobs, CronJobs, statuses
//! NATS ──────events, INFO──▶ ▲                                        │
//!                            └───────────── what came of it ──────────┘
//! ```
//! Nothing is remembered that is not also in the cluster, so it may be killed at any moment: the next one decides the same.

mod act;
mod charge;
mod decide;
mod facts;
mod health;
mod marks;
mod metrics;
mod names;
mod pause;
mod queue;
mod rights;
mod shared;
mod state;
mod template;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drover::clock;
use drover::cluster::ClusterOptions;
use drover::exit::{Chain, Exit, Failure, Fault};
use drover::lease::{self, Acquired, Lease, Wait};
use drover::queue::NatsOptions;
use jiff::Timestamp;
use kube::Client;
use snafu::{ResultExt, Snafu};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use act::Actor;
use decide::decide;
use health::Health;
use shared::Shared;

/// How often is decided although nothing changed.
const INTERVAL: Duration = Duration::from_secs(30);

/// How long changes are gathered before they are decided upon: they come in bursts, of which most are our own doing.
const BURST: Duration = Duration::from_millis(200);

/// Pause after a failed try to take the Lease.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Where the runner works.
#[derive(clap::Args, Debug)]
pub(crate) struct RunnerOptions {
    /// Where to answer /healthz, /readyz and /metrics.
    #[arg(long, env = "DROVER_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    #[command(flatten)]
    cluster: ClusterOptions,

    #[command(flatten)]
    nats: NatsOptions,
}

/// Why the runner did not start.
#[derive(Debug, Snafu)]
enum Error {
    #[snafu(display("failed to listen on \"{address}\"; set --listen to another address"))]
    Listen { address: SocketAddr, source: std::io::Error },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Runs until it is asked to end.
pub(crate) async fn run(options: RunnerOptions, shutdown: CancellationToken) -> Result<(), Failure> {
    let RunnerOptions { listen, cluster, nats } = options;
    let client = drover::cluster::connect().await?;
    let listener = TcpListener::bind(listen).await.context(ListenSnafu { address: listen })?;
    info!(address = %listener.local_addr().unwrap_or(listen), "answering /healthz, /readyz and /metrics");
    let (shared, health) = (Arc::new(Shared::default()), Arc::new(Health::default()));
    let namespace = cluster.namespace.clone();
    let mut tasks = watch::start(&client, &namespace, &shared);
    tasks.spawn(queue::follow(nats, Arc::clone(&shared)));
    tasks.spawn(charge::follow(client.clone(), namespace.clone(), Arc::clone(&shared)));
    tasks.spawn(rights::follow(client.clone(), namespace, Arc::clone(&shared)));
    tasks.spawn(health::serve(listener, Arc::clone(&health), Arc::clone(&shared)));
    let runner = Runner { client, cluster, shared, health, shutdown };
    runner.run().await;
    Ok(())
}

struct Runner {
    client: Client,
    cluster: ClusterOptions,
    shared: Arc<Shared>,
    health: Arc<Health>,
    shutdown: CancellationToken,
}

impl Runner {
    /// Works while it holds the Lease, and stands by while another one does.
    async fn run(&self) {
        while !self.shutdown.is_cancelled() {
            let acquired = tokio::select! {
                acquired = self.acquire() => acquired,
                () = self.shutdown.cancelled() => return,
            };
            self.health.turn();
            match acquired {
                Ok(Acquired::Held(lease)) => self.work_under(lease).await,
                Ok(Acquired::Busy { holder }) => self.health.lease(format!("standing by: {holder} is at work")),
                Err(error) => {
                    warn!("{}", Chain(&error));
                    self.health.lease(format!("not held: {}", Chain(&error)));
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    async fn acquire(&self) -> Result<Acquired, lease::LeaseError> {
        self.cluster.lease_holder(&self.client).acquire(lease::DISPATCH, Wait::Until(INTERVAL)).await
    }

    async fn work_under(&self, lease: Lease) {
        info!(lease = lease::DISPATCH, from = lease.taken_over_from(), "at work");
        self.health.lease("held");
        let work = async {
            tokio::select! { () = self.work() => {}, () = self.shutdown.cancelled() => {} }
        };
        if lease.during(Box::pin(work)).await.is_none() {
            self.health.lease("lost");
        }
    }

    /// Decides and acts, for ever. It may be cut off anywhere: each action is one request, or is done again.
    async fn work(&self) {
        let identity = self.cluster.identity();
        let mut actor = Actor::new(self.client.clone(), &self.cluster.namespace, &identity, Arc::clone(&self.shared));
        loop {
            let decision = decide(&self.shared.state(), clock::now());
            for action in decision.actions {
                self.health.turn();
                actor.act(action).await;
            }
            self.health.turn();
            // A NATS that does not answer holds up nothing else: what is cut off here is sent again.
            let sending = async {
                actor.send().await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = sending => {}
                () = self.shared.changed.notified() => sleep(BURST).await,
                () = sleep(until(decision.wake)) => {}
            }
        }
    }
}

/// How long until it is time to look again.
fn until(wake: Option<Timestamp>) -> Duration {
    let left = wake.map(|wake| wake.duration_since(clock::now()));
    // A little later rather than earlier, when nothing would have changed.
    let left = left.map(|left| Duration::try_from(left).unwrap_or_default() + BURST / 2);
    left.map_or(INTERVAL, |left| left.min(INTERVAL))
}
