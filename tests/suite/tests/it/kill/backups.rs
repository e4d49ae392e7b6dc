//! Backups that are killed again and again, and what must be true of them each time.

use std::path::PathBuf;

use drover::queue::{STREAM, UPLOAD_CONSUMER};
use drover::resources::{BackupRun, RunState};
use drover_testbed::compare::{Contents, contents, differences};
use drover_testbed::rancher;
use drover_tests::{BUCKET, Site, message};
use sha2::{Digest, Sha256};

use super::Scene;

/// Bytes of a chunk of the object store.
const CHUNK: i64 = 128 * 1024;

/// Where a Backup's archives go.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Bucket,
    Folder,
}

/// A Backup, and how many runs it must have.
pub(super) struct Target {
    pub(super) name: &'static str,
    place: Place,
    pub(super) runs: i64,
    /// What each of its archives must hold.
    pub(super) reference: Contents,
}

/// Makes objects, and a Backup of them for each kind of place.
pub(super) async fn populate(site: &Site, scale: usize) -> [Target; 2] {
    rancher::populate(&site.client, scale).await.unwrap();
    site.resource_set(rancher::RESOURCE_SET).await;
    let target = |name, place| Target { name, place, runs: 0, reference: Contents::new() };
    let targets = [target("in-bucket", Place::Bucket), target("in-folder", Place::Folder)];
    for target in &targets {
        let location = (target.place == Place::Bucket).then(|| site.bucket(target.name));
        site.backup(target.name, "rancher-resource-set", location).await;
    }
    targets
}

impl Target {
    /// Backs up undisturbed: all later archives are compared with this one.
    pub(super) async fn back_up(&mut self, scene: &Scene) {
        scene.process("snapshot", "undisturbed").arguments(["--backup", self.name]).succeed().await;
        scene.process("upload", "undisturbed").succeed().await;
        self.runs += 1;
        let run = scene.site.runs(self.name).await.pop().unwrap();
        let archive = self.fetch(&scene.site, &run.spec.filename).await;
        self.reference = contents(&archive).unwrap();
        self.check_stored(&scene.site).await;
    }

    /// The newest run, where the one that is in work has been opened.
    pub(super) async fn run_in_work(&self, site: &Site) -> Option<BackupRun> {
        site.runs(self.name).await.pop().filter(|run| run.spec.number > self.runs)
    }

    /// After a snapshot has come to its end: one artifact, with its own chunks and no others.
    pub(super) async fn check_snapshotted(&self, site: &Site) {
        let run = site.runs(self.name).await.pop().unwrap();
        assert_eq!(run.spec.number, self.runs + 1);
        let status = run.status.unwrap();
        let (artifact, stage) = (status.artifact.unwrap(), status.snapshot.unwrap());
        let stored = site.artifacts().await;
        assert_eq!(stored.names, [artifact.name]);
        let chunks: Vec<_> = stored.chunks.iter().map(|(id, count)| (id.as_str(), *count)).collect();
        let expected = usize::try_from((stage.bytes + CHUNK - 1) / CHUNK).unwrap();
        assert_eq!(chunks, [(artifact.chunks.as_str(), expected)]);
    }

    /// After an upload has come to its end: each run has its archive, and nothing else is left of any of them.
    pub(super) async fn check_stored(&self, site: &Site) {
        self.check_runs(site).await;
        self.check_archive(site).await;
        let left = site.artifacts().await;
        assert!(left.names.is_empty() && left.chunks.is_empty(), "{left:?}");
        let consumer = async_nats::jetstream::new(site.testbed.nats().await.unwrap());
        let consumer = consumer.get_stream(STREAM).await.unwrap().consumer_info(UPLOAD_CONSUMER).await.unwrap();
        assert_eq!((consumer.num_pending, consumer.num_ack_pending), (0, 0));
        let (labels, archives): (Vec<_>, Vec<_>) =
            self.list(site).await.into_iter().partition(|name| name.ends_with(".sha256"));
        assert_eq!(i64::try_from(archives.len()).unwrap(), self.runs, "{archives:?}");
        let labelled = if self.place == Place::Folder { archives.len() } else { 0 };
        assert_eq!(labels.len(), labelled, "each archive of a folder has its digest beside it: {labels:?}");
    }

    async fn check_runs(&self, site: &Site) {
        let runs = site.runs(self.name).await;
        let numbers: Vec<_> = runs.iter().map(|run| run.spec.number).collect();
        let oldest = self.runs + 1 - i64::try_from(runs.len()).unwrap();
        assert_eq!(numbers, (oldest..=self.runs).collect::<Vec<_>>(), "{}", self.name);
        for run in runs {
            let status = run.status.unwrap_or_default();
            assert_eq!(status.state, RunState::Completed, "{status:?}");
            assert!(status.waiting_artifact().is_none(), "{status:?}");
            assert_eq!(status.upload.unwrap().places.len(), 1);
        }
    }

    async fn check_archive(&self, site: &Site) {
        let run = site.runs(self.name).await.pop().unwrap();
        let status = site.backup_status(self.name).await;
        assert_eq!(message(status.conditions.as_ref(), "Ready"), "Completed", "{status:?}");
        assert!(status.conditions.as_ref().is_some_and(|conditions| conditions.is_true("Uploaded")), "{status:?}");
        assert_eq!(status.filename.as_ref(), Some(&run.spec.filename));

        let archive = self.fetch(site, &run.spec.filename).await;
        let (bytes, stage) = (std::fs::read(&archive).unwrap(), run.status.unwrap().snapshot.unwrap());
        assert_eq!(stage.sha256, Some(hex::encode(Sha256::digest(&bytes))));
        assert_eq!(stage.bytes, i64::try_from(bytes.len()).unwrap());
        let found = contents(&archive).unwrap();
        assert_eq!(stage.objects, i64::try_from(found.len()).unwrap());
        let differences = differences(&self.reference, &found);
        assert!(differences.is_empty(), "{differences:?}");
    }

    async fn fetch(&self, site: &Site, filename: &str) -> PathBuf {
        if self.place == Place::Folder {
            return site.folder().join(filename);
        }
        let file = site.testbed.folder().join("fetched.tar.gz");
        site.download(&format!("{}/{filename}", self.name), &file).await;
        file
    }

    /// Whatever lies at the place: archives, unfinished files and unfinished uploads.
    pub(super) async fn list(&self, site: &Site) -> Vec<String> {
        if self.place == Place::Folder {
            let entries = std::fs::read_dir(site.folder()).unwrap();
            return entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        }
        let client = site.testbed.s3().unwrap().client().unwrap();
        let objects = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
        let keys = objects.contents().iter().filter_map(|object| object.key());
        keys.chain(uploads.uploads().iter().filter_map(|upload| upload.key())).map(str::to_owned).collect()
    }

    /// The file of the newest run, and where it lies.
    pub(super) async fn restore(&self, site: &Site, name: &str) {
        let filename = site.backup_status(self.name).await.filename.unwrap();
        let location = (self.place == Place::Bucket).then(|| site.bucket(self.name));
        site.restore(name, &filename, location).await;
    }
}
