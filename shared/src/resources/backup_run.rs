use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One run of a Backup, from its first byte to the verified archive: the truth that messages only point to.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "drover.dev",
    version = "v1",
    kind = "BackupRun",
    status = "BackupRunStatus",
    derive = "PartialEq",
    category = "drover",
    doc = "One run of a Backup, from its first byte to the verified archive.",
    printcolumn(json_path = ".spec.backup", name = "Backup", type_ = "string"),
    printcolumn(json_path = ".spec.number", name = "Run", type_ = "integer"),
    printcolumn(json_path = ".status.state", name = "State", type_ = "string"),
    printcolumn(json_path = ".status.snapshot.objects", name = "Objects", type_ = "integer"),
    printcolumn(json_path = ".status.snapshot.bytes", name = "Bytes", type_ = "integer"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = ".status.message", name = "Message", type_ = "string"),
    printcolumn(json_path = ".spec.trigger.by", name = "Trigger", type_ = "string", priority = 1),
    printcolumn(json_path = ".spec.filename", name = "File", type_ = "string", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct BackupRunSpec {
    /// Name of the Backup.
    pub backup: String,
    /// UID of the Backup: one that was deleted and made again begins a new history.
    pub backup_uid: String,
    /// Generation of the Backup's spec that this run is for.
    #[serde(default)]
    pub generation: i64,
    /// The run id, a UUIDv7, which stands in every log line and event of the run.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub id: Uuid,
    /// One higher than the last run's of this Backup.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// What made the run begin.
    pub trigger: Trigger,
    /// When it was opened, RFC 3339, whole seconds; never that of another run of this Backup.
    pub started_at: String,
    /// File name of the archive.
    pub filename: String,
}

/// What made a run begin.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Schedule, Job or Person.
    pub kind: TriggerKind,
    /// The Job's name, or the user and machine of a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// UID of the Job, which tells it from others of its name; none in runs of 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    /// For a schedule: the time that was due, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_for: Option<String>,
}

/// Kinds of [`Trigger`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TriggerKind {
    /// The Backup was due, by its schedule or because it is new.
    Schedule,
    /// A Job named this Backup.
    Job,
    /// Somebody ran the program.
    Person,
}

/// How far a run is.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRunStatus {
    /// Pending, InProgress, Completed or Failed.
    #[serde(default)]
    pub state: RunState,
    /// What a person wants to read first: progress, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The archive on its way through NATS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The snapshot stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotStage>,
    /// The upload stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadStage>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RunState {
    /// Opened, nothing done.
    #[default]
    Pending,
    /// A stage works on it, or waits for the next try.
    InProgress,
    /// The archive is stored and verified.
    Completed,
    /// It ended without one.
    Failed,
}

impl RunState {
    /// Whether nothing more happens to the run.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// An archive in the object store.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The bucket of the object store.
    pub bucket: String,
    /// The object's name, a new one for each run.
    pub name: String,
    /// The id under which its chunks lie; recorded before the first one is sent, so that none is ever orphaned.
    pub chunks: String,
    /// When it was dropped after its upload, RFC 3339; the object store then holds nothing of it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_at: Option<String>,
}

impl Artifact {
    /// An artifact that is about to be put.
    #[must_use]
    pub fn new(bucket: &str, name: String, chunks: String) -> Self {
        Self { bucket: bucket.to_owned(), name, chunks, dropped_at: None }
    }
}

impl BackupRunStatus {
    /// That a stage works on the run, or that it waits for the next try.
    #[must_use]
    pub fn in_progress(message: impl Into<String>) -> Self {
        Self { state: RunState::InProgress, message: Some(message.into()), ..Self::default() }
    }

    /// That the run ended at this time, and not all of its places have the archive.
    #[must_use]
    pub fn failed(reason: &str, ended_at: &str) -> Self {
        let (message, ended_at) = (Some(reason.to_owned()), Some(ended_at.to_owned()));
        Self { state: RunState::Failed, message, ended_at, ..Self::default() }
    }

    /// The artifact, as long as it was not dropped.
    #[must_use]
    pub fn waiting_artifact(&self) -> Option<&Artifact> {
        self.artifact.as_ref().filter(|artifact| artifact.dropped_at.is_none())
    }

    /// The same, whose artifact was dropped at this time; none where it waits no longer. A field that another manager owns
    /// cannot be taken away by applying without it, so that the artifact is gone is said in it.
    #[must_use]
    pub fn with_dropped_artifact(self, at: String) -> Option<Self> {
        let artifact = Artifact { dropped_at: Some(at), ..self.waiting_artifact()?.clone() };
        Some(Self { artifact: Some(artifact), ..self })
    }
}

/// How a stage stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum StageState {
    /// Not begun.
    #[default]
    Pending,
    /// A job works on it.
    InProgress,
    /// Done.
    Completed,
    /// The last try failed.
    Failed,
}

/// What the snapshot stage did.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStage {
    /// How it stands.
    #[serde(default)]
    pub state: StageState,
    /// How often it was begun.
    #[serde(default)]
    pub attempts: i64,
    /// UID of the Job whose try the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    /// When the last try began, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Objects in the archive, so far or in all.
    #[serde(default)]
    pub objects: i64,
    /// How many of them are encrypted.
    #[serde(default)]
    pub encrypted: i64,
    /// Objects of each type that was read to its end, by `<plural>.<group>`; of more than 1,000 types those with the most.
    /// The next snapshot is measured by them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub types: BTreeMap<String, i64>,
    /// Types and API versions that could not be read and that the archive lacks; of more than 50 the first. An archive that
    /// lacks any is no backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_types: Vec<String>,
    /// What archives before held and this one lacks, by the last archive that has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Losses>,
    /// The first Secrets with encryption keys that lie in the archive in clear, each as `namespace/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys_in_clear: Vec<String>,
    /// Size of the archive in bytes, so far or in all.
    #[serde(default)]
    pub bytes: i64,
    /// SHA-256 of the whole archive, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// MAC of the archive, hex: HMAC-SHA256 of its SHA-256, with a key that is derived of the one that encrypts. None where
    /// nothing is to be encrypted, and in runs of 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The right for whose lack it failed, as `get <plural>.<group>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_right: Option<String>,
}

/// What one archive is the last to hold, and one of a later run lacks.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Losses {
    /// File name of the last archive that has it, kept until somebody confirms.
    pub kept: String,
    /// The word that confirms them, in the annotation `drover.dev/allow` of the Backup.
    pub confirmation: String,
    /// How many types it is about.
    #[serde(default)]
    pub count: i64,
    /// The types.
    #[serde(default)]
    pub types: Vec<TypeLoss>,
}

/// A type of which an archive lacks what one before held.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeLoss {
    /// `<plural>.<group>`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Objects before.
    pub before: i64,
    /// Objects now.
    pub now: i64,
    /// NotServed, NotSelected or Fewer.
    pub reason: LossReason,
}

/// Why an archive lacks objects.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum LossReason {
    /// The cluster serves the type no longer.
    NotServed,
    /// The ResourceSet selects the type no longer.
    NotSelected,
    /// There are fewer objects.
    Fewer,
}

/// What the upload stage did.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadStage {
    /// How it stands.
    #[serde(default)]
    pub state: StageState,
    /// How often it was begun.
    #[serde(default)]
    pub attempts: i64,
    /// When the last try began, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Tries in a row that failed only since other bytes came back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused_tries: i64,
    /// Where the archive lies, and what was seen there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub places: Vec<Place>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl SnapshotStage {
    /// The same, whose last try failed at this time.
    #[must_use]
    pub fn failed(self, reason: &str, ended_at: &str) -> Self {
        let (reason, ended_at) = (Some(reason.to_owned()), Some(ended_at.to_owned()));
        Self { state: StageState::Failed, reason, ended_at, ..self }
    }
}

impl UploadStage {
    /// The same, whose last try failed at this time.
    #[must_use]
    pub fn failed(self, reason: &str, ended_at: &str) -> Self {
        let (reason, ended_at) = (Some(reason.to_owned()), Some(ended_at.to_owned()));
        Self { state: StageState::Failed, reason, ended_at, ..self }
    }

    /// How many tries in a row are made that all fail since other bytes come back: no further one would end otherwise, and
    /// each leaves versions of the archive in a bucket that keeps them.
    pub const REFUSED_TRIES: i64 = 5;

    /// Whether the run was ended since other bytes came back each time.
    #[must_use]
    pub const fn was_refused(&self) -> bool {
        self.refused_tries >= Self::REFUSED_TRIES
    }

    /// Whether it was, and no place has the archive: then the artifact is all that there is of it.
    #[must_use]
    pub fn was_refused_everywhere(&self) -> bool {
        self.was_refused() && !self.places.iter().any(Place::is_verified)
    }
}

/// One place of an archive.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// `default`, or the name of a further storage location.
    pub name: String,
    /// A location as a person writes it: `s3://bucket/folder/file` or a path; empty where it could not be told yet.
    #[serde(default)]
    pub location: String,
    /// Bytes that were read back and matched.
    #[serde(default)]
    pub verified_bytes: i64,
    /// Whether it is there. Records of before there were several places have verified ones only.
    #[serde(default = "verified")]
    pub state: StageState,
    /// When it was verified, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

const fn verified() -> StageState {
    StageState::Completed
}

impl Place {
    /// The name of the place that the Backup itself names.
    pub const DEFAULT: &str = "default";

    /// Whether the archive was read back here and matched.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.state == StageState::Completed
    }
}

#[cfg(test)]
mod tests;
