//! A Backup whose runs are recorded by the library, at times that the test sets: what a snapshot and an upload would have
//! left, without their taking a day each.

use std::collections::BTreeSet;

use drover::cluster::ClusterOptions;
use drover::digest::{Content, Sha256};
use drover::ledger::Ledger;
use drover::places::{Target, targets};
use drover::policy::Settings;
use drover::resources::{
    ArchiveState, Backup, BackupRun, BackupRunSpec, BackupRunStatus, BackupSpec, DEFAULT_NAMESPACE, Place, RunState,
    SnapshotStage, StageState, StorageLocation, Trigger, TriggerKind, UploadStage, rfc3339,
};
use drover::runs::{RunStore, archive_name, report, set_backup_status, status_of};
use drover::storage::{Parcel, Storage, StorageOptions};
use drover_tests::{Site, message};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use retention_prune::{Pruner, sweep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A scheduled Backup and its own place.
pub(super) struct Rounds<'a> {
    pub(super) site: &'a Site,
    pub(super) name: String,
    pub(super) storage: Storage,
    pub(super) uid: String,
}

/// The time of a round: one a day, all of them long past.
pub(super) fn day(number: i64) -> Timestamp {
    let first: Timestamp = "2026-01-01T02:00:00Z".parse().unwrap();
    first + SignedDuration::from_hours(24 * number)
}

pub(super) fn options(site: &Site) -> (ClusterOptions, StorageOptions) {
    let namespace = DEFAULT_NAMESPACE.to_owned();
    let cluster = ClusterOptions { namespace, pod_name: None, job_name: None, job_uid: None, lease_seconds: 5 };
    let volumes = site.testbed.folder().join("volumes");
    (cluster, StorageOptions { folder: site.folder(), volumes, default_s3_secret: None })
}

/// A pruner that takes it to be this time.
pub(super) async fn pruner_at(site: &Site, now: Timestamp) -> Pruner {
    let (cluster, storage) = options(site);
    Pruner::connect(site.client.clone(), cluster, storage).await.unwrap().at(now)
}

/// Looks at every Backup, as the job does on its schedule; it must end well.
pub(super) async fn sweep_at(site: &Site, now: Timestamp) {
    sweep_ends_with(site, now, 0).await;
}

/// Looks at every Backup; it must end with this exit code.
pub(super) async fn sweep_ends_with(site: &Site, now: Timestamp, code: u8) {
    let exit = sweep(&pruner_at(site, now).await, &CancellationToken::new()).await.unwrap();
    assert_eq!(exit.code(), code);
}

/// The plan that `--dry-run` prints at this time.
pub(super) async fn dry_run_at(site: &Site, backup: &str, now: Timestamp) -> String {
    let mut printed = Vec::new();
    retention_prune::print_plans(&pruner_at(site, now).await, Some(backup), &mut printed).await.unwrap();
    String::from_utf8(printed).unwrap()
}

impl<'a> Rounds<'a> {
    pub(super) async fn of(site: &'a Site, name: &str, count: i64, location: Option<StorageLocation>) -> Self {
        let spec = BackupSpec {
            resource_set_name: "small".to_owned(),
            schedule: Some("@daily".to_owned()),
            retention_count: Some(count),
            storage_location: location,
            ..BackupSpec::default()
        };
        let reached = Backup::new(name, spec.clone());
        site.make_backup(name, spec).await;
        Self::reaching(site, &reached).await
    }

    /// A Backup that is there already, whose place the test reaches as this other one says.
    pub(super) async fn reaching(site: &'a Site, backup: &Backup) -> Self {
        let storage = Self::open(site, &targets(backup, &Settings::default())[0]).await;
        let uid = drover::cluster::cluster_uid(&site.client).await.unwrap();
        Self { site, name: backup.name_any(), storage, uid }
    }

    async fn open(site: &Site, target: &Target) -> Storage {
        let (cluster, storage) = options(site);
        target.open(&site.client, &cluster.namespace, &storage).await.unwrap()
    }

    pub(super) async fn backup(&self) -> Backup {
        self.site.backups().get(&self.name).await.unwrap()
    }

    /// The archive of a round.
    pub(super) fn archive(&self, number: i64) -> String {
        archive_name(&self.name, &self.uid, day(number), false)
    }

    /// Stores an archive of that many objects, and writes what an upload of it leaves: its line in the ledger, its run's record,
    /// and a Backup that is Ready.
    pub(super) async fn round(&self, number: i64, objects: u64) -> BackupRun {
        let run = self.round_before_the_ledger(number, objects).await;
        let place = status_of(&run).upload.unwrap().places.remove(0);
        Ledger::new(self.site.client.clone(), "upload").record(&run, &place).await.unwrap();
        run
    }

    /// The same as a version left it that had no ledger.
    pub(super) async fn round_before_the_ledger(&self, number: i64, objects: u64) -> BackupRun {
        let content = self.store(&self.archive(number), Some(objects)).await;
        let backup = self.backup().await;
        let runs = RunStore::new(self.site.client.clone(), "upload");
        let run = runs.open(&backup, self.spec(&backup, number)).await.unwrap();
        let status = self.status(number, content, objects);
        let run = runs.record(&run, |_| Some(status.clone())).await.unwrap();
        let stored = |backup: &Backup| report::stored(backup, &run, "", false, day(number));
        set_backup_status(self.site.client.clone(), &self.name, "upload", stored).await.unwrap();
        run
    }

    /// Stores an archive that no run knows.
    pub(super) async fn store(&self, name: &str, objects: Option<u64>) -> Content {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), name).unwrap();
        let content = Content { bytes: name.len() as u64, sha256: Sha256::of(name) };
        let parcel = Parcel { objects, ..content.into() };
        self.storage.store(name, file.path(), parcel, |_| ()).await.unwrap();
        content
    }

    fn spec(&self, backup: &Backup, number: i64) -> BackupRunSpec {
        BackupRunSpec {
            backup: self.name.clone(),
            backup_uid: backup.uid().unwrap(),
            generation: 1,
            id: Uuid::now_v7(),
            number,
            trigger: Trigger { kind: TriggerKind::Schedule, by: "test".to_owned(), job_uid: None, scheduled_for: None },
            started_at: rfc3339(day(number)),
            filename: self.archive(number),
        }
    }

    fn status(&self, number: i64, content: Content, objects: u64) -> BackupRunStatus {
        let place = Place {
            name: Place::DEFAULT.to_owned(),
            location: self.storage.path_of(&self.archive(number)),
            verified_bytes: i64::try_from(content.bytes).unwrap(),
            state: StageState::Completed,
            verified_at: Some(rfc3339(day(number))),
            reason: None,
        };
        let snapshot = SnapshotStage {
            state: StageState::Completed,
            objects: i64::try_from(objects).unwrap(),
            bytes: i64::try_from(content.bytes).unwrap(),
            sha256: Some(content.sha256.to_string()),
            ..SnapshotStage::default()
        };
        let upload = UploadStage { state: StageState::Completed, places: vec![place], ..UploadStage::default() };
        BackupRunStatus {
            state: RunState::Completed,
            ended_at: Some(rfc3339(day(number))),
            snapshot: Some(snapshot),
            upload: Some(upload),
            ..BackupRunStatus::default()
        }
    }

    /// The numbers of the rounds whose archives lie there.
    pub(super) async fn lying(&self) -> Vec<i64> {
        let listed: Vec<_> = self.storage.list().try_collect().await.unwrap();
        let listed: BTreeSet<_> = listed.into_iter().map(|archive| archive.name).collect();
        (0..200).filter(|number| listed.contains(&self.archive(*number))).collect()
    }

    /// Puts a file there as somebody else would: nothing is recorded beside it.
    pub(super) async fn put(&self, name: &str, content: &str) {
        let path = self.storage.path_of(name);
        let Some(object) = path.strip_prefix("s3://") else { return std::fs::write(path, content).unwrap() };
        let (bucket, key) = object.split_once('/').unwrap();
        let client = self.site.testbed.s3().unwrap().client().unwrap();
        client.put_object().bucket(bucket).key(key).body(content.as_bytes().to_vec().into()).send().await.unwrap();
    }

    /// What the ledger says of each archive: its number and its state.
    pub(super) async fn ledger(&self) -> Vec<(i64, ArchiveState)> {
        let lines = Ledger::new(self.site.client.clone(), "test").lines(&self.name, &self.uid).await.unwrap();
        lines.iter().map(|line| (line.spec.number, line.status.clone().unwrap_or_default().state)).collect()
    }

    /// The Backup is none the worse for whatever became of its old archives.
    pub(super) async fn is_ready(&self) {
        let conditions = self.backup().await.status.unwrap().conditions.unwrap();
        assert_eq!(message(Some(&conditions), "Ready"), "Completed", "{conditions:?}");
        assert!(conditions.is_true("Ready") && conditions.is_true("Uploaded"), "{conditions:?}");
    }

    /// Holds what the condition `Pruned` says against this.
    pub(super) async fn has_deleted(&self, deleted: i64, kept: i64) {
        let (is_done, said) = self.pruned().await;
        assert!(
            is_done && said.starts_with(&format!("deleted {deleted}, kept {kept}; last deleted {deleted} at ")),
            "{said}"
        );
    }

    /// What the condition `Pruned` says.
    pub(super) async fn pruned(&self) -> (bool, String) {
        let conditions = self.backup().await.status.unwrap().conditions.unwrap();
        (conditions.is_true("Pruned"), message(Some(&conditions), "Pruned"))
    }
}
