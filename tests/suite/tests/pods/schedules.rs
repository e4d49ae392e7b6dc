//! A scheduled Backup runs once at once, then on time.

use drover::resources::RunState;
use drover::runs::status_of;
use jiff::Timestamp;

use crate::place::Place;

/// How late a run may begin: a CronJob's Job is made within a second or two, and its pod has to start.
const LATE: i64 = 20;

pub(crate) async fn keep_time(place: &Place) {
    let name = "every-minute";
    place.backup(name, Some("@every 1m")).await;
    place.until("it ran three times", async || completed(place, name).await >= 3).await;
    let runs = place.runs(name).await;
    let begun: Vec<i64> =
        runs.iter().map(|run| run.spec.started_at.parse::<Timestamp>().unwrap().as_second()).collect();
    let created = place.backups().get(name).await.unwrap().metadata.creation_timestamp.unwrap().0.as_second();
    assert!(begun[0] - created < LATE, "the first at once: {created} {begun:?}");
    // Kubernetes counts `@every` from when the CronJob was made, so that only the pause between two is known.
    assert!((begun[2] - begun[1] - 60).abs() < LATE, "{begun:?}");
    let next: Timestamp = place.backup_status(name).await.next_snapshot_at.unwrap().parse().unwrap();
    assert!(next > Timestamp::now(), "{next}");
    place.backups().delete(name, &kube::api::DeleteParams::default()).await.unwrap();
    place
        .until("its CronJob goes with it", async || {
            let names = place.kubectl_here(&["get", "cronjobs", "--output=name"]).await;
            !names.contains(name)
        })
        .await;
}

async fn completed(place: &Place, backup: &str) -> usize {
    let runs = place.runs(backup).await;
    runs.iter().filter(|run| status_of(run).state == RunState::Completed).count()
}
