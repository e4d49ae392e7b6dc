//! Which archive a Restore means, and where it lies.

use drover::annotations::known::check_restore;
use drover::annotations::{
    CLUSTER_ANNOTATION, LATEST_OF_ANNOTATION, PLACE_ANNOTATION, RESOLVED_ANNOTATION, RESOLVED_PLACE_ANNOTATION,
};
use drover::archives::{self, Latest, backup_of, latest_of};
use drover::cluster::{self, ApiError};
use drover::exit::{Exit, Failure, Fault};
use drover::ledger::{Ledger, Lines};
use drover::places::{Target, targets};
use drover::policy::Policies;
use drover::resources::{Backup, BackupSpec, LATEST, Place, Restore};
use drover::runs::RunStore;
use drover::storage::Storage;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use snafu::{OptionExt, ResultExt, Snafu};
use tracing::info;

use crate::job::context::Context;
use crate::job::name::JOB;

/// Why it is not known which archive is meant.
#[derive(Debug, Snafu)]
pub(crate) enum ChoiceError {
    #[snafu(display(
        "failed to tell of which Backup the latest archive is meant: name it in the annotation {LATEST_OF_ANNOTATION}"
    ))]
    NoBackup,
    #[snafu(display(
        "failed to find the place {place:?} that the annotation {annotation} names among those of the Backup {backup:?}: \
         {known}; correct it, or the BackupPolicy"
    ))]
    UnknownPlace { annotation: &'static str, place: String, backup: String, known: String },
    #[snafu(display("failed to note on the Restore {restore:?} that the latest archive is {filename:?}"))]
    Note { restore: String, filename: String, source: ApiError },
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
/// it restores the same. A Restore that asks for what nobody knows is refused before anything of it is looked at.
///
/// # Errors
/// When the place cannot be read, or nothing says which archive is meant.
pub(crate) async fn resolve(context: &Context, restore: &Restore) -> Result<Restore, Failure> {
    check_restore(restore)?;
    if restore.archive().is_some() {
        return Ok(restore.clone());
    }
    let backup = latest_of(restore).context(NoBackupSnafu)?;
    let (names, storages): (Vec<_>, Vec<_>) = places_of_latest(context, restore, backup).await?.into_iter().unzip();
    let cluster_uid = restore.annotations().get(CLUSTER_ANNOTATION).map(|uid| uid.trim());
    let ledger = ledger_with_runs(&context.client, backup).await?;
    let Latest { place, filename } = archives::latest(&storages, backup, cluster_uid, &ledger).await?;
    let location = storages[place].path_of(&filename);
    info!(location, "this is the latest verified archive");
    let noted = note(context, restore, filename, names[place].as_deref()).await?;
    context.events.normal(&noted, "LatestChosen", format!("the latest verified archive is {location}")).await;
    Ok(noted)
}

/// The places where the latest archive may lie: what the Restore names and all that the Backup has, or only what an annotation
/// says. Each with the name that is noted where it is chosen.
///
/// One that cannot be read may have the latest, so nothing is chosen then.
async fn places_of_latest(
    context: &Context,
    restore: &Restore,
    backup: &str,
) -> Result<Vec<(Option<String>, Storage)>, Failure> {
    if annotation(restore, PLACE_ANNOTATION).is_some() {
        return Ok(vec![(None, place(context, restore).await?)]);
    }
    let located = backup_or_stand_in(context, restore, backup).await?;
    let own = &restore.spec.storage_location;
    let names_bucket = own.as_ref().is_some_and(|location| location.s3.is_some());
    let mut places = Vec::new();
    if names_bucket && located.spec.storage_location != *own {
        places.push((None, place(context, restore).await?));
    }
    let (namespace, options) = (&context.options.cluster.namespace, &context.options.storage);
    for target in targets_of(context, &located).await? {
        let storage = target.open(&context.client, namespace, options).await?;
        places.push((Some(target.name), storage));
    }
    Ok(places)
}

/// The Backup or, where there is none of that name, one whose archives lie where the Restore says.
async fn backup_or_stand_in(context: &Context, restore: &Restore, name: &str) -> Result<Backup, Failure> {
    let found = cluster::find(&context.client, name).await?;
    let spec = BackupSpec { storage_location: restore.spec.storage_location.clone(), ..BackupSpec::default() };
    Ok(found.unwrap_or_else(|| Backup::new(name, spec)))
}

async fn targets_of(context: &Context, backup: &Backup) -> Result<Vec<Target>, Failure> {
    let policies = Policies::load(&context.client).await?;
    Ok(targets(backup, &policies.settings(backup)))
}

/// Notes what was chosen on the Restore.
async fn note(context: &Context, restore: &Restore, filename: String, place: Option<&str>) -> Result<Restore, Failure> {
    let restores: Api<Restore> = Api::all(context.client.clone());
    let annotations = json!({RESOLVED_ANNOTATION: filename, RESOLVED_PLACE_ANNOTATION: place});
    let note = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let parameters = PatchParams { field_manager: Some(JOB.to_owned()), ..PatchParams::default() };
    let noted = restores.patch(&restore.name_any(), &parameters, &note).await.map_err(ApiError::from);
    Ok(noted.with_context(|_| NoteSnafu { restore: restore.name_any(), filename })?)
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
    let location = match named_place(restore) {
        None => context.options.storage.locate(client, namespace, restore.spec.storage_location.as_ref()).await?,
        Some((annotation, place)) => {
            let backup = backup_of(restore).context(NoBackupSnafu)?;
            let located = backup_or_stand_in(context, restore, backup).await?;
            let targets = targets_of(context, &located).await?;
            let known = targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
            let target = targets.into_iter().find(|target| target.name == place);
            let target = target.with_context(|| UnknownPlaceSnafu { annotation, place, backup, known })?;
            target.locate(client, namespace, &context.options.storage).await?
        }
    };
    Ok(Storage::open(location.within(restore.folder())?).await?)
}

/// The place of the Backup that an annotation names, and the annotation; none where it is what the Restore itself names.
fn named_place(restore: &Restore) -> Option<(&'static str, &str)> {
    let noted = annotation(restore, RESOLVED_PLACE_ANNOTATION).map(|place| (RESOLVED_PLACE_ANNOTATION, place));
    let wanted = annotation(restore, PLACE_ANNOTATION).filter(|place| *place != Place::DEFAULT);
    noted.filter(|_| restore.spec.backup_filename == LATEST).or(wanted.map(|place| (PLACE_ANNOTATION, place)))
}

fn annotation<'a>(restore: &'a Restore, name: &str) -> Option<&'a str> {
    restore.annotations().get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use drover::resources::RestoreSpec;

    use super::*;

    #[track_caller]
    fn check(filename: &str, annotations: &[(&str, &str)], expected: Option<&str>) {
        let spec = RestoreSpec { backup_filename: filename.to_owned(), ..RestoreSpec::default() };
        let mut restore = Restore::new("a", spec);
        let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        restore.annotations_mut().extend(annotations);
        assert_eq!(named_place(&restore).map(|(_, place)| place), expected, "{restore:?}");
    }

    #[test]
    fn what_was_chosen_for_the_latest_archive_counts_before_what_was_asked_for() {
        check(LATEST, &[], None);
        check(LATEST, &[(PLACE_ANNOTATION, " far ")], Some("far"));
        check(LATEST, &[(PLACE_ANNOTATION, "default")], None);
        check(LATEST, &[(RESOLVED_PLACE_ANNOTATION, "default")], Some("default"));
        check(LATEST, &[(RESOLVED_PLACE_ANNOTATION, "far"), (PLACE_ANNOTATION, "near")], Some("far"));
        check("a.tar.gz", &[(RESOLVED_PLACE_ANNOTATION, "far"), (PLACE_ANNOTATION, "")], None);
        check("a.tar.gz", &[(PLACE_ANNOTATION, "near")], Some("near"));
    }
}
