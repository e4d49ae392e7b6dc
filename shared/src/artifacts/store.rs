//! The object store, and what it says of artifacts.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::object_store::ObjectInfo;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use futures::TryStreamExt;
use snafu::{ResultExt, Snafu, ensure};
use uuid::Uuid;

use crate::digest::Sha256;
use crate::exit::{Exit, Fault};
use crate::queue::nats;

/// The bucket.
pub const BUCKET: &str = "drover-artifacts";

/// The stream of the bucket.
pub const STREAM: &str = "OBJ_drover-artifacts";

/// Size of a chunk in bytes: what every client of NATS uses.
pub const CHUNK_SIZE: usize = 128 * 1024;

/// How long nothing may come from a server that answers nothing, before it counts as away.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The most characters of an id of chunks.
const ID_LIMIT: usize = 64;

/// The object store of artifacts.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) context: Context,
    pub(super) stream: Stream,
    pub(super) patience: Duration,
}

/// What the store says of an artifact.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// The id under which its chunks lie.
    pub id: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Number of chunks.
    pub chunks: u64,
    /// SHA-256; none where its writer gave none that can be read.
    pub sha256: Option<Sha256>,
}

/// How full the store is, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fill {
    /// What lies in it.
    pub bytes: u64,
    /// What it takes; none where it has no limit of its own.
    pub limit: Option<u64>,
}

/// What lies in the store, whether or not it belongs together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contents {
    /// Names of the artifacts that exist.
    pub names: Vec<String>,
    /// Ids that have chunks, and how many.
    pub chunks: BTreeMap<String, usize>,
}

impl Store {
    /// The store as `setup` made it.
    ///
    /// # Errors
    /// When NATS does not answer, or the store was not made.
    pub async fn open(jetstream: &Context) -> Result<Self, StoreError> {
        let mut context = jetstream.clone();
        // Acknowledgments of a server that writes 2 MiB of ours to a slow disk take longer than the usual 5 s.
        context.set_timeout(PATIENCE);
        let stream = context.get_stream(STREAM).await.map_err(|error| missing_or_away(error.into(), "open", BUCKET))?;
        Ok(Self { context, stream, patience: PATIENCE })
    }

    /// The same store with another patience than [`PATIENCE`].
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.context.set_timeout(patience);
        self.patience = patience;
        self
    }

    /// A new id for chunks, to be recorded in the run before the first of them is sent.
    #[must_use]
    pub fn new_id() -> String {
        Uuid::now_v7().simple().to_string()
    }

    /// Whether an id is one that [`Store::new_id`] makes; what somebody else put into the bucket has another.
    #[must_use]
    pub fn is_own_id(id: &str) -> bool {
        Uuid::parse_str(id).is_ok_and(|uuid| uuid.get_version_num() == 7 && uuid.simple().to_string() == id)
    }

    /// What is known of an artifact, from the leader of the stream; none where it does not exist.
    ///
    /// # Errors
    /// When NATS does not answer, or with something that is no object's description.
    pub async fn info(&self, name: &str) -> Result<Option<Info>, StoreError> {
        let message = match self.stream.get_last_raw_message_by_subject(&meta_subject(name)).await {
            Ok(message) => message,
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => return Ok(None),
            Err(error) => return Err(missing_or_away(error.into(), "read", name)),
        };
        let object: ObjectInfo = serde_json::from_slice(&message.payload).context(DecodeSnafu { name })?;
        ensure!(object.options.as_ref().is_none_or(|options| options.link.is_none()), LinkSnafu { name });
        Ok((!object.deleted).then(|| Info::from(object)))
    }

    /// Removes an artifact and the chunks of that id, all of it, whether or not the artifact was finished. To do it again
    /// changes nothing.
    ///
    /// # Errors
    /// When NATS does not answer, or the id is none that [`Store::new_id`] made.
    pub async fn purge(&self, name: &str, id: &str) -> Result<(), StoreError> {
        ensure!(is_id(id), IdSnafu { id });
        // The description first: an artifact without chunks is never to be seen.
        for subject in [meta_subject(name), chunk_subject(id)] {
            self.purge_subject(subject, name).await?;
        }
        Ok(())
    }

    /// Removes the chunks of an id, of which there is no artifact.
    ///
    /// # Errors
    /// As [`Store::purge`].
    pub async fn purge_chunks(&self, id: &str) -> Result<(), StoreError> {
        ensure!(is_id(id), IdSnafu { id });
        self.purge_subject(chunk_subject(id), id).await
    }

    async fn purge_subject(&self, subject: String, name: &str) -> Result<(), StoreError> {
        let purge = self.stream.purge().filter(subject).await;
        purge.map_err(|error| missing_or_away(error.into(), "purge", name))?;
        Ok(())
    }

    /// How full the store is.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn fill(&self) -> Result<Fill, StoreError> {
        let info = self.stream.get_info().await.map_err(|error| missing_or_away(error.into(), "look at", BUCKET))?;
        Ok(Fill {
            bytes: info.state.bytes,
            limit: u64::try_from(info.config.max_bytes).ok().filter(|limit| *limit > 0),
        })
    }

    /// What lies in the store.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn contents(&self) -> Result<Contents, StoreError> {
        let away = |error: async_nats::Error| missing_or_away(error, "list", BUCKET);
        let subjects = self.stream.info_with_subjects(">").await.map_err(|error| away(error.into()))?;
        let subjects: Vec<(String, usize)> = subjects.try_collect().await.map_err(|error| away(error.into()))?;
        let (mut contents, [names, chunks]) =
            (Contents::default(), ["M", "C"].map(|kind| format!("$O.{BUCKET}.{kind}.")));
        for (subject, count) in subjects {
            if let Some(id) = subject.strip_prefix(&chunks) {
                contents.chunks.insert(id.to_owned(), count);
            } else if let Some(name) = subject.strip_prefix(&names) {
                let name = URL_SAFE.decode(name).ok().and_then(|name| String::from_utf8(name).ok());
                contents.names.push(name.unwrap_or(subject));
            }
        }
        contents.names.sort();
        Ok(contents)
    }
}

impl From<ObjectInfo> for Info {
    fn from(object: ObjectInfo) -> Self {
        Self {
            name: object.name,
            id: object.nuid,
            bytes: object.size as u64,
            chunks: object.chunks as u64,
            sha256: object.digest.as_deref().and_then(Sha256::of_nats),
        }
    }
}

/// The subject of an artifact's chunks.
pub(super) fn chunk_subject(id: &str) -> String {
    format!("$O.{BUCKET}.C.{id}")
}

/// The subject of an artifact's description.
pub(super) fn meta_subject(name: &str) -> String {
    format!("$O.{BUCKET}.M.{}", URL_SAFE.encode(name))
}

/// Whether this is an id and not a pattern that would name the chunks of others: it comes out of a run's status, which
/// people can edit.
pub(super) fn is_id(id: &str) -> bool {
    (1..=ID_LIMIT).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Why the store cannot be used.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum StoreError {
    #[snafu(display("failed to {verb} artifact store: stream {STREAM:?} does not exist; run `setup` first"))]
    Missing { verb: &'static str },
    #[snafu(display(
        "failed to {verb} the artifact store: {} does not answer, or not permitted; try again when it does",
        nats()
    ))]
    Away {
        verb: &'static str,
        /// Name of the artifact, or of the bucket.
        name: String,
        source: async_nats::Error,
    },
    #[snafu(display("failed to read artifact {name:?}: its description in the object store is none; purge it"))]
    Decode { name: String, source: serde_json::Error },
    #[snafu(display(
        "failed to read artifact {name:?}: it is a link to another object, which drover never makes; purge it"
    ))]
    Link { name: String },
    /// An id that could name the chunks of others.
    #[snafu(display("failed to use id {id:?} of an artifact's chunks: it is none; was the run's status edited?"))]
    Id { id: String },
}

impl Fault for StoreError {
    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } => Exit::Usage,
            Self::Away { .. } => Exit::Unavailable,
            Self::Decode { .. } | Self::Link { .. } | Self::Id { .. } => Exit::DataRefused,
        }
    }
}

/// Tells a store that was never made from a server that is away.
fn missing_or_away(error: async_nats::Error, verb: &'static str, name: &str) -> StoreError {
    use async_nats::jetstream::ErrorCode;
    match crate::queue::error_code(error.as_ref()) {
        Some(ErrorCode::STREAM_NOT_FOUND) => StoreError::Missing { verb },
        _ => StoreError::Away { verb, name: name.to_owned(), source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_of_the_object_store_format() {
        assert_eq!(STREAM, format!("OBJ_{BUCKET}"));
        assert_eq!(chunk_subject("a1"), "$O.drover-artifacts.C.a1");
        assert_eq!(meta_subject("daily/1.tar.gz"), "$O.drover-artifacts.M.ZGFpbHkvMS50YXIuZ3o=");
    }

    #[test]
    fn an_id_names_only_its_own_chunks() {
        assert!(is_id(&Store::new_id()) && Store::is_own_id(&Store::new_id()));
        for id in ["", "*", ">", "a.b", "a b", "a\r\nPUB", &"a".repeat(65)] {
            assert!(!is_id(id), "{id:?}");
        }
    }

    #[test]
    fn ids_are_new() {
        assert_ne!(Store::new_id(), Store::new_id());
    }
}
