//! Events of runs: CloudEvents 1.0 in JSON on JetStream subjects.
//!
//! An event only says that there is work, and never what is true: whoever receives one takes names and ids from it, and
//! everything else from the Backup and its run. So what comes in is read with limits and checked against itself.
//!
//! Own types and not the crate `cloudevents-sdk` (0.9): it is a JSON map with accessors whose `data` would still be
//! parsed by a type of ours, it brings `chrono`, `url` and an older `snafu` beside what is here, and its NATS binding is
//! for async-nats 0.42. What is needed of the specification is nine attributes.

mod pruned;
mod subject;

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use snafu::{ResultExt, Snafu, ensure};
use uuid::Uuid;

pub use self::pruned::{Pruned, PrunedArchive};
pub(crate) use self::subject::encode_token;
use crate::digest::Sha256;
use crate::exit::{Exit, Fault};
use crate::resources::Artifact;

/// The version of CloudEvents that is spoken.
const SPEC_VERSION: &str = "1.0";

/// Content type of an event in structured mode: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.
pub(crate) const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The most bytes of an event that are read. An event of names, ids and numbers has about one kilobyte.
pub(crate) const SIZE_LIMIT: usize = 64 * 1024;

/// The most characters of a reason that are sent, so that no error text makes an event too large to be read.
const REASON_LIMIT: usize = 4096;

/// Names of Kubernetes resources are DNS subdomains.
const NAME_LIMIT: usize = 253;

/// What an event is about: the last part of its type.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A run of a Backup began.
    BackupStarted,
    /// The archive lies in the object store.
    BackupSnapshotted,
    /// The archive lies at its place and was read back.
    BackupUploaded,
    /// Expired archives were deleted.
    BackupPruned,
    /// A stage failed.
    BackupFailed,
    /// A Restore began.
    RestoreStarted,
    /// A Restore is done.
    RestoreCompleted,
    /// A Restore failed.
    RestoreFailed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::BackupStarted,
        Self::BackupSnapshotted,
        Self::BackupUploaded,
        Self::BackupPruned,
        Self::BackupFailed,
        Self::RestoreStarted,
        Self::RestoreCompleted,
        Self::RestoreFailed,
    ];

    /// What it concerns, and what happened: the two parts that its type and its subject have in common.
    const fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::BackupStarted => ("backup", "started"),
            Self::BackupSnapshotted => ("backup", "snapshotted"),
            Self::BackupUploaded => ("backup", "uploaded"),
            Self::BackupPruned => ("backup", "pruned"),
            Self::BackupFailed => ("backup", "failed"),
            Self::RestoreStarted => ("restore", "started"),
            Self::RestoreCompleted => ("restore", "completed"),
            Self::RestoreFailed => ("restore", "failed"),
        }
    }

    /// The CloudEvents type: `dev.drover.backup.snapshotted`.
    #[must_use]
    pub fn type_name(self) -> String {
        let (concern, what) = self.parts();
        format!("dev.drover.{concern}.{what}")
    }

    /// The subject of all events of this kind: `drover.backup.snapshotted.>`.
    #[must_use]
    pub(crate) fn subject_filter(self) -> String {
        let (concern, what) = self.parts();
        format!("drover.{concern}.{what}.>")
    }

    /// The subject of the event of this kind about that Backup or Restore.
    #[must_use]
    pub fn subject(self, name: &str) -> String {
        let (concern, what) = self.parts();
        format!("drover.{concern}.{what}.{}", encode_token(name))
    }

    fn of_type(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_name() == name)
    }
}

/// What an event says about the run. What does not apply is missing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// Name of the Backup or Restore.
    pub name: String,
    /// Its UID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The run id.
    pub run: Uuid,
    /// The run's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// `snapshot`, `upload`, `retention-prune`, `restore`: whose try this is, where it is about a try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Which try of that stage it is, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// File name of the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Where the archive lies in the object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Objects in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// Size of the archive in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of the archive, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where the archive lies, as a person writes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    /// When the run or the Restore began, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What became of expired archives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Pruned>,
}

/// One event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// The stage that says so, `drover/snapshot`.
    pub source: String,
    /// When.
    pub time: Timestamp,
    /// What is known of the run.
    pub data: Data,
}

/// The attributes of CloudEvents as they stand in JSON.
#[derive(Deserialize, Serialize)]
struct Envelope<'a> {
    specversion: std::borrow::Cow<'a, str>,
    id: String,
    source: std::borrow::Cow<'a, str>,
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default)]
    subject: String,
    time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<String>,
    data: std::borrow::Cow<'a, Data>,
}

impl Event {
    /// An event of a stage, `snapshot` or `upload`, that happens at `time`.
    #[must_use]
    pub fn new(kind: Kind, stage: &str, time: Timestamp, data: Data) -> Self {
        Self { kind, source: format!("drover/{stage}"), time, data }
    }

    /// `id` and `Nats-Msg-Id`: the run, what happened, and of which try where it is about one. Of two events with one id
    /// that are published within the stream's duplicate window the second is dropped.
    #[must_use]
    pub fn id(&self) -> String {
        let mut id = format!("{}.{}", self.data.run, self.kind.parts().1);
        // Two stages of one run may both fail at their first try.
        for part in
            [self.data.stage.clone(), self.data.attempt.map(|attempt| attempt.to_string())].into_iter().flatten()
        {
            id.push('.');
            id.push_str(&part);
        }
        // A run may be followed by any number of prunes; each that did something is told.
        if self.kind == Kind::BackupPruned {
            // Writing to a String does not fail.
            let _ = write!(id, ".{}", self.time.as_millisecond());
        }
        id
    }

    /// The subject that it is published on.
    #[must_use]
    pub fn subject(&self) -> String {
        self.kind.subject(&self.data.name)
    }

    /// The bytes of the message.
    ///
    /// # Errors
    /// When the event could not be read again: without a name, or larger than [`SIZE_LIMIT`].
    pub fn encode(&self) -> Result<Vec<u8>, EventError> {
        check_data(&self.data)?;
        let mut data = std::borrow::Cow::Borrowed(&self.data);
        if let Some(reason) = self.data.reason.as_deref().filter(|reason| reason.chars().count() > REASON_LIMIT) {
            data.to_mut().reason = Some(reason.chars().take(REASON_LIMIT).chain(['…']).collect());
        }
        let envelope = Envelope {
            specversion: SPEC_VERSION.into(),
            id: self.id(),
            source: self.source.as_str().into(),
            type_name: self.kind.type_name(),
            subject: self.data.name.clone(),
            time: self.time,
            datacontenttype: Some("application/json".to_owned()),
            data,
        };
        let bytes = serde_json::to_vec(&envelope).context(EncodeSnafu)?;
        ensure!(bytes.len() <= SIZE_LIMIT, TooLargeSnafu { bytes: bytes.len() });
        Ok(bytes)
    }

    /// Reads a message that anybody may have written. Fields that are not known are ignored.
    ///
    /// # Errors
    /// When it is too large, is no CloudEvent of a version and type that is known, or contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, EventError> {
        ensure!(bytes.len() <= SIZE_LIMIT, TooLargeSnafu { bytes: bytes.len() });
        let envelope: Envelope<'_> = serde_json::from_slice(bytes).context(DecodeSnafu)?;
        ensure!(envelope.specversion == SPEC_VERSION, VersionSnafu { version: envelope.specversion });
        let Some(kind) = Kind::of_type(&envelope.type_name) else {
            return TypeSnafu { type_name: envelope.type_name }.fail();
        };
        let event =
            Self { kind, source: envelope.source.into_owned(), time: envelope.time, data: envelope.data.into_owned() };
        check_data(&event.data)?;
        // The rest of the id is its sender's affair; a newer drover may tell tries apart in another way.
        let expected = format!("{}.", event.data.run);
        ensure!(envelope.id.starts_with(&expected), IdSnafu { id: envelope.id, expected });
        Ok(event)
    }
}

/// What is asked of data, whichever way it goes.
fn check_data(data: &Data) -> Result<(), EventError> {
    ensure!(!data.name.is_empty() && data.name.len() <= NAME_LIMIT, NameSnafu { length: data.name.len() });
    if let Some(digest) = &data.sha256 {
        let is_digest = digest.parse::<Sha256>().is_ok_and(|sha256| sha256.to_string() == *digest);
        ensure!(is_digest, DigestSnafu { digest });
    }
    Ok(())
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (concern, what) = self.kind.parts();
        write!(formatter, "{concern}.{what} of {:?}, run {}", self.data.name, self.data.run)
    }
}

/// Why a message is no event of ours.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum EventError {
    #[snafu(display("failed to read event: it has {bytes} bytes, more than {SIZE_LIMIT}"))]
    TooLarge { bytes: usize },
    #[snafu(display("failed to read event: it is no CloudEvent in JSON with the data of a run"))]
    Decode { source: serde_json::Error },
    #[snafu(display("failed to write event as JSON"))]
    Encode { source: serde_json::Error },
    #[snafu(display("failed to read event: specversion {version:?} is not {SPEC_VERSION:?}"))]
    Version { version: String },
    #[snafu(display("failed to read event: type {type_name:?} is not known; is its sender newer than this job?"))]
    Type { type_name: String },
    #[snafu(display("failed to read event: id {id:?} does not begin with {expected:?}, the run of its data"))]
    Id { id: String, expected: String },
    #[snafu(display("failed to read event: the name has {length} bytes, not 1 to {NAME_LIMIT}"))]
    Name { length: usize },
    #[snafu(display("failed to read event: {digest:?} is no SHA-256 in hex"))]
    Digest { digest: String },
}

impl Fault for EventError {
    fn exit(&self) -> Exit {
        match self {
            Self::Encode { .. } => Exit::Failure,
            _ => Exit::DataRefused,
        }
    }
}

#[cfg(test)]
mod tests;
