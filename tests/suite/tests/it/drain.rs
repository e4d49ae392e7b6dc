//! The drain of the consumer `upload`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::PullConsumer;
use drover::events::{Event, Kind};
use drover::exit::{Exit, Fault};
use drover::queue::{self, Handler, Outcome, STREAM, Settings, Summary, UPLOAD_CONSUMER};
use drover_testbed::Part;
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use crate::nats::{Queue, event, until};

/// A worker whose outcome for each Backup is laid down: the first for the first try, the last for all further ones.
#[derive(Default)]
struct Worker {
    outcomes: BTreeMap<&'static str, Vec<Outcome>>,
    /// Whether the work of a Backup waits until it may go on.
    waits_for: BTreeMap<&'static str, CancellationToken>,
    tried: Mutex<Vec<String>>,
}

impl Worker {
    fn with(outcomes: impl IntoIterator<Item = (&'static str, Vec<Outcome>)>) -> Self {
        Self { outcomes: outcomes.into_iter().collect(), ..Self::default() }
    }

    /// A worker whose work on this Backup goes on only when it is told to.
    fn waiting(name: &'static str) -> Self {
        Self { waits_for: BTreeMap::from([(name, CancellationToken::new())]), ..Self::default() }
    }

    fn tried(&self) -> Vec<String> {
        self.tried.lock().unwrap().clone()
    }
}

impl Handler for Worker {
    async fn places_of(&self, event: &Event) -> Vec<String> {
        // "s3-daily" goes to the place "s3", "pvc.s3-daily" to two.
        let places = event.data.name.split_once('-').map(|(places, _)| places);
        places.into_iter().flat_map(|places| places.split('.')).map(str::to_owned).collect()
    }

    async fn handle(&self, event: &Event, _: &HashSet<String>) -> Outcome {
        let name = event.data.name.as_str();
        let before = {
            let mut tried = self.tried.lock().unwrap();
            tried.push(name.to_owned());
            tried.iter().filter(|tried| *tried == name).count() - 1
        };
        if let Some(signal) = self.waits_for.get(name) {
            signal.cancelled().await;
        }
        let Some(outcomes) = self.outcomes.get(name) else { return Outcome::Done };
        outcomes[before.min(outcomes.len() - 1)].clone()
    }
}

fn failed(exit: Exit) -> Outcome {
    Outcome::Failed { reason: "it is broken".to_owned(), exit, away: Vec::new() }
}

async fn drain(queue: &Queue, worker: &Worker) -> Summary {
    let jetstream = &queue.connection.jetstream;
    queue::drain(jetstream, UPLOAD_CONSUMER, worker, &CancellationToken::new()).await.unwrap()
}

/// The copies of messages that nobody can work on: subject and reason.
async fn dead(queue: &Queue) -> Vec<(String, String)> {
    let stream = queue.connection.jetstream.get_stream(STREAM).await.unwrap();
    let subjects: Vec<_> = stream.info_with_subjects("drover.dead.>").await.unwrap().try_collect().await.unwrap();
    let mut copies = Vec::new();
    for (subject, count) in subjects {
        assert_eq!(count, 1, "{subject}");
        let copy = stream.get_last_raw_message_by_subject(&subject).await.unwrap();
        copies.push((subject, copy.headers.get("Drover-Reason").unwrap().to_string()));
    }
    copies.sort();
    copies
}

#[tokio::test]
async fn an_empty_queue_is_drained_at_once() {
    let queue = Queue::with_ack_wait(60).await;
    let begun = Instant::now();
    assert_eq!(drain(&queue, &Worker::default()).await, Summary::default());
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn work_that_is_done_is_gone() {
    let queue = Queue::with_ack_wait(60).await;
    for name in ["a", "b", "c"] {
        queue.snapshotted(name).await;
    }
    let worker = Worker::default();
    assert_eq!(drain(&queue, &worker).await, Summary { done: 3, ..Summary::default() });
    assert_eq!(worker.tried(), ["a", "b", "c"]);
    assert_eq!(queue.waiting().await, (0, 0));
}

#[tokio::test]
async fn a_failed_message_holds_up_no_other_and_is_there_at_once_for_the_next_drain() {
    let queue = Queue::with_ack_wait(60).await;
    for name in ["broken", "b", "c"] {
        queue.snapshotted(name).await;
    }
    let worker = Worker::with([("broken", vec![failed(Exit::Failure)])]);
    let summary = drain(&queue, &worker).await;
    assert_eq!(summary, Summary { done: 2, failed: 1, worst: Some(Exit::Failure), ..Summary::default() });
    assert_eq!(worker.tried(), ["broken", "b", "c"], "each once");

    let begun = Instant::now();
    let next = Worker::default();
    assert_eq!(drain(&queue, &next).await.done, 1);
    assert_eq!(next.tried(), ["broken"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "long before ack_wait");
}

#[tokio::test]
async fn what_is_held_or_in_work_is_not_given_to_anybody_else() {
    let queue = Queue::with_ack_wait(2).await;
    queue.snapshotted("broken").await;
    queue.snapshotted("slow").await;
    let mut worker = Worker::waiting("slow");
    worker.outcomes.insert("broken", vec![failed(Exit::Failure)]);
    let other = Worker::default();
    let (summary, other_summary) = tokio::join!(drain(&queue, &worker), async {
        until("the slow one is in work", async || worker.tried().len() == 2).await;
        // It ends after ack_wait without a delivery; twice that is long enough for a message that nobody renews.
        let (first, second) = (drain(&queue, &other).await, drain(&queue, &other).await);
        worker.waits_for["slow"].cancel();
        (first, second)
    });
    assert_eq!(other_summary, (Summary::default(), Summary::default()));
    assert_eq!((summary.done, summary.failed, other.tried().len()), (1, 1, 0));
}

#[tokio::test]
async fn what_cannot_be_worked_on_is_copied_and_terminated() {
    let queue = Queue::with_ack_wait(60).await;
    let jetstream = &queue.connection.jetstream;
    queue.snapshotted("gone.away").await;
    jetstream.publish("drover.backup.snapshotted.x", "nonsense".into()).await.unwrap().await.unwrap();
    let foreign = event(Kind::BackupSnapshotted, "a").encode().unwrap();
    jetstream.publish("drover.backup.snapshotted.b", foreign.into()).await.unwrap().await.unwrap();
    let large = vec![b' '; 100_000];
    jetstream.publish("drover.backup.snapshotted.large", large.into()).await.unwrap().await.unwrap();

    let worker = Worker::with([("gone.away", vec![Outcome::Refused { reason: "the Backup is gone\r\n".to_owned() }])]);
    let expected = Summary { refused: 1, unreadable: 3, worst: Some(Exit::DataRefused), ..Summary::default() };
    assert_eq!(drain(&queue, &worker).await, expected);
    assert_eq!(worker.tried(), ["gone.away"]);
    assert_eq!(queue.waiting().await, (0, 0));
    let copies = dead(&queue).await;
    let subjects: Vec<_> = copies.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(
        subjects,
        ["b", "gone=2Eaway", "large", "x"].map(|name| format!("drover.dead.drover.backup.snapshotted.{name}"))
    );
    assert!(copies[0].1.contains("belongs on \"drover.backup.snapshotted.a\""), "{copies:?}");
    assert_eq!(copies[1].1, "the Backup is gone");
    assert_eq!(drain(&queue, &worker).await, Summary::default());
}

#[tokio::test]
async fn other_messages_of_a_place_that_is_away_wait_for_the_next_drain() {
    let queue = Queue::with_ack_wait(60).await;
    for name in ["s3-a", "s3-b", "pvc-c", "s3-d", "pvc.s3-e"] {
        queue.snapshotted(name).await;
    }
    let away = Outcome::Failed { reason: "no answer".to_owned(), exit: Exit::Unavailable, away: vec!["s3".to_owned()] };
    let worker = Worker::with([("s3-a", vec![away])]);
    let expected = Summary { done: 2, failed: 1, untried: 2, worst: Some(Exit::Unavailable), ..Summary::default() };
    assert_eq!(drain(&queue, &worker).await, expected);
    assert_eq!(worker.tried(), ["s3-a", "pvc-c", "pvc.s3-e"]);
    assert_eq!(drain(&queue, &Worker::default()).await.done, 3);
}

#[tokio::test]
async fn a_place_that_refuses_is_tried_for_each_message() {
    let queue = Queue::with_ack_wait(60).await;
    queue.snapshotted("s3-a").await;
    queue.snapshotted("s3-b").await;
    let denied = Outcome::Failed { reason: "denied".to_owned(), exit: Exit::Usage, away: Vec::new() };
    let worker = Worker::with([("s3-a", vec![denied])]);
    let summary = drain(&queue, &worker).await;
    assert_eq!((summary.done, summary.failed, summary.exit()), (1, 1, Exit::Usage));
}

#[tokio::test]
async fn a_busy_backup_is_tried_again_after_the_others() {
    let queue = Queue::with_ack_wait(3).await;
    for name in ["busy", "b"] {
        queue.snapshotted(name).await;
    }
    let busy = Outcome::Busy { holder: "upload-1".to_owned() };
    let worker = Worker::with([("busy", vec![busy.clone(), busy.clone(), Outcome::Done])]);
    assert_eq!(drain(&queue, &worker).await, Summary { done: 2, ..Summary::default() });
    assert_eq!(worker.tried(), ["busy", "b", "busy", "busy"]);

    queue.snapshotted("busy").await;
    let worker = Worker::with([("busy", vec![busy])]);
    let expected = Summary { failed: 1, worst: Some(Exit::Unavailable), ..Summary::default() };
    assert_eq!(drain(&queue, &worker).await, expected);
    assert_eq!(worker.tried().len(), 7);
    assert_eq!(drain(&queue, &Worker::default()).await.done, 1);
}

#[tokio::test]
async fn on_shutdown_what_is_in_work_may_end_and_the_rest_is_given_back() {
    let queue = Queue::with_ack_wait(60).await;
    for name in ["broken", "slow", "later"] {
        queue.snapshotted(name).await;
    }
    let mut worker = Worker::waiting("slow");
    worker.outcomes.insert("broken", vec![failed(Exit::Failure)]);
    let shutdown = CancellationToken::new();
    let (summary, ()) =
        tokio::join!(queue::drain(&queue.connection.jetstream, UPLOAD_CONSUMER, &worker, &shutdown), async {
            until("the slow one is in work", async || worker.tried().len() == 2).await;
            shutdown.cancel();
            worker.waits_for["slow"].cancel();
        });
    let worst = Some(Exit::Failure);
    assert_eq!(summary.unwrap(), Summary { done: 1, failed: 1, interrupted: true, worst, ..Summary::default() });
    let next = Worker::default();
    assert_eq!(drain(&queue, &next).await.done, 2);
    let mut tried = next.tried();
    tried.sort();
    assert_eq!(tried, ["broken", "later"]);
}

#[tokio::test]
async fn work_that_does_not_end_after_the_shutdown_is_cut_off_and_given_back() {
    let queue = Queue::with_ack_wait(6).await;
    queue.snapshotted("endless").await;
    let worker = Worker::waiting("endless");
    let shutdown = CancellationToken::new();
    let (summary, ()) =
        tokio::join!(queue::drain(&queue.connection.jetstream, UPLOAD_CONSUMER, &worker, &shutdown), async {
            until("it is in work", async || !worker.tried().is_empty()).await;
            shutdown.cancel();
        });
    let summary = summary.unwrap();
    assert_eq!((summary.failed, summary.interrupted, summary.exit()), (1, true, Exit::Unavailable));
    assert_eq!(drain(&queue, &Worker::default()).await.done, 1);
}

#[tokio::test]
async fn what_a_dead_worker_had_comes_after_ack_wait() {
    let queue = Queue::with_ack_wait(2).await;
    queue.snapshotted("orphan").await;
    let stream = queue.connection.jetstream.get_stream(STREAM).await.unwrap();
    let consumer: PullConsumer = stream.get_consumer(UPLOAD_CONSUMER).await.unwrap();
    let mut taken = consumer.fetch().max_messages(1).messages().await.unwrap();
    taken.next().await.unwrap().unwrap();
    assert_eq!(queue.waiting().await, (0, 1));
    let worker = Worker::default();
    assert_eq!(drain(&queue, &worker).await.done, 1);
    assert_eq!(worker.tried(), ["orphan"]);
}

#[tokio::test]
async fn a_drain_goes_on_when_the_server_was_away_for_a_while() {
    let queue = Queue::with_ack_wait(60).await;
    for name in ["broken", "slow", "later"] {
        queue.snapshotted(name).await;
    }
    let mut worker = Worker::waiting("slow");
    worker.outcomes.insert("broken", vec![failed(Exit::Failure)]);
    let (summary, ()) = tokio::join!(drain(&queue, &worker), async {
        until("the slow one is in work", async || worker.tried().len() == 2).await;
        queue.testbed.stop(Part::Nats).await.unwrap();
        queue.testbed.start_again(Part::Nats).await.unwrap();
        worker.waits_for["slow"].cancel();
    });
    assert_eq!((summary.done, summary.failed), (2, 1));
    let next = Worker::default();
    assert_eq!(drain(&queue, &next).await.done, 1);
    assert_eq!(next.tried(), ["broken"]);
}

#[tokio::test]
async fn without_setup_the_usage_is_wrong() {
    let queue = Queue::start(&Settings::default()).await;
    let jetstream = &queue.connection.jetstream;
    let error = queue::drain(jetstream, "nobody", &Worker::default(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
}
