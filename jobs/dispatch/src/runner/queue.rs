//! The queue: how much work each consumer has, and whether all is there that drover needs. It is asked on every event, after
//! every end of a Job, and every half minute.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drover::exit::Chain;
use drover::queue::{self, CONSUMERS, Connection, NatsOptions};
use futures::StreamExt;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::shared::Shared;
use super::state::{Known, Queue};

/// How often it is asked although nothing happened.
const INTERVAL: Duration = Duration::from_secs(30);

/// How long a burst of events may last before it is asked: what follows is asked for the next time.
const BURST: Duration = Duration::from_millis(200);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two tries to connect; one try takes as long as the options say.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// All events of drover: each may be work for somebody.
const EVENTS: [&str; 2] = ["drover.backup.>", "drover.restore.>"];

/// Follows the queue for ever. While NATS is away, that is what is known of it.
pub(crate) async fn follow(options: NatsOptions, shared: Arc<Shared>) {
    loop {
        match queue::connect(&options, "dispatch").await {
            Ok(connection) => {
                shared.connected(connection.clone());
                follow_connection(&connection, &shared).await;
            }
            Err(error) => learn(&shared, Queue::Away { reason: Chain(&error).to_string() }),
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Follows the queue until the subscriptions end, which they do with the connection alone.
async fn follow_connection(connection: &Connection, shared: &Shared) {
    let mut subscriptions = Vec::new();
    for subject in EVENTS {
        match connection.client.subscribe(subject).await {
            Ok(subscription) => subscriptions.push(subscription),
            Err(error) => return learn(shared, Queue::Away { reason: Chain(&error).to_string() }),
        }
    }
    let mut events = futures::stream::select_all(subscriptions);
    loop {
        ask(connection, shared).await;
        tokio::select! {
            event = events.next() => if event.is_none() { return },
            () = shared.ask_queue.notified() => {}
            () = sleep(INTERVAL) => continue,
        }
        let burst = async { while events.next().await.is_some() {} };
        let _ = timeout(BURST, burst).await;
    }
}

async fn ask(connection: &Connection, shared: &Shared) {
    let (ends, consumers) = {
        let state = shared.state();
        let annotated = state.cron_jobs.iter().filter_map(|cron_job| cron_job.consumer().map(str::to_owned));
        let consumers: BTreeSet<String> = annotated.chain(CONSUMERS.map(str::to_owned)).collect();
        (state.ends, consumers)
    };
    let known = match timeout(PATIENCE, queue::survey(&connection.jetstream, &consumers)).await {
        Ok(Ok(survey)) => Queue::Known(Known { survey, ends }),
        Ok(Err(error)) => Queue::Away { reason: Chain(&error).to_string() },
        Err(_) => Queue::Away { reason: format!("NATS did not answer for {} s", PATIENCE.as_secs()) },
    };
    learn(shared, known);
}

/// Takes up what is known now, and says so where it is news.
fn learn(shared: &Shared, known: Queue) {
    let before = shared.state().queue.clone();
    if before == known {
        return;
    }
    match (&before, &known) {
        (Queue::Known(_), Queue::Known(_)) | (_, Queue::Unknown) => {}
        (_, Queue::Known(_)) => info!("the queue answers"),
        (_, Queue::Away { reason }) => warn!("the queue does not answer; all else goes on: {reason}"),
    }
    shared.change(|state| state.queue = known);
}
