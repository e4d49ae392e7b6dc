//! The Rancher backup operator beside drover, and Restores of before drover's time.

use drover::conditions::DROVER_ACTIVE;
use drover::resources::{ConditionStatus, Conditions};
use serde_json::json;
use std::time::Instant;

use crate::place::{Place, ready};

pub(crate) async fn changes_hands(place: &Place) {
    nothing_runs_while_the_operator_does(place).await;
    drover_takes_over(place).await;
}

fn is_told(conditions: Option<&Conditions>) -> bool {
    let told = conditions.and_then(|conditions| conditions.get(DROVER_ACTIVE));
    told.is_some_and(|told| told.status == ConditionStatus::False)
}

async fn nothing_runs_while_the_operator_does(place: &Place) {
    let labels = json!({"app.kubernetes.io/name": "rancher-backup"});
    let container = json!({"name": "rancher-backup", "image": "rancher/backup-restore-operator:v8.0.0"});
    let operator = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "rancher-backup", "namespace": "cattle-resources-system"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
        "spec": {"containers": [container]}}}});
    place.kubectl(&["apply", "-f", &place.write("operator.json", &operator.to_string())]).await;
    // What was there before says so too, so dispatch has seen the operator.
    place
        .until("a Backup of before says who is in charge", async || {
            is_told(place.backup_status("by-hand").await.conditions.as_ref())
        })
        .await;
    place.backup("in-waiting", None).await;
    place.restore("in-waiting", "by-hand").await;
    place
        .until("both say who is in charge", async || {
            let (backup, restore) = (place.backup_status("in-waiting").await, place.restore_status("in-waiting").await);
            is_told(backup.conditions.as_ref()) && is_told(restore.conditions.as_ref())
        })
        .await;
    assert!(place.runs("in-waiting").await.is_empty());
    assert_eq!(ready(place.restore_status("in-waiting").await.conditions.as_ref()), "");
}

async fn drover_takes_over(place: &Place) {
    let begun = Instant::now();
    place.kubectl_here(&["scale", "deployment/rancher-backup", "--replicas=0"]).await;
    place.until("a run is open", async || !place.runs("in-waiting").await.is_empty()).await;
    eprintln!("drover has taken over after {:.1} s", begun.elapsed().as_secs_f64());
    place.until_completed("in-waiting").await;
    place.until_restored("in-waiting").await;
    place.kubectl_here(&["delete", "deployment/rancher-backup"]).await;
}
