//! A changed retention: what the former one kept has a day before it goes.

use jiff::{SignedDuration, Timestamp};

use crate::clock::is_future;
use crate::resources::{ChangedRetention, RetentionRecord, RetentionRule, rfc3339};

/// How long what a former retention kept stays.
const WAIT: SignedDuration = SignedDuration::from_hours(24);

/// What is to be remembered of the retention of a Backup, and which former one still keeps archives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What is recorded from now on.
    pub record: RetentionRecord,
    /// The former retention with the end of its time, as long as that has not come.
    pub former: Option<(RetentionRule, Timestamp)>,
}

/// Judges a retention by what was recorded before. One that nothing was recorded of is in force at once, and so is one that
/// was found a day ago and not changed since.
#[must_use]
pub fn change(recorded: Option<&RetentionRecord>, rule: &RetentionRule, now: Timestamp) -> Change {
    let Some(recorded) = recorded.filter(|recorded| recorded.in_force != *rule) else {
        return Change { record: in_force(rule), former: None };
    };
    let until = found_before(recorded, rule, now).unwrap_or(now).saturating_add(WAIT).unwrap_or(Timestamp::MAX);
    if until <= now {
        return Change { record: in_force(rule), former: None };
    }
    let since = until.saturating_sub(WAIT).unwrap_or(now);
    let changed = ChangedRetention { to: rule.clone(), since: rfc3339(since) };
    let record = RetentionRecord { in_force: recorded.in_force.clone(), changed: Some(changed) };
    Change { record, former: Some((recorded.in_force.clone(), until)) }
}

fn in_force(rule: &RetentionRule) -> RetentionRecord {
    RetentionRecord { in_force: rule.clone(), changed: None }
}

/// Since when this retention is known. A time of the future is none: a clock was wrong then, or is now.
fn found_before(recorded: &RetentionRecord, rule: &RetentionRule, now: Timestamp) -> Option<Timestamp> {
    let changed = recorded.changed.as_ref().filter(|changed| changed.to == *rule)?;
    changed.since.parse().ok().filter(|since| !is_future(*since, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}:00Z").parse().unwrap()
    }

    fn newest(count: i64) -> RetentionRule {
        RetentionRule { newest: Some(count), ..RetentionRule::default() }
    }

    /// Goes through days with a retention each, and says until when a former one holds.
    /// A time, the count from then on, and the count that still holds with its end.
    type Look<'a> = (&'a str, i64, Option<(i64, &'a str)>);

    #[track_caller]
    fn check(looks: &[Look<'_>]) {
        let mut recorded = None;
        for (now, count, expected) in looks {
            let Change { record, former } = change(recorded.as_ref(), &newest(*count), at(now));
            let expected = expected.map(|(count, until)| (newest(count), at(until)));
            assert_eq!(former, expected, "{now}");
            recorded = Some(record);
        }
    }

    #[test]
    fn what_is_seen_first_is_in_force_at_once() {
        check(&[("01T00:00", 10, None), ("01T00:01", 10, None)]);
    }

    #[test]
    fn a_changed_one_waits_a_day_from_when_it_was_seen() {
        let former = Some((10, "03T00:00"));
        check(&[
            ("01T00:00", 10, None),
            ("02T00:00", 3, former),
            ("02T23:59", 3, former),
            ("03T00:00", 3, None),
            ("03T00:01", 3, None),
        ]);
    }

    #[test]
    fn one_that_is_taken_back_never_was() {
        check(&[
            ("01T00:00", 10, None),
            ("02T00:00", 3, Some((10, "03T00:00"))),
            ("02T12:00", 10, None),
            ("02T13:00", 3, Some((10, "03T13:00"))),
        ]);
    }

    #[test]
    fn one_that_is_changed_again_waits_anew_and_the_one_in_force_goes_on() {
        check(&[
            ("01T00:00", 10, None),
            ("02T00:00", 3, Some((10, "03T00:00"))),
            ("02T20:00", 2, Some((10, "03T20:00"))),
            ("03T12:00", 2, Some((10, "03T20:00"))),
            ("03T20:00", 2, None),
        ]);
    }

    #[test]
    fn a_time_of_the_future_decides_nothing() {
        // A clock that is back again: the day begins anew.
        check(&[
            ("01T00:00", 10, None),
            ("20T00:00", 3, Some((10, "21T00:00"))),
            ("02T00:00", 3, Some((10, "03T00:00"))),
        ]);
    }
}
