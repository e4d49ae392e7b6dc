//! Artifacts that no run knows: their Backups were deleted while a snapshot put them, and nobody will ever ask for them.

use std::collections::BTreeSet;

use drover::artifacts::{Contents, Store};
use drover::cluster;
use drover::exit::Failure;
use drover::resources::{Artifact, Backup, BackupRun};
use drover::runs::{is_artifact_name, status_of};
use kube::ResourceExt;
use tracing::info;

use crate::context::Context;

/// Drops them. Where anything cannot be read nothing is dropped.
pub(crate) async fn drop_unknown(context: &Context) -> Result<(), Failure> {
    // In this order: a run records its artifact before the first chunk is sent, so whatever lies here by now is known to
    // the runs that are asked for next, and their Backups to the list after that.
    let contents = context.store.contents().await?;
    if contents.names.is_empty() && contents.chunks.is_empty() {
        return Ok(());
    }
    let runs = context.runs.all().await?;
    let backups: Vec<Backup> = cluster::list(&context.client).await?;
    let mut known = Known::of(&runs, &backups);
    for name in &contents.names {
        known.describe(name, context.store.info(name).await?.map(|info| info.id));
    }
    for (name, id) in known.unknown_artifacts() {
        context.store.purge(name, id).await?;
        info!(artifact = name, "dropped an artifact that no run knows");
    }
    for id in known.unknown_chunks(&contents) {
        context.store.purge_chunks(id).await?;
        info!(chunks = id, "dropped chunks that no run knows");
    }
    Ok(())
}

/// What the runs know of the object store.
#[derive(Debug, Default)]
struct Known {
    names: BTreeSet<String>,
    ids: BTreeSet<String>,
    /// Artifacts that are whole, each with the id of its chunks.
    described: Vec<(String, String)>,
}

impl Known {
    /// What the runs of Backups know that are there.
    fn of(runs: &[BackupRun], backups: &[Backup]) -> Self {
        let backups: BTreeSet<_> = backups.iter().filter_map(ResourceExt::uid).collect();
        let wanted = runs.iter().filter(|run| backups.contains(&run.spec.backup_uid));
        let artifacts: Vec<_> = wanted.filter_map(|run| status_of(run).waiting_artifact().cloned()).collect();
        let (names, ids) = artifacts.into_iter().map(|Artifact { name, chunks, .. }| (name, chunks)).unzip();
        Self { names, ids, described: Vec::new() }
    }

    /// Notes where the chunks of an artifact lie: those of one that is known are known too.
    fn describe(&mut self, name: &str, id: Option<String>) {
        let Some(id) = id else { return };
        if self.names.contains(name) || !is_artifact_name(name) {
            self.ids.insert(id);
        } else {
            self.described.push((name.to_owned(), id));
        }
    }

    fn unknown_artifacts(&self) -> impl Iterator<Item = (&str, &str)> {
        let unknown = self.described.iter().filter(|(_, id)| !self.ids.contains(id));
        unknown.map(|(name, id)| (name.as_str(), id.as_str()))
    }

    /// Ids of chunks that no artifact has which is known or was dropped. What drover did not put is left alone.
    fn unknown_chunks<'a>(&self, contents: &'a Contents) -> impl Iterator<Item = &'a str> {
        let is_described = |id: &str| self.described.iter().any(|(_, other)| other == id);
        let unknown = contents.chunks.keys().map(String::as_str);
        unknown.filter(move |id| Store::is_own_id(id) && !self.ids.contains(*id) && !is_described(id))
    }
}

#[cfg(test)]
mod tests {
    use drover::resources::{BackupRunSpec, BackupRunStatus, BackupSpec, Trigger, TriggerKind};
    use drover::runs::artifact_name;
    use uuid::Uuid;

    use super::*;

    /// A run of the Backup of this UID whose artifact has chunks of this id.
    fn run(backup_uid: &str, chunks: &str, dropped: bool) -> BackupRun {
        let id = Uuid::now_v7();
        let trigger = Trigger { kind: TriggerKind::Person, by: String::new(), job_uid: None, scheduled_for: None };
        let spec = BackupRunSpec {
            backup: "daily".to_owned(),
            backup_uid: backup_uid.to_owned(),
            generation: 1,
            id,
            number: 1,
            trigger,
            started_at: String::new(),
            filename: String::new(),
        };
        let mut artifact = Artifact::new("bucket", artifact_name("daily", id), chunks.to_owned());
        artifact.dropped_at = dropped.then(String::new);
        let mut run = BackupRun::new("daily-1", spec);
        run.status = Some(BackupRunStatus { artifact: Some(artifact), ..BackupRunStatus::default() });
        run
    }

    fn name_of(run: &BackupRun) -> String {
        artifact_name("daily", run.spec.id)
    }

    #[test]
    fn what_a_run_of_a_live_backup_waits_for_is_kept_and_what_is_not_drovers() {
        let [waiting, dropped, orphaned, put, other, replaced] = [(); 6].map(|()| Store::new_id());
        let mut backup = Backup::new("daily", BackupSpec::default());
        backup.metadata.uid = Some("live".to_owned());
        let runs = [run("live", &waiting, false), run("live", &dropped, true), run("gone", &orphaned, false)];
        let mut known = Known::of(&runs, &[backup]);
        let names: Vec<_> = runs.iter().map(name_of).collect();
        // Of a try of before that came through after all: it is the artifact's, whatever the run says.
        known.describe(&names[0], Some(replaced.clone()));
        known.describe(&names[1], Some(dropped.clone()));
        known.describe(&names[2], Some(orphaned.clone()));
        known.describe("notes.txt", Some(other.clone()));
        let expected = [(names[1].as_str(), dropped.as_str()), (names[2].as_str(), orphaned.as_str())];
        assert_eq!(known.unknown_artifacts().collect::<Vec<_>>(), expected);
        let ids = [&waiting, &dropped, &orphaned, &put, &other, &replaced].map(|id| (id.clone(), 1));
        let strangers = ["0".repeat(32), "stranger".to_owned()].map(|id| (id, 1));
        let contents = Contents { names: Vec::new(), chunks: ids.into_iter().chain(strangers).collect() };
        assert_eq!(known.unknown_chunks(&contents).collect::<Vec<_>>(), [put.as_str()]);
    }
}
