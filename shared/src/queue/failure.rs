//! What the server meant.

use std::error::Error;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    ConsumerError, ConsumerErrorKind, LastRawMessageError, LastRawMessageErrorKind, PurgeError, PurgeErrorKind,
};

/// The JetStream error code of an error, wherever async-nats put it: into the kind, or somewhere among the causes.
pub(crate) fn error_code(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let found = error.downcast_ref().map(async_nats::jetstream::Error::error_code).or_else(|| code_of_kind(error));
        if found.is_some() {
            return found;
        }
        cause = error.source();
    }
    None
}

fn code_of_kind(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    let code = async_nats::jetstream::Error::error_code;
    if let Some(error) = error.downcast_ref::<GetStreamError>() {
        return if let GetStreamErrorKind::JetStream(error) = error.kind() { Some(code(&error)) } else { None };
    }
    if let Some(error) = error.downcast_ref::<CreateStreamError>() {
        return match error.kind() {
            CreateStreamErrorKind::JetStream(error) => Some(code(&error)),
            CreateStreamErrorKind::NotFound => Some(ErrorCode::STREAM_NOT_FOUND),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<ConsumerError>() {
        return if let ConsumerErrorKind::JetStream(error) = error.kind() { Some(code(&error)) } else { None };
    }
    if let Some(error) = error.downcast_ref::<PurgeError>() {
        return if let PurgeErrorKind::JetStream(error) = error.kind() { Some(code(&error)) } else { None };
    }
    let error = error.downcast_ref::<LastRawMessageError>()?;
    if let LastRawMessageErrorKind::JetStream(error) = error.kind() { Some(code(&error)) } else { None }
}
