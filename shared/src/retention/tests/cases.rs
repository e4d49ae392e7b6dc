//! Named cases: archives in words, and beside each what becomes of it.

use super::super::{DEFAULT_COUNT, Found, Policy, plan};
use super::fixture::*;
use crate::policy::Settings;
use crate::resources::{Backup, BackupSpec, Retention};
use crate::runs::archive_name;

#[test]
fn the_newest_so_many_are_kept() {
    check(
        &newest(2),
        &[
            ("2026-11-28 verified", "keep: number 1 of the newest 2; the newest verified one"),
            ("2026-11-27 verified", "keep: number 2 of the newest 2"),
            ("2026-11-26 verified", EXPIRED),
            ("2026-11-25", EXPIRED),
        ],
    );
}

#[test]
fn a_scheduled_backup_that_says_nothing_keeps_ten_as_with_rancher() {
    for silent in [None, Some(0)] {
        let policy = Policy::of(&scheduled(silent), &Settings::default()).unwrap();
        let plan = plan(&daily(14), &policy, &circumstances());
        assert_eq!((plan.kept(), deleted(&plan).len()), (10, 4));
        assert_eq!(DEFAULT_COUNT, 10);
    }
}

#[test]
fn fewer_than_the_count_are_all_kept() {
    assert_eq!(deleted(&plan(&daily(10), &newest(10), &circumstances())), [""; 0]);
    assert_eq!(deleted(&plan(&[], &newest(1), &circumstances())), [""; 0]);
}

#[test]
fn those_of_a_one_time_backup_never_expire() {
    let spec = BackupSpec { retention_count: Some(1), ..BackupSpec::default() };
    let retention =
        Settings { retention: Some(Retention { keep_last: Some(1), ..Retention::default() }), ..Settings::default() };
    let policy = Policy::of(&Backup::new("daily", spec), &retention).unwrap();
    let kept = "keep: archives of a one-time Backup never expire";
    check(
        &policy,
        &[
            ("2026-11-28 verified", &format!("{kept}; the newest verified one")),
            ("2026-11-27 verified bad", kept),
            ("2026-11-26 verified", kept),
            ("2026-11-25", kept),
        ],
    );
}

#[test]
fn a_policy_without_a_number_keeps_everything() {
    let kept = "keep: the BackupPolicy keeps everything";
    for retention in [Retention::default(), Retention { keep_daily: Some(0), ..Retention::default() }] {
        let policy = Policy::of(&scheduled(Some(1)), &settings(retention, "UTC")).unwrap();
        check(&policy, &[("2026-11-28", kept), ("2020-01-01 bad", kept), ("2019-01-01", kept)]);
    }
}

#[test]
fn a_policy_stands_in_place_of_the_count() {
    let last = Retention { keep_last: Some(3), ..Retention::default() };
    let policy = Policy::of(&scheduled(Some(1)), &settings(last, "UTC")).unwrap();
    assert_eq!(plan(&daily(9), &policy, &circumstances()).kept(), 3);
}

#[test]
fn a_tier_keeps_the_newest_of_each_interval_that_has_one() {
    let none = "delete: kept by no rule of the BackupPolicy";
    check(
        &tiers([0, 0, 2, 0, 0, 0], "UTC"),
        &[
            ("2026-11-28T09:00 verified", "keep: daily 1 of 2 (2026-11-28); the newest verified one"),
            ("2026-11-28T03:00", none),
            // The days without an archive take no place.
            ("2026-11-20T23:59", "keep: daily 2 of 2 (2026-11-20)"),
            ("2026-11-20T00:00", none),
            ("2026-11-19T00:00", none),
        ],
    );
}

#[test]
fn an_archive_that_one_tier_keeps_stays() {
    check(
        &tiers([1, 2, 0, 0, 2, 2], "UTC"),
        &[
            (
                "2026-11-28T09:30 verified",
                "keep: number 1 of the last 1; hourly 1 of 2 (2026-11-28 09:00); monthly 1 of 2 (2026-11); yearly 1 of 2 \
                 (2026); the newest verified one",
            ),
            ("2026-11-28T09:10", "delete: kept by no rule of the BackupPolicy"),
            ("2026-11-28T08:50", "keep: hourly 2 of 2 (2026-11-28 08:00)"),
            ("2026-10-01T00:00", "keep: monthly 2 of 2 (2026-10)"),
            ("2026-09-30T00:00", "delete: kept by no rule of the BackupPolicy"),
            ("2025-12-31T23:59", "keep: yearly 2 of 2 (2025)"),
        ],
    );
}

#[test]
fn weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
    check(
        &tiers([0, 0, 0, 3, 0, 0], "UTC"),
        &[
            ("2026-01-05T00:00 verified", "keep: weekly 1 of 3 (2026-W02); the newest verified one"),
            ("2026-01-04T23:59", "keep: weekly 2 of 3 (2026-W01)"),
            ("2025-12-29T00:00", "delete: kept by no rule of the BackupPolicy"),
            ("2025-12-28T23:59", "keep: weekly 3 of 3 (2025-W52)"),
        ],
    );
}

#[test]
fn days_are_those_of_the_policys_time_zone() {
    let archives = ["2026-11-22T22:30", "2026-11-22T23:30 verified"].map(found);
    let deletes = |zone| deleted(&plan(&archives, &tiers([0, 0, 9, 0, 0, 0], zone), &circumstances())).len();
    assert_eq!((deletes("UTC"), deletes("Europe/Berlin")), (1, 0));
}

#[test]
fn the_hour_that_comes_twice_in_autumn_is_two_hours() {
    let archives = ["2026-10-25T00:30", "2026-10-25T01:30 verified"].map(found);
    let berlin = plan(&archives, &tiers([0, 9, 0, 0, 0, 0], "Europe/Berlin"), &circumstances());
    assert_eq!(berlin.kept(), 2, "{:?}", verdicts(&berlin));
}

#[test]
fn a_time_zone_that_there_is_not_expires_nothing() {
    let last = Retention { keep_last: Some(1), ..Retention::default() };
    let error = Policy::of(&scheduled(None), &settings(last, "Mars/Phobos")).unwrap_err();
    assert!(error.to_string().contains("\"Mars/Phobos\""), "{error}");
    let unused = Settings { time_zone: Some("Mars/Phobos".to_owned()), ..Settings::default() };
    assert!(Policy::of(&scheduled(None), &unused).is_ok());
}

#[test]
fn what_is_flawed_pushes_no_good_one_out() {
    let young = "it fills no place of the policy and has not expired yet";
    check(
        &newest(2),
        &[
            (
                "2026-11-28 verified short",
                &format!("keep: it has 8 bytes instead of the 9 that were verified; {young}"),
            ),
            ("2026-11-27 verified partial", &format!("keep: it lacks clusters.x; {young}")),
            ("2026-11-26 verified bad", &format!("keep: marked as bad; {young}")),
            ("2026-11-25 verified", "keep: number 1 of the newest 2; the newest verified one"),
            ("2026-11-24 verified", "keep: number 2 of the newest 2"),
            ("2026-11-23 verified short", "delete: it has 8 bytes instead of the 9 that were verified, and expired"),
            ("2026-11-22 verified", EXPIRED),
        ],
    );
}

#[test]
fn while_none_is_verified_none_is_deleted() {
    let none = "keep: none is known to be verified, so none is deleted";
    check(
        &newest(1),
        &[
            ("2026-11-28", "keep: number 1 of the newest 1"),
            ("2026-11-27", none),
            ("2026-11-26 bad", none),
            (
                "2026-11-25 other",
                &format!(
                    "keep: of the cluster {OTHER}; it expires only when a BackupPolicy names that in adoptClusterUIDs"
                ),
            ),
        ],
    );
}

#[test]
fn what_an_unfinished_restore_names_is_never_deleted() {
    let mut circumstances = circumstances();
    circumstances.restoring.archives.insert(found("2026-11-26").name, "undo".to_owned());
    let expected = [
        ("2026-11-28 verified", "keep: number 1 of the newest 1; the newest verified one"),
        ("2026-11-27", "delete: older than the newest 1"),
        ("2026-11-26 bad", "keep: the Restore \"undo\" has not ended"),
    ];
    check_with(&newest(1), &circumstances, &expected);
    circumstances.restoring.archives.clear();
    circumstances.restoring.newest_of_backup = Some("undo".to_owned());
    assert_eq!(plan(&daily(5), &newest(1), &circumstances).kept(), 5);
}

#[test]
fn the_last_one_before_a_sharp_drop_is_never_deleted() {
    check(
        &newest(1),
        &[
            ("2026-11-28 verified 300", "keep: number 1 of the newest 1; the newest verified one"),
            ("2026-11-27 300", "delete: older than the newest 1"),
            // BRO's archives say nothing, so they hide no drop.
            ("2026-11-26", "delete: older than the newest 1"),
            ("2026-11-25 340", "keep: the first one after a drop from 700 to 340 objects"),
            ("2026-11-24 bad 1", "delete: marked as bad, and expired"),
            ("2026-11-23 adopted 1", "delete: older than the newest 1"),
            ("2026-11-22 700", "keep: the last one before a drop from 700 to 340 objects"),
            ("2026-11-21 1400", "delete: older than the newest 1"),
        ],
    );
}

#[test]
fn half_is_no_sharp_drop() {
    check(
        &newest(1),
        &[
            ("2026-11-28 verified 350", "keep: number 1 of the newest 1; the newest verified one"),
            ("2026-11-27 700", "delete: older than the newest 1"),
        ],
    );
}

#[test]
fn bad_ones_fill_no_place_and_go_when_they_would_have_gone() {
    let young = "keep: marked as bad; it fills no place of the policy and has not expired yet";
    check(
        &newest(2),
        &[
            ("2026-11-28 bad verified", young),
            ("2026-11-27 verified", "keep: number 1 of the newest 2; the newest verified one"),
            ("2026-11-26 bad", young),
            ("2026-11-25", "keep: number 2 of the newest 2"),
            ("2026-11-24 bad", "delete: marked as bad, and expired"),
            ("2026-11-23", EXPIRED),
        ],
    );
}

#[test]
fn those_that_were_of_the_future_when_they_were_made_are_kept_and_fill_no_place() {
    let ahead = "keep: its time was in the future when it was made; it fills no place of the policy";
    check(
        &newest(1),
        &[
            ("2026-11-28 verified ahead 9", ahead),
            ("2026-11-27 verified 700", "keep: number 1 of the newest 1; the newest verified one"),
            ("2026-11-26 verified bad ahead", ahead),
            ("2026-11-25 verified 700", "delete: older than the newest 1"),
        ],
    );
    let none_verified = "keep: none is known to be verified, so none is deleted";
    let oldest = ("2026-11-26", "keep: number 1 of the newest 1");
    check(&newest(1), &[("2026-11-28 verified ahead", ahead), oldest, ("2026-11-25", none_verified)]);
}

#[test]
fn those_of_the_future_are_kept_and_fill_no_place() {
    let future = "keep: its time is in the future; it fills no place of the policy";
    check(
        &newest(1),
        &[
            ("2031-01-01 verified", future),
            ("2026-11-28T12:01 bad", future),
            ("2026-11-28T12:00 verified", "keep: number 1 of the newest 1; the newest verified one"),
            ("2026-11-28T11:59", "delete: older than the newest 1"),
        ],
    );
}

#[test]
fn another_clusters_are_kept_unless_they_are_adopted() {
    let other =
        format!("keep: of the cluster {OTHER}; it expires only when a BackupPolicy names that in adoptClusterUIDs");
    check(
        &newest(2),
        &[
            ("2026-11-28 other", &other),
            ("2026-11-27 adopted", UNKNOWN),
            ("2026-11-26 verified", "keep: number 1 of the newest 2; the newest verified one"),
            ("2026-11-25 adopted", "keep: number 2 of the newest 2"),
            ("2026-11-24 other bad", &other),
            ("2026-11-23", EXPIRED),
        ],
    );
}

#[test]
fn files_that_are_not_this_backups_are_not_seen() {
    let found = |name: String| Found { name, is_verified: true, ..Found::default() };
    let own = archive_name("daily", OWN, time("2020-01-01"), true);
    let mut archives = daily(1);
    for name in
        [&format!("rancher-{own}"), &format!("{own}.sha256"), &own[1..], "notes.txt", &own.replace("daily", "Daily")]
    {
        archives.push(found((*name).to_owned()));
    }
    archives.push(found(own.clone()));
    // A service may list a name twice while it is written anew.
    archives.push(found(own.clone()));
    let plan = plan(&archives, &newest(1), &circumstances());
    assert_eq!(plan.archives.len(), 2);
    assert_eq!(deleted(&plan), [own]);
}

#[test]
fn the_oldest_goes_first() {
    let plan = plan(&daily(4), &newest(1), &circumstances());
    let order: Vec<_> = plan.expired().map(|(judged, _)| judged.time).collect();
    assert!(order.is_sorted() && order.len() == 3, "{order:?}");
}

#[test]
fn one_that_lacks_types_fills_no_place_and_pushes_nothing_out() {
    let young = "keep: it lacks types; it fills no place of the policy and has not expired yet";
    check(
        &newest(2),
        &[
            ("2026-11-28 verified lacking", young),
            ("2026-11-27 verified lacking 9", young),
            ("2026-11-26 verified 700", "keep: number 1 of the newest 2; the newest verified one"),
            ("2026-11-25 verified lacking", young),
            ("2026-11-24 verified 700", "keep: number 2 of the newest 2"),
            ("2026-11-23 verified lacking", "delete: it lacks types, and expired"),
            ("2026-11-22 verified", EXPIRED),
        ],
    );
    let none = "none is known to be verified, so none is deleted";
    check(
        &newest(1),
        &[
            ("2026-11-28 verified lacking", young),
            ("2026-11-27", "keep: number 1 of the newest 1"),
            ("2026-11-26", &format!("keep: {none}")),
        ],
    );
}
