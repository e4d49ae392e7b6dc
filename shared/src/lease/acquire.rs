//! Taking a lease, with the wait for whoever holds it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use super::candidate::{Candidate, Look};
use super::error::LeaseError;
use super::held::Acquired;
use super::holder::Holder;

/// How long a candidate waits for a lease that somebody holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// No longer than it takes to see whether the holder lives: at most its duration.
    No,
    /// Until it is free or this time has passed.
    Until(Duration),
}

impl Holder {
    /// Takes the lease `name`, when it is free or its holder is dead.
    ///
    /// # Errors
    /// When the Lease can be neither read nor written.
    pub async fn acquire(&self, name: &str, wait: Wait) -> Result<Acquired, LeaseError> {
        let mut candidate = Candidate::new(self, name);
        let (begun, mut is_said) = (Instant::now(), false);
        loop {
            match candidate.look().await? {
                Look::Taken(lease) => return Ok(Acquired::Held(lease)),
                Look::Held { holder, lives } if gives_up(wait, lives, begun.elapsed()) => {
                    return Ok(Acquired::Busy { holder });
                }
                Look::Held { holder, .. } => {
                    // Whoever waits for longer says so itself.
                    if wait == Wait::No && !std::mem::replace(&mut is_said, true) {
                        let seconds = candidate.patience().as_secs();
                        info!(
                            lease = name,
                            "held by {holder:?}; waiting up to {seconds} s to see whether that one lives"
                        );
                    }
                    sleep(candidate.record.poll_interval()).await;
                }
            }
        }
    }
}

/// Whether a candidate stops waiting for a holder of whom it knows this much.
fn gives_up(wait: Wait, lives: bool, waited: Duration) -> bool {
    match wait {
        Wait::No => lives,
        Wait::Until(longest) => waited >= longest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_that_does_not_wait_gives_up_once_the_holder_is_seen_alive() {
        let hour = Duration::from_hours(1);
        assert!(gives_up(Wait::No, true, Duration::ZERO));
        assert!(!gives_up(Wait::No, false, hour));
        assert!(!gives_up(Wait::Until(hour), true, Duration::ZERO));
        assert!(gives_up(Wait::Until(hour), false, hour));
    }
}
