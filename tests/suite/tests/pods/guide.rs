//! The examples of `docs/examples`, and where they are named the manifests of users: each is applied in turn. Only what no
//! manifest can know is substituted, by kustomize: endpoint, credentials, key and file name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use drover::encryption::CONFIGURATION_KEY;
use drover::resources::{Backup, DEFAULT_NAMESPACE};
use drover_tests::inputs::Inputs;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::place::{CREDENTIALS, ENDPOINT, Place};

/// A key of 32 bytes in base64.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A folder of manifests.
struct Guide {
    folder: PathBuf,
    /// Each file with an object of it.
    objects: Vec<(String, Value)>,
}

pub(crate) async fn follow(place: &Place) {
    for inputs in Inputs::all() {
        let guide = Guide::read(inputs.manifests());
        guide.secrets_are_made(place).await;
        guide.backups_are_made(place).await;
        guide.shows_what_users_expect(place).await;
        guide.each_schedule_is_a_cron_job(place).await;
    }
    the_heartbeat_of_an_example_finds_what_it_looks_for(place).await;
}

/// The Restores, while no snapshot is under way: a restore overtakes it.
pub(crate) async fn go_back(place: &Place) {
    for inputs in Inputs::all() {
        Guide::read(inputs.manifests()).is_restored(place).await;
    }
}

impl Guide {
    fn read(folder: PathBuf) -> Self {
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut objects = Vec::new();
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&file).unwrap();
            let documents = text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap());
            objects.extend(documents.map(|object| (name.clone(), object)));
        }
        Self { folder, objects }
    }

    /// The objects of a kind, each with its file.
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.objects.iter().filter(move |(_, object)| object["kind"] == kind).map(|(file, object)| (&**file, object))
    }

    fn backups(&self) -> Vec<(&str, Backup)> {
        let backups =
            self.of_kind("Backup").map(|(file, object)| (file, serde_json::from_value(object.clone()).unwrap()));
        let backups: Vec<(&str, Backup)> = backups.collect();
        assert_eq!(backups.len(), 8, "the examples are of each kind of Backup");
        backups
    }

    async fn secrets_are_made(&self, place: &Place) {
        let access = place.kubectl_here(&["get", "secret", CREDENTIALS, "--output=json"]).await;
        let access: Value = serde_json::from_str(&access).unwrap();
        let credentials =
            json!([{"op": "remove", "path": "/stringData"}, {"op": "add", "path": "/data", "value": access["data"]}]);
        for (file, secret) in self.of_kind("Secret") {
            let patch = match secret["stringData"][CONFIGURATION_KEY].as_str() {
                Some(configuration) => with_a_key(configuration),
                None => credentials.clone(),
            };
            apply(place, &self.folder, file, &[("Secret", patch)]).await;
        }
        for name in self.credentials_of_others() {
            let metadata = json!({"name": name});
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": access["data"]});
            let secrets: Api<Secret> = Api::namespaced(place.client.clone(), DEFAULT_NAMESPACE);
            secrets.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&secret)).await.unwrap();
        }
    }

    /// Secrets that Backups name and no example makes: they came with the user's S3 server.
    fn credentials_of_others(&self) -> BTreeSet<String> {
        let s3 = |backup: Backup| backup.spec.storage_location?.s3?.credential_secret_name;
        let mut names: BTreeSet<String> = self.backups().into_iter().filter_map(|(_, backup)| s3(backup)).collect();
        names.retain(|name| self.of_kind("Secret").all(|(_, secret)| secret["metadata"]["name"] != **name));
        names
    }

    async fn backups_are_made(&self, place: &Place) {
        for (file, backup) in self.backups() {
            let patches = if is_in_a_bucket(&backup) { vec![("Backup", endpoint())] } else { vec![] };
            apply(place, &self.folder, file, &patches).await;
        }
        for (_, backup) in self.backups() {
            place.until_completed(&backup.name_any()).await;
        }
    }

    async fn shows_what_users_expect(&self, place: &Place) {
        let shown = place.kubectl(&["get", "backups.resources.cattle.io"]).await;
        let head: Vec<&str> = shown.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(head, ["NAME", "LOCATION", "TYPE", "LATEST-BACKUP", "RESOURCESET", "AGE", "WHOLE", "STATUS"]);
        for (_, backup) in self.backups() {
            let name = backup.name_any();
            let line = shown.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            let location = if is_in_a_bucket(&backup) { "S3" } else { "PV" };
            assert!(line.contains(location) && line.ends_with("Completed"), "{line}");
            assert!(line.contains(&format!("{name}-")), "{line} names no archive");
            let status = place.backup_status(&name).await;
            let is_encrypted = backup.encryption_secret().is_some();
            assert_eq!(status.conditions.unwrap().is_true("Encrypted"), is_encrypted, "{name}");
            assert_eq!(status.filename.unwrap().ends_with(".tar.gz.enc"), is_encrypted, "{name}");
        }
    }

    /// `kubectl get cronjobs` shows every schedule, and those of Backups that run once are suspended.
    async fn each_schedule_is_a_cron_job(&self, place: &Place) {
        let listed = place.kubectl_here(&["get", "cronjobs", "--output=json"]).await;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        for (_, backup) in self.backups() {
            let name = backup.name_any();
            let cron_job = listed["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == *name);
            let spec = &cron_job.unwrap_or_else(|| panic!("{name} has no CronJob"))["spec"];
            assert_eq!(spec["suspend"].as_bool().unwrap_or_default(), backup.spec.schedule.is_none(), "{name}");
            if let Some(schedule) = &backup.spec.schedule {
                assert_eq!((&spec["schedule"], &spec["timeZone"]), (&json!(schedule), &json!("Etc/UTC")), "{name}");
            }
        }
    }

    /// The Restore's archive is of the Backup that its manifest names, as far as a file name can.
    async fn is_restored(&self, place: &Place) {
        let (file, restore) = self.of_kind("Restore").next().unwrap();
        let archive = restore["spec"]["backupFilename"].as_str().unwrap();
        let backups = self.backups();
        let backup =
            backups.iter().find(|(_, backup)| archive.starts_with(&format!("{}-", backup.name_any()))).unwrap();
        let archive = place.backup_status(&backup.1.name_any()).await.filename.unwrap();
        let file_name = json!([{"op": "replace", "path": "/spec/backupFilename", "value": archive}]);
        apply(place, &self.folder, file, &[("Restore", endpoint()), ("Restore", file_name)]).await;
        place.until_restored(restore["metadata"]["name"].as_str().unwrap()).await;
    }
}

fn is_in_a_bucket(backup: &Backup) -> bool {
    backup.spec.storage_location.as_ref().is_some_and(|location| location.s3.is_some())
}

/// The patch by which an encryption configuration has a key.
fn with_a_key(configuration: &str) -> Value {
    let mut configuration: Value = serde_saphyr::from_str(configuration).unwrap();
    *configuration.pointer_mut("/resources/0/providers/0/aescbc/keys/0/secret").unwrap() = KEY.into();
    json!([{"op": "replace", "path": format!("/stringData/{CONFIGURATION_KEY}"), "value": configuration.to_string()}])
}

/// The patch by which a Backup or Restore finds the S3 server of the overlay.
pub(crate) fn endpoint() -> Value {
    json!([{"op": "add", "path": "/spec/storageLocation/s3/endpoint", "value": ENDPOINT}])
}

/// Applies a manifest of a folder as it stands, but for patches of objects of these kinds.
pub(crate) async fn apply(place: &Place, manifests: &Path, file: &str, patches: &[(&str, Value)]) {
    let folder = format!("guide/{}", file.trim_end_matches(".yaml"));
    place.write(&format!("{folder}/{file}"), &std::fs::read_to_string(manifests.join(file)).unwrap());
    let patches: Vec<Value> =
        patches.iter().map(|(kind, patch)| json!({"target": {"kind": kind}, "patch": patch.to_string()})).collect();
    let kustomization = json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [file], "patches": patches});
    place.write(&format!("{folder}/kustomization.yaml"), &serde_saphyr::to_string(&kustomization).unwrap());
    place.apply(&place.folder().join(&folder).display().to_string()).await;
}

/// The example's script searches what the API server answers for a text.
async fn the_heartbeat_of_an_example_finds_what_it_looks_for(place: &Place) {
    let example = Inputs::own().manifests().join("backup-with-cron-job.yaml");
    let text = std::fs::read_to_string(example).unwrap();
    let [_, path, ..] = text.split("https://kubernetes.default.svc").collect::<Vec<_>>()[..] else { panic!("{text}") };
    let answer = place.kubectl(&["get", "--raw", path.split(')').next().unwrap()]).await;
    let wanted = text.split("grep -q '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    assert!(answer.contains(wanted), "{wanted} is not in {answer}");
}
