//! What an archive may lack for another reason than that it was not there: nothing that deletes is decided by it.

use std::collections::BTreeSet;

use drover::clock;
use drover::resources::rfc3339;
use jiff::Timestamp;

use super::Candidate;

/// What is known of the archive and of the restore.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// Types of which the archive may have left objects out, as kubectl names them.
    types: BTreeSet<String>,
    /// When the restore was asked for, by the API server; none where nobody knows.
    asked_at: Option<Timestamp>,
}

impl Doubts {
    /// The doubts of a restore that was asked for at this time, of an archive that tells nothing of these types. A time that
    /// is still to come was stamped by a wrong clock.
    pub(crate) fn new(types: BTreeSet<String>, asked_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self { types, asked_at: asked_at.filter(|asked_at| !clock::is_future(*asked_at, now)) }
    }

    /// Why a candidate may be something that the archive could not have, or that was made knowing of the restore.
    pub(super) fn about(&self, candidate: &Candidate) -> Option<String> {
        let type_name = candidate.known.type_name().kubectl_name();
        if self.types.contains(&type_name) {
            return Some(format!("the archive holds no {type_name} and does not tell whether it would"));
        }
        self.of_what_was_made(candidate.made)
    }

    /// Why something that was made at this time may have been made knowing of the restore.
    pub(super) fn of_what_was_made(&self, made: Option<Timestamp>) -> Option<String> {
        let Some(made) = made else { return Some("it does not say when it was made".to_owned()) };
        let Some(asked_at) = self.asked_at else {
            let why = "the API server did not say, or its clock was wrong";
            return Some(format!("it is not known when the restore was asked for: {why}"));
        };
        // Stamps are whole seconds, and of the same one nobody knows the order.
        let is_older = made.as_second() < asked_at.as_second();
        (!is_older).then(|| {
            let (made, asked_at) = (rfc3339(made), rfc3339(asked_at));
            format!("it was made at {made}, and not before the restore was asked for ({asked_at})")
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::prune::plan::tests::candidate;

    fn noon() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[track_caller]
    fn check(made: Option<Timestamp>, asked_at: Option<Timestamp>, expected: Option<&str>) {
        let found = Doubts::new(BTreeSet::new(), asked_at, noon())
            .about(&Candidate { made, ..candidate("", "secrets", "a", "b") });
        let is_expected = match (&found, expected) {
            (Some(found), Some(expected)) => found.starts_with(expected),
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(is_expected, "{made:?} of {asked_at:?}: {found:?}");
    }

    #[test]
    fn only_what_was_surely_made_before_is_no_news() {
        let at = |milliseconds: i64| Some(noon() + SignedDuration::from_millis(milliseconds));
        check(at(-1000), at(0), None);
        check(at(-1000), at(999), None);
        check(at(0), at(1000), None);
        for made in [0, 1000, 3_600_000] {
            check(at(made), at(999), Some("it was made at 2026-11-23T"));
        }
        check(None, at(0), Some("it does not say when"));
        check(at(-1000), None, Some("it is not known when"));
        check(at(-1000), at(60_000), None);
        check(at(-1000), at(61_000), Some("it is not known when"));
        check(None, None, Some("it does not say when"));
    }

    #[test]
    fn what_was_made_and_asked_for_when_is_said() {
        let made = Candidate { made: Some(noon()), ..candidate("", "secrets", "a", "b") };
        let said =
            Doubts::new(BTreeSet::new(), Some(noon() - SignedDuration::from_secs(61)), noon()).about(&made).unwrap();
        let expected =
            "it was made at 2026-11-23T12:00:00Z, and not before the restore was asked for (2026-11-23T11:58:59Z)";
        assert_eq!(said, expected);
    }

    #[test]
    fn a_type_that_the_archive_does_not_tell_of_is_named() {
        let made = Some(noon() - SignedDuration::from_hours(1));
        let doubts = Doubts::new(["things.a.io".to_owned()].into(), Some(noon()), noon());
        for (group, plural, expected) in [("a.io", "things", true), ("b.io", "things", false), ("", "things", false)] {
            let found = doubts.about(&Candidate { made, ..candidate(group, plural, "a", "b") });
            assert_eq!(found.is_some_and(|found| found.contains("no things.a.io")), expected, "{plural}.{group}");
        }
    }
}
