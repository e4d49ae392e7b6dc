//! The stream and the consumer, as `setup` makes them.

use std::collections::HashMap;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::Config;
use drover::artifacts;
use drover::events::{Event, Kind};
use drover::exit::{Exit, Fault};
use drover::queue::{self, STREAM, Settings, UPLOAD_CONSUMER};

use crate::nats::{Queue, event};

/// The configuration of both streams and of the consumer.
async fn configuration(queue: &Queue) -> (Config, Config, pull::Config) {
    let jetstream = &queue.connection.jetstream;
    let events = jetstream.get_stream(STREAM).await.unwrap();
    let store = jetstream.get_stream(artifacts::STREAM).await.unwrap();
    let consumer: async_nats::jetstream::consumer::PullConsumer = events.get_consumer(UPLOAD_CONSUMER).await.unwrap();
    let consumer = pull::Config {
        ack_wait: consumer.cached_info().config.ack_wait,
        filter_subject: consumer.cached_info().config.filter_subject.clone(),
        max_deliver: consumer.cached_info().config.max_deliver,
        metadata: consumer.cached_info().config.metadata.clone(),
        ..pull::Config::default()
    };
    (events.cached_info().config.clone(), store.cached_info().config.clone(), consumer)
}

#[tokio::test]
async fn setup_again_changes_nothing_and_other_settings_are_taken() {
    let queue = Queue::start(&Settings::default()).await;
    let first = configuration(&queue).await;
    assert_eq!(first.2.filter_subject, "drover.backup.snapshotted.>");
    assert_eq!(first.2.max_deliver, -1);
    queue.snapshotted("daily").await;

    queue::setup(&queue.connection.jetstream, &Settings::default()).await.unwrap();
    assert_eq!(configuration(&queue).await, first);
    let settings = Settings { artifacts_mib: 7, events_mib: 9, ack_wait_seconds: 5, ..Settings::default() };
    queue::setup(&queue.connection.jetstream, &settings).await.unwrap();
    let (events, store, consumer) = configuration(&queue).await;
    assert_eq!((events.max_bytes, store.max_bytes, consumer.ack_wait.as_secs()), (9 << 20, 7 << 20, 5));
    assert_eq!(queue.waiting().await, (1, 0), "what waits is still there");
}

#[tokio::test]
async fn an_older_setup_takes_nothing_back() {
    let queue = Queue::start(&Settings::default()).await;
    let jetstream = &queue.connection.jetstream;
    let newer = |metadata: &HashMap<String, String>| {
        let mut metadata = metadata.clone();
        metadata.retain(|key, _| !key.starts_with("_nats."));
        metadata.insert("drover.dev/layout".to_owned(), "1000".to_owned());
        metadata
    };
    let (events, store, consumer) = configuration(&queue).await;
    for stream in [events, store] {
        let config = Config { max_bytes: 5 << 20, metadata: newer(&stream.metadata), ..stream };
        jetstream.update_stream(config).await.unwrap();
    }
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let config = pull::Config {
        durable_name: Some(UPLOAD_CONSUMER.to_owned()),
        metadata: newer(&consumer.metadata),
        filter_subject: "drover.backup.>".to_owned(),
        deliver_policy: async_nats::jetstream::consumer::DeliverPolicy::New,
        max_deliver: -1,
        ..pull::Config::default()
    };
    stream.update_consumer(config).await.unwrap();

    let changed = configuration(&queue).await;
    queue::setup(jetstream, &Settings::default()).await.unwrap();
    assert_eq!(configuration(&queue).await, changed);
    assert_eq!((changed.0.max_bytes, changed.2.filter_subject.as_str()), (5 << 20, "drover.backup.>"));
}

#[tokio::test]
async fn room_that_the_server_does_not_have_is_wrong_usage() {
    let queue = Queue::start(&Settings::default()).await;
    let settings = Settings { artifacts_mib: 1_048_576, events_mib: 1_048_576, ..Settings::default() };
    let error = queue::setup(&queue.connection.jetstream, &settings).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
    assert!(error.to_string().contains("--artifacts-mib"), "{error}");
}

#[tokio::test]
async fn more_replicas_than_servers_are_wrong_usage() {
    let queue = Queue::start(&Settings::default()).await;
    let error = queue::setup(&queue.connection.jetstream, &Settings { replicas: 3, ..Settings::default() }).await;
    let error = error.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
}

#[tokio::test]
async fn an_event_that_is_published_twice_is_one() {
    let queue = Queue::start(&Settings::default()).await;
    let event = queue.snapshotted("rancher.daily").await;
    assert!(queue.connection.publish(&event).await.unwrap().duplicate);
    assert_eq!(queue.waiting().await, (1, 0));

    let stream = queue.connection.jetstream.get_stream(STREAM).await.unwrap();
    let message = stream.get_last_raw_message_by_subject("drover.backup.snapshotted.rancher=2Edaily").await.unwrap();
    assert_eq!(Event::parse(&message.payload).unwrap().data, event.data);
    assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), event.id());
    assert_eq!(message.headers.get("Content-Type").unwrap().as_str(), "application/cloudevents+json");
}

#[tokio::test]
async fn events_of_other_kinds_do_not_wait_for_the_upload() {
    let queue = Queue::start(&Settings::default()).await;
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::BackupSnapshotted) {
        queue.connection.publish(&event(kind, "daily")).await.unwrap();
    }
    assert_eq!(queue.waiting().await, (0, 0));
}

#[tokio::test]
async fn without_a_stream_a_service_is_away() {
    let queue = Queue::start(&Settings::default()).await;
    queue.connection.jetstream.delete_stream(STREAM).await.unwrap();
    let error = queue.connection.publish(&event(Kind::BackupStarted, "daily")).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable, "{error}");
}
