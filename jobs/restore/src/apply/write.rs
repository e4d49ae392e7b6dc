//! Writes one object: created, or replaced as it is at that moment, or left alone when there is nothing to change.

mod change;
mod error;
mod extent;
mod foresee;
mod free;
mod leaving;
mod limits;
mod owners;
mod owners_alone;
mod recreate;
mod rights;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use drover::exit::Chain;
use drover::task;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use snafu::{OptionExt, ResultExt};

use self::error::{AbortedSnafu, LoadSnafu, NotServedSnafu, ParseSnafu};
pub(crate) use self::error::{Then, WriteError};
use self::limits::{CONFLICTS, GONE_WITHIN};
pub(crate) use self::owners::OwnerUids;
use crate::api::request::Server;
use crate::apply::away::{Away, Part, Register, Subject, Which};
use crate::apply::copies::Copies;
use crate::apply::write::extent::Extent;
use crate::objects::compare::{StatusRule, UidMarks};
use crate::objects::shape::{Identity, Kind, Shape};
use crate::objects::special_case::SpecialCase;
use crate::objects::special_cases::is_guarded_setting;
use crate::plan::Action;
use crate::plan::made_anew::ObjectName;
use crate::report::again::Again;
use crate::report::outcome::{Outcome, Result as ObjectResult};
use crate::report::progress::Gauge;
use crate::survey::archive::facts::{Facts, Position};
use crate::survey::archive::part::Archive;
use crate::survey::types::Type;

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
    /// Whose answer objects wait for.
    pub(crate) away: Arc<Register>,
    /// Which part of a restore the objects are.
    pub(crate) part: Part,
    /// What is deleted and created again where it cannot be changed, though something is lost with it.
    pub(crate) named: HashSet<Position>,
    /// Where it is kept in between.
    pub(crate) copies: Arc<Copies>,
    /// How the restore is run once more for what is not written.
    pub(crate) again: Again,
    /// Where it is said what is waited for.
    pub(crate) gauge: Arc<Gauge>,
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
    /// What is to be said of it; empty where nothing is.
    note: Cow<'static, str>,
    dropped_owners: usize,
}

/// What one try to write an object came to.
pub(crate) struct Attempt {
    /// What became of the object so far.
    pub(crate) result: ObjectResult,
    /// What may help, where that is not what is wanted.
    pub(crate) then: Then,
}

impl From<ObjectResult> for Attempt {
    fn from(result: ObjectResult) -> Self {
        Self { result, then: Then::Settled }
    }
}

impl From<WriteError> for Attempt {
    fn from(error: WriteError) -> Self {
        Self { result: ObjectResult::failed(&error), then: error.then() }
    }
}

impl Attempt {
    /// The object was not written, or not all of it, since another server does not answer.
    fn put_aside(which: Which, step: &str, words: &str) -> Self {
        Self { result: ObjectResult::noted(Outcome::Failed, [step, words]), then: Then::PutAside(which) }
    }
}

impl Writer {
    /// Writes the object of that position and says what became of it.
    ///
    /// # Errors
    ///
    /// Only where the server does not answer any more; everything else is the object's own result.
    pub(crate) async fn write(&self, position: Position, action: Action) -> Result<Attempt, WriteError> {
        let job = match self.begin(position, action).await {
            Ok(job) => job,
            Err(attempt) => return Ok(attempt),
        };
        let written = job.run(action).await;
        self.attempt(&job, action, written).await
    }

    /// The object, unless it is known already that it cannot be written: then what the try came to.
    async fn begin(&self, position: Position, action: Action) -> Result<Job<'_>, Attempt> {
        let job = self.job(position).await?;
        let held = self.away.holds(&job.subject(action));
        match held {
            Some((which, words)) => Err(Attempt::put_aside(which, "", &words)),
            None => Ok(job),
        }
    }

    /// What a try came to.
    async fn attempt(
        &self,
        job: &Job<'_>,
        action: Action,
        written: Result<Written, WriteError>,
    ) -> Result<Attempt, WriteError> {
        match written {
            Ok(written) => Ok(job.result(&written).into()),
            Err(error) if error.is_unreachable() => Err(error),
            Err(error) => Ok(self.judge(job, action, error).await),
        }
    }

    /// What becomes of an object that was not written: the one place where a refusal is judged.
    async fn judge(&self, job: &Job<'_>, action: Action, error: WriteError) -> Attempt {
        if job.is_guarded(&error) {
            return ObjectResult::kept(Chain(&error).to_string()).into();
        }
        if let WriteError::Request { step, source } = &error
            && let Some(away) = Away::of(source, &job.known)
        {
            let (which, words) = self.away.met(away, source, &job.subject(action), step.is_empty()).await;
            return Attempt::put_aside(which, step, &words);
        }
        error.into()
    }

    /// The object of that position as people name it.
    pub(crate) async fn name_of(&self, position: Position) -> String {
        let job = self.job(position).await;
        job.map_or_else(|_| "an object".to_owned(), |job| job.label())
    }

    async fn job(&self, position: Position) -> Result<Job<'_>, WriteError> {
        let archive = Arc::clone(&self.archive);
        let load = move || archive.load(position);
        let loaded = task::spawn_blocking(load).await.context(AbortedSnafu)?.context(LoadSnafu)?;
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
    fn subject(&self, action: Action) -> Subject<'_> {
        let (known, namespace, object) = (&*self.known, self.namespace.as_str(), self.object.as_slice());
        Subject { known, namespace, creates: action == Action::Create, object }
    }

    async fn run(&self, action: Action) -> Result<Written, WriteError> {
        if action == Action::Create {
            match self.create().await {
                Err(WriteError::Request { source, .. }) if source.is_already_exists() => {}
                other => return other,
            }
        }
        self.change(Extent::Whole).await
    }

    async fn create(&self) -> Result<Written, WriteError> {
        let (wanted, of_volume) = self.with_volume(self.wanted(None)?).await?;
        let shape = parse(&wanted, "the object of the archive")?;
        let (owners, dropped_owners) = self.owners(&shape);
        let (answer, given_up) = self.send(&wanted, &owners, None).await?;
        let created = self.identity(&answer)?;
        if self.known.status == StatusRule::Subresource && shape.member("status").is_some() {
            match self.replace_status(&shape, &wanted, &owners, &created).await {
                // A controller was quicker; now it is an object like any other that is there.
                Err(WriteError::Request { source, .. }) if source.is_conflict() => {
                    let replaced = self.change(Extent::Whole).await?;
                    return Ok(Written { outcome: Outcome::Created, ..replaced });
                }
                other => other?,
            };
        }
        let note = if of_volume.is_empty() { given_up } else { of_volume };
        Ok(Written { outcome: Outcome::Created, note: note.into(), dropped_owners })
    }

    /// The object as it is wanted where `live` is there.
    fn wanted(&self, live: Option<&[u8]>) -> Result<Cow<'_, [u8]>, WriteError> {
        let changed = self.writer.facts.changed(self.position, &self.object, live);
        let changed = changed.context(ParseSnafu { what: "the object of the archive" })?;
        self.with_job_uid(changed.map_or(Cow::Borrowed(&self.object[..]), Cow::Owned))
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

    /// For each owner that the object names its live UID, where it has one.
    fn uids(&self) -> impl Iterator<Item = Option<String>> {
        let references = self.writer.facts.references(self.position);
        let Writer { facts, owners, .. } = self.writer;
        references.iter().map(|owner| owner.and_then(|owner| owners.get(facts, owner, self.position)))
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
        let Some(owner) = self.writer.facts.owner_at(self.position) else { return };
        match identity.deletion_timestamp {
            None => self.writer.owners.set(owner, identity.uid.clone()),
            // What names an owner that is about to go would go with it.
            Some(_) => self.writer.owners.forget([owner]),
        }
    }

    fn path(&self) -> String {
        self.known.object(&self.namespace, &self.name)
    }

    /// The object as people name it.
    fn label(&self) -> String {
        ObjectName::new(self.kind(), &self.namespace, &self.name).to_string()
    }

    /// Group and plural name of the type.
    fn kind(&self) -> (&str, &str) {
        (&self.known.group, &self.known.plural)
    }

    fn is_guarded(&self, error: &WriteError) -> bool {
        let WriteError::Request { source, .. } = error else { return false };
        is_guarded_setting(&self.known.group, &self.known.plural, &source.to_string())
    }

    fn result(&self, written: &Written) -> ObjectResult {
        let special = match written.outcome {
            Outcome::Kept => "",
            Outcome::Unchanged => self.writer.facts.note_of_unchanged(self.position),
            _ => self.writer.facts.note(self.position),
        };
        let dropped = match written.dropped_owners {
            0 => None,
            1 => Some("an owner that is nowhere was dropped".to_owned()),
            count => Some(format!("{count} owners that are nowhere were dropped")),
        };
        let notes = [&*written.note, special, dropped.as_deref().unwrap_or_default()];
        ObjectResult::noted(written.outcome, notes)
    }
}

/// What keeps an object that is being deleted.
fn held(live: &Shape<'_>) -> String {
    match live.finalizers().as_slice() {
        [] => "its end".to_owned(),
        finalizers => format!("its finalizers {}", finalizers.join(", ")),
    }
}

fn parse<'a>(bytes: &'a [u8], what: &'static str) -> Result<Shape<'a>, WriteError> {
    Shape::split(bytes).context(ParseSnafu { what })
}
