use jiff::{SignedDuration, Timestamp};

use super::super::{Circumstances, Flaw, Found, Plan, Policy, Verdict, plan};
use crate::policy::Settings;
use crate::resources::{Backup, BackupSpec, Retention};
use crate::runs::{archive_name, split_archive_name};

pub(super) const OWN: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";
pub(super) const ADOPTED: &str = "11111111-6c77-43ec-9323-d6191e5ef67b";
pub(super) const OTHER: &str = "99999999-6c77-43ec-9323-d6191e5ef67b";

pub(super) fn time(text: &str) -> Timestamp {
    let text = if text.len() == 10 { format!("{text}T02:00") } else { text.to_owned() };
    format!("{text}:00Z").parse().unwrap()
}

/// Circumstances with a ledger that begins with the oldest of these that it knows.
pub(super) fn circumstances_of(found: &[Found]) -> Circumstances {
    let known = found.iter().filter(|found| found.is_verified || found.was_deleted);
    let times = known.filter_map(|found| split_archive_name(&found.name).map(|(_, name)| name.time));
    Circumstances { ledger_since: times.min(), ..circumstances() }
}

pub(super) fn circumstances() -> Circumstances {
    Circumstances {
        backup: "daily".to_owned(),
        cluster_uid: OWN.to_owned(),
        adopted_clusters: vec![ADOPTED.to_owned()],
        now: time("2026-11-28T12:00"),
        ..Circumstances::default()
    }
}

/// An archive in words: a date or time, and then any of `verified`, `deleted`, `bad`, `short`, `lacking`, `partial`,
/// `unreadable`, `held`, `ahead`, `adopted`, `other` and a number of objects.
pub(super) fn found(words: &str) -> Found {
    let (when, words) = words.split_once(' ').unwrap_or((words, ""));
    let mut found = Found::default();
    let mut cluster = OWN;
    for word in words.split_whitespace() {
        match word {
            "verified" => found.is_verified = true,
            "deleted" => found.was_deleted = true,
            "bad" => found.flaw = Some(Flaw::Marked),
            "short" => found.flaw = Some(Flaw::OtherSize { bytes: 8, recorded: 9 }),
            "lacking" => found.flaw = Some(Flaw::Incomplete { types: Vec::new() }),
            "partial" => found.flaw = Some(Flaw::Incomplete { types: vec!["clusters.x".to_owned()] }),
            "unreadable" => found.flaw = Some(Flaw::Unreadable),
            "held" => found.held = Some("nobody has confirmed it".to_owned()),
            // The circumstances say it.
            "ahead" => {}
            "adopted" => cluster = ADOPTED,
            "other" => cluster = OTHER,
            objects => found.objects = Some(objects.parse().unwrap()),
        }
    }
    found.name = archive_name("daily", cluster, time(when), false);
    found
}

pub(super) fn scheduled(retention_count: Option<i64>) -> Backup {
    let spec = BackupSpec { schedule: Some("@daily".to_owned()), retention_count, ..BackupSpec::default() };
    Backup::new("daily", spec)
}

/// `retentionCount`.
pub(super) fn newest(count: i64) -> Policy {
    Policy::of(&scheduled(Some(count)), &Settings::default()).unwrap()
}

pub(super) fn settings(retention: Retention, zone: &str) -> Settings {
    Settings { retention: Some(retention), time_zone: Some(zone.to_owned()), ..Settings::default() }
}

/// The tiers of a BackupPolicy, from last to yearly.
pub(super) fn tiers(counts: [i64; 6], zone: &str) -> Policy {
    let [last, hourly, daily, weekly, monthly, yearly] = counts.map(Some);
    let retention = Retention {
        keep_last: last,
        keep_hourly: hourly,
        keep_daily: daily,
        keep_weekly: weekly,
        keep_monthly: monthly,
        keep_yearly: yearly,
    };
    Policy::of(&scheduled(None), &settings(retention, zone)).unwrap()
}

/// So many archives, one a day back from `now`, the newest first.
pub(super) fn daily(days: i64) -> Vec<Found> {
    let at = |day| time("2026-11-28") - SignedDuration::from_hours(24 * day);
    let found = |day| Found { name: archive_name("daily", OWN, at(day), false), is_verified: true, ..Found::default() };
    (0..days).map(found).collect()
}

/// The verdict over an archive in words: `keep: …` or `delete: …`.
pub(super) fn verdicts(plan: &Plan) -> Vec<String> {
    plan.archives.iter().map(|judged| format!("{}: {}", judged.verdict.word(), judged.verdict)).collect()
}

pub(super) fn deleted(plan: &Plan) -> Vec<String> {
    let deletes = |judged: &&super::super::Judged| matches!(judged.verdict, Verdict::Delete(_));
    plan.archives.iter().filter(deletes).map(|judged| judged.name.clone()).collect()
}

#[track_caller]
pub(super) fn check_with(policy: &Policy, circumstances: &Circumstances, expected: &[(&str, &str)]) {
    let archives: Vec<_> = expected.iter().map(|(words, _)| found(words)).collect();
    let ahead = expected.iter().zip(&archives).filter(|((words, _), _)| words.contains(" ahead"));
    let circumstances = Circumstances {
        ledger_since: circumstances_of(&archives).ledger_since,
        ahead: ahead.map(|(_, found)| found.name.clone()).collect(),
        ..circumstances.clone()
    };
    let got = verdicts(&plan(&archives, policy, &circumstances));
    let expected: Vec<_> = expected.iter().map(|(_, verdict)| (*verdict).to_owned()).collect();
    assert_eq!(got, expected);
}

/// Archives, newest first, each with its verdict.
#[track_caller]
pub(super) fn check(policy: &Policy, expected: &[(&str, &str)]) {
    check_with(policy, &circumstances(), expected);
}

pub(super) const EXPIRED: &str = "delete: older than the newest 2";

pub(super) const UNKNOWN: &str =
    "keep: not in the ledger, and newer than its first line; it fills no place of the policy";
