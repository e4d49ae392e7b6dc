//! Whatever dies in whatever stage, the chain ends by itself with one verified archive, and the Backup tells.

use drover::resources::{DEFAULT_NAMESPACE, RunState, StageState};
use drover::runs::status_of;

use crate::place::{Place, SERVER};

pub(crate) async fn are_survived(place: &Place) {
    the_pod_of_a_snapshot(place).await;
    the_pod_of_an_upload(place).await;
    the_pod_of_a_restore(place).await;
    for component in ["dispatch", "nats"] {
        what_stays_up(place, component).await;
    }
    the_storage_for_a_while(place).await;
    the_volume_of_nats(place).await;
}

/// Kills the pod of a stage as a lack of memory would, while what it needs hangs: so it is in the middle of its work.
async fn killed_while_hanging(place: &Place, component: &str, needed: &str) {
    let killed = place.running(component).await;
    place.testbed.kill_containers(DEFAULT_NAMESPACE, &killed).await.unwrap();
    place.until("the pod has ended", async || !place.runs_pod(&killed).await).await;
    place.thaw(needed).await;
}

async fn the_pod_of_a_snapshot(place: &Place) {
    let (name, nats) = ("killed-snapshot", place.running("nats").await);
    place.freeze(&nats).await;
    place.backup(name, None).await;
    killed_while_hanging(place, "snapshot", &nats).await;
    completes_once(place, name).await;
}

async fn the_pod_of_an_upload(place: &Place) {
    let (name, server) = ("killed-upload", place.running(SERVER).await);
    place.freeze(&server).await;
    place.backup(name, None).await;
    killed_while_hanging(place, "upload", &server).await;
    completes_once(place, name).await;
    assert_eq!(place.runs(name).await.len(), 1, "the next upload finishes the run");
}

/// It ends well: one run is Completed, and none is open.
async fn completes_once(place: &Place, backup: &str) {
    place.until_completed(backup).await;
    let runs = place.runs(backup).await;
    let of = |state| runs.iter().filter(|run| status_of(run).state == state).count();
    assert_eq!(of(RunState::Completed), 1, "{runs:?}");
    assert_eq!(of(RunState::InProgress) + of(RunState::Pending), 0, "{runs:?}");
}

async fn the_pod_of_a_restore(place: &Place) {
    let server = place.running(SERVER).await;
    place.freeze(&server).await;
    place.restore("killed", "killed-upload").await;
    killed_while_hanging(place, "restore", &server).await;
    place.until_restored("killed").await;
}

/// dispatch or NATS, when the Backup is just applied.
async fn what_stays_up(place: &Place, component: &str) {
    let name = format!("without-{component}");
    place.backup(&name, None).await;
    place.until(&format!("{component} is killed"), async || place.kill(component).await > 0).await;
    completes_once(place, &name).await;
}

/// The S3 server is away: the upload fails, says so, and is tried again, by itself and more than once.
async fn the_storage_for_a_while(place: &Place) {
    let name = "without-storage";
    place.stop(SERVER).await;
    place.backup(name, None).await;
    place.until_backup_says(name, "Failed: ").await;
    place.until("the upload is tried again", async || uploads_tried(place, name).await > 1).await;
    place.kubectl_here(&["scale", &format!("statefulset/{SERVER}"), "--replicas=1"]).await;
    completes_once(place, name).await;
}

/// The artifact is gone with the volume, so the run cannot end well, says so, and another is made.
async fn the_volume_of_nats(place: &Place) {
    let name = "lost-volume";
    place.stop(SERVER).await;
    place.backup(name, None).await;
    place.until("the snapshot waits for its upload", async || has_snapshot(place, name).await).await;
    place.stop("nats").await;
    place.kubectl_here(&["delete", "persistentvolumeclaim", "data-nats-0"]).await;
    for set in ["nats", SERVER] {
        place.kubectl_here(&["scale", &format!("statefulset/{set}"), "--replicas=1"]).await;
    }
    completes_once(place, name).await;
    let first = &place.runs(name).await[0];
    let status = status_of(first);
    assert_eq!(status.state, RunState::Failed, "{status:?}");
    eprintln!("what the run says whose artifact was lost: {}", status.message.unwrap_or_default());
}

/// How often the upload of a Backup's first run was begun.
async fn uploads_tried(place: &Place, backup: &str) -> i64 {
    let runs = place.runs(backup).await;
    runs.first().and_then(|run| status_of(run).upload).map_or(0, |stage| stage.attempts)
}

async fn has_snapshot(place: &Place, backup: &str) -> bool {
    let runs = place.runs(backup).await;
    let snapshot = runs.first().and_then(|run| status_of(run).snapshot);
    snapshot.is_some_and(|stage| stage.state == StageState::Completed)
}
