use std::path::{Path, PathBuf};

use drover::exit::{Exit, Failure};
use drover::resources::{
    Backup, BackupSpec, DEFAULT_NAMESPACE, ResourceSet, Restore, RestoreSpec, S3Location, StorageLocation,
};
use drover::storage::{Storage, StorageOptions};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use snafu::Report;

use super::cast::{Cast, Stage, asked};
use super::story::{Story, tell};
use super::{Error, rancher};
use crate::ability;
use crate::compare::{self, Contents};
use crate::options::{Options, Service};
use crate::prepare::prepare;
use crate::seconds::seconds_pass;
use crate::testbed::Testbed;

const BACKUP: &str = "rancher-backup-minio";
const RESTORE: &str = "rancher-restore";
const BUCKET: &str = "rancher-backups";
/// The Secret of the guide.
const CREDENTIALS: &str = "minio-credentials";
/// The Secret of the S3 server that drover's own manifests bring to a node, and the server.
const ON_A_NODE: (&str, &str) = ("versitygw-credentials", "versitygw");

/// Tells the story, and gives the cast for whoever wants to play on.
pub(super) async fn tell_story(scale: usize) -> Result<Cast, Error> {
    let mut story = Story::new();
    let cast = match ability::prepare().await {
        Ok(()) => {
            let headline = "A cluster with a node starts on this machine";
            let testbed = story.step(headline, Testbed::start(Options::only([Service::Node]))).await?;
            story.step("drover is installed: kubectl apply -k kustomize/overlays/local", install(testbed)).await?
        }
        Err(reason) => {
            tell(&format!("The jobs run as processes of this machine: {}", Report::from_error(reason)));
            story.step("A cluster, NATS and MinIO start on this machine", start()).await?
        }
    };
    story.step("Objects like Rancher's are made", populate(&cast, scale)).await?;
    let set = write_resource_set(&cast)?;
    story.step("A Backup is applied, as in the guide for MinIO", apply_backup(&cast)).await?;
    story.step("snapshot reads the cluster, upload stores and verifies the archive", back_up(&cast)).await?;
    story.step("The Backup says so", show_backup(&cast)).await?;
    let before = story.step("What is live is noted, object by object", note(&cast, &set, "before.tar.gz")).await?;
    story.step("Disaster: namespaces and objects are deleted, others changed, strangers made", damage(&cast)).await?;
    let damaged = story.step("What is live now, compared", note(&cast, &set, "damaged.tar.gz")).await?;
    tell(&compare::differences(&before, &damaged).to_string());
    story.step("A Restore is applied and carried out", restore(&cast)).await?;
    let after = story.step("What is live is compared with what was", note(&cast, &set, "after.tar.gz")).await?;
    let mut differences = compare::differences(&before, &after);
    let annotated =
        differences.changed.extract_if(.., |path| path.starts_with("clusters.management.cattle.io")).count();
    tell(&format!(
        "{annotated} management Clusters carry an annotation more, by which Rancher deploys its agents again"
    ));
    if !differences.is_empty() {
        return Err(Error::NotAsBefore { differences: format!("{differences:?}") });
    }
    story.end(&format!("All {} objects are there again", before.len()));
    Ok(cast)
}

/// Installs drover on the node.
async fn install(testbed: Testbed) -> Result<Cast, Error> {
    testbed.install(&[], "").await?;
    let cast = Cast::assemble(testbed, Stage::Pods).await?;
    cast.kubectl(&["--namespace", DEFAULT_NAMESPACE, "get", "cronjobs,pods"]).await?;
    Ok(cast)
}

async fn start() -> Result<Cast, Error> {
    let testbed = Testbed::start(Options::default()).await?;
    prepare(&testbed).await?;
    testbed.create_bucket(BUCKET).await?;
    Cast::assemble(testbed, Stage::Processes).await
}

async fn populate(cast: &Cast, scale: usize) -> Result<(), Error> {
    let made = rancher::populate(&cast.client, scale).await?;
    tell(&format!("{made} objects: settings, users with their bindings, clusters, Secrets, …"));
    Ok(())
}

fn write_resource_set(cast: &Cast) -> Result<PathBuf, Error> {
    let path = cast.testbed.folder().join("resource-set.yaml");
    std::fs::write(&path, rancher::RESOURCE_SET).map_err(|source| Error::Machine { what: "write a file", source })?;
    Ok(path)
}

async fn apply_backup(cast: &Cast) -> Result<(), Error> {
    let set: Value = serde_saphyr::from_str(rancher::RESOURCE_SET).unwrap_or_default();
    let sets: Api<ResourceSet> = Api::all(cast.client.clone());
    let parameters = PatchParams::apply("kubectl").force();
    asked("apply the ResourceSet", sets.patch("rancher-resource-set", &parameters, &Patch::Apply(set)).await)?;
    if cast.stage == Stage::Processes {
        make_credentials(cast).await?;
    }
    let spec = BackupSpec {
        storage_location: Some(location(cast)?),
        resource_set_name: "rancher-resource-set".to_owned(),
        retention_count: Some(30),
        ..BackupSpec::default()
    };
    let backups: Api<Backup> = Api::all(cast.client.clone());
    asked("make the Backup", backups.create(&PostParams::default(), &Backup::new(BACKUP, spec)).await)?;
    tell(&format!("Backup {BACKUP:?}: bucket {BUCKET:?}, folder \"production\""));
    Ok(())
}

/// The Secret of the guide; on a node drover's own manifests make one.
async fn make_credentials(cast: &Cast) -> Result<(), Error> {
    let s3 = cast.testbed.s3_tls()?;
    let secret = Secret {
        metadata: ObjectMeta { name: Some(CREDENTIALS.to_owned()), ..ObjectMeta::default() },
        string_data: Some(
            [("accessKey".to_owned(), s3.access_key.clone()), ("secretKey".to_owned(), s3.secret_key.clone())].into(),
        ),
        ..Secret::default()
    };
    let secrets: Api<Secret> = Api::namespaced(cast.client.clone(), DEFAULT_NAMESPACE);
    asked("make the Secret", secrets.create(&PostParams::default(), &secret).await)?;
    Ok(())
}

/// The location of the guide's manifest for MinIO; the endpoint is the node's or this machine's.
fn location(cast: &Cast) -> Result<StorageLocation, Error> {
    let (endpoint, credentials, insecure_tls_skip_verify) = match cast.stage {
        Stage::Pods => {
            let (credentials, server) = ON_A_NODE;
            (format!("http://{server}.{DEFAULT_NAMESPACE}.svc:9000"), credentials, None)
        }
        Stage::Processes => (cast.testbed.s3_tls()?.endpoint.clone(), CREDENTIALS, Some(true)),
    };
    let s3 = S3Location {
        bucket_name: BUCKET.to_owned(),
        folder: Some("production".to_owned()),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint),
        insecure_tls_skip_verify,
        credential_secret_name: Some(credentials.to_owned()),
        credential_secret_namespace: Some(DEFAULT_NAMESPACE.to_owned()),
        ..S3Location::default()
    };
    Ok(StorageLocation { s3: Some(s3) })
}

async fn back_up(cast: &Cast) -> Result<(), Error> {
    match cast.stage {
        Stage::Pods => {
            cast.wait_until_ready("backups", BACKUP).await?;
            cast.show_jobs().await
        }
        Stage::Processes => {
            cast.job("snapshot", &["--backup", BACKUP]).await?;
            cast.job("upload", &["--drain"]).await
        }
    }
}

async fn show_backup(cast: &Cast) -> Result<(), Error> {
    if cast.stage == Stage::Processes {
        show_bucket(cast).await.map_err(|failure| Error::Bucket { failure })?;
    }
    cast.kubectl(&["get", "backups.resources.cattle.io,backupruns"]).await
}

async fn show_bucket(cast: &Cast) -> Result<(), Failure> {
    let folder = cast.testbed.folder().to_owned();
    let options = StorageOptions { volumes: folder.clone(), folder, default_s3_secret: None };
    let wanted = location(cast).map_err(|error| Failure::new(Exit::Failure, error))?;
    let place = options.locate(&cast.client, DEFAULT_NAMESPACE, Some(&wanted)).await?;
    let storage = Storage::open(place).await?;
    let mut listed = storage.list();
    while let Some(archive) = listed.try_next().await? {
        tell(&format!("{}  {} bytes", storage.path_of(&archive.name), archive.bytes));
    }
    Ok(())
}

/// Takes an archive of what is live, on the kubeconfig alone, and reads it.
async fn note(cast: &Cast, set: &Path, name: &str) -> Result<Contents, Error> {
    let output = cast.testbed.folder().join(name);
    let (set, path) = (set.display().to_string(), output.display().to_string());
    cast.job("snapshot", &["--resource-set", &set, "--output", &path, "--log-level", "warn"]).await?;
    let contents = tokio::task::spawn_blocking(move || compare::contents(&output)).await;
    let contents = contents.map_err(|error| Error::Machine { what: "compare", source: error.into() })??;
    tell(&format!("{} objects", contents.len()));
    Ok(contents)
}

async fn damage(cast: &Cast) -> Result<(), Error> {
    let namespaces: Api<Namespace> = Api::all(cast.client.clone());
    let mut deleted = Vec::new();
    for name in ["u-00001", "u-00002", "c-m-00001"] {
        let namespace = asked("read a namespace", namespaces.get(name).await)?;
        asked("delete a namespace", namespaces.delete(name, &DeleteParams::default()).await)?;
        deleted.push((name, namespace.uid().unwrap_or_default()));
    }
    let secrets: Api<Secret> = Api::namespaced(cast.client.clone(), "cattle-system");
    let all = asked("list the Secrets", secrets.list(&ListParams::default()).await)?;
    let every_second: Vec<_> = all.items.iter().step_by(2).map(ResourceExt::name_any).collect();
    for name in &every_second {
        asked("delete a Secret", secrets.delete(name, &DeleteParams::default()).await)?;
    }
    let config_maps: Api<ConfigMap> = Api::namespaced(cast.client.clone(), "cattle-system");
    let garbled = Patch::Merge(json!({ "data": { "config.yaml": "garbled" } }));
    for number in 0..10 {
        let name = format!("config-{number:05}");
        asked("change a ConfigMap", config_maps.patch(&name, &PatchParams::default(), &garbled).await)?;
    }
    let added = strangers();
    for object in &added {
        rancher::make(&cast.client, object).await?;
    }
    for (name, uid) in &deleted {
        let gone = await_condition(namespaces.clone(), name, conditions::is_deleted(uid));
        // One that takes longer shows in the restore, which names it.
        drop(tokio::time::timeout(std::time::Duration::from_mins(1), gone).await);
    }
    let (secrets, added) = (every_second.len(), added.len());
    tell(&format!("3 namespaces with all in them and {secrets} Secrets deleted, 10 ConfigMaps changed"));
    tell(&format!("{added} objects made that the backup does not know, one with a finalizer that nobody clears"));
    Ok(())
}

/// Objects that the ResourceSet selects and the backup lacks: a restore prunes them.
fn strangers() -> Vec<Value> {
    let map = |namespace: &str, name: &str, finalizers: Value| {
        let metadata = json!({"namespace": namespace, "name": name, "finalizers": finalizers});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": "value"}})
    };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "u-99999"}});
    vec![
        namespace,
        map("u-99999", "stranger", json!([])),
        map("cattle-system", "stranger", json!([])),
        map("cattle-system", "stuck", json!(["demo.example.io/nobody"])),
    ]
}

async fn restore(cast: &Cast) -> Result<(), Error> {
    let backups: Api<Backup> = Api::all(cast.client.clone());
    let backup = asked("read the Backup", backups.get(BACKUP).await)?;
    let spec = RestoreSpec {
        backup_filename: backup.status.and_then(|status| status.filename).unwrap_or_default(),
        storage_location: Some(location(cast)?),
        ..RestoreSpec::default()
    };
    let restores: Api<Restore> = Api::all(cast.client.clone());
    // What was made in the same second counts as made after it, and stays.
    seconds_pass(1).await;
    asked("make the Restore", restores.create(&PostParams::default(), &Restore::new(RESTORE, spec)).await)?;
    match cast.stage {
        Stage::Pods => cast.wait_until_ready("restores", RESTORE).await?,
        Stage::Processes => cast.job("restore", &["--pending"]).await?,
    }
    cast.kubectl(&["get", "restores.resources.cattle.io"]).await
}
