use std::io;

use drover::artifacts::{Expected, GetError};
use drover::exit::{Exit, Failure, Fault};
use drover::progress::Progress;
use drover::resources::{Artifact, Backup, BackupRun, SnapshotStage};
use drover::runs::status_of;
use drover::storage::{self, Content, Storage, Verification};
use snafu::{OptionExt, ResultExt, Snafu};
use tracing::info;

use crate::context::Context;
use crate::spool::SpoolFile;

/// Why an archive could not be brought to its place.
#[derive(Debug, Snafu)]
pub(crate) enum Error {
    /// The artifact is gone, and its place has no archive either.
    #[snafu(display(
        "failed to find the artifact {name:?} in the object store, and {location:?} has no verified archive; the Backup is \
         due again"
    ))]
    ArtifactGone {
        /// The artifact.
        name: String,
        /// The place.
        location: String,
    },
    /// The run does not say what was snapshotted.
    #[snafu(display(
        "failed to find the size and SHA-256 of the snapshot in the run's record; the Backup is due again"
    ))]
    IncompleteRecord,
    /// The spool has no room, say.
    #[snafu(display("failed to write the archive to the spool folder; give it room, or name another with --spool"))]
    Spool {
        /// What the system said.
        source: io::Error,
    },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::ArtifactGone { .. } | Self::IncompleteRecord => Exit::DataRefused,
            Self::Spool { .. } => Exit::Failure,
        }
    }
}

/// What an archive must be to count as the one that was snapshotted.
pub(crate) struct Archive {
    pub(crate) filename: String,
    pub(crate) content: Content,
    pub(crate) objects: i64,
    artifact: Option<Artifact>,
}

impl Archive {
    /// By the run's record: nothing of it is taken from a message.
    pub(crate) fn of(run: &BackupRun) -> Result<Self, Error> {
        let status = status_of(run);
        let artifact = status.waiting_artifact().cloned();
        let stage: SnapshotStage = status.snapshot.unwrap_or_default();
        let bytes = u64::try_from(stage.bytes).ok().context(IncompleteRecordSnafu)?;
        let mut sha256 = [0; 32];
        let text = stage.sha256.context(IncompleteRecordSnafu)?;
        hex::decode_to_slice(text, &mut sha256).ok().context(IncompleteRecordSnafu)?;
        let filename = run.spec.filename.clone();
        Ok(Self { filename, content: Content { bytes, sha256 }, objects: stage.objects, artifact })
    }
}

/// Stores the run's archive where the Backup wants it, and gives the place as a person writes it.
///
/// An archive that lies there already, verified, counts: the try before this one may have been killed after it.
pub(crate) async fn transfer(context: &Context, backup: &Backup, archive: &Archive) -> Result<String, Failure> {
    let wanted = backup.spec.storage_location.as_ref();
    let location = context.storage.locate(&context.client, &context.options.namespace, wanted).await?;
    let storage = Storage::open(location).await?;
    let mut spool = SpoolFile::create(&context.spool).context(SpoolSnafu)?;
    match fetch(context, archive, &mut spool).await? {
        Fetched::Whole => {}
        Fetched::Gone => return verified_at_place(&storage, archive).await,
    }
    // Every byte goes there once and comes back once.
    let progress = Progress::new("bytes stored and read back", Some(2 * archive.content.bytes));
    let show = |come: storage::Progress| match come {
        storage::Progress::Sent(bytes) => progress.set(bytes),
        storage::Progress::ReadBack(bytes) => progress.set(archive.content.bytes + bytes),
    };
    let stored = storage.store(&archive.filename, spool.path(), archive.content, show).await?;
    info!(location = stored.location, bytes = stored.bytes, "stored, read back and compared");
    Ok(stored.location)
}

enum Fetched {
    Whole,
    Gone,
}

/// Fetches the artifact into the spool; its SHA-256 is compared before a byte of it is used.
async fn fetch(context: &Context, archive: &Archive, spool: &mut SpoolFile) -> Result<Fetched, Failure> {
    let Some(artifact) = &archive.artifact else { return Ok(Fetched::Gone) };
    let Content { bytes, sha256 } = archive.content;
    let expected = Expected { bytes, sha256: hex::encode(sha256) };
    match context.store.get(&artifact.name, &expected, spool.writer()).await {
        Ok(_) => Ok(Fetched::Whole),
        Err(GetError::Missing { .. }) => Ok(Fetched::Gone),
        Err(error) => Err(error.into()),
    }
}

async fn verified_at_place(storage: &Storage, archive: &Archive) -> Result<String, Failure> {
    let location = storage.path_of(&archive.filename);
    match storage.verify(&archive.filename, archive.content).await? {
        Verification::Verified => Ok(location),
        Verification::Missing | Verification::Differs(_) => {
            let name = archive.artifact.as_ref().map(|artifact| artifact.name.clone()).unwrap_or_default();
            Err(Error::ArtifactGone { name, location }.into())
        }
    }
}
