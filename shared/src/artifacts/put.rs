//! Writing an artifact.

use std::fmt;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::object_store::{ObjectInfo, ObjectOptions};
use async_nats::jetstream::publish::PublishAck;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{Stream, StreamExt};
use snafu::{ResultExt, Snafu, ensure};

use super::store::{BUCKET, CHUNK_SIZE, STREAM, Store, chunk_subject, is_id, meta_subject};
use crate::digest::{Content, Hasher, Sha256};
use crate::exit::{Exit, Fault};
use crate::queue::nats;

/// How many chunks are sent before the first of them is acknowledged: 2 MiB, which keeps a connection with a round trip
/// of some milliseconds busy, and is all that a put holds in memory.
const ACKNOWLEDGMENTS_IN_FLIGHT: usize = 16;

/// An artifact that was put.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Put {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: Sha256,
    /// Number of chunks.
    pub chunks: u64,
}

/// An artifact that is being put.
///
/// It exists only after [`Upload::finish`]. Whoever drops it before, or gets an error, purges it: [`Store::purge`].
pub struct Upload<'a> {
    store: &'a Store,
    name: String,
    id: String,
    buffer: BytesMut,
    hasher: Hasher,
    chunks: usize,
    acknowledgments: FuturesOrdered<BoxFuture<'static, Result<PublishAck, PublishError>>>,
    last_sequence: u64,
}

impl fmt::Debug for Upload<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = formatter.debug_struct("Upload");
        output
            .field("name", &self.name)
            .field("id", &self.id)
            .field("bytes", &self.hasher.bytes())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Begins an artifact, for a writer that says itself when all is written. (The end of a channel does not: it comes
    /// also where the sender died.)
    ///
    /// # Errors
    /// When the id is none that [`Store::new_id`] made.
    pub fn begin(&self, name: &str, id: &str) -> Result<Upload<'_>, PutError> {
        ensure!(is_id(id), IdSnafu { id });
        Ok(Upload {
            store: self,
            name: name.to_owned(),
            id: id.to_owned(),
            buffer: BytesMut::new(),
            hasher: Hasher::default(),
            chunks: 0,
            acknowledgments: FuturesOrdered::new(),
            last_sequence: 0,
        })
    }

    /// Puts an artifact whose bytes are all that the stream yields until it ends. A stream that fails yields an error.
    ///
    /// # Errors
    /// When the stream fails, the store is full, NATS does not answer, or the name exists. Whoever gets an error, or
    /// drops the future, purges the artifact.
    pub async fn put<E>(
        &self,
        name: &str,
        id: &str,
        mut stream: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Put, PutError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut upload = self.begin(name, id)?;
        while let Some(bytes) = stream.next().await {
            upload.write(bytes.map_err(Into::into).context(ProduceSnafu { name })?).await?;
        }
        upload.finish().await
    }
}

impl Upload<'_> {
    /// Takes more bytes, of any length, and sends what makes whole chunks. It waits where too many of them are under way.
    ///
    /// # Errors
    /// When the store is full or NATS does not answer.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), PutError> {
        self.hasher.update(&bytes);
        while self.buffer.len() + bytes.len() >= CHUNK_SIZE {
            let part = bytes.split_to(CHUNK_SIZE - self.buffer.len());
            let chunk = if self.buffer.is_empty() {
                part
            } else {
                self.buffer.extend_from_slice(&part);
                self.buffer.split().freeze()
            };
            self.send(chunk).await?;
        }
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }

    /// Sends the rest and makes the artifact exist.
    ///
    /// # Errors
    /// When the store is full, NATS does not answer, or an artifact of this name exists.
    pub async fn finish(mut self) -> Result<Put, PutError> {
        if !self.buffer.is_empty() {
            let chunk = self.buffer.split().freeze();
            self.send(chunk).await?;
        }
        while !self.acknowledgments.is_empty() {
            self.acknowledged().await?;
        }
        let content = std::mem::take(&mut self.hasher).finish();
        let description = self.describe(content);
        let payload = serde_json::to_vec(&description).context(DescribeSnafu { name: &self.name })?;
        let message = PublishMessage::build()
            .payload(payload.into())
            .header("Nats-Rollup", "sub")
            .expected_stream(STREAM)
            // Of two writers of one name the second one fails here, whichever it is.
            .expected_last_subject_sequence(0);
        let sent = self.store.context.send_publish(meta_subject(&self.name), message).await;
        let acknowledgment = match sent {
            Ok(acknowledgment) => acknowledgment.await,
            Err(error) => Err(error),
        };
        acknowledgment.map_err(|error| self.error(error))?;
        Ok(Put { bytes: content.bytes, sha256: content.sha256, chunks: self.chunks as u64 })
    }

    fn describe(&self, Content { bytes, sha256 }: Content) -> ObjectInfo {
        ObjectInfo {
            name: self.name.clone(),
            description: None,
            metadata: std::collections::HashMap::new(),
            headers: None,
            options: Some(ObjectOptions { link: None, max_chunk_size: Some(CHUNK_SIZE) }),
            bucket: BUCKET.to_owned(),
            nuid: self.id.clone(),
            // A `usize` on the wire type; an archive that does not fit in it does not fit in this process's address space
            // either, let alone in a bucket.
            size: usize::try_from(bytes).unwrap_or(usize::MAX),
            chunks: self.chunks,
            // Readers take the time of the message itself: ADR-20, "mtime is never stored".
            modified: None,
            digest: Some(sha256.to_nats()),
            deleted: false,
        }
    }

    async fn send(&mut self, chunk: Bytes) -> Result<(), PutError> {
        while self.acknowledgments.len() >= ACKNOWLEDGMENTS_IN_FLIGHT {
            self.acknowledged().await?;
        }
        let message = PublishMessage::build().payload(chunk).expected_stream(STREAM);
        let sent = self.store.context.send_publish(chunk_subject(&self.id), message).await;
        let acknowledgment = sent.map_err(|error| self.error(error))?;
        self.acknowledgments.push_back(Box::pin(acknowledgment.into_future()));
        self.chunks += 1;
        Ok(())
    }

    /// Awaits the oldest acknowledgment. Chunks must lie in the order in which they were sent, for it is the only order
    /// that a reader has.
    async fn acknowledged(&mut self) -> Result<(), PutError> {
        let Some(acknowledgment) = self.acknowledgments.next().await else { return Ok(()) };
        let sequence = acknowledgment.map_err(|error| self.error(error))?.sequence;
        ensure!(sequence > self.last_sequence, OrderSnafu { name: &self.name });
        self.last_sequence = sequence;
        Ok(())
    }

    fn error(&self, source: PublishError) -> PutError {
        let name = self.name.clone();
        let code = crate::queue::error_code(&source);
        match source.kind() {
            PublishErrorKind::WrongLastSequence => PutError::Exists { name },
            PublishErrorKind::MaxPayloadExceeded => PutError::Payload { name, source },
            _ if code.is_some_and(is_full) => PutError::Full { name, source },
            _ => PutError::Away { name, source },
        }
    }
}

/// Whether the server refused a message because there is no room: in the bucket (10077, the text says "maximum bytes
/// exceeded"), in the account (10002) or on its disk (10023, 10047).
fn is_full(code: ErrorCode) -> bool {
    [
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ]
    .contains(&code)
}

/// Why an artifact could not be put. Its name, which holds the id of a run, is another one at each try, and is not told.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum PutError {
    #[snafu(display("failed to put the artifact: its bytes could not be made"))]
    Produce { name: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[snafu(display(
        "failed to put the artifact: the object store {BUCKET:?} is full; see why uploads do not empty it \
         (`nats object ls {BUCKET}`), or give it more room with `setup`"
    ))]
    Full { name: String, source: PublishError },
    #[snafu(display(
        "failed to put the artifact: one of that name exists; another process works on this run, or the leftover of \
         a former try was not purged"
    ))]
    Exists { name: String },
    #[snafu(display(
        "failed to put the artifact: the server takes no message of {CHUNK_SIZE} bytes; raise its `max_payload` to \
         the usual 1 MiB"
    ))]
    Payload { name: String, source: PublishError },
    #[snafu(display(
        "failed to put the artifact: {} does not answer, or not permitted; try again when it does",
        nats()
    ))]
    Away { name: String, source: PublishError },
    #[snafu(display("failed to put the artifact: the server stored chunks out of order; try again"))]
    Order { name: String },
    #[snafu(display("failed to describe the artifact"))]
    Describe { name: String, source: serde_json::Error },
    /// An id that could name the chunks of others.
    #[snafu(display("failed to use id {id:?} of an artifact's chunks: it is none; was the run's status edited?"))]
    Id { id: String },
}

impl Fault for PutError {
    fn exit(&self) -> Exit {
        match self {
            Self::Full { .. } | Self::Away { .. } | Self::Order { .. } => Exit::Unavailable,
            Self::Payload { .. } => Exit::Usage,
            Self::Id { .. } => Exit::DataRefused,
            Self::Produce { .. } | Self::Exists { .. } | Self::Describe { .. } => Exit::Failure,
        }
    }
}
