//! Who holds leases.

use std::time::Duration;

use kube::Client;
use tokio::time::{Instant, sleep};
use tracing::info;

use super::candidate::Look;
use super::{Acquired, Candidate, LeaseError, Settings, Wait};

/// A process that holds leases, all in one namespace.
pub struct Holder {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) identity: String,
    pub(super) settings: Settings,
}

impl Holder {
    /// `identity` is who holds the leases, as a person should read it: the pod's name, say. Two processes of one identity do
    /// not share a lease: the second one waits for the first as for anybody.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: &str, settings: Settings) -> Self {
        Self { client, namespace: namespace.to_owned(), identity: identity.to_owned(), settings }
    }

    /// The name under which it holds them.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

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
