//! How many requests are in flight: as many as asked for, fewer while the server says 429.
//!
//! Own code, because what was found limits something else: `governor` a rate, `tower`'s limit a fixed number, and the
//! adaptive ones (`congestion-limiter` and its kin) steer by latency, which an API server's priority queues make useless.
//! A server that says 429 tells exactly what additive increase and multiplicative decrease need to know.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What the limiter decides by; pure, `now` is an argument.
#[derive(Debug)]
struct State {
    /// The most that may be in flight, however well it goes.
    ceiling: f64,
    /// The most that may be in flight now.
    limit: f64,
    in_flight: u32,
    /// Nothing is sent before this time.
    paused_until: Option<Instant>,
    /// When the limit was last lowered: a burst of 429s, answers to requests sent before it, lowers it once.
    lowered_at: Option<Instant>,
}

/// What a request has to do before it is sent.
#[derive(Debug, Eq, PartialEq)]
enum Admission {
    Go,
    WaitForRelease,
    WaitUntil(Instant),
}

impl State {
    fn new(ceiling: u32) -> Self {
        let ceiling = f64::from(ceiling.max(1));
        Self { ceiling, limit: ceiling, in_flight: 0, paused_until: None, lowered_at: None }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        if let Some(until) = self.paused_until.filter(|until| now < *until) {
            return Admission::WaitUntil(until);
        }
        if f64::from(self.in_flight) + 1.0 > self.limit {
            return Admission::WaitForRelease;
        }
        self.in_flight += 1;
        Admission::Go
    }

    fn release(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// About one more for each round of answers: `limit` answers raise it by one.
    fn raise(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(self.ceiling);
    }

    fn lower(&mut self, sent: Instant, now: Instant, pause: Duration) {
        let until = now + pause;
        self.paused_until = Some(self.paused_until.map_or(until, |earlier| earlier.max(until)));
        if self.lowered_at.is_none_or(|at| sent >= at) {
            self.limit = (self.limit / 2.0).max(1.0);
            self.lowered_at = Some(now);
        }
    }
}

/// Holds back requests; cheap to share.
#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<State>,
    released: Notify,
}

/// The right to have one request in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    limiter: &'a Limiter,
    sent: Instant,
}

impl Limiter {
    /// At most `ceiling` requests in flight; 0 counts as 1.
    pub(super) fn new(ceiling: u32) -> Self {
        Self { state: Mutex::new(State::new(ceiling)), released: Notify::new() }
    }

    /// Waits until a request may be sent.
    pub(super) async fn acquire(&self) -> Permit<'_> {
        loop {
            // Registered before the look at the state, so that a release in between is not missed.
            let released = self.released.notified();
            let now = Instant::now();
            // The lock is let go before anything is waited for.
            let admission = self.lock().admit(now);
            match admission {
                Admission::Go => return Permit { limiter: self, sent: now },
                Admission::WaitForRelease => released.await,
                Admission::WaitUntil(until) => tokio::time::sleep_until(until.into()).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and the state would still be sound if something did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The server answered without asking for less.
    pub(super) fn answered(self) {
        self.limiter.lock().raise();
    }

    /// The server said 429: half as many from now on, and none for `pause`.
    pub(super) fn throttled(self, pause: Duration) {
        self.limiter.lock().lower(self.sent, Instant::now(), pause);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.limiter.lock().release();
        // All of them look again: the limit may have grown by one, or a pause may have begun.
        self.limiter.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(state: &mut State, now: Instant) -> u32 {
        let mut count = 0;
        while state.admit(now) == Admission::Go {
            count += 1;
        }
        count
    }

    #[test]
    fn lets_through_as_many_as_asked_for() {
        let now = Instant::now();
        assert_eq!(admitted(&mut State::new(16), now), 16);
        assert_eq!(admitted(&mut State::new(0), now), 1);
    }

    #[test]
    fn a_429_halves_once_for_a_burst_and_pauses() {
        let start = Instant::now();
        let mut state = State::new(16);
        admitted(&mut state, start);
        for _ in 0..16 {
            state.release();
            state.lower(start, start + Duration::from_millis(5), Duration::from_secs(1));
        }
        let until = start + Duration::from_millis(1005);
        assert_eq!(state.admit(start + Duration::from_millis(10)), Admission::WaitUntil(until));
        assert_eq!(admitted(&mut state, until), 8);
    }

    #[test]
    fn a_later_429_halves_again_but_never_below_one() {
        let mut now = Instant::now();
        let mut state = State::new(4);
        for expected in [2, 1, 1] {
            now += Duration::from_secs(1);
            state.lower(now, now, Duration::ZERO);
            assert_eq!(admitted(&mut state, now), expected);
            (0..expected).for_each(|_| state.release());
        }
    }

    #[test]
    fn answers_raise_the_limit_by_one_a_round_up_to_the_ceiling() {
        let now = Instant::now();
        let mut state = State::new(8);
        state.lower(now, now, Duration::ZERO);
        (0..5).for_each(|_| state.raise());
        assert_eq!(admitted(&mut state, now), 5);
        (0..1000).for_each(|_| state.raise());
        state.in_flight = 0;
        assert_eq!(admitted(&mut state, now), 8);
    }

    #[tokio::test]
    async fn a_dropped_permit_lets_the_next_one_through() {
        let limiter = Limiter::new(1);
        let first = limiter.acquire().await;
        let waiting = limiter.acquire();
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(first);
        waiting.await.answered();
    }
}
