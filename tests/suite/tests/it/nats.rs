//! A NATS server of a test's own, with drover's queue in it.

use std::time::Duration;

use clap::Parser;
use drover::artifacts::Store;
use drover::events::{Data, Event, Kind};
use drover::queue::{self, Connection, NatsOptions, Settings, UPLOAD_CONSUMER};
use drover_testbed::{Options, Service, Testbed};
use jiff::Timestamp;
use uuid::Uuid;

/// How long anything may take that a test waits for.
const LIMIT: Duration = Duration::from_mins(1);

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
}

/// The options of a job that was started with these flags.
pub(crate) fn options(flags: &[&str]) -> NatsOptions {
    Arguments::parse_from(["job"].iter().chain(flags)).nats
}

/// A server, the queue in it, and a connection.
pub(crate) struct Queue {
    pub(crate) testbed: Testbed,
    pub(crate) connection: Connection,
}

impl Queue {
    pub(crate) async fn start(settings: &Settings) -> Self {
        let testbed = Testbed::start(Options::only([Service::Nats])).await.unwrap();
        let url = testbed.nats_url().unwrap().to_owned();
        let connection = queue::connect(&options(&["--nats-url", &url]), "test").await.unwrap();
        queue::setup(&connection.jetstream, settings).await.unwrap();
        Self { testbed, connection }
    }

    /// A queue that gives messages of silent workers away after so many seconds.
    pub(crate) async fn with_ack_wait(seconds: u16) -> Self {
        Self::start(&Settings { ack_wait_seconds: seconds, ..Settings::default() }).await
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.connection.jetstream).await.unwrap()
    }

    /// Publishes that the archive of that Backup waits for its upload.
    pub(crate) async fn snapshotted(&self, name: &str) -> Event {
        let event = event(Kind::BackupSnapshotted, name);
        assert!(!self.connection.publish(&event).await.unwrap().duplicate);
        event
    }

    /// Messages of the consumer `upload` that were never delivered, and those in flight.
    pub(crate) async fn waiting(&self) -> (u64, usize) {
        let stream = self.connection.jetstream.get_stream(queue::STREAM).await.unwrap();
        let info = stream.consumer_info(UPLOAD_CONSUMER).await.unwrap();
        (info.num_pending, info.num_ack_pending)
    }
}

/// An event of a new run.
pub(crate) fn event(kind: Kind, name: &str) -> Event {
    let data = Data { name: name.to_owned(), run: Uuid::now_v7(), ..Data::default() };
    Event::new(kind, "snapshot", Timestamp::now(), data)
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until<'a>(
    what: &'a str,
    condition: impl AsyncFn() -> bool + 'a,
) -> impl std::future::Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let waiting = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(LIMIT, waiting).await.is_ok(), "{what} at {caller}");
    }
}
