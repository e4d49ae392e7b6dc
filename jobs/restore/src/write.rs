//! Writes one object: created, or replaced as it is at that moment, or left alone when there is nothing to change.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use snafu::{OptionExt, ResultExt, Snafu};

use crate::archive::Archive;
use crate::compare::{Difference, StatusRule, UidMarks, compare};
use crate::facts::{Facts, OwnerIndex, Position};
use crate::outcome::{Outcome, Result as ObjectResult};
use crate::plan::Action;
use crate::request::{RequestError, Server};
use crate::shape::{Identity, Kind, Shape};
use crate::special_cases::{OURS, SpecialCase, Treatment, is_guarded_setting, is_ours};
use crate::types::Type;

/// How often an object that somebody else keeps changing is read and replaced again.
const CONFLICTS: u32 = 5;

/// Why an object was not written.
#[derive(Debug, Snafu)]
pub(crate) enum WriteError {
    /// The server refused it or did not answer.
    #[snafu(display("{step}"))]
    Request {
        /// What was tried; empty where the server's words are enough.
        step: &'static str,
        /// The cause.
        source: RequestError,
    },
    /// The object cannot be taken from the archive.
    #[snafu(display("failed to read it from the archive"))]
    Load {
        /// The cause.
        source: std::io::Error,
    },
    /// The thread that read it from the archive ended early.
    #[snafu(display("failed to wait for its bytes"))]
    Aborted {
        /// The cause.
        source: tokio::task::JoinError,
    },
    /// The object, or what the server answered, is not what it must be.
    #[snafu(display("failed to read {what}"))]
    Parse {
        /// What was read.
        what: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
    /// The type is gone since the plan.
    #[snafu(display("its type is not served"))]
    NotServed,
    /// It is on its way out.
    #[snafu(display(
        "it is being deleted and waits for its finalizers; run the restore again when it is gone (kubectl get shows it)"
    ))]
    BeingDeleted,
    /// Others changed it all the time.
    #[snafu(display(
        "somebody else changed it {CONFLICTS} times while it was being replaced; stop what writes it and run again"
    ))]
    Contended,
}

impl WriteError {
    /// Whether the server does not answer at all.
    pub(crate) const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Request { source, .. } if source.is_unreachable())
    }
}

/// Everything that writing an object takes; shared by all that write.
pub(crate) struct Writer {
    /// The API server.
    pub(crate) server: Arc<Server>,
    /// The objects.
    pub(crate) archive: Arc<Archive>,
    /// What is known of them.
    pub(crate) facts: Arc<Facts>,
    /// The live UIDs of owners, as far as they are known by now.
    pub(crate) owners: OwnerUids,
}

/// The live UIDs of owners.
#[derive(Debug, Default)]
pub(crate) struct OwnerUids(Mutex<HashMap<OwnerIndex, String>>);

impl OwnerUids {
    /// Those that are known before anything is written.
    pub(crate) fn new(known: HashMap<OwnerIndex, String>) -> Self {
        Self(Mutex::new(known))
    }

    fn set(&self, owner: OwnerIndex, uid: String) {
        self.lock().insert(owner, uid);
    }

    fn get(&self, owner: OwnerIndex) -> Option<String> {
        self.lock().get(&owner).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OwnerIndex, String>> {
        // A map of texts is sound whatever happened to who held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One object on its way to the server.
struct Job<'a> {
    writer: &'a Writer,
    position: Position,
    known: Arc<Type>,
    api_version: String,
    case: Option<&'static SpecialCase>,
    namespace: String,
    name: String,
    object: Vec<u8>,
    marks: UidMarks,
}

/// What a write came to.
struct Written {
    outcome: Outcome,
    kept: Option<&'static str>,
    dropped_owners: usize,
}

impl Writer {
    /// Writes the object of that position and says what became of it.
    ///
    /// # Errors
    ///
    /// Only where the server does not answer any more; everything else is the object's own result.
    pub(crate) async fn write(&self, position: Position, action: Action) -> Result<ObjectResult, WriteError> {
        let job = match self.job(position).await {
            Ok(job) => job,
            Err(error) => return Ok(ObjectResult::failed(&error)),
        };
        match job.run(action).await {
            Ok(written) => Ok(job.result(&written)),
            Err(error) if error.is_unreachable() => Err(error),
            Err(error) if job.is_guarded(&error) => Ok(ObjectResult::kept(drover::exit::Chain(&error).to_string())),
            Err(error) => Ok(ObjectResult::failed(&error)),
        }
    }

    async fn job(&self, position: Position) -> Result<Job<'_>, WriteError> {
        let archive = Arc::clone(&self.archive);
        let load = move || archive.load(position);
        let loaded = tokio::task::spawn_blocking(load).await.context(AbortedSnafu)?.context(LoadSnafu)?;
        let entry = self.facts.entry(position);
        let known = Arc::clone(self.facts.type_at(entry.type_index).context(NotServedSnafu)?);
        Ok(Job {
            writer: self,
            position,
            api_version: known.api_version(),
            known,
            case: entry.case,
            namespace: loaded.key.namespace.unwrap_or_default(),
            name: loaded.key.name,
            object: loaded.object,
            marks: UidMarks::default(),
        })
    }
}

impl Job<'_> {
    async fn run(&self, action: Action) -> Result<Written, WriteError> {
        if action == Action::Create {
            match self.create().await {
                Err(WriteError::Request { source, .. }) if source.is_already_exists() => {}
                other => return other,
            }
        }
        self.replace().await
    }

    async fn create(&self) -> Result<Written, WriteError> {
        let wanted = self.wanted(None)?;
        let shape = parse(&wanted, "the object of the archive")?;
        let (owners, dropped_owners) = self.owners(&shape);
        let body = self.body(&shape, &wanted, &owners, None)?;
        let path = self.known.collection(&self.namespace);
        let answer = self.writer.server.create(&path, body).await.context(RequestSnafu { step: "" })?;
        let created = self.identity(&answer)?;
        if self.known.status == StatusRule::Subresource && shape.member("status").is_some() {
            match self.replace_status(&shape, &wanted, &owners, &created).await {
                // A controller was quicker; now it is an object like any other that is there.
                Err(WriteError::Request { source, .. }) if source.is_conflict() => {
                    let replaced = self.replace().await?;
                    return Ok(Written { outcome: Outcome::Created, kept: None, ..replaced });
                }
                other => other?,
            };
        }
        Ok(Written { outcome: Outcome::Created, kept: None, dropped_owners })
    }

    /// Replaces the live object, whatever it is by now: a plan may be minutes old.
    async fn replace(&self) -> Result<Written, WriteError> {
        for _ in 0..CONFLICTS {
            match self.replace_once().await {
                Err(WriteError::Request { source, .. }) if source.is_conflict() => {}
                other => return other,
            }
        }
        ContendedSnafu.fail()
    }

    async fn replace_once(&self) -> Result<Written, WriteError> {
        let live_bytes = match self.writer.server.get(&self.path()).await {
            // Gone since it was listed, or a name that only the plan took for there. Boxed, as the two call each other.
            Err(error) if error.is_not_found() => return Box::pin(self.create()).await,
            other => other.context(RequestSnafu { step: "" })?,
        };
        let live = parse(&live_bytes, "the live object")?;
        let identity = live.identity();
        self.remember(&identity);
        if let Some(SpecialCase { treatment: Treatment::KeepLive, reason, .. }) = self.case {
            return Ok(Written { outcome: Outcome::Kept, kept: Some(reason), dropped_owners: 0 });
        }
        if is_ours(&live) {
            return Ok(Written { outcome: Outcome::Kept, kept: Some(OURS), dropped_owners: 0 });
        }
        if identity.deletion_timestamp.is_some() {
            return BeingDeletedSnafu.fail();
        }
        let wanted = self.wanted(Some(&live_bytes))?;
        let shape = parse(&wanted, "the object of the archive")?;
        let (owners, dropped_owners) = self.owners(&shape);
        let difference = compare(&shape, &live, self.known.status, &self.marks);
        let outcome = self.write_difference(&shape, &wanted, &owners, &identity, &difference).await?;
        Ok(Written { outcome, kept: None, dropped_owners })
    }

    async fn write_difference(
        &self,
        shape: &Shape<'_>,
        wanted: &[u8],
        owners: &[OwnerReference],
        live: &Identity,
        difference: &Difference,
    ) -> Result<Outcome, WriteError> {
        let mut now = live.clone();
        if difference.body || !self.same_owners(shape, difference) {
            let body = self.body(shape, wanted, owners, Some(&live.resource_version))?;
            let answer = self.writer.server.replace(&self.path(), body).await.context(RequestSnafu { step: "" })?;
            now = self.identity(&answer)?;
        }
        if difference.status {
            now = self.replace_status(shape, wanted, owners, &now).await?;
        }
        // The server keeps the version where a write changes nothing: what it leaves out or fills in is no difference.
        let unchanged = now.resource_version == live.resource_version;
        Ok(if unchanged { Outcome::Unchanged } else { Outcome::Updated })
    }

    async fn replace_status(
        &self,
        shape: &Shape<'_>,
        wanted: &[u8],
        owners: &[OwnerReference],
        live: &Identity,
    ) -> Result<Identity, WriteError> {
        let body = self.body(shape, wanted, owners, Some(&live.resource_version))?;
        let path = format!("{}/status", self.path());
        let step = "the object itself is restored, its status is not";
        let answer = self.writer.server.replace(&path, body).await.context(RequestSnafu { step })?;
        self.identity(&answer)
    }

    /// The object as it is wanted where `live` is there.
    fn wanted(&self, live: Option<&[u8]>) -> Result<Cow<'_, [u8]>, WriteError> {
        let changed = self.writer.facts.changed(self.position, &self.object, live);
        let changed = changed.context(ParseSnafu { what: "the object of the archive" })?;
        Ok(changed.map_or(Cow::Borrowed(&self.object[..]), Cow::Owned))
    }

    /// The owners with their live UIDs, and how many are dropped because they have none.
    fn owners(&self, shape: &Shape<'_>) -> (Vec<OwnerReference>, usize) {
        let references = shape.owner_references();
        let count = references.len();
        let found: Vec<OwnerReference> = references
            .into_iter()
            .zip(self.uids())
            .filter_map(|(reference, uid)| Some(OwnerReference { uid: uid?, ..reference }))
            .collect();
        let dropped = count - found.len();
        (found, dropped)
    }

    fn same_owners(&self, shape: &Shape<'_>, difference: &Difference) -> bool {
        let wanted = self.uids().map(|uid| uid.map(|uid| self.marks.mark(&uid)));
        wanted.take(shape.owner_references().len()).eq(difference.owners.iter().copied())
    }

    /// For each owner that the object names its live UID, where it has one.
    fn uids(&self) -> impl Iterator<Item = Option<String>> {
        let references = self.writer.facts.references(self.position);
        references.iter().map(|owner| owner.and_then(|owner| self.writer.owners.get(owner)))
    }

    fn body(
        &self,
        shape: &Shape<'_>,
        bytes: &[u8],
        owners: &[OwnerReference],
        version: Option<&str>,
    ) -> Result<Vec<u8>, WriteError> {
        let kind = Kind { api_version: &self.api_version, kind: &self.known.kind };
        shape.body(bytes, kind, owners, version).context(ParseSnafu { what: "the object of the archive" })
    }

    /// Reads what the server says of the object now; what it owns needs its UID.
    fn identity(&self, answer: &Bytes) -> Result<Identity, WriteError> {
        let identity = parse(answer, "the server's answer")?.identity();
        self.remember(&identity);
        Ok(identity)
    }

    fn remember(&self, identity: &Identity) {
        if let Some(owner) = self.writer.facts.owner_at(self.position) {
            self.writer.owners.set(owner, identity.uid.clone());
        }
    }

    fn path(&self) -> String {
        self.known.object(&self.namespace, &self.name)
    }

    fn is_guarded(&self, error: &WriteError) -> bool {
        let WriteError::Request { source, .. } = error else { return false };
        is_guarded_setting(&self.known.group, &self.known.plural, &source.to_string())
    }

    fn result(&self, written: &Written) -> ObjectResult {
        let note = written.kept.unwrap_or_else(|| self.writer.facts.note(self.position));
        let dropped = match written.dropped_owners {
            0 => None,
            1 => Some("an owner that is nowhere was dropped".to_owned()),
            count => Some(format!("{count} owners that are nowhere were dropped")),
        };
        let notes: Vec<&str> = [note].into_iter().chain(dropped.as_deref()).filter(|note| !note.is_empty()).collect();
        ObjectResult::new(written.outcome, notes.join("; "))
    }
}

fn parse<'a>(bytes: &'a [u8], what: &'static str) -> Result<Shape<'a>, WriteError> {
    Shape::split(bytes).context(ParseSnafu { what })
}
