use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use drover::artifacts::GetError;
use drover::digest::{Content, Sha256};
use drover::exit::{Chain, Exit, Failure, Fault};
use drover::places::Target;
use drover::progress::Progress;
use drover::resources::{Artifact, BackupRun, SnapshotStage};
use drover::runs::status_of;
use drover::storage::{self, Parcel, READS, Storage, Verification, pauses_between_reads};
use futures::future::{BoxFuture, join_all};
use futures::{StreamExt, stream};
use snafu::{OptionExt, ResultExt, Snafu};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::context::Context;
use crate::spool::SpoolFile;

/// How many places an archive is brought to at once: each has two parts of it on their way.
const PLACES_AT_ONCE: usize = 3;

/// Why an archive could not be brought to its places.
#[derive(Debug, Snafu)]
pub(crate) enum Error {
    #[snafu(display(
        "failed to find the artifact in the object store, and there is no verified archive at {locations}; the Backup is due \
         again"
    ))]
    ArtifactGone { locations: String },
    #[snafu(display(
        "failed to find the size and SHA-256 of the snapshot in the run's record; the Backup is due again"
    ))]
    IncompleteRecord,
    #[snafu(display("failed to write the archive to the spool folder; give it room, or name another with --spool"))]
    Spool { source: io::Error },
    #[snafu(display("failed to reach {site} a moment ago; the next Job tries it again"))]
    KnownAway { site: String },
    #[snafu(display("{why}; this archive was not tried there, since others were refused a moment ago"))]
    KnownRefused { why: String },
    #[snafu(display(
        "failed to use {location:?} as a further place: it is the place {other:?} too; correct the BackupPolicy, since one \
         place holds one copy"
    ))]
    Double { location: String, other: String },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::ArtifactGone { .. } | Self::IncompleteRecord => Exit::DataRefused,
            Self::Spool { .. } => Exit::Failure,
            Self::KnownAway { .. } => Exit::Unavailable,
            Self::KnownRefused { .. } | Self::Double { .. } => Exit::Usage,
        }
    }
}

/// What an archive must be to count as the one that was snapshotted.
pub(crate) struct Archive {
    pub(crate) filename: String,
    pub(crate) content: Content,
    pub(crate) objects: i64,
    lacks_types: bool,
    mac: Option<Sha256>,
    artifact: Option<Artifact>,
}

impl Archive {
    /// By the run's record: nothing of it is taken from a message.
    pub(crate) fn of(run: &BackupRun) -> Result<Self, Error> {
        let status = status_of(run);
        let artifact = status.waiting_artifact().cloned();
        let stage: SnapshotStage = status.snapshot.unwrap_or_default();
        let bytes = u64::try_from(stage.bytes).ok().context(IncompleteRecordSnafu)?;
        let sha256 = stage.sha256.and_then(|text| text.parse().ok()).context(IncompleteRecordSnafu)?;
        let filename = run.spec.filename.clone();
        let lacks_types = !stage.missing_types.is_empty();
        let mac = stage.mac.and_then(|text| text.parse().ok());
        Ok(Self { filename, content: Content { bytes, sha256 }, objects: stage.objects, lacks_types, mac, artifact })
    }

    fn parcel(&self) -> Parcel {
        let Self { content, lacks_types, mac, .. } = *self;
        Parcel { content, objects: u64::try_from(self.objects).ok(), lacks_types, mac }
    }
}

/// A place that has the archive, and where it lies there, as a person writes it.
pub(crate) type Verified<'a> = (&'a Target, String);

/// What became of a try at one place: where the archive lies now, as a person writes it, or why it does not.
pub(crate) struct Tried<'a> {
    pub(crate) target: &'a Target,
    pub(crate) outcome: Result<String, Failure>,
}

/// A place that could be opened.
struct Open<'a> {
    target: &'a Target,
    storage: Storage,
}

/// What is to be done: a run's archive, and which of its places have it already.
pub(crate) struct Task<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) verified: Vec<Verified<'a>>,
    pub(crate) pending: Vec<&'a Target>,
    /// Records that one more place has it, as soon as it has: whatever becomes of the others or of this job. What cannot be
    /// recorded does not count.
    pub(crate) record: &'a (dyn Fn(&Tried<'a>) -> BoxFuture<'a, Result<(), Failure>> + Sync),
}

impl<'a> Task<'a> {
    async fn note(&self, tried: Tried<'a>) -> Tried<'a> {
        let recorded = if tried.outcome.is_ok() { (self.record)(&tried).await } else { Ok(()) };
        match recorded {
            Ok(()) => tried,
            Err(failure) => Tried { outcome: Err(failure), ..tried },
        }
    }
}

/// Brings the run's archive to the pending ones of its places, all at a time, so that none waits for one that is slow or
/// away. The bytes come from the artifact or, where that is gone, from a place that has them.
///
/// # Errors
/// When there is nothing to bring: the artifact cannot be had, or there is no room for it.
pub(crate) async fn transfer<'a>(
    context: &Context,
    task: &Task<'a>,
    away: &HashSet<String>,
) -> Result<Vec<Tried<'a>>, Failure> {
    let (mut wanted, mut tried) = (Vec::new(), Vec::new());
    for target in task.pending.iter().copied() {
        match known_trouble(context, target, away) {
            Some(error) => tried.push(Tried { target, outcome: Err(error.into()) }),
            None => wanted.push(target),
        }
    }
    let (opened, failed) = open_all(context, &wanted).await;
    for Tried { target, outcome } in &failed {
        if let Err(failure) = outcome {
            context.refusals.not_opened(target, failure);
        }
    }
    tried.extend(failed);
    let tried = bring(context, task, opened, tried).await?;
    for Tried { target, outcome } in &tried {
        context.refusals.tried(target, outcome.as_ref().map(|_| ()));
    }
    Ok(tried)
}

/// Why a place need not be tried in this job; none where it may take the archive.
fn known_trouble(context: &Context, target: &Target, away: &HashSet<String>) -> Option<Error> {
    let site = target.site();
    if away.contains(&site) {
        return Some(Error::KnownAway { site });
    }
    context.refusals.why(target).map(|why| Error::KnownRefused { why })
}

/// Brings the archive to the places that could be opened; `tried` tells of those that could not, and of all in the end.
async fn bring<'a>(
    context: &Context,
    task: &Task<'a>,
    opened: Vec<Open<'a>>,
    mut tried: Vec<Tried<'a>>,
) -> Result<Vec<Tried<'a>>, Failure> {
    let opened = without_doubles(opened, &task.verified, task.archive, &mut tried);
    if opened.is_empty() {
        return Ok(tried);
    }
    if let Some(spool) = fetch(context, task.archive, !task.verified.is_empty()).await? {
        tried.extend(store_all(task, &opened, &spool).await);
        return Ok(tried);
    }
    let (there, missing) = look(task, opened, &mut tried).await;
    if !missing.is_empty() {
        let spool = fetch_from_places(context, task, there, &missing, &tried).await?;
        tried.extend(store_all(task, &missing, &spool).await);
    }
    Ok(tried)
}

/// Opens the places, all at a time; what failed is told of in the second part.
async fn open_all<'a>(context: &Context, targets: &[&'a Target]) -> (Vec<Open<'a>>, Vec<Tried<'a>>) {
    let opening = targets.iter().map(|target| async { (*target, context.open(target).await) });
    let (mut opened, mut failed) = (Vec::new(), Vec::new());
    for (target, storage) in join_all(opening).await {
        match storage {
            Ok(storage) => opened.push(Open { target, storage }),
            Err(failure) => failed.push(Tried { target, outcome: Err(failure) }),
        }
    }
    (opened, failed)
}

/// Two names for one place would pass for two copies.
fn without_doubles<'a>(
    opened: Vec<Open<'a>>,
    verified: &[Verified<'_>],
    archive: &Archive,
    tried: &mut Vec<Tried<'a>>,
) -> Vec<Open<'a>> {
    let known = verified.iter().map(|(target, location)| ((target.site(), location.clone()), target.name.clone()));
    let mut taken: BTreeMap<(String, String), String> = known.collect();
    let mut single = Vec::new();
    for open in opened {
        let location = open.storage.path_of(&archive.filename);
        match taken.entry((open.target.site(), location)) {
            Entry::Occupied(other) => {
                let error = Error::Double { location: other.key().1.clone(), other: other.get().clone() };
                tried.push(Tried { target: open.target, outcome: Err(error.into()) });
            }
            Entry::Vacant(place) => {
                place.insert(open.target.name.clone());
                single.push(open);
            }
        }
    }
    single
}

/// Fetches the artifact into the spool; its SHA-256 is compared before a byte of it is used. One that is damaged, each time
/// that it is read, is as good as gone where a place has the archive.
async fn fetch(context: &Context, archive: &Archive, is_elsewhere: bool) -> Result<Option<SpoolFile>, Failure> {
    let Some(artifact) = &archive.artifact else { return Ok(None) };
    let mut reads = 1;
    loop {
        let mut spool = SpoolFile::create(&context.spool).context(SpoolSnafu)?;
        match context.store.get(&artifact.name, archive.content, spool.writer()).await {
            Ok(_) => return Ok(Some(spool)),
            Err(GetError::Missing { .. }) => return Ok(None),
            Err(error) if error.exit() == Exit::DataRefused && reads < READS => {
                warn!(artifact = artifact.name, "reading it again: {}", Chain(&error));
                reads += 1;
            }
            Err(error) if error.exit() == Exit::DataRefused && is_elsewhere => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Looks which of the places have the archive already: the try before this one may have been killed after it. Gives those
/// that have it, and those that do not.
async fn look<'a>(
    task: &Task<'a>,
    opened: Vec<Open<'a>>,
    tried: &mut Vec<Tried<'a>>,
) -> (Vec<Open<'a>>, Vec<Open<'a>>) {
    let archive = task.archive;
    let looking = opened.into_iter().map(|open| async {
        let found = open.storage.confirm(&archive.filename, archive.parcel()).await;
        (open, found)
    });
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for (open, found) in join_all(looking).await {
        match found {
            Ok(Verification::Verified) => {
                let outcome = Ok(open.storage.path_of(&archive.filename));
                tried.push(task.note(Tried { target: open.target, outcome }).await);
                there.push(open);
            }
            Ok(Verification::Missing | Verification::Differs(_)) => missing.push(open),
            Err(error) => tried.push(Tried { target: open.target, outcome: Err(error.into()) }),
        }
    }
    (there, missing)
}

/// Copies the archive into the spool from the first place that has it: one where it was just seen, or one where it was
/// verified before, which may have lost it since.
async fn fetch_from_places(
    context: &Context,
    task: &Task<'_>,
    there: Vec<Open<'_>>,
    missing: &[Open<'_>],
    tried: &[Tried<'_>],
) -> Result<SpoolFile, Failure> {
    let verified: Vec<_> = task.verified.iter().map(|(target, _)| *target).collect();
    let (known, failed) = open_all(context, &verified).await;
    let failed = failed.into_iter().filter_map(|failed| failed.outcome.err());
    let mut unasked: Vec<Failure> = failed.filter(|failure| failure.exit() != Exit::DataRefused).collect();
    for open in there.into_iter().chain(known) {
        match fetch_from(context, &open.storage, task.archive).await {
            Ok(Some(spool)) => return Ok(spool),
            Ok(None) => warn!(place = open.target.name, "the archive is not here any more, or not as it was"),
            Err(failure) => {
                warn!(place = open.target.name, "the archive cannot be copied from here: {failure}");
                unasked.push(failure);
            }
        }
    }
    // As long as a place cannot be asked, the archive may be there.
    let others = tried.iter().filter_map(|tried| tried.outcome.as_ref().err());
    let others = others.map(|failure| Failure::new(failure.exit(), failure.to_string()));
    if let Some(failure) = unasked.into_iter().chain(others).max_by_key(Failure::exit) {
        return Err(failure);
    }
    let locations: Vec<_> =
        missing.iter().map(|open| format!("{:?}", open.storage.path_of(&task.archive.filename))).collect();
    Err(Error::ArtifactGone { locations: locations.join(", ") }.into())
}

/// Copies the archive into a spool; none where the place does not have it as it was, each time that it was read.
async fn fetch_from(context: &Context, storage: &Storage, archive: &Archive) -> Result<Option<SpoolFile>, Failure> {
    let location = storage.path_of(&archive.filename);
    let (mut storage, mut pauses) = (storage.clone(), pauses_between_reads());
    loop {
        let mut spool = SpoolFile::create(&context.spool).context(SpoolSnafu)?;
        match storage.fetch_to(&archive.filename, spool.writer()).await {
            Ok(found) if found == archive.content => {
                info!(location, "the artifact is gone; the archive is copied from a place that has it");
                return Ok(Some(spool));
            }
            Ok(found) => warn!(location, %found, "this is not what was stored there"),
            Err(error) if error.is_missing() || error.exit() == Exit::DataRefused => warn!("{}", Chain(&error)),
            Err(error) => return Err(error.into()),
        }
        let Some(pause) = pauses.next() else { return Ok(None) };
        sleep(pause).await;
        storage = storage.anew();
    }
}

/// Stores what lies in the spool at the places.
async fn store_all<'a>(task: &Task<'a>, places: &[Open<'a>], spool: &SpoolFile) -> Vec<Tried<'a>> {
    let archive = task.archive;
    // Every byte goes to each place once and comes back once.
    let bytes = archive.content.bytes;
    let total = bytes.saturating_mul(2).saturating_mul(places.len() as u64);
    let progress = Progress::new("bytes stored and read back", Some(total));
    let done: Vec<AtomicU64> = places.iter().map(|_| AtomicU64::new(0)).collect();
    let mut storing = Vec::new();
    for (open, own) in places.iter().zip(&done) {
        let show = |come: storage::Progress| {
            let come = match come {
                storage::Progress::Sent(sent) => sent,
                storage::Progress::ReadBack(read) => bytes + read,
            };
            own.store(come, Ordering::Relaxed);
            progress.set(done.iter().map(|own| own.load(Ordering::Relaxed)).sum());
        };
        // Boxed, as the futures of the SDK are large.
        storing.push(Box::pin(store(task, open, spool, show)));
    }
    stream::iter(storing).buffer_unordered(PLACES_AT_ONCE).collect().await
}

async fn store<'a>(
    task: &Task<'a>,
    Open { target, storage }: &Open<'a>,
    spool: &SpoolFile,
    show: impl Fn(storage::Progress) + Send + Sync,
) -> Tried<'a> {
    let archive = task.archive;
    let outcome = match storage.store(&archive.filename, spool.path(), archive.parcel(), show).await {
        Ok(stored) => {
            info!(location = stored.location, bytes = stored.bytes, "stored, read back and compared");
            Ok(stored.location)
        }
        Err(error) => Err(error.into()),
    };
    task.note(Tried { target, outcome }).await
}
