use std::path::{Path, PathBuf};

use drover::artifacts::{Contents, Store};
use drover::resources::{
    Backup, BackupRun, BackupSpec, BackupStatus, DEFAULT_NAMESPACE, ResourceSet, Restore, RestoreSpec, RestoreStatus,
    S3Location, StorageLocation,
};
use drover_testbed::binaries::{self, Binaries};
use drover_testbed::{Options, Testbed, prepare, seconds_pass};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::Job;

/// The bucket of every site.
pub const BUCKET: &str = "rancher-backups";

/// The Secret with the bucket's credentials, in drover's namespace.
pub const CREDENTIALS: &str = "minio-credentials";

/// A ResourceSet that selects a few small objects of every cluster, for tests to which it is all one what is backed up.
pub const SMALL_SET: &str = "
apiVersion: resources.cattle.io/v1
kind: ResourceSet
metadata: {name: small}
resourceSelectors:
- {apiVersion: v1, kindsRegexp: ^namespaces$, resourceNameRegexp: ^kube-}
";

/// A testbed with drover in it. Its own folder holds what the jobs store locally.
pub struct Site {
    /// The cluster, NATS and MinIO.
    pub testbed: Testbed,
    /// An administrator's client.
    pub client: Client,
    jobs: &'static Binaries,
}

impl Site {
    /// Everything: the control plane with its controllers, NATS, both MinIO, drover's CRDs, stream, bucket and Secret.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Only some services.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start_with(options: Options) -> Self {
        let jobs = binaries::build().await.unwrap();
        let testbed = Testbed::start(options).await.unwrap();
        prepare::prepare(&testbed).await.unwrap();
        testbed.create_bucket(BUCKET).await.unwrap();
        let client = testbed.client().await.unwrap();
        let site = Self { testbed, client, jobs };
        if let Ok(s3) = site.testbed.s3() {
            site.secret(CREDENTIALS, &[("accessKey", &s3.access_key), ("secretKey", &s3.secret_key)]).await;
        }
        site
    }

    /// A job, with the environment that a deployment gives it.
    #[must_use]
    pub fn job(&self, name: &str) -> Job {
        let mut environment = self.testbed.environment();
        let folder = self.folder().display().to_string();
        environment.push(("DROVER_FOLDER".to_owned(), folder));
        // A dead holder is waited for: short, so that tests of killed jobs are too, and long enough that a living one
        // does not lose it where other work keeps a busy machine from renewing it.
        environment.push(("DROVER_LEASE_SECONDS".to_owned(), "5".to_owned()));
        environment.push(("DROVER_LOG_LEVEL".to_owned(), "info".to_owned()));
        Job::new(name, self.jobs[name].clone(), environment)
    }

    /// Where local archives go: a folder of this site alone.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let folder = self.testbed.folder().join("backups");
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Makes a Secret in drover's namespace, or changes it.
    pub async fn secret(&self, name: &str, data: &[(&str, &str)]) {
        let string_data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            string_data: Some(string_data),
            ..Secret::default()
        };
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), DEFAULT_NAMESPACE);
        secrets.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&secret)).await.unwrap();
    }

    /// The bucket over plain http, in this folder.
    #[must_use]
    pub fn bucket(&self, folder: &str) -> StorageLocation {
        let s3 = self.testbed.s3().unwrap();
        StorageLocation {
            s3: Some(S3Location {
                bucket_name: BUCKET.to_owned(),
                folder: Some(folder.to_owned()),
                endpoint: Some(s3.url.clone()),
                credential_secret_name: Some(CREDENTIALS.to_owned()),
                credential_secret_namespace: Some(DEFAULT_NAMESPACE.to_owned()),
                ..S3Location::default()
            }),
        }
    }

    /// Makes a ResourceSet of YAML, or changes it.
    pub async fn resource_set(&self, yaml: &str) {
        let set: Value = serde_saphyr::from_str(yaml).unwrap();
        let name = set["metadata"]["name"].as_str().unwrap().to_owned();
        let sets: Api<ResourceSet> = Api::all(self.client.clone());
        sets.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&set)).await.unwrap();
    }

    /// Makes a Backup.
    pub async fn backup(&self, name: &str, resource_set: &str, location: Option<StorageLocation>) -> Backup {
        let spec = BackupSpec {
            resource_set_name: resource_set.to_owned(),
            storage_location: location,
            ..BackupSpec::default()
        };
        self.make_backup(name, spec).await
    }

    /// Makes a Backup of this spec.
    pub async fn make_backup(&self, name: &str, spec: BackupSpec) -> Backup {
        self.backups().create(&PostParams::default(), &Backup::new(name, spec)).await.unwrap()
    }

    /// Makes a Restore that does not prune.
    pub async fn restore(&self, name: &str, filename: &str, location: Option<StorageLocation>) -> Restore {
        let spec = RestoreSpec {
            backup_filename: filename.to_owned(),
            storage_location: location,
            prune: Some(false),
            ..RestoreSpec::default()
        };
        self.make_restore(&Restore::new(name, spec)).await
    }

    /// Makes a Restore. One that prunes comes late enough to take what was made before.
    pub async fn make_restore(&self, restore: &Restore) -> Restore {
        if restore.prunes() {
            seconds_pass(1).await;
        }
        self.restores().create(&PostParams::default(), restore).await.unwrap()
    }

    /// The Backups.
    #[must_use]
    pub fn backups(&self) -> Api<Backup> {
        Api::all(self.client.clone())
    }

    /// The Restores.
    #[must_use]
    pub fn restores(&self) -> Api<Restore> {
        Api::all(self.client.clone())
    }

    /// What a Backup's status says.
    pub async fn backup_status(&self, name: &str) -> BackupStatus {
        self.backups().get(name).await.unwrap().status.unwrap_or_default()
    }

    /// What a Restore's status says.
    pub async fn restore_status(&self, name: &str) -> RestoreStatus {
        self.restores().get(name).await.unwrap().status.unwrap_or_default()
    }

    /// The runs of a Backup, oldest first.
    pub async fn runs(&self, backup: &str) -> Vec<BackupRun> {
        let runs: Api<BackupRun> = Api::all(self.client.clone());
        let mut runs = runs.list(&ListParams::default()).await.unwrap().items;
        runs.retain(|run| run.spec.backup == backup);
        runs.sort_by_key(|run| run.spec.number);
        runs
    }

    /// What lies in the object store.
    pub async fn artifacts(&self) -> Contents {
        let nats = self.testbed.nats().await.unwrap();
        let store = Store::open(&async_nats::jetstream::new(nats)).await.unwrap();
        store.contents().await.unwrap()
    }

    /// Fetches an object of the bucket into a file.
    pub async fn download(&self, key: &str, to: &Path) {
        let object = self.testbed.s3().unwrap().client().unwrap().get_object().bucket(BUCKET).key(key).send().await;
        let bytes = object.unwrap().body.collect().await.unwrap().into_bytes();
        std::fs::write(to, bytes).unwrap();
    }
}

/// The message of a condition.
#[must_use]
pub fn message(conditions: Option<&drover::resources::Conditions>, type_: &str) -> String {
    let condition = conditions.and_then(|conditions| conditions.get(type_));
    condition.and_then(|condition| condition.message.clone()).unwrap_or_default()
}
