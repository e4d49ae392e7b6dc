//! Messages that nobody can or may work on: told apart, and kept.

use async_nats::jetstream::message::PublishMessage;
use snafu::Snafu;

use super::delivery::Delivery;
use crate::events::{Event, EventError, SIZE_LIMIT};

/// Why a message is kept and not worked on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Grave {
    Unreadable,
    Refused,
}

impl Grave {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "message cannot be read",
            Self::Refused => "refused",
        }
    }
}

/// Reads the event of a message, which must be about what its subject says.
pub(super) fn read(delivery: &Delivery) -> Result<Event, ReadError> {
    let event = Event::parse(&delivery.payload).map_err(|source| ReadError::Parse { source })?;
    let expected = event.subject();
    if delivery.subject == expected { Ok(event) } else { Err(ReadError::Subject { expected }) }
}

/// The copy of a message, as much of it as any event may have: the server sets a limit to messages, and the whole of it
/// stays in the stream under its sequence.
pub(super) fn copy(delivery: &Delivery, reason: &str) -> PublishMessage {
    let mut headers = async_nats::HeaderMap::new();
    let reason: String = reason.chars().filter(|character| !character.is_control()).take(1024).collect();
    headers.insert("Drover-Reason", reason);
    headers.insert("Drover-Sequence", delivery.sequence.to_string());
    headers.insert("Drover-Bytes", delivery.payload.len().to_string());
    let payload = delivery.payload.slice(..delivery.payload.len().min(SIZE_LIMIT));
    PublishMessage::build().payload(payload).headers(headers).message_id(format!("dead.{}", delivery.sequence))
}

/// Why a message cannot be read.
#[derive(Debug, Snafu)]
pub(super) enum ReadError {
    #[snafu(display("failed to read message"))]
    Parse { source: EventError },
    #[snafu(display("failed to read message: its content belongs on {expected:?}"))]
    Subject { expected: String },
}
