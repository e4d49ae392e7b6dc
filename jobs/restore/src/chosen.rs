//! Which archive a Restore means, and where it lies.

use drover::archives::{self, CLUSTER_ANNOTATION, LATEST_OF_ANNOTATION, backup_of, latest_of};
use drover::cluster::ApiError;
use drover::exit::{Exit, Failure, Fault};
use drover::ledger::{Ledger, Lines};
use drover::places::Target;
use drover::policy::Policies;
use drover::resources::{Place, RESOLVED_ANNOTATION, Restore};
use drover::runs::RunStore;
use drover::storage::Storage;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use snafu::{OptionExt, ResultExt, Snafu};
use tracing::info;

use crate::cluster_job::{Context, JOB};

/// On a Restore: the name of a further storage location of a BackupPolicy, where the archive is taken from.
const PLACE_ANNOTATION: &str = "drover.dev/place";

/// Why it is not known which archive is meant.
#[derive(Debug, Snafu)]
pub(crate) enum ChoiceError {
    /// The latest one of what?
    #[snafu(display(
        "failed to tell of which Backup the latest archive is meant: name it in the annotation {LATEST_OF_ANNOTATION}"
    ))]
    NoBackup,
    /// The annotation names a place that no policy knows.
    #[snafu(display(
        "failed to find the place {place:?} that the annotation {PLACE_ANNOTATION} names among those of the Backup {backup:?}: \
         {known}; correct it, or the BackupPolicy"
    ))]
    UnknownPlace {
        /// The name.
        place: String,
        /// The Backup.
        backup: String,
        /// The names of the places that there are.
        known: String,
    },
    /// What was chosen cannot be noted.
    #[snafu(display("failed to note on the Restore {restore:?} that the latest archive is {filename:?}"))]
    Note {
        /// The Restore.
        restore: String,
        /// The archive.
        filename: String,
        /// What the server said.
        source: ApiError,
    },
}

impl Fault for ChoiceError {
    fn exit(&self) -> Exit {
        match self {
            Self::Note { source, .. } => source.exit(),
            _ => Exit::Usage,
        }
    }
}

/// The Restore with the name of its archive: the latest one is chosen once and noted on it, so that a job which goes on with
/// it restores the same.
///
/// # Errors
/// When the place cannot be read, or nothing says which archive is meant.
pub(crate) async fn resolve(context: &Context, restore: &Restore) -> Result<Restore, Failure> {
    if restore.archive().is_some() {
        return Ok(restore.clone());
    }
    let backup = latest_of(restore).context(NoBackupSnafu)?;
    let storage = place(context, restore).await?;
    let cluster_uid = restore.annotations().get(CLUSTER_ANNOTATION).map(|uid| uid.trim());
    let ledger = ledger_with_runs(&context.client, backup).await?;
    let filename = archives::latest(&storage, backup, cluster_uid, &ledger).await?;
    let location = storage.path_of(&filename);
    info!(location, "this is the latest verified archive");
    let restores: Api<Restore> = Api::all(context.client.clone());
    let note = Patch::Merge(json!({"metadata": {"annotations": {RESOLVED_ANNOTATION: filename}}}));
    let parameters = PatchParams { field_manager: Some(JOB.to_owned()), ..PatchParams::default() };
    let noted = restores.patch(&restore.name_any(), &parameters, &note).await.map_err(ApiError::from);
    let noted = noted.with_context(|_| NoteSnafu { restore: restore.name_any(), filename })?;
    context.events.normal(&noted, "LatestChosen", format!("the latest verified archive is {location}")).await;
    Ok(noted)
}

/// What this cluster's ledger says of a Backup.
///
/// # Errors
/// When it cannot be read, also because its definition is missing: whatever lies at a place would pass for an archive then.
pub(crate) async fn ledger(client: &Client, backup: &str) -> Result<Lines, Failure> {
    let cluster_uid = drover::cluster::cluster_uid(client).await?;
    Ok(Ledger::new(client.clone(), JOB).lines(backup, &cluster_uid).await?)
}

/// The same with what only runs tell: where the ledger was lost with its definition, they are what is left of it until the next
/// prune has taken them over.
async fn ledger_with_runs(client: &Client, backup: &str) -> Result<Lines, Failure> {
    let cluster_uid = drover::cluster::cluster_uid(client).await?;
    let lines = Ledger::new(client.clone(), JOB).lines(backup, &cluster_uid).await?;
    let runs = RunStore::new(client.clone(), JOB).all().await?;
    let untold = lines.missing(runs.iter().filter(|run| run.spec.backup == backup), &cluster_uid);
    Ok(lines.with(backup, &cluster_uid, untold))
}

/// The place of the Restore's archive, open.
///
/// # Errors
/// When it cannot be opened, or there is none of the name that an annotation says.
pub(crate) async fn place(context: &Context, restore: &Restore) -> Result<Storage, Failure> {
    let (client, namespace) = (&context.client, &context.options.cluster.namespace);
    let named = restore.annotations().get(PLACE_ANNOTATION).map(|name| name.trim());
    let Some(named) = named.filter(|name| !name.is_empty() && *name != Place::DEFAULT) else {
        let location =
            context.options.storage.locate(client, namespace, restore.spec.storage_location.as_ref()).await?;
        return Ok(Storage::open(location).await?);
    };
    let policies = Policies::load(client).await?;
    policies.warn();
    let backup = backup_of(restore).context(NoBackupSnafu)?;
    let further = policies.settings_of(backup).further_locations;
    let known = further.iter().map(|location| location.name.as_str()).chain([Place::DEFAULT]);
    let known = known.collect::<Vec<_>>().join(", ");
    let location = further.into_iter().find(|location| location.name == named);
    let location = location.with_context(|| UnknownPlaceSnafu { place: named, backup, known })?;
    Target::further(location).open(client, namespace, &context.options.storage).await
}
