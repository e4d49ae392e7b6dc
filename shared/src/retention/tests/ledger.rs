//! Archives of the ledger, those beside it, what is held, and what a former policy kept.

use super::super::{Circumstances, Former, Policy, plan, rule_of};
use super::fixture::*;
use crate::policy::Settings;
use crate::resources::{Backup, BackupSpec, Retention, RetentionRule};

#[test]
fn strangers_take_no_place_from_the_ledger_and_newer_ones_stay() {
    let expected = [
        ("2026-11-28T01:00 1", UNKNOWN),
        ("2026-11-28 verified 700", "keep: number 1 of the newest 2; the newest verified one"),
        ("2026-11-27T01:00 9999", UNKNOWN),
        ("2026-11-27 verified 700", "keep: number 2 of the newest 2"),
        ("2026-11-26T03:00 bad", UNKNOWN),
        ("2026-11-26 verified 700", EXPIRED),
        ("2026-11-25", EXPIRED),
    ];
    let in_order = |(words, verdict): &(&'static str, &'static str)| (*words, *verdict);
    let mut expected: Vec<_> = expected.iter().map(in_order).collect();
    expected.sort_by_key(|(words, _)| std::cmp::Reverse(found(words).name));
    check(&newest(2), &expected);
}

#[test]
fn those_of_before_the_ledger_fill_the_places_that_are_left() {
    let archives = [
        ("2026-11-28 verified", "keep: number 1 of the newest 3; the newest verified one"),
        ("2026-11-27 verified", "keep: number 2 of the newest 3"),
        ("2026-11-26", "keep: number 3 of the newest 3"),
        ("2026-11-25", "delete: older than the newest 3"),
    ];
    check(&newest(3), &archives);
}

#[test]
fn unknown_ones_that_are_allowed_are_judged_beside_the_ledger_and_take_no_place_from_it() {
    let circumstances = Circumstances { allows_unknown: true, ..circumstances() };
    let expected = [
        ("2026-11-28", "keep: number 1 of the newest 2"),
        ("2026-11-27", "keep: number 2 of the newest 2"),
        ("2026-11-26", EXPIRED),
        ("2026-11-25 verified", "keep: number 1 of the newest 2; the newest verified one"),
        ("2026-11-24 deleted", EXPIRED),
        ("2026-11-23 verified", "keep: number 2 of the newest 2"),
        ("2026-11-22 verified", EXPIRED),
    ];
    check_with(&newest(2), &circumstances, &expected);
}

#[test]
fn one_that_was_deleted_and_is_there_again_is_nobodys_but_a_persons() {
    check(
        &newest(1),
        &[
            ("2026-11-28 verified", "keep: number 1 of the newest 1; the newest verified one"),
            ("2026-11-27 deleted", "keep: drover deleted it, and it was copied back; it fills no place of the policy"),
            ("2026-11-26", "delete: older than the newest 1"),
        ],
    );
}

#[test]
fn one_of_which_nothing_can_be_read_stays_and_fills_no_place() {
    let unreadable =
        "keep: not in the ledger, and what is recorded beside it cannot be read; it fills no place of the policy";
    let expected = [
        ("2026-11-28 unreadable", unreadable),
        ("2026-11-27 verified", "keep: number 1 of the newest 2; the newest verified one"),
        ("2026-11-26 verified", "keep: number 2 of the newest 2"),
        ("2026-11-25 verified", EXPIRED),
        ("2026-11-24 unreadable", unreadable),
        ("2026-11-23", EXPIRED),
    ];
    check(&newest(2), &expected);
    let allowing = Circumstances { allows_unknown: true, ..circumstances() };
    check_with(&newest(2), &allowing, &expected);
}

#[test]
fn one_that_is_held_stays_until_somebody_confirms_and_displaces_none() {
    check(
        &newest(1),
        &[
            ("2026-11-28 verified", "keep: number 1 of the newest 1; the newest verified one"),
            ("2026-11-27 verified", "delete: older than the newest 1"),
            ("2026-11-26 verified held", "keep: nobody has confirmed it"),
            ("2026-11-25 verified", "delete: older than the newest 1"),
            ("2026-11-24 held", "keep: nobody has confirmed it"),
        ],
    );
}

#[test]
fn what_a_former_policy_kept_stays_for_its_time_and_what_it_did_not_keep_goes() {
    let until = time("2026-11-29T12:00");
    let former = Former { policy: newest(3), adopted_clusters: vec![ADOPTED.to_owned()], until };
    let circumstances = Circumstances { former: Some(former), ..circumstances() };
    let waiting =
        "keep: kept by the former retention; it goes at 2026-11-29T12:00:00Z, or sooner where that lets it go too";
    let expected = [
        ("2026-11-28 verified", "keep: number 1 of the newest 1; the newest verified one"),
        ("2026-11-27 verified", waiting),
        ("2026-11-26 verified", waiting),
        ("2026-11-25 verified", "delete: older than the newest 1"),
    ];
    check_with(&newest(1), &circumstances, &expected);
    let archives: Vec<_> = expected.iter().map(|(words, _)| found(words)).collect();
    let plan = plan(&archives, &newest(1), &circumstances);
    assert_eq!(plan.waiting().map(|judged| &judged.name).collect::<Vec<_>>(), [&archives[2].name, &archives[1].name]);
}

#[test]
fn clusters_that_are_adopted_now_wait_too() {
    let former = Former { policy: newest(1), adopted_clusters: Vec::new(), until: time("2026-11-29") };
    let circumstances = Circumstances { former: Some(former), ..circumstances() };
    let waiting =
        "keep: kept by the former retention; it goes at 2026-11-29T02:00:00Z, or sooner where that lets it go too";
    let expected = [
        ("2026-11-28 verified", "keep: number 1 of the newest 1; the newest verified one"),
        ("2026-11-27 adopted", waiting),
        ("2026-11-26", "delete: older than the newest 1"),
    ];
    check_with(&newest(1), &circumstances, &expected);
}

#[test]
fn a_rule_says_all_that_may_let_archives_expire_and_gives_the_same_policy_again() {
    let last = || Retention { keep_last: Some(3), ..Retention::default() };
    let rule = |backup: &Backup, settings: &Settings| rule_of(backup, settings);
    let ten = rule(&scheduled(None), &Settings::default());
    assert_eq!(ten, rule(&scheduled(Some(10)), &Settings::default()));
    let once = Backup::new("daily", BackupSpec::default());
    let rules = [
        ten,
        rule(&scheduled(Some(9)), &Settings::default()),
        rule(&once, &Settings::default()),
        rule(&scheduled(None), &settings(last(), "UTC")),
        rule(&scheduled(None), &settings(last(), "Europe/Berlin")),
        rule(&scheduled(None), &Settings { adopted_clusters: vec![OTHER.to_owned()], ..settings(last(), "UTC") }),
    ];
    for (at, one) in rules.iter().enumerate() {
        assert!(rules[..at].iter().all(|other| other != one), "{one:?}");
    }
    let kept = rules.map(|rule| plan(&daily(20), &Policy::recorded(&rule), &circumstances()).kept());
    assert_eq!(kept, [10, 9, 20, 3, 3, 3]);
    let lost =
        RetentionRule { tiers: Some(last()), time_zone: Some("Mars/Phobos".to_owned()), ..RetentionRule::default() };
    assert_eq!(
        plan(&daily(20), &Policy::recorded(&lost), &circumstances()).kept(),
        20,
        "what cannot be read keeps all"
    );
}
