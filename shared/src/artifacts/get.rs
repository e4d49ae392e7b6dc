//! Reading an artifact.

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::store::{Info, Store, StoreError, chunk_subject, is_id};
use crate::digest::{Content, Hasher, Sha256};
use crate::exit::{Chain, Exit, Fault};
use crate::queue::nats;

/// How long to wait before a chunk is asked for again.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// How often a chunk is asked for, at least, before the server counts as away.
const QUESTIONS: u32 = 10;

impl Store {
    /// Writes an artifact to `output`, and says how many bytes it has. What is expected is what its run recorded.
    ///
    /// What is written may be used only after `Ok`: the digest is known with the last byte.
    ///
    /// # Errors
    /// [`GetError::Missing`] where there is none or some chunk of it is gone, [`GetError::Differs`] where it is not what
    /// was expected, [`GetError::Away`] where nothing comes for as long as [`PATIENCE`](super::PATIENCE).
    pub async fn get(
        &self,
        name: &str,
        expected: Content,
        output: &mut (impl AsyncWrite + Unpin + ?Sized),
    ) -> Result<u64, GetError> {
        let info = self.info(name).await.context(DescribeSnafu)?.context(MissingSnafu { name })?;
        check_description(&info, expected)?;
        let mut hasher = Hasher::default();
        if info.chunks > 0 {
            let subject = chunk_subject(&info.id);
            let mut chunk = self.chunk(name, &subject, 1).await?;
            for index in 1..=info.chunks {
                hasher.update(&chunk.payload);
                let bytes = hasher.bytes();
                ensure!(bytes <= expected.bytes, differs(name, "size", &expected.bytes, &format!("at least {bytes}")));
                if index == info.chunks {
                    output.write_all(&chunk.payload).await.context(WriteSnafu { name })?;
                    break;
                }
                // The next chunk comes while this one is written: two of them are in memory, however large the artifact.
                let next = self.chunk(name, &subject, chunk.sequence + 1);
                let (written, next) = tokio::join!(output.write_all(&chunk.payload), next);
                written.context(WriteSnafu { name })?;
                chunk = next?;
            }
        }
        output.flush().await.context(WriteSnafu { name })?;
        let Content { bytes, sha256 } = hasher.finish();
        check_content(name, expected, bytes, Some(sha256))?;
        Ok(bytes)
    }

    /// The first chunk at or after a sequence. A get of its own for each of them, and no consumer: it needs no right to
    /// make consumers, holds nothing on the server, and goes on by itself after a lost connection.
    async fn chunk(&self, name: &str, subject: &str, sequence: u64) -> Result<StreamMessage, GetError> {
        match timeout(self.patience, self.chunk_until_answered(subject, sequence)).await {
            Ok(Some(message)) => Ok(message),
            Ok(None) => MissingSnafu { name }.fail(),
            Err(_) => AwaySnafu { name, patience: self.patience }.fail(),
        }
    }

    /// Asks until somebody answers; none where the leader of the stream has no such chunk.
    async fn chunk_until_answered(&self, subject: &str, sequence: u64) -> Option<StreamMessage> {
        loop {
            // A question that went under with its connection is never answered: it is asked again well within the patience.
            match timeout(self.patience / QUESTIONS, self.ask(subject, sequence)).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => {
                    let error = Chain::of(error.as_ref()).to_string();
                    tracing::debug!(subject, sequence, error, "chunk did not come; asking again");
                    sleep(RETRY_PAUSE).await;
                }
                Err(_) => tracing::debug!(subject, sequence, "chunk did not come in time; asking again"),
            }
        }
    }

    async fn ask(&self, subject: &str, sequence: u64) -> Result<Option<StreamMessage>, async_nats::Error> {
        match self.stream.direct_get_next_for_subject(subject, Some(sequence)).await {
            Ok(message) => return Ok(Some(message)),
            // Any replica answers a direct get, also one that has not yet caught up with the leader.
            Err(error) if matches!(error.kind(), DirectGetErrorKind::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        match self.stream.get_first_raw_message_by_subject(subject, sequence).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Compares what the store says with what the run says, before any byte is read.
fn check_description(info: &Info, expected: Content) -> Result<(), GetError> {
    ensure!(is_id(&info.id), differs(&info.name, "id of the chunks", "letters and digits", "something else"));
    check_content(&info.name, expected, info.bytes, info.sha256)
}

fn check_content(name: &str, expected: Content, bytes: u64, sha256: Option<Sha256>) -> Result<(), GetError> {
    ensure!(bytes == expected.bytes, differs(name, "size", &expected.bytes, &bytes));
    let found = sha256.map_or_else(|| "none".to_owned(), String::from);
    ensure!(sha256 == Some(expected.sha256), differs(name, "SHA-256", &expected.sha256, &found));
    Ok(())
}

fn differs(
    name: &str,
    what: &'static str,
    expected: &(impl ToString + ?Sized),
    found: &(impl ToString + ?Sized),
) -> DiffersSnafu<String, &'static str, String, String> {
    DiffersSnafu { name: name.to_owned(), what, expected: expected.to_string(), found: found.to_string() }
}

/// Why an artifact could not be read. Its name, which holds the id of a run, is left out of what is told.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum GetError {
    /// There is none, or not all of it: it was dropped after its upload, or has expired.
    #[snafu(display("failed to get the artifact: it is not, or no longer wholly, in the object store; back up again"))]
    Missing { name: String },
    #[snafu(display(
        "failed to get the artifact: its {what} is {found}, and {expected} by the record of its run; back up again, \
         and see who else writes to the object store"
    ))]
    Differs { name: String, what: &'static str, expected: String, found: String },
    #[snafu(display(
        "failed to get the artifact: nothing came from {} for {patience:?}; try again when it answers",
        nats()
    ))]
    Away { name: String, patience: Duration },
    #[snafu(display("failed to get the description of an artifact"))]
    Describe { source: StoreError },
    #[snafu(display("failed to write the artifact; see whether there is room"))]
    Write { name: String, source: std::io::Error },
}

impl Fault for GetError {
    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } | Self::Write { .. } => Exit::Failure,
            Self::Differs { .. } => Exit::DataRefused,
            Self::Away { .. } => Exit::Unavailable,
            Self::Describe { source } => source.exit(),
        }
    }
}
