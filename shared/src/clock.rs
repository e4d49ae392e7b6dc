//! What time it is: by the API server, so that a node whose clock is wrong decides nothing by it.
//!
//! ```text
//! answer of the API server ── Date ──▶ observe ──▶ reading ── + monotonic clock ──▶ now
//! ```
//! Every answer of the API server says what time it is there (RFC 9110, `Date`), in whole seconds. It is the clock that
//! stamps `creationTimestamp`, it costs no request and no permission, and a program that runs for weeks is set right with
//! each answer. Between two answers the monotonic clock goes on. As long as nobody has answered, and where there is no
//! cluster at all, the machine's own clock serves.
//!
//! - The answers of two API servers, and corrections by NTP, differ a little: up to [`TOLERANCE`] time never goes back.
//! - A stamp further ahead than that was made by a wrong clock, and decides nothing: see [`is_future`]. Neither does the time
//!   in an archive's name that was still to come when the API server stamped its run: see [`crate::ledger::is_ahead`].

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http::header::DATE;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

/// How far two clocks may be apart that count as right.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// What the API server said last.
static SERVER: Mutex<Option<Reading>> = Mutex::new(None);

/// A time, and when it was that time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Reading {
    time: Timestamp,
    taken: Instant,
}

/// What time it is.
#[must_use]
pub fn now() -> Timestamp {
    of_server().unwrap_or_else(Timestamp::now)
}

/// What time it is by the API server; none as long as it has not said.
#[must_use]
pub fn of_server() -> Option<Timestamp> {
    let reading = *SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    reading.map(|reading| reading.at(Instant::now()))
}

/// A moment, by both clocks of this machine: one stands still while it sleeps, and a person may set the other.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    /// This one.
    #[must_use]
    pub fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// How long ago it was, or longer.
    fn elapsed(&self) -> Duration {
        self.steady.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

/// What time it was by the API server at a moment that has passed; none as long as it has not said. Too early rather than too
/// late: it says whole seconds, and of two clocks the one counts by which the moment is longer ago.
#[must_use]
pub fn of_server_at(moment: Moment) -> Option<Timestamp> {
    of_server().and_then(|now| before(now, moment.elapsed()))
}

fn before(time: Timestamp, passed: Duration) -> Option<Timestamp> {
    time.checked_sub(SignedDuration::try_from(passed).ok()?).ok()
}

/// Whether a stamp is of the future, made by a clock that was wrong.
#[must_use]
pub fn is_future(time: Timestamp, now: Timestamp) -> bool {
    time.duration_since(now) > TOLERANCE
}

/// What is wrong with this machine's clock, for people; none where it is right, or where nobody knows.
#[must_use]
pub fn deviation() -> Option<String> {
    deviation_of(Timestamp::now(), of_server()?, &machine())
}

/// The node that this pod runs on, or else this machine.
fn machine() -> String {
    std::env::var("DROVER_NODE_NAME").unwrap_or_else(|_| crate::cluster::host_name())
}

fn deviation_of(local: Timestamp, server: Timestamp, machine: &str) -> Option<String> {
    let ahead = local.duration_since(server);
    if ahead.abs() <= TOLERANCE {
        return None;
    }
    let word = if ahead.is_positive() { "ahead of" } else { "behind" };
    let seconds = SignedDuration::from_secs(ahead.abs().as_secs());
    Some(format!(
        "the clock of {machine:?} is {seconds:#} {word} the API server's; drover goes by the API server's; correct it (NTP)"
    ))
}

/// Takes the time from an answer of the API server.
pub(crate) fn observe(headers: &HeaderMap) {
    let Some(time) = time_in(headers) else { return };
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let (taken, is_first) = (Instant::now(), server.is_none());
    *server = Some(Reading::after(*server, time, taken));
    drop(server);
    if is_first && let Some(words) = deviation() {
        tracing::warn!("{words}");
    }
}

fn time_in(headers: &HeaderMap) -> Option<Timestamp> {
    Some(rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?.timestamp())
}

impl Reading {
    /// What is known after an answer of this `time`. Its second may have begun up to a second ago, so of two answers the
    /// one that tells more is the nearer one.
    fn after(before: Option<Self>, time: Timestamp, taken: Instant) -> Self {
        let reading = Self { time, taken };
        let known = before.map(|before| before.at(taken));
        match known {
            Some(known) if known >= time && known.duration_since(time) <= TOLERANCE => Self { time: known, taken },
            _ => reading,
        }
    }

    fn at(self, instant: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(instant.saturating_duration_since(self.taken));
        passed.ok().and_then(|passed| self.time.checked_add(passed).ok()).unwrap_or(self.time)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const NOON: &str = "2026-11-23T12:00:00Z";

    /// The time 10 s after noon was read, and so many seconds after noon came at the same moment.
    #[track_caller]
    fn check(seconds: i64, expected: i64) {
        let begun = Instant::now();
        let first = Reading::after(None, at(NOON), begun);
        assert_eq!(first.at(begun), at(NOON));
        let later = begun + Duration::from_secs(10);
        let second = Reading::after(Some(first), at(NOON) + SignedDuration::from_secs(seconds), later);
        assert_eq!(second.at(later), at(NOON) + SignedDuration::from_secs(expected), "{seconds}");
        let end = later + Duration::from_secs(5);
        assert_eq!(second.at(end), at(NOON) + SignedDuration::from_secs(expected + 5), "{seconds}");
    }

    #[test]
    fn time_goes_forward_with_each_answer_and_never_a_little_back() {
        check(10, 10);
        check(11, 11);
        check(9, 10);
        check(-50, 10);
        check(70, 70);
        check(3 * 86_400, 3 * 86_400);
        // It was set back for good.
        check(-51, -51);
        check(-3 * 86_400, -3 * 86_400);
    }

    #[test]
    fn a_pause_of_the_monotonic_clock_does_not_take_time_back() {
        let begun = Instant::now();
        let reading = Reading::after(None, at(NOON), begun + Duration::from_secs(5));
        assert_eq!(reading.at(begun), at(NOON));
    }

    #[test]
    fn an_instant_of_before_has_a_time_of_before() {
        let expected = at(NOON) - SignedDuration::from_millis(90_500);
        assert_eq!(before(at(NOON), Duration::from_millis(90_500)), Some(expected));
        assert_eq!(before(at(NOON), Duration::MAX), None);
    }

    #[test]
    fn the_time_of_an_answer_is_read() {
        let of = |text| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, HeaderValue::from_static(text));
            time_in(&headers)
        };
        assert_eq!(of("Mon, 23 Nov 2026 12:00:00 GMT"), Some(at(NOON)));
        for nonsense in ["", "noon", "2026-11-23T12:00:00Z"] {
            assert_eq!(of(nonsense), None, "{nonsense:?}");
        }
        assert_eq!(time_in(&HeaderMap::new()), None);
    }

    #[test]
    fn a_clock_more_than_a_minute_off_is_named() {
        let of = |local| deviation_of(at(local), at(NOON), "node-1");
        for right in [NOON, "2026-11-23T12:01:00Z", "2026-11-23T11:59:00Z"] {
            assert_eq!(of(right), None, "{right}");
        }
        let ahead = of("2026-11-26T13:00:00.5Z").unwrap();
        assert!(ahead.starts_with("the clock of \"node-1\" is 73h ahead of the API server's;"), "{ahead}");
        let behind = of("2026-11-23T11:58:59Z").unwrap();
        assert!(behind.contains("is 1m 1s behind the API server's;"), "{behind}");
    }

    #[test]
    fn a_stamp_more_than_a_minute_ahead_is_of_the_future() {
        for (stamp, expected) in
            [("2026-11-01T00:00:00Z", false), ("2026-11-23T12:01:00Z", false), ("2026-11-23T12:01:01Z", true)]
        {
            assert_eq!(is_future(at(stamp), at(NOON)), expected, "{stamp}");
        }
    }
}
