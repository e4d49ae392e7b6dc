//! Publishing an event.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use backon::{ConstantBuilder, Retryable};
use snafu::{ResultExt, Snafu};

use super::endpoint::nats;
use super::names::STREAM;
use crate::events::{CONTENT_TYPE, Event, EventError};
use crate::exit::{Exit, Fault};

/// How often a message is sent. The server drops what it has already, by the message's id.
const TRIES: usize = 3;

/// What the stream said to a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Published {
    /// Whether a message of that id lies there already, from within the duplicate window.
    pub duplicate: bool,
}

/// Publishes an event, and returns when the stream has it.
///
/// # Errors
/// When the event cannot be written, or the stream does not take it.
pub async fn publish(jetstream: &Context, event: &Event) -> Result<Published, PublishError> {
    let payload = event.encode().context(WriteSnafu)?;
    let message = PublishMessage::build().payload(payload.into()).header("Content-Type", CONTENT_TYPE);
    let acknowledgment = send(jetstream, &event.subject(), message.message_id(event.id())).await?;
    Ok(Published { duplicate: acknowledgment.duplicate })
}

/// Sends a message that has an id, more than once where no answer comes.
pub(super) async fn send(
    jetstream: &Context,
    subject: &str,
    message: PublishMessage,
) -> Result<PublishAck, PublishError> {
    let message = message.expected_stream(STREAM);
    let once = async || jetstream.send_publish(subject.to_owned(), message.clone()).await?.await;
    let retries = ConstantBuilder::default().with_delay(Duration::from_secs(1)).with_max_times(TRIES - 1);
    let may_pass = |error: &async_nats::jetstream::context::PublishError| {
        matches!(
            error.kind(),
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe | PublishErrorKind::StreamNotFound
        )
    };
    once.retry(retries).when(may_pass).await.context(SendSnafu { subject })
}

/// Why an event was not published.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum PublishError {
    #[snafu(display("failed to publish event"))]
    Write { source: EventError },
    #[snafu(display(
        "failed to publish on {subject:?}: stream {STREAM:?} of {} did not take it; check that it answers, has room, and that \
         `setup` ran",
        nats()
    ))]
    Send { subject: String, source: async_nats::jetstream::context::PublishError },
}

impl Fault for PublishError {
    fn exit(&self) -> Exit {
        match self {
            Self::Write { source } => source.exit(),
            Self::Send { .. } => Exit::Unavailable,
        }
    }
}
