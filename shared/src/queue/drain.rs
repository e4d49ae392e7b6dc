//! The drain of a consumer: one message at a time until there is none.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{AckKind, Context, ErrorCode};
use futures::StreamExt;
use snafu::Snafu;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::dead::{Grave, copy, read};
use super::decision::{FETCH_WAIT, Step, View, next_step};
use super::delivery::Delivery;
use super::endpoint::nats;
use super::failure::error_code;
use super::names::{DEAD_PREFIX, STREAM};
use super::publish::send;
use crate::events::Event;
use crate::exit::{Chain, Exit, Failure, Fault};

/// How long the server may not answer before the drain gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a message whose Backup is busy is tried again. With a pause of a sixth of the server's patience between
/// two tries, that is as long as it takes to see that another worker died.
const BUSY_TRIES: u32 = 6;

/// What became of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Its work is done, now or long ago.
    Done,
    /// Its work must not be done, and never can be: data that is refused, a Backup that is gone.
    Refused {
        /// Why.
        reason: String,
    },
    /// Its work failed and may be tried again.
    Failed {
        /// Why.
        reason: String,
        /// How a job that ends with this failure exits.
        exit: Exit,
        /// The places that are away: this drain tries no other message that needs only these.
        away: Vec<String>,
    },
    /// Another run of its Backup is in work.
    Busy {
        /// Who works on it.
        holder: String,
    },
}

/// The work of a stage.
pub trait Handler {
    /// The places that the work of this event needs, as [`Outcome::Failed`] names them. Where all of them are away, its
    /// message waits for the next drain.
    fn places_of(&self, _event: &Event) -> impl Future<Output = Vec<String>> + Send {
        std::future::ready(Vec::new())
    }

    /// What the event asks for, where another message may ask for the same: while one is held, or tried again later in the
    /// drain, it does for all, and the others are acknowledged.
    fn work_of(&self, _event: &Event) -> Option<String> {
        None
    }

    /// Does the work of an event, as far as it needs none of the places that are known to be `away`. It may come twice.
    ///
    /// On shutdown the handler has a sixth of the consumer's ack_wait to end; then the future is dropped.
    fn handle(&self, event: &Event, away: &HashSet<String>) -> impl Future<Output = Outcome> + Send;
}

/// What a drain did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Messages whose work is done.
    pub done: u64,
    /// Messages that were refused and terminated.
    pub refused: u64,
    /// Messages that nobody can read, terminated too.
    pub unreadable: u64,
    /// Messages that failed, or were still busy, and were given back.
    pub failed: u64,
    /// Messages that were given back without a try, since their places were away.
    pub untried: u64,
    /// Whether the drain was asked to end before the queue was empty.
    pub interrupted: bool,
    /// The worst exit of all messages; none where all of them are done.
    pub worst: Option<Exit>,
}

impl Summary {
    /// How a job that did only this exits.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.worst.unwrap_or(Exit::Done)
    }

    /// The failure of a job that did only this, where there is one; `words` make its text of how many messages wait for the
    /// next try and how many were refused.
    ///
    /// # Errors
    /// With the worst exit of all messages.
    pub fn conclude(&self, words: impl FnOnce(u64, u64) -> String) -> Result<(), Failure> {
        match self.exit() {
            Exit::Done => Ok(()),
            exit => Err(Failure::new(exit, words(self.failed + self.untried, self.refused + self.unreadable))),
        }
    }

    fn note(&mut self, exit: Exit) {
        self.worst = self.worst.max(Some(exit));
    }
}

/// Works on the messages of a consumer until nothing is pending or in flight, or nothing came for the consumer's
/// ack_wait, or `shutdown` fires.
///
/// A message that failed is held, so that it does not come back to this drain at once, and given back as the last act,
/// so that whoever drains next gets it at once.
///
/// # Errors
/// When the consumer does not exist or NATS stays away. What was held is given back also then, as far as NATS answers.
pub async fn drain(
    jetstream: &Context,
    consumer: &str,
    handler: &impl Handler,
    shutdown: &CancellationToken,
) -> Result<Summary, DrainError> {
    let found = jetstream.get_consumer_from_stream::<pull::Config, _, _>(consumer, STREAM).await;
    let found = found.map_err(|error| DrainError::of(consumer, error.into()))?;
    let mut drain = Drain {
        context: jetstream,
        ack_wait: found.cached_info().config.ack_wait,
        name: consumer,
        consumer: found,
        handler,
        shutdown,
        held: Vec::new(),
        busy: VecDeque::new(),
        away: HashSet::new(),
        summary: Summary::default(),
        last_activity: Instant::now(),
        trouble_since: None,
    };
    let outcome = drain.work().await;
    drain.give_back().await;
    let Summary { done, refused, unreadable, failed, untried, interrupted, worst: _ } = drain.summary;
    tracing::info!(consumer, done, refused, unreadable, failed, untried, interrupted, "queue drained");
    outcome.map(|()| drain.summary)
}

struct Drain<'a, H> {
    context: &'a Context,
    name: &'a str,
    consumer: PullConsumer,
    ack_wait: Duration,
    handler: &'a H,
    shutdown: &'a CancellationToken,
    held: Vec<Held>,
    busy: VecDeque<Busy>,
    away: HashSet<String>,
    summary: Summary,
    last_activity: Instant,
    trouble_since: Option<Instant>,
}

/// A message that waits for the next job, and what it asks for.
struct Held {
    delivery: Delivery,
    work: Option<String>,
}

/// A message whose Backup was busy when it was tried.
struct Busy {
    delivery: Delivery,
    event: Event,
    tries: u32,
    due: Instant,
}

impl<H: Handler> Drain<'_, H> {
    async fn work(&mut self) -> Result<(), DrainError> {
        loop {
            if self.shutdown.is_cancelled() {
                self.summary.interrupted = true;
                return Ok(());
            }
            match self.step().await {
                Ok(true) => self.trouble_since = None,
                Ok(false) => return Ok(()),
                Err(error) => self.bear(error).await?,
            }
        }
    }

    /// One step; false where there is nothing left to do.
    async fn step(&mut self) -> Result<bool, async_nats::Error> {
        let info = self.consumer.get_info().await?;
        let now = Instant::now();
        let step = next_step(View {
            pending: info.num_pending,
            in_flight: info.num_ack_pending as u64,
            ours: (self.held.len() + self.busy.len()) as u64,
            retry_in: self.busy.front().map(|busy| busy.due.saturating_duration_since(now)),
            idle: now.saturating_duration_since(self.last_activity),
            ack_wait: self.ack_wait,
        });
        match step {
            Step::End => return Ok(false),
            Step::Wait(time) => sleep(time).await,
            Step::Fetch => self.fetch().await?,
            Step::Retry => {
                if let Some(Busy { delivery, event, tries, due: _ }) = self.busy.pop_front() {
                    self.attempt(delivery, event, tries).await;
                }
            }
        }
        Ok(true)
    }

    /// Waits a little after trouble with the server; an error where it lasts, or cannot pass.
    async fn bear(&mut self, error: async_nats::Error) -> Result<(), DrainError> {
        let since = *self.trouble_since.get_or_insert_with(Instant::now);
        let error = DrainError::of(self.name, error);
        if since.elapsed() >= PATIENCE || matches!(error, DrainError::Missing { .. }) {
            return Err(error);
        }
        tracing::warn!(consumer = self.name, error = %Chain(&error), "trying again");
        tokio::select! { () = sleep(FETCH_WAIT) => {}, () = self.shutdown.cancelled() => {} }
        Ok(())
    }

    async fn fetch(&mut self) -> Result<(), async_nats::Error> {
        let mut batch = self.consumer.batch().max_messages(1).expires(FETCH_WAIT).messages().await?;
        let Some(message) = batch.next().await.transpose()? else { return Ok(()) };
        let delivery = Delivery::new(self.context, message, self.ack_wait)?;
        let Some(delivery) = self.replace_earlier(delivery) else { return Ok(()) };
        match read(&delivery) {
            Ok(event) => self.attempt(delivery, event, 0).await,
            Err(error) => self.bury(delivery, &Chain(&error).to_string(), Grave::Unreadable).await,
        }
        self.last_activity = Instant::now();
        Ok(())
    }

    /// Puts a delivery in the place of an earlier one of the same message that we still have: the server gave up on us,
    /// because the connection or this process stood still. It takes acknowledgments of the last delivery only for good.
    fn replace_earlier(&mut self, delivery: Delivery) -> Option<Delivery> {
        let busy = self.busy.iter_mut().map(|busy| &mut busy.delivery);
        match self
            .held
            .iter_mut()
            .map(|held| &mut held.delivery)
            .chain(busy)
            .find(|earlier| earlier.sequence == delivery.sequence)
        {
            None => Some(delivery),
            Some(earlier) => {
                *earlier = delivery;
                None
            }
        }
    }

    /// Tries a message that was tried so many times in this drain.
    async fn attempt(&mut self, delivery: Delivery, event: Event, tries: u32) {
        let (name, run) = (event.data.name.as_str(), event.data.run);
        if self.is_asked_for(&event) {
            tracing::info!(name, %run, "another message asks for the same, and waits");
            return self.acknowledge(delivery, &event).await;
        }
        let Some(outcome) = self.handle(&event).await else {
            tracing::info!(name, %run, "waits for the next job: its places were away");
            self.summary.untried += 1;
            let work = self.handler.work_of(&event);
            return self.held.push(Held { delivery, work });
        };
        match outcome {
            Outcome::Done => self.acknowledge(delivery, &event).await,
            Outcome::Refused { reason } => self.bury(delivery, &reason, Grave::Refused).await,
            Outcome::Failed { reason, exit, away } => {
                tracing::warn!(name, %run, exit = exit.code(), "failed: {reason}");
                self.away.extend(away);
                self.hold(delivery, &event, exit);
            }
            Outcome::Busy { holder } if tries < BUSY_TRIES => {
                tracing::info!(name, %run, holder, "it is being worked on; trying again later");
                let due = Instant::now() + self.ack_wait / BUSY_TRIES;
                self.busy.push_back(Busy { delivery, event, tries: tries + 1, due });
            }
            Outcome::Busy { holder } => {
                tracing::warn!(name, %run, holder, "it is still being worked on; the next job tries again");
                self.hold(delivery, &event, Exit::Unavailable);
            }
        }
        self.last_activity = Instant::now();
    }

    /// The handler's work, for as long as it may take after the shutdown; none where its places are known to be away.
    async fn handle(&self, event: &Event) -> Option<Outcome> {
        let work = async {
            if self.is_in_vain(event).await { None } else { Some(self.handler.handle(event, &self.away).await) }
        };
        let end = async {
            self.shutdown.cancelled().await;
            sleep(self.ack_wait / 6).await;
        };
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = end => {
                let reason = "cut off: the job was asked to end".to_owned();
                Some(Outcome::Failed { reason, exit: Exit::Unavailable, away: Vec::new() })
            }
        }
    }

    async fn is_in_vain(&self, event: &Event) -> bool {
        if self.away.is_empty() {
            return false;
        }
        let needed = self.handler.places_of(event).await;
        !needed.is_empty() && needed.iter().all(|place| self.away.contains(place))
    }

    async fn acknowledge(&mut self, delivery: Delivery, event: &Event) {
        let (name, run) = (event.data.name.as_str(), event.data.run);
        self.summary.done += 1;
        match delivery.settle(AckKind::Ack).await {
            Ok(()) => tracing::info!(name, %run, "done"),
            // It comes again, and is done then too.
            Err(error) => {
                let error = Chain::of(error.as_ref()).to_string();
                tracing::warn!(name, %run, error, "done, and {} could not be told so; the message will come again", nats());
                self.summary.note(Exit::Unavailable);
            }
        }
    }

    fn is_asked_for(&self, event: &Event) -> bool {
        let Some(work) = self.handler.work_of(event) else { return false };
        let busy = self.busy.iter().filter_map(|busy| self.handler.work_of(&busy.event));
        self.held.iter().filter_map(|held| held.work.clone()).chain(busy).any(|other| other == work)
    }

    fn hold(&mut self, delivery: Delivery, event: &Event, exit: Exit) {
        let work = self.handler.work_of(event);
        self.hold_as(Held { delivery, work }, exit);
    }

    fn hold_as(&mut self, held: Held, exit: Exit) {
        self.summary.failed += 1;
        self.summary.note(exit);
        self.held.push(held);
    }

    /// Keeps a copy of a message that is of no use to anybody, then terminates it. Killed between the two, it comes
    /// again, and the copy is the same one.
    async fn bury(&mut self, delivery: Delivery, reason: &str, grave: Grave) {
        let Delivery { sequence, ref subject, .. } = delivery;
        tracing::error!(subject, sequence, "{}: {reason}; a copy lies under {DEAD_PREFIX}{subject}", grave.word());
        let copied = send(self.context, &format!("{DEAD_PREFIX}{subject}"), copy(&delivery, reason)).await;
        let buried = match copied {
            Err(error) => {
                tracing::warn!(subject, sequence, error = %Chain(&error), "no copy could be kept; the next job tries again");
                return self.hold_as(Held { delivery, work: None }, error.exit());
            }
            Ok(_) => delivery.settle(AckKind::Term).await,
        };
        match grave {
            Grave::Unreadable => self.summary.unreadable += 1,
            Grave::Refused => self.summary.refused += 1,
        }
        self.summary.note(Exit::DataRefused);
        if let Err(error) = buried {
            let error = Chain::of(error.as_ref()).to_string();
            tracing::warn!(sequence, error, "{} could not be told so; the message will come again", nats());
            self.summary.note(Exit::Unavailable);
        }
    }

    /// The last act: what is held goes back, for whoever drains next.
    async fn give_back(&mut self) {
        self.summary.failed += self.busy.len() as u64;
        if !self.busy.is_empty() {
            self.summary.note(Exit::Unavailable);
        }
        let busy = self.busy.drain(..).map(|busy| busy.delivery);
        for delivery in self.held.drain(..).map(|held| held.delivery).chain(busy) {
            let sequence = delivery.sequence;
            if let Err(error) = delivery.settle(AckKind::Nak(None)).await {
                let error = Chain::of(error.as_ref()).to_string();
                tracing::warn!(
                    sequence,
                    error,
                    "a message could not be given back; the next job gets it after ack_wait"
                );
            }
        }
    }
}

/// Why a consumer could not be drained.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum DrainError {
    #[snafu(display("failed to drain consumer {consumer:?}: it does not exist; run `setup` first"))]
    Missing { consumer: String },
    #[snafu(display(
        "failed to drain consumer {consumer:?}: {} does not answer, or not permitted; try again when it does",
        nats()
    ))]
    Away { consumer: String, source: async_nats::Error },
}

impl DrainError {
    fn of(consumer: &str, source: async_nats::Error) -> Self {
        let consumer = consumer.to_owned();
        match error_code(source.as_ref()) {
            Some(ErrorCode::CONSUMER_NOT_FOUND | ErrorCode::STREAM_NOT_FOUND) => Self::Missing { consumer },
            _ => Self::Away { consumer, source },
        }
    }
}

impl Fault for DrainError {
    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } => Exit::Usage,
            Self::Away { .. } => Exit::Unavailable,
        }
    }
}
