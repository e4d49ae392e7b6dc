//! A message that was delivered to us, and stays ours until we let it go.

use std::time::Duration;

use async_nats::jetstream::message::Acker;
use async_nats::jetstream::{AckKind, Context, Message};
use backon::{ConstantBuilder, Retryable};
use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;

use crate::exit::Chain;
use crate::task;

/// How often an acknowledgment is sent whose answer does not come.
const TRIES: usize = 3;

/// A delivered message. As long as it lives the server is told, every third of its patience, that it is worked on.
pub(super) struct Delivery {
    /// Its place in the stream: two deliveries of one message have the same.
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) payload: Bytes,
    acker: Acker,
    progress: AbortOnDropHandle<()>,
}

impl Delivery {
    /// Takes over a message that was just delivered.
    pub(super) fn new(context: &Context, message: Message, ack_wait: Duration) -> Result<Self, async_nats::Error> {
        let sequence = message.info()?.stream_sequence;
        let acker_of_progress = Acker::new(context.clone(), message.reply.clone());
        let progress = tell_progress(acker_of_progress, ack_wait / 3);
        let (message, acker) = message.split();
        Ok(Self {
            sequence,
            subject: message.subject.to_string(),
            payload: message.payload,
            acker,
            progress: AbortOnDropHandle::new(task::spawn(progress)),
        })
    }

    /// Says what becomes of the message, and returns when the server has confirmed it. Where it does not, the message
    /// comes again after the server's patience.
    pub(super) async fn settle(self, kind: AckKind) -> Result<(), async_nats::Error> {
        let Self { sequence: _, subject: _, payload: _, acker, progress } = self;
        // No word of progress may follow the last word.
        progress.abort();
        let _ = progress.await;
        let retries = ConstantBuilder::default().with_delay(Duration::from_millis(500)).with_max_times(TRIES - 1);
        (async || acker.double_ack_with(kind).await).retry(retries).await
    }
}

async fn tell_progress(acker: Acker, every: Duration) {
    let mut ticks = interval_at(tokio::time::Instant::now() + every, every);
    // After a pause of the whole process one word is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = acker.ack_with(AckKind::Progress).await {
            tracing::debug!(error = %Chain::of(error.as_ref()), "progress of a message could not be told");
        }
    }
}
