//! What there is of the queue, and how much waits in it: asked with the right to ask alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_nats::jetstream::context::{ConsumerInfoError, ConsumerInfoErrorKind, GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{InfoError, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use futures::TryStreamExt;
use snafu::{ResultExt, Snafu};

use super::endpoint::nats;
use super::names::{CONSUMERS, STREAM};
use super::setup::{LAYOUT, is_outdated};
use crate::artifacts;

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Survey {
    /// Streams and consumers that are missing or of an older layout, each in words: [`super::setup()`] makes them.
    pub missing: BTreeSet<String>,
    /// The consumers that are there, by name.
    pub consumers: BTreeMap<String, Waiting>,
}

/// How much work a consumer has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Waiting {
    /// Messages that were never delivered.
    pub pending: u64,
    /// Messages that were delivered and not acknowledged.
    pub in_flight: u64,
    /// Messages that the stream holds for it, done or not: another number says that there is a new one.
    pub stored: u64,
}

/// Why the queue was not asked to the end.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum SurveyError {
    #[snafu(display("failed to ask {} for the stream {name:?}", nats()))]
    AskForStream { name: String, source: GetStreamError },
    #[snafu(display("failed to ask {} for the consumer {name:?}", nats()))]
    AskForConsumer { name: String, source: ConsumerInfoError },
    #[snafu(display(
        "failed to ask {} how many messages the stream {STREAM:?} holds for the consumer {name:?}",
        nats()
    ))]
    CountMessages { name: String, source: InfoError },
}

/// Asks about everything that [`super::setup()`] makes and about these consumers, and changes nothing. What no set-up of
/// drover makes is not missed.
///
/// # Errors
/// When NATS does not answer, or does not permit it.
pub async fn survey(jetstream: &Context, consumers: &BTreeSet<String>) -> Result<Survey, SurveyError> {
    let mut survey = Survey::default();
    find_stream(jetstream, artifacts::STREAM, &mut survey).await?;
    let Some(stream) = find_stream(jetstream, STREAM, &mut survey).await? else { return Ok(survey) };
    for name in consumers {
        if let Some(consumer) = find_consumer(&stream, name, &mut survey).await? {
            survey.consumers.insert(name.clone(), consumer);
        }
    }
    Ok(survey)
}

async fn find_stream(jetstream: &Context, name: &str, survey: &mut Survey) -> Result<Option<Stream>, SurveyError> {
    match jetstream.get_stream(name).await {
        Ok(stream) => {
            check_layout(&format!("stream {name}"), &stream.cached_info().config.metadata, survey);
            Ok(Some(stream))
        }
        Err(error) if is_missing(&error) => {
            survey.missing.insert(format!("stream {name}"));
            Ok(None)
        }
        Err(error) => Err(error).context(AskForStreamSnafu { name }),
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

async fn find_consumer(stream: &Stream, name: &str, survey: &mut Survey) -> Result<Option<Waiting>, SurveyError> {
    let info = match stream.consumer_info(name).await {
        Ok(info) => info,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            if CONSUMERS.contains(&name) {
                survey.missing.insert(format!("consumer {name}"));
            }
            return Ok(None);
        }
        Err(error) => return Err(error).context(AskForConsumerSnafu { name }),
    };
    if CONSUMERS.contains(&name) {
        check_layout(&format!("consumer {name}"), &info.config.metadata, survey);
    }
    let mut stored = 0;
    // One filter has a field of its own.
    let filters = std::iter::once(&info.config.filter_subject).chain(&info.config.filter_subjects);
    for filter in filters.filter(|filter| !filter.is_empty()) {
        let subjects = stream.info_with_subjects(filter).await.context(CountMessagesSnafu { name })?;
        let counts: Vec<(String, usize)> = subjects.try_collect().await.context(CountMessagesSnafu { name })?;
        stored += counts.into_iter().map(|(_, count)| count as u64).sum::<u64>();
    }
    Ok(Some(Waiting { pending: info.num_pending, in_flight: info.num_ack_pending as u64, stored }))
}

fn check_layout(what: &str, metadata: &HashMap<String, String>, survey: &mut Survey) {
    if is_outdated(metadata) {
        survey.missing.insert(format!("layout {LAYOUT} of {what}"));
    }
}
