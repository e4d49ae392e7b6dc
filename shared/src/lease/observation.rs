//! What a candidate may conclude from the records that it saw, as pure functions of them and of its own clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::time::Instant;

/// What is known of the holder.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Judgement {
    /// Nobody holds it.
    Free,
    /// The record did not change for as long as its holder promised to change it.
    Dead {
        /// Who held it.
        holder: String,
    },
    /// Somebody holds it who is not known to be dead.
    Held {
        /// Who holds it.
        holder: String,
        /// Whether the record was seen to change, so that somebody wrote it while we looked.
        lives: bool,
    },
}

/// The record last seen, and since when it has been what it is.
#[derive(Debug, Default)]
pub(super) struct Observation {
    seen: Option<Sighting>,
}

#[derive(Debug)]
struct Sighting {
    spec: LeaseSpec,
    since: Instant,
    changed: bool,
}

impl Observation {
    /// Judges the record that was read at `now`. `fallback` is the duration of a record that names none.
    pub(super) fn judge(&mut self, spec: Option<&LeaseSpec>, now: Instant, fallback: Duration) -> Judgement {
        let held =
            spec.and_then(|spec| Some((spec, spec.holder_identity.clone().filter(|holder| !holder.is_empty())?)));
        let Some((spec, holder)) = held else {
            // Whoever holds it next began after we first looked, and so lives.
            self.seen = Some(Sighting { spec: LeaseSpec::default(), since: now, changed: true });
            return Judgement::Free;
        };
        let sighting = match self.seen.take() {
            Some(seen) if seen.spec == *spec => seen,
            earlier => Sighting { spec: spec.clone(), since: now, changed: earlier.is_some() },
        };
        let silent = now.saturating_duration_since(sighting.since);
        let lives = sighting.changed;
        self.seen = Some(sighting);
        if silent >= promised(spec, fallback) { Judgement::Dead { holder } } else { Judgement::Held { holder, lives } }
    }

    /// How long the holder that was seen last may be silent; `fallback` where none was seen, or its record does not say.
    pub(super) fn promised(&self, fallback: Duration) -> Duration {
        self.seen.as_ref().map_or(fallback, |seen| promised(&seen.spec, fallback))
    }
}

/// How long the holder may be silent, by its own word.
fn promised(spec: &LeaseSpec, fallback: Duration) -> Duration {
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(fallback, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    const FALLBACK: Duration = Duration::from_secs(7);

    /// A record: who, a count of renewals, seconds of duration.
    fn record(holder: &str, renewal: i64, duration: Option<i32>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            renew_time: jiff::Timestamp::from_second(renewal).ok().map(MicroTime),
            lease_duration_seconds: duration,
            ..LeaseSpec::default()
        }
    }

    fn held(holder: &str, lives: bool) -> Judgement {
        Judgement::Held { holder: holder.to_owned(), lives }
    }

    fn dead(holder: &str) -> Judgement {
        Judgement::Dead { holder: holder.to_owned() }
    }

    /// Shows the records at the seconds given, and compares each judgement.
    #[track_caller]
    fn check(sightings: Vec<(u64, Option<LeaseSpec>, Judgement)>) {
        let begun = Instant::now();
        let mut observation = Observation::default();
        for (second, spec, expected) in sightings {
            let judgement = observation.judge(spec.as_ref(), begun + Duration::from_secs(second), FALLBACK);
            assert_eq!(judgement, expected, "at second {second}");
        }
    }

    #[test]
    fn a_holder_is_waited_for_as_long_as_its_record_says() {
        let mut observation = Observation::default();
        assert_eq!(observation.promised(FALLBACK), FALLBACK);
        observation.judge(Some(&record("a", 1, Some(15))), Instant::now(), FALLBACK);
        assert_eq!(observation.promised(FALLBACK), Duration::from_secs(15));
        observation.judge(Some(&record("a", 1, None)), Instant::now(), FALLBACK);
        assert_eq!(observation.promised(FALLBACK), FALLBACK);
    }

    #[test]
    fn a_record_without_a_holder_is_free() {
        check(vec![(0, None, Judgement::Free), (1, Some(record("", 0, Some(15))), Judgement::Free)]);
    }

    #[test]
    fn a_silent_holder_is_dead_after_its_own_duration_since_the_first_look() {
        let same = || Some(record("a", 0, Some(15)));
        check(vec![(0, same(), held("a", false)), (14, same(), held("a", false)), (15, same(), dead("a"))]);
    }

    #[test]
    fn a_renewal_shows_life_and_begins_the_wait_anew() {
        check(vec![
            (0, Some(record("a", 0, Some(15))), held("a", false)),
            (10, Some(record("a", 1, Some(15))), held("a", true)),
            (24, Some(record("a", 1, Some(15))), held("a", true)),
            (25, Some(record("a", 1, Some(15))), dead("a")),
        ]);
    }

    #[test]
    fn renew_times_far_from_our_clock_say_nothing() {
        check(vec![
            (0, Some(record("past", -1_000_000, Some(15))), held("past", false)),
            (1, Some(record("future", 100_000_000_000, Some(15))), held("future", true)),
            (16, Some(record("future", 100_000_000_000, Some(15))), dead("future")),
        ]);
    }

    #[test]
    fn another_holder_lives_although_the_first_one_was_silent() {
        check(vec![
            (0, Some(record("a", 0, Some(15))), held("a", false)),
            (15, Some(record("b", 0, Some(15))), held("b", true)),
        ]);
    }

    #[test]
    fn whoever_takes_a_free_record_before_us_lives() {
        check(vec![(0, None, Judgement::Free), (0, Some(record("b", 0, Some(15))), held("b", true))]);
    }

    #[test]
    fn a_record_without_a_sane_duration_has_ours() {
        for duration in [None, Some(-1)] {
            check(vec![
                (0, Some(record("a", 0, duration)), held("a", false)),
                (6, Some(record("a", 0, duration)), held("a", false)),
                (7, Some(record("a", 0, duration)), dead("a")),
            ]);
        }
    }
}
