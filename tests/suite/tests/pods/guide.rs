//! The guide that Rancher's users follow: each of its manifests is applied in turn. Only what no manifest can know is
//! substituted, by kustomize: endpoint, credentials, key and file name.

use std::path::Path;

use drover_tests::shared;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::place::{ENDPOINT, Place};

/// The key of `encryption-config.yaml`, 32 bytes in base64.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The Backups of the guide by file, in its order.
const BACKUPS: [(&str, &str); 8] = [
    ("s3-backup.yaml", "rancher-backup-s3"),
    ("minio-backup.yaml", "rancher-backup-minio"),
    ("local-backup.yaml", "rancher-backup-local"),
    ("encrypted-backup.yaml", "rancher-encrypted-backup"),
    ("scheduled-backup-daily.yaml", "rancher-daily-backup"),
    ("scheduled-backup-hourly.yaml", "rancher-hourly-backup"),
    ("scheduled-backup-weekly.yaml", "rancher-weekly-backup"),
    ("backup-with-heartbeat.yaml", "rancher-monitored-backup"),
];

pub(crate) async fn follow(place: &Place) {
    let Some(manifests) = shared("seed/manifests") else {
        eprintln!("skipped: the guide's manifests are not beside the checkout");
        return;
    };
    let access = place.kubectl_here(&["get", "secret", "minio-credentials", "--output=json"]).await;
    let access: Value = serde_json::from_str(&access).unwrap();
    let data =
        json!([{"op": "remove", "path": "/stringData"}, {"op": "add", "path": "/data", "value": access["data"]}]);
    apply(place, &manifests, "s3-secret.yaml", &[("Secret", data)]).await;
    let configuration = std::fs::read_to_string(manifests.join("encryption-config.yaml")).unwrap();
    let configuration = configuration.replace("YOUR_BASE64_ENCODED_32_BYTE_KEY", KEY);
    place.kubectl(&["apply", "-f", &place.write("encryption-config.yaml", &configuration)]).await;

    for (file, name) in BACKUPS {
        let patches = if file == "local-backup.yaml" { vec![] } else { vec![("Backup", endpoint())] };
        apply(place, &manifests, file, &patches).await;
        place.until_completed(name).await;
    }
    shows_what_the_guide_shows(place).await;
    each_schedule_is_a_cron_job(place).await;
    let daily = place.backup_status("rancher-daily-backup").await.filename.unwrap();
    let file_name = json!([{"op": "replace", "path": "/spec/backupFilename", "value": daily}]);
    apply(place, &manifests, "restore.yaml", &[("Restore", endpoint()), ("Restore", file_name)]).await;
    place.until_restored("rancher-restore").await;
}

/// The patch by which a Backup or Restore finds MinIO.
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

async fn shows_what_the_guide_shows(place: &Place) {
    let shown = place.kubectl(&["get", "backups.resources.cattle.io"]).await;
    let mut lines = shown.lines();
    let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["NAME", "LOCATION", "TYPE", "LATEST-BACKUP", "RESOURCESET", "AGE", "STATUS"]);
    for (_, name) in BACKUPS {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
        let location = if name == "rancher-backup-local" { "PV" } else { "S3" };
        assert!(line.contains(location) && line.ends_with("Completed"), "{line}");
        assert!(line.contains(&format!("{name}-")), "{line} names no archive");
    }
    let encrypted = place.backup_status("rancher-encrypted-backup").await;
    assert!(encrypted.conditions.unwrap().is_true("Encrypted"));
    assert!(encrypted.filename.unwrap().ends_with(".tar.gz.enc"));
}

/// `kubectl get cronjobs` shows every schedule, and those of Backups that run once are suspended.
async fn each_schedule_is_a_cron_job(place: &Place) {
    let listed = place.kubectl_here(&["get", "cronjobs", "--output=json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    for (_, name) in BACKUPS {
        let backup = place.backups().get(name).await.unwrap();
        let cron_job = listed["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == name);
        let spec = &cron_job.unwrap_or_else(|| panic!("{} has no CronJob", backup.name_any()))["spec"];
        assert_eq!(spec["suspend"].as_bool().unwrap_or_default(), backup.spec.schedule.is_none(), "{name}");
        if let Some(schedule) = &backup.spec.schedule {
            assert_eq!((&spec["schedule"], &spec["timeZone"]), (&json!(schedule), &json!("Etc/UTC")), "{name}");
        }
    }
}
