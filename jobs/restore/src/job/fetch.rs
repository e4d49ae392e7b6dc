//! The archive of a Restore: fetched, proved and checked before anything is written.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use drover::annotations::REQUIRE_ANNOTATION;
use drover::archive::{Limits, ReadError, Spool, Unsealing};
use drover::archives::backup_of;
use drover::digest::Content;
use drover::exit::Failure;
use drover::policy::Policies;
use drover::resources::Restore;
use drover::{encryption, task};
use snafu::ResultExt;
use tracing::{info, warn};

use crate::command_line::arguments::{JobOptions, WorkLimits};
use crate::job::chosen;
use crate::job::context::Context;
use crate::job::error::{JobError, JoinReadingSnafu, ReadArchiveSnafu, UseSpoolSnafu};
use crate::plan::wishes::Wishes;
use crate::report::progress::{self, Doing, Gauge};
use crate::survey::archive::authenticity::{Proof, UnknownPolicySnafu};
use crate::survey::archive::recorded;

/// An archive that was read to its end.
pub(crate) struct Fetched {
    pub(crate) spool: Arc<Spool>,
    /// What is to be said of where it comes from.
    pub(crate) note: Option<String>,
}

/// Fetches the archive into the spool and checks all of it: before this has ended well, nothing is applied.
pub(crate) async fn fetch(
    context: &Context,
    restore: &Restore,
    wishes: &Wishes,
    filename: &str,
) -> Result<Fetched, Failure> {
    let JobOptions { spool: folder, limits, .. } = &context.options;
    let storage = chosen::place(context, restore).await?;
    let unsealing = unsealing(context, restore).await?;
    let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(folder).context(UseSpoolSnafu)?);
    let fetching = Box::pin(storage.fetch_to(filename, &mut file));
    let Content { bytes, sha256 } = progress::telling(&Gauge::of(Doing::Fetching), fetching).await?;
    info!(location = storage.path_of(filename), bytes, "archive fetched");
    let evidence = recorded::check(&context.client, &storage, filename, sha256).await?;
    let proof = Proof::of(filename, sha256, evidence, unsealing.configuration())?;
    let note = accept(context, restore, wishes, filename, &proof).await?;
    let (file, folder, limits) = (file.into_std().await, folder.clone(), archive_limits(*limits));
    let reading = task::spawn_blocking(move || read(file, &folder, &limits, unsealing));
    let spool = reading.await.context(JoinReadingSnafu)?.context(ReadArchiveSnafu { filename })?;
    Ok(Fetched { spool: Arc::new(spool), note })
}

/// Tells what is to be said of where an archive comes from; one that nothing proves is refused where somebody asks for that.
async fn accept(
    context: &Context,
    restore: &Restore,
    wishes: &Wishes,
    filename: &str,
    proof: &Proof,
) -> Result<Option<String>, Failure> {
    let Some(note) = proof.told() else { return Ok(None) };
    warn!("{note}");
    proof.demand(filename, who_requires(context, restore, wishes, filename).await?)?;
    context.events.warning(restore, "Unauthenticated", note.as_str()).await;
    Ok(Some(note))
}

/// What asks for an authentic archive: the Restore, or a policy for its Backup; none where nothing does.
async fn who_requires(
    context: &Context,
    restore: &Restore,
    wishes: &Wishes,
    filename: &str,
) -> Result<Option<String>, Failure> {
    if wishes.require_authentic {
        return Ok(Some(format!("the annotation {REQUIRE_ANNOTATION}")));
    }
    let policies = Policies::load(&context.client).await?;
    let settings = policies.settings_of(backup_of(restore).unwrap_or(filename));
    match (settings.authentic_by, settings.unknown_authentic) {
        (Some(policy), _) => Ok(Some(format!("the BackupPolicy {policy:?}"))),
        (None, Some(why)) => UnknownPolicySnafu { filename, why }.fail().map_err(Failure::from),
        (None, None) => Ok(None),
    }
}

/// What becomes of encrypted objects: they are decrypted by the configuration that the Restore names, or refused.
async fn unsealing(context: &Context, restore: &Restore) -> Result<Unsealing, Failure> {
    let Some(secret) = restore.encryption_secret() else { return Ok(Unsealing::Refuse) };
    match encryption::from_secret(&context.client, &context.options.cluster.namespace, secret).await {
        Ok(configuration) => Ok(Unsealing::Decrypt(configuration)),
        Err(source) if source.is_final() => Err(JobError::Encryption { source }.into()),
        Err(source) => Err(source.into()),
    }
}

fn read(archive: File, folder: &Path, limits: &Limits, unsealing: Unsealing) -> Result<Spool, ReadError> {
    let mut progress = progress::Progress::new("objects read from the archive", 0);
    Spool::read_in(folder, archive, limits, unsealing, &mut |read| progress.advance_to(read.objects))
}

fn archive_limits(limits: WorkLimits) -> Limits {
    Limits { bytes: limits.unpacked_limit.unwrap_or(Limits::default().bytes), ..Limits::default() }
}
