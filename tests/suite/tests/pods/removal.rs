//! `kubectl delete -k` takes what runs, and nothing that is not drover's.

use crate::place::{IN_THE_END, Place};

pub(crate) async fn leaves_what_is_not_drovers(place: &Place) {
    let before = kept(place).await;
    let archive = place.backup_status("rancher-backup-local").await.filename;
    place.kubectl(&["delete", "-k", &place.overlay(&IN_THE_END), "--timeout=240s"]).await;
    place
        .until("what ran is gone", async || {
            // Pods that have ended are of the Backups' own CronJobs, which belong to them.
            let running = ["get", "pods", "--output=name", "--field-selector=status.phase=Running"];
            let left = place.kubectl_here(&["get", "deployments,statefulsets", "--output=name"]).await;
            (left + &place.kubectl_here(&running).await).trim().is_empty()
        })
        .await;
    assert_eq!(kept(place).await, before);
    assert_eq!(place.backup_status("rancher-backup-local").await.filename, archive);
}

/// Definitions, custom resources, the namespace, Secrets of users, volumes.
async fn kept(place: &Place) -> String {
    let everywhere = place
        .kubectl(&[
            "get",
            "crds,backups.resources.cattle.io,restores.resources.cattle.io,resourcesets.resources.cattle.io,backupruns",
            "--output=name",
        ])
        .await;
    let here = place.kubectl_here(&["get", "secrets,persistentvolumeclaims", "--output=name"]).await;
    let users: Vec<&str> = here.lines().filter(|name| !name.ends_with("minio-credentials")).collect();
    format!("{everywhere}{}", users.join("\n"))
}
