//! When the exemption was looked at and put in last.

use std::time::Duration;

use tokio::time::Instant;

use super::{IN_FORCE_WITHIN, UNSEEN};

#[derive(Default)]
pub(super) struct State {
    pub(super) looked: Option<Instant>,
    pub(super) put_in: Option<Instant>,
    /// Whether it was told who is exempt, and how that ends.
    pub(super) is_told: bool,
}

impl State {
    /// Whether an API server may not have learned of it yet.
    pub(super) fn is_young(&self) -> bool {
        self.put_in.is_some_and(|at| at.elapsed() < IN_FORCE_WITHIN)
    }

    /// How long it is still to be waited until it is in force, where nothing shows that.
    pub(super) fn unseen(&self) -> Duration {
        self.put_in.map_or(Duration::ZERO, |at| UNSEEN.saturating_sub(at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_a_moment_ago_is_waited_for() {
        let put_in = |ago: Duration| State { put_in: Instant::now().checked_sub(ago), ..State::default() };
        assert_eq!(State::default().unseen(), Duration::ZERO);
        let waits = put_in(Duration::ZERO).unseen();
        assert!(waits > Duration::ZERO && waits <= UNSEEN, "{waits:?}");
        assert_eq!(put_in(UNSEEN).unseen(), Duration::ZERO);
    }
}
