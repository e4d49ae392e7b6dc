//! When the exemption was looked at and put in last, and how often it was gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::configuration::Configuration;
use super::{IN_FORCE_WITHIN, UNSEEN};

#[derive(Default)]
pub(super) struct State {
    pub(super) looked: Option<Instant>,
    pub(super) put_in: Option<Instant>,
    /// Whether it was told who is exempt, and how that ends.
    pub(super) is_told: bool,
    /// How often each configuration was found without the condition.
    rewritten: BTreeMap<Configuration, u32>,
}

impl State {
    /// Whether an API server may not have learned of it yet.
    pub(super) fn is_young(&self) -> bool {
        self.put_in.is_some_and(|at| at.elapsed() < IN_FORCE_WITHIN)
    }

    /// These configurations were found without the condition.
    pub(super) fn note_rewritten(&mut self, found: &BTreeSet<Configuration>) {
        for configuration in found {
            *self.rewritten.entry(configuration.clone()).or_default() += 1;
        }
    }

    /// How often configurations were written anew. Whoever writes one after the other does so once, whatever is seen between
    /// the two.
    pub(super) fn rewrites(&self) -> u32 {
        self.rewritten.values().copied().max().unwrap_or_default()
    }

    /// How long it is still to be waited until it is in force, where nothing shows that.
    pub(super) fn unseen(&self) -> Duration {
        self.put_in.map_or(Duration::ZERO, |at| UNSEEN.saturating_sub(at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::configuration::of_names;
    use super::*;

    #[test]
    fn five_rewrites_of_two_configurations_are_five_rewrites() {
        let (mut state, both) = (State::default(), of_names(&["rancher.cattle.io".to_owned()]));
        assert_eq!(state.rewrites(), 0);
        for rewrite in 1..=5 {
            // The second one is written when the first one has the condition again.
            for configuration in &both {
                state.note_rewritten(&BTreeSet::from([configuration.clone()]));
            }
            assert_eq!(state.rewrites(), rewrite);
        }
        state.note_rewritten(&both.into_iter().collect());
        assert_eq!(state.rewrites(), 6);
    }

    #[test]
    fn what_was_put_in_a_moment_ago_is_waited_for() {
        let put_in = |ago: Duration| State { put_in: Instant::now().checked_sub(ago), ..State::default() };
        assert_eq!(State::default().unseen(), Duration::ZERO);
        let waits = put_in(Duration::ZERO).unseen();
        assert!(waits > Duration::ZERO && waits <= UNSEEN, "{waits:?}");
        assert_eq!(put_in(UNSEEN).unseen(), Duration::ZERO);
    }
}
