use drover::resources::BackupSpec;

use super::*;
use crate::configuration::short;
use crate::memories::MemoryError;
use crate::memory::Told;

const URL: &str = "https://hc-ping.com/6c0f0c1e-3b6f-4a5e-9f0c-1e3b6f4a5e9f";

#[test]
fn monitors_that_watch_a_backup_no_more_are_forgotten() {
    let memory: Memory =
        ["team", "old", "secret/away"].into_iter().map(|name| (name.to_owned(), Told::default())).collect();
    let monitors = [short("team", URL, None).unwrap()];
    assert_eq!(unwatching(&memory, &monitors, None), ["old", "secret/away"]);
    // One whose Secret cannot be read just now watches it all the same.
    assert_eq!(unwatching(&memory, &monitors, Some("secret/away")), ["old"]);
    assert_eq!(unwatching(&memory, &[], None).len(), 3);
    assert!(unwatching(&Memory::new(), &monitors, None).is_empty());
}

/// The job is told of a memory that it cannot read after it has looked at everything, and not instead.
#[test]
fn a_memory_that_cannot_be_read_is_empty_and_a_failure_of_the_job() {
    let namespace = "cattle-resources-system".to_owned();
    let (memories, unread) = known(Err(MemoryError::Find { namespace }));
    assert!(memories.is_empty());
    let failure = Tally::default().and(unread.unwrap()).conclude().unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage);
    assert!(failure.to_string().contains("heartbeat-told"), "{failure}");
    let (memories, unread) = known(Ok(BTreeMap::from([("backup.a".to_owned(), "{}".to_owned())])));
    assert!(memories.len() == 1 && unread.is_none());
}

#[test]
fn a_restore_is_remembered_for_longer_than_anything_is_told_of_it() {
    let created: Timestamp = "2026-11-23T02:00:00Z".parse().unwrap();
    let is_kept = |hours| is_remembered(created, created + SignedDuration::from_hours(hours));
    assert!(is_kept(0) && is_kept(72) && is_kept(95));
    assert!(!is_kept(96) && !is_kept(30 * 24));
}

/// What an audit ends with, whose look at `slow` has no end.
async fn failure_beside_slow(result: Audited) -> Failure {
    let looks = stream::iter(["daily", "slow"]).map(async |name| {
        if name == "slow" {
            std::future::pending::<()>().await;
        }
        (name.to_owned(), result, None)
    });
    let names = BTreeSet::from(["daily".to_owned(), "slow".to_owned()]);
    tally(looks.buffer_unordered(AT_ONCE), names, Duration::from_millis(20)).await.conclude().unwrap_err()
}

#[tokio::test]
async fn what_an_audit_found_stands_beside_what_it_had_no_time_for() {
    let failure = failure_beside_slow(Audited::Fresh).await;
    assert_eq!(failure.exit(), Exit::Unavailable);
    assert_eq!(failure.to_string(), "failed to look at 1 Backups within 480 s: slow");
    let failure = failure_beside_slow(Audited::Stale).await;
    assert_eq!(failure.exit(), Exit::Failure);
    let words = "failed to find fresh: 1 of 1 Backups: daily; failed to look at 1 Backups within 480 s: slow";
    assert_eq!(failure.to_string(), words);
}

#[test]
fn a_condition_does_not_outlive_its_truth() {
    use Unknown::{NotLookedAt, NotWatched};
    let now = Timestamp::now();
    let mut backup = Backup::new("daily", BackupSpec::default());
    assert_eq!(with_unknown(&backup, NotWatched, now), None, "nobody has ever watched it");
    let found = |backup: &Backup, unknown| {
        let conditions = with_unknown(backup, unknown, now)?.conditions?;
        conditions.get(FRESH).map(|found| (found.status, found.reason.clone().unwrap_or_default()))
    };
    assert_eq!(found(&backup, NotLookedAt), Some((ConditionStatus::Unknown, "NotLookedAt".to_owned())));
    let mut status = BackupStatus::default();
    status.conditions.get_or_insert_default().set(FRESH, ConditionStatus::True, "Fresh", "a.tar.gz", now);
    backup.status = Some(status);
    assert_eq!(found(&backup, NotWatched), Some((ConditionStatus::Unknown, "NotWatched".to_owned())));
    assert_eq!(found(&backup, NotLookedAt), Some((ConditionStatus::Unknown, "NotLookedAt".to_owned())));
    backup.status = with_unknown(&backup, NotWatched, now);
    assert_eq!(with_unknown(&backup, NotWatched, now + SignedDuration::from_hours(1)), backup.status, "it stays");
}
