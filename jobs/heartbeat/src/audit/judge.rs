//! Whether a Backup is fresh, as a pure function of what is known.

use drover::resources::ConditionStatus;
use drover::schedule::Schedule;
use jiff::Timestamp;

use crate::monitor::Freshness;

/// What is known of a Backup.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) created: Timestamp,
    /// The condition `Ready` with its message.
    pub(crate) ready: Option<(ConditionStatus, String)>,
    /// When its expired archives were deleted last, where that went well the last time.
    pub(crate) pruned: Option<Timestamp>,
    /// The policy that suspends its schedule.
    pub(crate) suspended_by: Option<String>,
    pub(crate) timing: Timing,
    /// Its newest verified archive.
    pub(crate) archive: Option<Archive>,
    /// What its archives lack, in words.
    pub(crate) lacking: Vec<String>,
}

/// When a Backup runs.
#[derive(Clone, Debug)]
pub(crate) enum Timing {
    Once,
    On(Schedule),
    /// Its schedule cannot be read, and why.
    Unreadable(String),
}

/// An archive, as its run recorded it and as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    pub(crate) number: i64,
    /// None where a wrong clock put it into the future.
    pub(crate) begun: Option<Timestamp>,
    pub(crate) filename: String,
    pub(crate) bytes: u64,
    pub(crate) presence: Presence,
    /// What was found at each further place that had it, by the place's name.
    pub(crate) elsewhere: Vec<(String, Presence)>,
    pub(crate) decryption: Decryption,
}

/// What was found at the archive's place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Presence {
    /// An archive of the recorded size.
    Whole,
    Missing,
    OtherSize(u64),
    /// The place could not be asked, and why.
    Unknown(String),
}

/// Whether the present key opens the archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Decryption {
    /// Nothing in it is encrypted.
    NotNeeded,
    Works,
    /// It does not, and why.
    Fails(String),
    /// It was not tried, for the archive is not there.
    Untried,
}

/// What is found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Fresh,
    /// It is not, for these reasons.
    Stale(Vec<String>),
    /// It is too new to have an archive.
    TooEarly,
}

/// Judges.
pub(crate) fn judge(facts: &Facts, freshness: Freshness, now: Timestamp) -> Verdict {
    let is_new = now.duration_since(facts.created) <= freshness.grace;
    let is_failed = matches!(facts.ready, Some((ConditionStatus::False, _)));
    if facts.archive.is_none() && is_new && !is_failed && facts.suspended_by.is_none() {
        return Verdict::TooEarly;
    }
    let reasons: Vec<String> = [
        not_ready(facts),
        suspended(facts),
        unreadable(facts),
        facts.archive.is_none().then(|| "there is no verified archive".to_owned()),
        too_old(facts, freshness, now),
        not_there(facts),
        not_decrypted(facts),
    ]
    .into_iter()
    .flatten()
    .chain(not_elsewhere(facts))
    .chain(facts.lacking.clone())
    .collect();
    if reasons.is_empty() { Verdict::Fresh } else { Verdict::Stale(reasons) }
}

/// A Backup that is at work is no less fresh for it: its newest archive says whether it takes too long.
fn not_ready(facts: &Facts) -> Option<String> {
    match &facts.ready {
        Some((ConditionStatus::False, message)) => Some(format!("it is not Ready: {message}")),
        _ => None,
    }
}

fn suspended(facts: &Facts) -> Option<String> {
    facts.suspended_by.as_ref().map(|policy| format!("the BackupPolicy {policy:?} suspends it"))
}

fn unreadable(facts: &Facts) -> Option<String> {
    match &facts.timing {
        Timing::Unreadable(why) => Some(why.clone()),
        Timing::Once | Timing::On(_) => None,
    }
}

fn too_old(facts: &Facts, freshness: Freshness, now: Timestamp) -> Option<String> {
    let archive = facts.archive.as_ref()?;
    if freshness.max_age.is_none() && !matches!(facts.timing, Timing::On(_)) {
        return None;
    }
    let Some(begun) = archive.begun else {
        return Some("its newest archive is of the future, so a clock was wrong, and its age is not known".to_owned());
    };
    let age = now.duration_since(begun);
    let since = drover::resources::rfc3339(begun);
    if let Some(most) = freshness.max_age {
        return (age > most).then(|| format!("its newest archive is of {since}, older than {most:#}"));
    }
    let Timing::On(schedule) = &facts.timing else { return None };
    let next = schedule.next(begun)?;
    let awaited = next.checked_add(freshness.grace).ok()?;
    let next = drover::resources::rfc3339(next);
    (now > awaited).then(|| format!("its newest archive is of {since}, and the one that was due at {next} is missing"))
}

fn not_there(facts: &Facts) -> Option<String> {
    let archive = facts.archive.as_ref()?;
    missed(archive, &archive.presence, "its place")
}

fn not_elsewhere(facts: &Facts) -> Vec<String> {
    let Some(archive) = &facts.archive else { return Vec::new() };
    let missed = |(name, presence): &(String, Presence)| missed(archive, presence, &format!("the place {name:?}"));
    archive.elsewhere.iter().filter_map(missed).collect()
}

/// What is wrong with an archive at a place, in words.
fn missed(Archive { filename, bytes, .. }: &Archive, presence: &Presence, place: &str) -> Option<String> {
    match presence {
        Presence::Whole => None,
        Presence::Missing => Some(format!("its newest archive {filename:?} is not at {place} any more")),
        Presence::OtherSize(found) => {
            Some(format!("its newest archive {filename:?} has {found} bytes at {place}, and had {bytes}"))
        }
        Presence::Unknown(why) => Some(format!("its newest archive {filename:?} could not be looked at: {why}")),
    }
}

fn not_decrypted(facts: &Facts) -> Option<String> {
    let Archive { filename, decryption, .. } = facts.archive.as_ref()?;
    match decryption {
        Decryption::NotNeeded | Decryption::Works | Decryption::Untried => None,
        Decryption::Fails(why) => Some(format!("its newest archive {filename:?} cannot be decrypted: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(text: &str) -> Timing {
        Timing::On(text.parse().unwrap())
    }

    /// A Backup whose archive of two o'clock is good.
    fn good() -> Facts {
        Facts {
            created: at("2026-01-01T00:00:00Z"),
            ready: Some((ConditionStatus::True, "Completed".into())),
            pruned: None,
            suspended_by: None,
            timing: schedule("0 2 * * *"),
            archive: Some(Archive {
                number: 7,
                begun: Some(at("2026-11-23T02:00:00Z")),
                filename: "a.tar.gz".into(),
                bytes: 9,
                presence: Presence::Whole,
                elsewhere: vec![("far".into(), Presence::Whole)],
                decryption: Decryption::NotNeeded,
            }),
            lacking: Vec::new(),
        }
    }

    fn archive(change: impl FnOnce(&mut Archive)) -> Facts {
        let mut facts = good();
        change(facts.archive.as_mut().unwrap());
        facts
    }

    #[track_caller]
    fn check(facts: &Facts, freshness: Freshness, now: &str, expected: &[&str]) {
        let reasons = match judge(facts, freshness, at(now)) {
            Verdict::Fresh => Vec::new(),
            Verdict::Stale(reasons) => reasons,
            Verdict::TooEarly => vec!["too early".to_owned()],
        };
        let matches = reasons.len() == expected.len()
            && reasons.iter().zip(expected).all(|(reason, words)| reason.contains(words));
        assert!(matches, "{reasons:?} instead of {expected:?}");
    }

    const NOON: &str = "2026-11-23T12:00:00Z";

    #[test]
    fn age_is_measured_by_the_schedule_and_its_grace() {
        let usual = Freshness::default();
        let missing = "of 2026-11-23T02:00:00Z, and the one that was due at 2026-11-24T02:00:00Z is missing";
        check(&good(), usual, NOON, &[]);
        check(&good(), usual, "2026-11-24T03:00:00Z", &[]);
        check(&good(), usual, "2026-11-24T03:00:01Z", &[missing]);
        let patient = Freshness { grace: SignedDuration::from_hours(5), ..usual };
        check(&good(), patient, "2026-11-24T07:00:00Z", &[]);
        check(&good(), patient, "2026-11-24T07:00:01Z", &[missing]);
        let strict = Freshness { max_age: Some(SignedDuration::from_hours(12)), ..usual };
        check(&good(), strict, "2026-11-23T14:00:00Z", &[]);
        check(&good(), strict, "2026-11-23T14:00:01Z", &["older than 12h"]);
        // On a Monday, of a schedule of working days: Friday's is the newest that there can be.
        let weekdays = Facts { timing: schedule("0 2 * * mon-fri"), ..good() };
        check(&weekdays, usual, "2026-11-24T03:00:01Z", &["2026-11-24T02:00:00Z is missing"]);
        let friday =
            Facts { timing: schedule("0 2 * * mon-fri"), ..archive(|a| a.begun = Some(at("2026-11-20T02:00:00Z"))) };
        check(&friday, usual, "2026-11-23T02:59:00Z", &[]);
        check(&Facts { timing: schedule("@every 90m"), ..good() }, usual, "2026-11-23T04:30:00Z", &[]);
        check(
            &Facts { timing: schedule("@every 90m"), ..good() },
            usual,
            "2026-11-23T04:31:00Z",
            &["03:30:00Z is missing"],
        );
        let once = Facts { timing: Timing::Once, ..good() };
        check(&once, usual, "2036-11-24T03:00:00Z", &[]);
        check(&once, strict, "2026-11-24T03:00:00Z", &["older than 12h"]);
    }

    #[test]
    fn each_thing_that_is_wrong_is_a_reason() {
        let usual = Freshness::default();
        let failed = Some((ConditionStatus::False, "Failed: no bucket".into()));
        check(&Facts { ready: failed.clone(), ..good() }, usual, NOON, &["not Ready: Failed: no bucket"]);
        let at_work = Some((ConditionStatus::Unknown, "InProgress".into()));
        check(&Facts { ready: at_work, ..good() }, usual, NOON, &[]);
        check(&Facts { suspended_by: Some("p".into()), ..good() }, usual, NOON, &["BackupPolicy \"p\" suspends it"]);
        check(&Facts { timing: Timing::Unreadable("bad".into()), ..good() }, usual, NOON, &["bad"]);
        check(&archive(|a| a.presence = Presence::Missing), usual, NOON, &["\"a.tar.gz\" is not at its place"]);
        check(&archive(|a| a.presence = Presence::OtherSize(8)), usual, NOON, &["has 8 bytes at its place, and had 9"]);
        let far = |presence: Presence| archive(|a| a.elsewhere = vec![("far".into(), presence)]);
        check(&far(Presence::Missing), usual, NOON, &["\"a.tar.gz\" is not at the place \"far\" any more"]);
        check(&archive(|a| a.presence = Presence::Unknown("away".into())), usual, NOON, &["not be looked at: away"]);
        check(&archive(|a| a.begun = None), usual, NOON, &["of the future"]);
        check(&archive(|a| a.decryption = Decryption::Works), usual, NOON, &[]);
        let replaced = archive(|a| a.decryption = Decryption::Fails("no key \"k\"".into()));
        check(&replaced, usual, NOON, &["cannot be decrypted: no key \"k\""]);
        check(&Facts { lacking: vec!["fewer objects".into()], ..good() }, usual, NOON, &["fewer objects"]);
        let all = Facts { ready: failed, suspended_by: Some("p".into()), ..replaced };
        check(&all, usual, "2026-11-30T00:00:00Z", &["Ready", "suspends", "missing", "decrypted"]);
    }

    #[test]
    fn a_new_backup_has_time_for_its_first_archive() {
        let new = Facts { created: at("2026-11-23T11:00:00Z"), archive: None, ready: None, ..good() };
        check(&new, Freshness::default(), NOON, &["too early"]);
        check(&new, Freshness::default(), "2026-11-23T12:00:01Z", &["no verified archive"]);
        let failed = Facts { ready: Some((ConditionStatus::False, "Failed".into())), ..new.clone() };
        check(&failed, Freshness::default(), NOON, &["not Ready", "no verified archive"]);
        let suspended = Facts { suspended_by: Some("p".into()), ..new };
        check(&suspended, Freshness::default(), NOON, &["suspends", "no verified archive"]);
    }
}
