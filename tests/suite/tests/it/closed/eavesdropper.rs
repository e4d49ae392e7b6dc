use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_nats::jetstream::Context;
use async_nats::{Client, ConnectOptions, Event, Subscriber};
use bytes::Bytes;
use drover::artifacts::Store;
use drover::digest::Content;
use drover::queue::{JOBS, Settings};
use futures::{StreamExt, stream};

use super::{Closed, site};
use crate::nats::{Queue, until};

/// Subscriptions, and the jobs that may have them.
const SUBSCRIPTIONS: [(&str, &[&str]); 19] = [
    (">", &[]),
    ("*.>", &[]),
    ("$O.>", &[]),
    ("$O.drover-artifacts.C.>", &[]),
    ("$O.drover-artifacts.M.*", &[]),
    ("$JS.>", &[]),
    ("$JS.FC.>", &[]),
    ("$JS.ACK.>", &[]),
    ("$JS.EVENT.ADVISORY.>", &[]),
    ("$SYS.>", &[]),
    ("_INBOX.>", &[]),
    ("_INBOX_snapshot.>", &["snapshot"]),
    ("_INBOX_upload.>", &["upload"]),
    ("_INBOX_retention-prune.>", &["retention-prune"]),
    ("_INBOX_heartbeat.>", &["heartbeat"]),
    ("_INBOX_setup.>", &["setup"]),
    ("drover.backup.>", &["dispatch"]),
    ("drover.restore.>", &["dispatch"]),
    ("drover.dead.>", &[]),
];

/// Messages, and the jobs that may send them.
const MESSAGES: [(&str, &[&str]); 40] = [
    // Whatever could bring an artifact's bytes.
    ("$JS.API.STREAM.MSG.GET.OBJ_drover-artifacts", &["upload"]),
    ("$JS.API.DIRECT.GET.OBJ_drover-artifacts", &["upload"]),
    ("$JS.API.DIRECT.GET.OBJ_drover-artifacts.$O.drover-artifacts.C.1", &[]),
    ("$JS.API.CONSUMER.CREATE.OBJ_drover-artifacts", &[]),
    ("$JS.API.CONSUMER.CREATE.OBJ_drover-artifacts.spy", &[]),
    ("$JS.API.CONSUMER.CREATE.OBJ_drover-artifacts.spy.$O.drover-artifacts.C.1", &[]),
    ("$JS.API.CONSUMER.DURABLE.CREATE.OBJ_drover-artifacts.spy", &[]),
    ("$JS.API.CONSUMER.MSG.NEXT.OBJ_drover-artifacts.spy", &[]),
    ("$JS.API.STREAM.SNAPSHOT.OBJ_drover-artifacts", &[]),
    ("$JS.API.STREAM.CREATE.SPY", &[]),
    ("$JS.API.STREAM.UPDATE.OBJ_drover-artifacts", &["setup"]),
    // Whatever could do away with artifacts, events or consumers.
    ("$JS.API.STREAM.PURGE.OBJ_drover-artifacts", &["snapshot", "upload"]),
    ("$JS.API.STREAM.DELETE.OBJ_drover-artifacts", &[]),
    ("$JS.API.STREAM.MSG.DELETE.OBJ_drover-artifacts", &[]),
    ("$JS.API.STREAM.DELETE.DROVER", &[]),
    ("$JS.API.STREAM.PURGE.DROVER", &[]),
    ("$JS.API.STREAM.MSG.DELETE.DROVER", &[]),
    ("$JS.API.CONSUMER.DELETE.DROVER.upload", &[]),
    ("$JS.API.CONSUMER.PAUSE.DROVER.upload", &[]),
    ("$JS.API.STREAM.UPDATE.DROVER", &["setup"]),
    // The work of others.
    ("$JS.API.CONSUMER.MSG.NEXT.DROVER.upload", &["upload"]),
    ("$JS.API.CONSUMER.MSG.NEXT.DROVER.retention-prune", &["retention-prune"]),
    ("$JS.API.CONSUMER.MSG.NEXT.DROVER.heartbeat", &["heartbeat"]),
    ("$JS.API.CONSUMER.CREATE.DROVER.spy", &["setup"]),
    ("$JS.API.STREAM.MSG.GET.DROVER", &[]),
    ("$JS.ACK.DROVER.upload.1.1.1.1.1", &["upload"]),
    ("$JS.ACK.DROVER.retention-prune.1.1.1.1.1", &["retention-prune"]),
    ("$JS.ACK.DROVER.heartbeat.1.1.1.1.1", &["heartbeat"]),
    ("$O.drover-artifacts.C.1", &["snapshot"]),
    ("$O.drover-artifacts.M.1", &["snapshot"]),
    ("drover.backup.started.a", &["snapshot"]),
    ("drover.backup.snapshotted.a", &["snapshot", "upload"]),
    ("drover.backup.uploaded.a", &["upload"]),
    ("drover.backup.pruned.a", &["retention-prune"]),
    ("drover.backup.failed.a", &["snapshot", "upload", "retention-prune", "dispatch"]),
    ("drover.restore.completed.a", &["restore"]),
    ("drover.restore.failed.a", &["restore", "dispatch"]),
    ("drover.dead.drover.backup.snapshotted.a", &["upload", "retention-prune", "heartbeat"]),
    ("drover.dead.drover.backup.uploaded.a", &["upload", "retention-prune", "heartbeat"]),
    ("_INBOX_upload.1", &[]),
];

/// A client of a job's identity, and what it was refused.
struct Spy {
    client: Client,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Spy {
    async fn connect(closed: &Closed<'_>, job: &str) -> Self {
        let folder = closed.mount(job).await;
        let refused = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&refused);
        let client = ConnectOptions::with_nkey(std::fs::read_to_string(folder.join("nkey")).unwrap())
            .add_root_certificates(folder.join("ca.crt"))
            .custom_inbox_prefix(format!("_INBOX_{job}"))
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    seen.lock().unwrap().push(error.to_string());
                }
                std::future::ready(())
            });
        Self { client: client.connect(closed.url()).await.unwrap(), refused }
    }

    /// The subjects that were refused of all that was tried so far, each with what was tried.
    async fn refused(&self) -> BTreeSet<String> {
        // The server answers in the order of what it was sent.
        self.client.publish("the.end", Bytes::new()).await.unwrap();
        let is_over = || self.refused.lock().unwrap().iter().any(|error| error.contains("the.end"));
        until("the last one is refused", async || is_over()).await;
        let refused = self.refused.lock().unwrap();
        refused.iter().filter(|error| !error.contains("the.end")).map(|error| told(error)).collect()
    }
}

/// `publish a.b` of `Permissions Violation for Publish to "a.b"`.
fn told(error: &str) -> String {
    let error = error.to_lowercase();
    let (verb, subject) = error.split_once("permissions violation for ").unwrap().1.split_once(" to ").unwrap();
    let verb = verb.replace("subscription", "subscribe");
    format!("{verb} {}", subject.trim_matches(|character: char| "\"'".contains(character)))
}

fn not_for(job: &str, verb: &str, table: &[(&str, &[&str])]) -> BTreeSet<String> {
    let closed = table.iter().filter(|(_, jobs)| !jobs.contains(&job));
    closed.map(|(subject, _)| format!("{verb} {subject}").to_lowercase()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_identity_is_refused_all_that_is_not_its_own() {
    let closed = Closed::start(site().await, "closed-subjects").await;
    for job in JOBS {
        let spy = Spy::connect(&closed, job).await;
        let mut subscriptions = Vec::new();
        for (subject, _) in SUBSCRIPTIONS {
            subscriptions.push(spy.client.subscribe(subject).await.unwrap());
        }
        for (subject, _) in MESSAGES {
            spy.client.publish(subject, Bytes::new()).await.unwrap();
        }
        let mut expected = not_for(job, "subscribe", &SUBSCRIPTIONS);
        expected.append(&mut not_for(job, "publish", &MESSAGES));
        assert_eq!(spy.refused().await, expected, "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eavesdropper_reads_no_byte_of_an_artifact() {
    let closed = Closed::start(site().await, "closed-artifacts").await;
    let snapshot = closed.connect("snapshot").await;
    let mut ears = Vec::new();
    for job in JOBS.into_iter().filter(|job| *job != "upload") {
        let spy = Spy::connect(&closed, job).await;
        for subject in [">", "$O.>", "$JS.>", "_INBOX_upload.>", "_INBOX_snapshot.>", "$JS.API.DIRECT.GET.>"] {
            ears.push((job, spy.client.subscribe(subject).await.unwrap()));
        }
        spy.refused().await;
        ears.extend(asked(&spy, job).await);
        ears.push((job, spy.client.subscribe(format!("_INBOX_{job}.>")).await.unwrap()));
        drop(spy);
    }

    pass_an_artifact(&snapshot.jetstream, &closed.connect("upload").await.jetstream).await;
    for (job, ear) in ears {
        assert_eq!(heard_of_the_artifact(ear).await, [""; 0], "{job}");
    }
}

/// The control of the test before: where NATS is open, the same ears hear the archive go by, both ways.
#[tokio::test(flavor = "multi_thread")]
async fn on_an_open_server_an_eavesdropper_would_read_the_artifact() {
    let queue = Queue::start(&Settings::default()).await;
    let spy = async_nats::connect(queue.testbed.nats_url().unwrap()).await.unwrap();
    let ear = spy.subscribe(">").await.unwrap();
    spy.flush().await.unwrap();
    pass_an_artifact(&queue.connection.jetstream, &queue.connection.jetstream).await;
    let heard = heard_of_the_artifact(ear).await;
    assert!(heard.iter().any(|subject| subject.starts_with("$O.")), "{heard:?}");
    assert!(heard.iter().any(|subject| subject.starts_with("_INBOX")), "{heard:?}");
}

/// One job puts an artifact into the object store, another one gets it.
async fn pass_an_artifact(from: &Context, to: &Context) {
    let bytes = Bytes::from(vec![7; 300_000]);
    let store = Store::open(from).await.unwrap();
    let put = store.put("a", &Store::new_id(), stream::iter([Ok::<_, std::io::Error>(bytes.clone())])).await.unwrap();
    let mut read = Vec::new();
    let expected = Content { bytes: put.bytes, sha256: put.sha256 };
    Store::open(to).await.unwrap().get("a", expected, &mut read).await.unwrap();
    assert_eq!(read, bytes);
}

/// The subjects on which bytes of the artifact came.
async fn heard_of_the_artifact(mut ear: Subscriber) -> Vec<String> {
    // Whatever came lies there already: what was sent before it is handed out before the end.
    ear.unsubscribe().await.unwrap();
    let mut heard = Vec::new();
    while let Some(message) = ear.next().await {
        if message.payload.windows(16).any(|window| window == [7; 16]) {
            heard.push(message.subject.to_string());
        }
    }
    heard
}

/// Asks for messages of the object store, with an inbox for the answers that the job may read; none comes.
async fn asked(spy: &Spy, job: &'static str) -> Vec<(&'static str, Subscriber)> {
    let before = spy.refused.lock().unwrap().len();
    let inbox = format!("_INBOX_{job}.spy");
    let answers = spy.client.subscribe(inbox.clone()).await.unwrap();
    for (question, body) in [
        ("STREAM.MSG.GET.OBJ_drover-artifacts", r#"{"seq": 1}"#),
        ("DIRECT.GET.OBJ_drover-artifacts", r#"{"seq": 1}"#),
        (
            "CONSUMER.CREATE.OBJ_drover-artifacts",
            r#"{"stream_name": "OBJ_drover-artifacts", "config": {"deliver_subject": "_INBOX_spy", "ack_policy": "none"}}"#,
        ),
    ] {
        let subject = format!("$JS.API.{question}");
        spy.client.publish_with_reply(subject, inbox.clone(), body.into()).await.unwrap();
    }
    until("all of it is refused", async || spy.refused.lock().unwrap().len() >= before + 3).await;
    vec![(job, answers)]
}
