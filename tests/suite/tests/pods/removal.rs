//! `kubectl delete -k` takes what runs, and nothing that is not drover's.

use std::collections::BTreeMap;

use drover::resources::Backup;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::place::{CREDENTIALS, IN_THE_END, Place, ready};

pub(crate) async fn leaves_what_is_not_drovers(place: &Place) {
    let before = kept(place).await;
    let archives = archives(place).await;
    assert!(!archives.is_empty(), "no Backup is Completed");
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
    assert_eq!(self::archives(place).await, archives);
}

/// What each Backup that is Completed says is its newest archive.
async fn archives(place: &Place) -> BTreeMap<String, String> {
    let backups = place.backups().list(&ListParams::default()).await.unwrap().items;
    let archive = |backup: Backup| {
        let status = backup.status.as_ref()?;
        let is_completed = ready(status.conditions.as_ref()) == "Completed";
        is_completed.then(|| Some((backup.name_any(), status.filename.clone()?)))?
    };
    backups.into_iter().filter_map(archive).collect()
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
    let users: Vec<&str> = here.lines().filter(|name| !name.ends_with(CREDENTIALS)).collect();
    format!("{everywhere}{}", users.join("\n"))
}
