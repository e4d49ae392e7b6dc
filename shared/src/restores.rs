//! How long a Restore is tried, and what it says while it waits. A restore that ran much later than it was asked for would
//! undo, and prune, what was done since.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::clock::is_future;
use crate::conditions::{RECONCILING, STALLED, reason};
use crate::resources::{Condition, ConditionStatus, Conditions, Restore, rfc3339};

/// How long after it was applied a try of a Restore may begin: for a Secret or an address to be mended, and a few times the
/// longest pause of dispatch.
pub const TRIED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What stands between why a Restore waits and until when.
const UNTIL: &str = "; it is tried again until ";

/// When a Restore is given up; `None` where nobody knows when it was applied.
#[must_use]
pub fn given_up_at(restore: &Restore) -> Option<Timestamp> {
    created(restore)?.checked_add(TRIED_FOR).ok()
}

fn created(restore: &Restore) -> Option<Timestamp> {
    restore.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// Whether no further try of a Restore may begin. One of the future was made by a wrong clock, so that nobody knows how old
/// it is.
#[must_use]
pub fn is_given_up(restore: &Restore, now: Timestamp) -> bool {
    let is_known = created(restore).is_some_and(|created| !is_future(created, now));
    !is_known || given_up_at(restore).is_none_or(|time| time <= now)
}

/// Why a Restore is given up, and what it waited for.
#[must_use]
pub fn given_up(restore: &Restore) -> String {
    let applied = created(restore).map(rfc3339).unwrap_or_default();
    let said = restore.conditions().map(Conditions::detail).unwrap_or_default();
    if created(restore).is_none_or(|created| is_future(created, crate::clock::now())) {
        return for_good(&format!(
            "its time of creation ({applied}) was stamped by a clock that is wrong, so nobody knows how old it is; set the \
             clocks of the API servers right"
        ));
    }
    let begin = format!("it was applied at {applied}, and a restore that begins");
    if said.starts_with(&begin) {
        return said.to_owned();
    }
    let waited = match (said, is_at_work(restore)) {
        ("", _) => "nobody carried it out in that time".to_owned(),
        (at, true) => format!("a try was cut off: {at}"),
        (why, false) => format!("what it waited for: {}", why.split_once(UNTIL).map_or(why, |(why, _)| why)),
    };
    for_good(&format!("{begin} more than {TRIED_FOR:#} later would undo what was done since; {waited}"))
}

/// Why a Restore has ended for good, with what to do.
#[must_use]
pub fn for_good(reason: &str) -> String {
    const REMEDY: &str = "delete this Restore and apply it again";
    if reason.contains("apply it again") { reason.to_owned() } else { format!("{reason}; to try once more, {REMEDY}") }
}

/// The conditions of a Restore that waits and is tried again. That it was tried before is told by since when it is
/// reconciled.
pub fn set_waiting(conditions: &mut Conditions, restore: &Restore, why: &str, now: Timestamp) {
    let until = given_up_at(restore).unwrap_or(now);
    let before = conditions.get(RECONCILING).filter(|before| before.status == ConditionStatus::True);
    let first = before.and_then(|before| before.last_transition_time.clone()).unwrap_or_else(|| rfc3339(now));
    let until = rfc3339(until);
    conditions.set_waiting(&format!("{why}{UNTIL}{until}"), now);
    let tries = format!("first tried at {first}; given up at {until}");
    // When the next one begins is told behind it, and stays.
    let is_told = |said: &Condition| said.message.as_ref().is_some_and(|message| message.starts_with(&tries));
    if !conditions.get(RECONCILING).is_some_and(is_told) {
        conditions.set(RECONCILING, ConditionStatus::True, reason::WAITING, &tries, now);
    }
    conditions.set(STALLED, ConditionStatus::False, reason::WAITING, "", now);
}

/// Whether a job works on a Restore, as far as it says.
#[must_use]
pub fn is_at_work(restore: &Restore) -> bool {
    restore.conditions().is_some_and(Conditions::is_in_progress)
}

/// Those of a line of Restores that wait for nothing but their turn, each with what it is to say: it names the one before it.
pub fn behind<'a>(line: &[&'a Restore]) -> impl Iterator<Item = (&'a Restore, String)> {
    line.windows(2).filter_map(|two| {
        let &[before, restore] = two else { return None };
        let words = format!("waits for the Restore {:?}, which is carried out first", before.name_any());
        waits_for_its_turn(restore).then_some((restore, words))
    })
}

/// Whether a Restore waits for its turn alone: no job works on it, and no try of it has said what it waits for.
#[must_use]
pub fn waits_for_its_turn(restore: &Restore) -> bool {
    !is_at_work(restore) && !restore.conditions().is_some_and(Conditions::waits)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::resources::{Ready, RestoreSpec, RestoreStatus};

    fn at(seconds: i64) -> Timestamp {
        "2026-01-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
    }

    /// One that was applied at noon.
    fn restore(name: &str) -> Restore {
        let mut restore = Restore::new(name, RestoreSpec::default());
        restore.metadata.creation_timestamp = Some(Time(at(0)));
        restore
    }

    fn with(mut restore: Restore, change: impl FnOnce(&mut Conditions)) -> Restore {
        let mut conditions = Conditions::default();
        change(&mut conditions);
        restore.status = Some(RestoreStatus { conditions: Some(conditions), ..RestoreStatus::default() });
        restore
    }

    #[test]
    fn a_restore_is_given_up_an_hour_after_it_was_applied_whether_it_was_tried_or_not() {
        for (seconds, expected) in [(0, false), (3599, false), (3600, true), (90_000, true), (-60, false), (-61, true)]
        {
            assert_eq!(is_given_up(&restore("r"), at(seconds)), expected, "{seconds}");
        }
        let mut unknown = restore("r");
        unknown.metadata.creation_timestamp = None;
        assert!(is_given_up(&unknown, at(0)), "nobody knows how old it is");
    }

    #[test]
    fn one_that_waits_says_when_it_was_first_tried_and_when_it_is_given_up() {
        let restore = restore("r");
        let mut conditions = Conditions::default();
        conditions.set("Reconciling", ConditionStatus::True, "InProgress", "reading the archive", at(10));
        for seconds in [20, 900] {
            set_waiting(&mut conditions, &restore, "no Secret", at(seconds));
            let ready = conditions.get("Ready").unwrap().message.as_deref();
            assert_eq!(ready, Some("InProgress: no Secret; it is tried again until 2026-01-01T13:00:00Z"));
            let tries = conditions.get("Reconciling").unwrap().message.as_deref();
            let expected = "first tried at 2026-01-01T12:00:10Z; given up at 2026-01-01T13:00:00Z";
            assert_eq!(tries, Some(expected));
        }
    }

    #[test]
    fn one_that_is_given_up_says_what_it_waited_for_and_what_to_do() {
        let waits = with(restore("r"), |conditions| set_waiting(conditions, &restore("r"), "no Secret", at(20)));
        let words = given_up(&waits);
        assert!(words.contains("applied at 2026-01-01T12:00:00Z") && words.contains(" 1h later"), "{words}");
        assert!(words.contains("; what it waited for: no Secret; "), "{words}");
        assert!(words.ends_with("delete this Restore and apply it again"), "{words}");
        assert!(given_up(&restore("r")).contains("; nobody carried it out in that time; "));
        let cut_off = with(restore("r"), |conditions| conditions.set_ready(Ready::InProgress, "3 of 9", at(20)));
        assert!(given_up(&cut_off).contains("; a try was cut off: 3 of 9; "));
        let told = with(restore("r"), |conditions| conditions.set_ready(Ready::Failed, &words, at(3600)));
        assert_eq!(given_up(&told), words, "it says the same from then on");
    }

    #[test]
    fn what_says_already_how_to_go_on_is_told_as_it_is() {
        assert_eq!(for_good("no"), "no; to try once more, delete this Restore and apply it again");
        let told = "correct it and apply it again";
        assert_eq!(for_good(told), told);
    }

    #[test]
    fn each_that_waits_for_its_turn_names_the_one_before_it() {
        let at_work = with(restore("a"), |conditions| conditions.set_ready(Ready::InProgress, "", at(1)));
        let has_said = with(restore("c"), |conditions| conditions.set_waiting("no Secret", at(1)));
        let (second, last) = (restore("b"), restore("d"));
        let told: Vec<_> = behind(&[&at_work, &second, &has_said, &last])
            .map(|(restore, words)| (restore.name_any(), words))
            .collect();
        let words = |name: &str| format!("waits for the Restore {name:?}, which is carried out first");
        assert_eq!(told, [("b".to_owned(), words("a")), ("d".to_owned(), words("c"))]);
    }
}
