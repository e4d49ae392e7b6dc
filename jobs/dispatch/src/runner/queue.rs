//! The queue: how much work each consumer has, and whether all is there that drover needs. It is asked on every event, after
//! every end of a Job, and every half minute.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State as ConnectionState;
use drover::exit::Chain;
use drover::job::name::DISPATCH;
use drover::queue::{self, BACKUP_EVENTS, CONSUMERS, Connection, NatsOptions, RESTORE_EVENTS};
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

/// How long NATS may be silent before it is asked whether it is there. A host that is gone closes no connection: after three
/// times as long and two looks it is known, well within the five seconds that are promised. Other jobs send chunks, which a
/// server with a slow disk takes its time for, and do not ask like that.
const PING_EVERY: Duration = Duration::from_millis(750);

/// How often it is looked whether the connection stands: that costs no request.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why it is away that answered before.
const LOST: &str = "the connection is lost";

/// Follows the queue for ever. While NATS is away, that is what is known of it.
pub(crate) async fn follow(options: NatsOptions, shared: Arc<Shared>) {
    let options = NatsOptions { ping_interval: Some(PING_EVERY), ..options };
    let words = queue::away_words(&options);
    loop {
        // Told early; why it is away may be known only later.
        let tell = |words: String| {
            if !matches!(shared.state().queue, Queue::Away { .. }) {
                learn(&shared, Queue::Away { reason: words.clone(), words });
            }
            ready(())
        };
        match queue::connect_telling(&options, DISPATCH, tell).await {
            Ok(connection) => {
                shared.connected(connection.clone());
                follow_connection(&connection, &shared, &words).await;
            }
            Err(error) => learn(&shared, Queue::Away { reason: Chain(&error).to_string(), words: error.words() }),
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Follows the queue until the subscriptions end, which they do with the connection alone. `words` are told while it is away.
async fn follow_connection(connection: &Connection, shared: &Shared, words: &str) {
    let away = |reason: String| Queue::Away { reason, words: words.to_owned() };
    let mut subscriptions = Vec::new();
    // Each may be work for somebody.
    for subject in [BACKUP_EVENTS, RESTORE_EVENTS] {
        match connection.client.subscribe(subject).await {
            Ok(subscription) => subscriptions.push(subscription),
            Err(error) => return learn(shared, away(Chain(&error).to_string())),
        }
    }
    let mut events = futures::stream::select_all(subscriptions);
    loop {
        let known = if stands(connection) { ask(connection, shared).await } else { Err(LOST.to_owned()) };
        learn(shared, known.unwrap_or_else(away));
        if !stands(connection) {
            tokio::select! {
                event = events.next() => if event.is_none() { return },
                () = mended(connection) => {}
                () = sleep(INTERVAL) => {}
            }
            continue;
        }
        tokio::select! {
            event = events.next() => if event.is_none() { return },
            () = shared.ask_queue.notified() => {}
            () = sleep(INTERVAL) => continue,
            () = lost(connection) => continue,
        }
        let burst = async { while events.next().await.is_some() {} };
        let _ = timeout(BURST, burst).await;
    }
}

/// Whether the connection stands.
fn stands(connection: &Connection) -> bool {
    connection.client.connection_state() == ConnectionState::Connected
}

/// Ends when the connection was down at two looks in a row: one that is mended at once is no news.
async fn lost(connection: &Connection) {
    let mut was_down = false;
    loop {
        sleep(LOOK_EVERY).await;
        let is_down = !stands(connection);
        if is_down && was_down {
            return;
        }
        was_down = is_down;
    }
}

/// Ends when the connection stands again.
async fn mended(connection: &Connection) {
    while !stands(connection) {
        sleep(LOOK_EVERY).await;
    }
}

/// What the queue says, or why it says nothing.
async fn ask(connection: &Connection, shared: &Shared) -> Result<Queue, String> {
    let (ends, consumers) = {
        let state = shared.state();
        let annotated = state.cron_jobs.iter().filter_map(|cron_job| cron_job.consumer().map(str::to_owned));
        let consumers: BTreeSet<String> = annotated.chain(CONSUMERS.map(str::to_owned)).collect();
        (state.ends, consumers)
    };
    let asking = timeout(PATIENCE, queue::survey(&connection.jetstream, &consumers));
    let answer = tokio::select! {
        answer = asking => answer,
        // A question that went under with its connection is never answered.
        () = lost(connection) => return Err(LOST.to_owned()),
    };
    match answer {
        Ok(Ok(survey)) => Ok(Queue::Known(Known { survey, ends })),
        Ok(Err(error)) if stands(connection) => {
            let reason = Chain(&error).to_string();
            Ok(Queue::Away {
                words: format!("{} answers, and its queue cannot be used: {reason}", queue::nats()),
                reason,
            })
        }
        Ok(Err(error)) => Err(Chain(&error).to_string()),
        Err(_) => Err(format!("{} did not answer for {} s", queue::nats(), PATIENCE.as_secs())),
    }
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
        (_, Queue::Away { reason, .. }) => warn!("the queue does not answer; all else goes on: {reason}"),
    }
    shared.change(|state| state.queue = known);
}
