use jiff::{SignedDuration, Timestamp};

use super::super::{Circumstances, Found, Plan, Policy, Verdict};
use crate::policy::Settings;
use crate::resources::{Backup, BackupSpec, Retention};
use crate::runs::archive_name;

pub(super) const OWN: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";
pub(super) const ADOPTED: &str = "11111111-6c77-43ec-9323-d6191e5ef67b";
pub(super) const OTHER: &str = "99999999-6c77-43ec-9323-d6191e5ef67b";

pub(super) fn time(text: &str) -> Timestamp {
    let text = if text.len() == 10 { format!("{text}T02:00") } else { text.to_owned() };
    format!("{text}:00Z").parse().unwrap()
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

/// An archive in words: a date or time, and then any of `verified`, `bad`, `lacking`, `adopted`, `other` and a number of objects.
pub(super) fn found(words: &str) -> Found {
    let (when, words) = words.split_once(' ').unwrap_or((words, ""));
    let mut found = Found::default();
    let mut cluster = OWN;
    for word in words.split_whitespace() {
        match word {
            "verified" => found.is_verified = true,
            "bad" => found.is_bad = true,
            "lacking" => found.lacks_types = true,
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
