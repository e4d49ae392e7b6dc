//! The object store of artifacts.

use std::io::ErrorKind;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use drover::artifacts::{BUCKET, CHUNK_SIZE, Contents, GetError, PutError, STREAM, Store, StoreError};
use drover::digest::{Content, Sha256};
use drover::events::Kind;
use drover::exit::{Exit, Fault};
use drover::queue::Settings;
use drover_testbed::Part;
use futures::stream;
use sha2::Digest;
use tokio::io::AsyncReadExt;

use crate::nats::{Queue, event, until};

/// Bytes that repeat nowhere near a chunk's length.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect()
}

fn expected(bytes: &[u8]) -> Content {
    Content { bytes: bytes.len() as u64, sha256: Sha256::of(bytes) }
}

/// Pieces of these lengths in turn, as a compressor makes them.
fn pieces(bytes: &[u8], lengths: &[usize]) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Unpin {
    let mut rest = Bytes::copy_from_slice(bytes);
    let pieces: Vec<_> = lengths
        .iter()
        .cycle()
        .map_while(|length| (!rest.is_empty()).then(|| Ok(rest.split_to((*length).min(rest.len())))))
        .collect();
    stream::iter(pieces)
}

async fn put(store: &Store, name: &str, content: &[u8]) -> String {
    let id = Store::new_id();
    store.put(name, &id, pieces(content, &[CHUNK_SIZE])).await.unwrap();
    id
}

#[tokio::test]
async fn what_is_put_is_got_and_a_purge_leaves_nothing() {
    let queue = Queue::start(&Settings::default()).await;
    let store = queue.store().await;
    for (length, lengths) in [
        (0, vec![1]),
        (1, vec![1]),
        (CHUNK_SIZE, vec![CHUNK_SIZE]),
        (CHUNK_SIZE + 1, vec![7, 100_000, 1, 0, 65_536]),
        (5 * 1024 * 1024, vec![1_000_003]),
    ] {
        let (content, id) = (bytes(length), Store::new_id());
        let put = store.put("daily/1", &id, pieces(&content, &lengths)).await.unwrap();
        assert_eq!((put.bytes, put.sha256), (length as u64, expected(&content).sha256));
        assert_eq!(put.chunks, length.div_ceil(CHUNK_SIZE) as u64);

        let info = store.info("daily/1").await.unwrap().unwrap();
        assert_eq!((info.id.as_str(), info.bytes, info.sha256), (id.as_str(), put.bytes, Some(put.sha256)));
        let mut got = Vec::new();
        assert_eq!(store.get("daily/1", expected(&content), &mut got).await.unwrap(), put.bytes);
        assert!(got == content, "of {length} bytes");

        store.purge("daily/1", &id).await.unwrap();
        assert_eq!(store.contents().await.unwrap(), Contents::default());
    }
    assert_eq!(queue.connection.jetstream.get_stream(STREAM).await.unwrap().cached_info().state.messages, 0);
}

#[tokio::test]
async fn other_clients_read_an_artifact() {
    let queue = Queue::start(&Settings::default()).await;
    let content = bytes(3 * CHUNK_SIZE + 5);
    put(&queue.store().await, "daily/1.tar.gz", &content).await;

    let bucket = queue.connection.jetstream.get_object_store(BUCKET).await.unwrap();
    let mut object = bucket.get("daily/1.tar.gz").await.unwrap();
    let digest = format!("SHA-256={}", URL_SAFE.encode(sha2::Sha256::digest(&content)));
    assert_eq!((object.info().chunks, object.info().digest.as_ref()), (4, Some(&digest)));
    let mut got = Vec::new();
    object.read_to_end(&mut got).await.unwrap();
    assert!(got == content);
}

#[tokio::test]
async fn an_object_of_another_client_is_read() {
    let queue = Queue::start(&Settings::default()).await;
    let content = bytes(3 * CHUNK_SIZE + 5);
    let bucket = queue.connection.jetstream.get_object_store(BUCKET).await.unwrap();
    bucket.put("theirs", &mut content.as_slice()).await.unwrap();
    let (store, mut got) = (queue.store().await, Vec::new());
    store.get("theirs", expected(&content), &mut got).await.unwrap();
    assert!(got == content);
    bucket.delete("theirs").await.unwrap();
    assert_eq!(store.info("theirs").await.unwrap(), None);
}

#[tokio::test]
async fn a_put_cut_off_does_not_exist_and_is_purged_by_its_id() {
    let queue = Queue::start(&Settings::default()).await;
    let (store, id) = (queue.store().await, Store::new_id());
    let (writer, mine) = (store.clone(), id.clone());
    let killed = tokio::spawn(async move {
        let mut upload = writer.begin("daily/1", &mine).unwrap();
        upload.write(bytes(3 * CHUNK_SIZE).into()).await.unwrap();
        std::future::pending::<()>().await;
    });
    until("the chunks are there", async || store.contents().await.unwrap().chunks.get(&id) == Some(&3)).await;
    killed.abort();
    assert_eq!(store.info("daily/1").await.unwrap(), None);
    store.purge("daily/1", &id).await.unwrap();
    assert_eq!(store.contents().await.unwrap(), Contents::default());
    store.purge("daily/1", &id).await.unwrap();
}

#[tokio::test]
async fn bytes_that_cannot_be_made_make_no_artifact() {
    let queue = Queue::start(&Settings::default()).await;
    let (store, id) = (queue.store().await, Store::new_id());
    let failing = stream::iter([Ok(bytes(CHUNK_SIZE).into()), Err(std::io::Error::from(ErrorKind::UnexpectedEof))]);
    let error = store.put("daily/1", &id, failing).await.unwrap_err();
    assert!(matches!(error, PutError::Produce { .. }), "{error}");
    assert_eq!(store.info("daily/1").await.unwrap(), None);
    store.purge("daily/1", &id).await.unwrap();
    assert_eq!(store.contents().await.unwrap(), Contents::default());
}

#[tokio::test]
async fn the_second_put_of_a_name_fails_until_the_first_is_purged() {
    let queue = Queue::start(&Settings::default()).await;
    let (store, content) = (queue.store().await, bytes(100));
    let first = put(&store, "daily/1", &content).await;
    let second = Store::new_id();
    let error = store.put("daily/1", &second, pieces(b"else", &[4])).await.unwrap_err();
    assert!(matches!(error, PutError::Exists { .. }), "{error}");
    store.get("daily/1", expected(&content), &mut Vec::new()).await.unwrap();
    for id in [first, second] {
        store.purge("daily/1", &id).await.unwrap();
    }
    put(&store, "daily/1", &content).await;
}

#[tokio::test]
async fn an_id_that_names_the_chunks_of_others_is_refused() {
    let queue = Queue::start(&Settings::default()).await;
    let store = queue.store().await;
    put(&store, "daily/1", b"content").await;
    let error = store.purge("daily/2", ">").await.unwrap_err();
    assert!(matches!(error, StoreError::Id { .. }), "{error}");
    assert!(matches!(store.begin("daily/2", "*"), Err(PutError::Id { .. })));
    assert_eq!(store.contents().await.unwrap().names, ["daily/1"]);
}

#[track_caller]
fn check_exit(result: Result<u64, GetError>, exit: Exit, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.exit(), exit, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test]
async fn missing_is_told_from_altered() {
    let queue = Queue::start(&Settings::default()).await;
    let (jetstream, store) = (&queue.connection.jetstream, queue.store().await);
    let (content, mut sink) = (bytes(3 * CHUNK_SIZE), tokio::io::sink());
    let wanted = expected(&content);
    check_exit(store.get("daily/1", wanted, &mut sink).await, Exit::Failure, "no longer wholly");

    let id = put(&store, "daily/1", &content).await;
    let shorter = Content { bytes: 1, ..wanted };
    check_exit(store.get("daily/1", shorter, &mut sink).await, Exit::DataRefused, "its size is 393216, and 1");
    let other = Content { sha256: [0; 32].into(), ..wanted };
    check_exit(store.get("daily/1", other, &mut sink).await, Exit::DataRefused, "its SHA-256 is");

    // A chunk that expired while the description did not: told at once, not waited for.
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let first = stream.cached_info().state.first_sequence;
    stream.delete_message(first + 2).await.unwrap();
    check_exit(store.get("daily/1", wanted, &mut sink).await, Exit::Failure, "no longer wholly");

    // A chunk in its place with other bytes, so that the description says what is no longer true.
    let chunks = format!("$O.{BUCKET}.C.{id}");
    jetstream.publish(chunks.clone(), vec![0; CHUNK_SIZE].into()).await.unwrap().await.unwrap();
    check_exit(store.get("daily/1", wanted, &mut sink).await, Exit::DataRefused, "its SHA-256 is");
    stream.purge().filter(&chunks).await.unwrap();
    for _ in 0..3 {
        jetstream.publish(chunks.clone(), vec![0; 2 * CHUNK_SIZE].into()).await.unwrap().await.unwrap();
    }
    check_exit(store.get("daily/1", wanted, &mut sink).await, Exit::DataRefused, "its size is at least");
}

#[tokio::test]
async fn a_full_store_is_told_and_leaves_room_for_events() {
    let queue = Queue::start(&Settings { artifacts_mib: 1, ..Settings::default() }).await;
    let (store, id) = (queue.store().await, Store::new_id());
    let error = store.put("daily/1", &id, pieces(&bytes(2 * 1024 * 1024), &[CHUNK_SIZE])).await.unwrap_err();
    assert!(matches!(error, PutError::Full { .. }), "{error}");
    assert_eq!(error.exit(), Exit::Unavailable);
    queue.connection.publish(&event(Kind::BackupFailed, "daily")).await.unwrap();

    store.purge("daily/1", &id).await.unwrap();
    assert_eq!(store.contents().await.unwrap(), Contents::default());
    put(&store, "daily/2", &bytes(CHUNK_SIZE)).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_after_the_patience() {
    let queue = Queue::start(&Settings::default()).await;
    let store = queue.store().await.with_patience(Duration::from_secs(1));
    let content = bytes(2 * CHUNK_SIZE);
    put(&store, "daily/1", &content).await;
    queue.testbed.stop(Part::Nats).await.unwrap();
    let error = store.get("daily/1", expected(&content), &mut tokio::io::sink()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable, "{error}");
    let error = store.put("daily/2", &Store::new_id(), pieces(&content, &[CHUNK_SIZE])).await.unwrap_err();
    assert!(matches!(error, PutError::Away { .. }), "{error}");
}

#[tokio::test]
async fn a_get_goes_on_where_it_was_when_the_server_comes_back() {
    let queue = Queue::start(&Settings::default()).await;
    let (store, content) = (queue.store().await, bytes(20 * CHUNK_SIZE));
    put(&store, "daily/1", &content).await;
    // A reader that takes its time: the get is in the middle when the server dies.
    let (mut reader, mut writer) = tokio::io::duplex(CHUNK_SIZE);
    let wanted = expected(&content);
    let getting = tokio::spawn(async move { store.get("daily/1", wanted, &mut writer).await });
    let mut got = vec![0; 3 * CHUNK_SIZE];
    reader.read_exact(&mut got).await.unwrap();
    queue.testbed.kill(Part::Nats).await.unwrap();
    queue.testbed.start_again(Part::Nats).await.unwrap();
    reader.read_to_end(&mut got).await.unwrap();
    assert_eq!(getting.await.unwrap().unwrap(), content.len() as u64);
    assert!(got == content);
}

#[tokio::test]
async fn without_setup_the_usage_is_wrong() {
    let queue = Queue::start(&Settings::default()).await;
    queue.connection.jetstream.delete_stream(STREAM).await.unwrap();
    let error = Store::open(&queue.connection.jetstream).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
}
