use std::collections::BTreeSet;

use std::path::Path;

use bytes::Bytes;
use drover::artifacts::Store;
use drover::queue::{self, Connection, Settings, UPLOAD_CONSUMER};
use futures::stream;

use super::{Closed, site};
use crate::nats::Queue;

/// What stands in an artifact and nowhere else.
const PLAIN: &[u8] = b"plain text of an artifact";

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_and_events_lie_encrypted_on_the_disk() {
    let mut closed = Closed::start(site().await, "closed-disk").await;
    fill(&closed.connect("snapshot").await).await;
    closed.stop();
    let data = closed.path("data");
    assert!(bytes_in(&data) > 1_000_000, "the artifact lies there");
    assert!(!holds(&data, PLAIN) && !holds(&data, b"secretly-named"));

    // The same search finds both where nothing is encrypted.
    let open = Queue::start(&Settings::default()).await;
    fill(&open.connection).await;
    let data = open.testbed.folder();
    assert!(holds(data, PLAIN) && holds(data, b"secretly-named"));
}

async fn fill(connection: &Connection) {
    let store = Store::open(&connection.jetstream).await.unwrap();
    let bytes = Bytes::from(PLAIN.repeat(50_000));
    store.put("a", &Store::new_id(), stream::iter([Ok::<_, std::io::Error>(bytes)])).await.unwrap();
    let event = crate::nats::event(drover::events::Kind::BackupStarted, "secretly-named");
    connection.publish(&event).await.unwrap();
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn bytes_in(folder: &Path) -> u64 {
    files(folder).iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn holds(folder: &Path, needle: &[u8]) -> bool {
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    files(folder).iter().any(holds)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_encryption_key_was_lost_begins_anew() {
    let mut closed = Closed::start(site().await, "closed-lost-key").await;
    fill(&closed.connect("snapshot").await).await;
    closed.empty("nats-server").await;
    closed.roll_out().await;

    let dispatch = closed.connect("dispatch").await;
    let survey = queue::survey(&dispatch.jetstream, &BTreeSet::from([UPLOAD_CONSUMER.to_owned()])).await.unwrap();
    assert_eq!(survey.missing.len(), 2, "{survey:?}");
    queue::setup(&closed.connect("setup").await.jetstream, &Settings::default()).await.unwrap();
    fill(&closed.connect("snapshot").await).await;
}
