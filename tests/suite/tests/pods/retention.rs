//! Old archives go when new ones come, and when somebody asks.

use drover::resources::RunState;
use drover::runs::status_of;
use drover_tests::message;

use crate::place::Place;

pub(crate) async fn keeps_the_newest(place: &Place) {
    let name = "two-are-kept";
    place.backup(name, Some("@yearly")).await;
    place
        .kubectl(&[
            "patch",
            "backups.resources.cattle.io",
            name,
            "--type=merge",
            "--patch={\"spec\":{\"retentionCount\":2}}",
        ])
        .await;
    for number in 1..=3 {
        let what = format!("archive {number} is stored");
        place.until(&what, async || completed(place, name).await == number).await;
        if number < 3 {
            let job = format!("{name}-{number}");
            place.kubectl_here(&["create", "job", &format!("--from=cronjob/{name}"), &job]).await;
        }
    }
    // What is kept is counted where it lies.
    says(place, name, "deleted 1, kept 2").await;
    let events = place.kubectl(&["get", "events", "--namespace=default", "--field-selector=reason=Pruned"]).await;
    assert!(events.contains("deleted 1, kept 2"), "{events}");
    place.kubectl_here(&["create", "job", "--from=cronjob/retention-prune", "look-at-all"]).await;
    says(place, name, "deleted 0, kept 2; last deleted 1 at ").await;
    assert_eq!(place.backup_says(name).await, "Completed");
}

async fn says(place: &Place, backup: &str, words: &str) {
    place
        .until(&format!("Pruned of {backup} says {words:?}"), async || {
            let conditions = place.backup_status(backup).await.conditions.unwrap_or_default();
            conditions.is_true("Pruned") && message(Some(&conditions), "Pruned").starts_with(words)
        })
        .await;
}

async fn completed(place: &Place, backup: &str) -> usize {
    let runs = place.runs(backup).await;
    runs.iter().filter(|run| status_of(run).state == RunState::Completed).count()
}
