//! Somebody who wants a lease.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use tokio::time::Instant;
use tracing::info;

use super::error::LeaseError;
use super::held::{Acquired, Lease};
use super::holder::Holder;
use super::observation::{Judgement, Observation};
use super::record::Record;
use super::renewal::Renewal;

/// Somebody who wants a lease and does not stand in line for it: what was seen of its holder is kept from one try to the
/// next, so that a dead one is known as dead although nobody waited for that.
#[derive(Debug)]
pub struct Candidate {
    pub(super) record: Record,
    observation: Observation,
}

/// What one look at the record came to.
pub(super) enum Look {
    Taken(Lease),
    Held { holder: String, lives: bool },
}

impl Candidate {
    /// One for the lease `name`.
    #[must_use]
    pub fn new(holder: &Holder, name: &str) -> Self {
        Self { record: Record::new(holder, name), observation: Observation::default() }
    }

    /// Has the Lease, where this candidate makes it, go with its owner.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<OwnerReference>) -> Self {
        self.record.owner = owner;
        self
    }

    /// Takes the lease where it is free, or where its holder did not renew it for its duration since the first try.
    ///
    /// # Errors
    /// When the Lease can be neither read nor written.
    pub async fn try_once(&mut self) -> Result<Acquired, LeaseError> {
        Ok(match self.look().await? {
            Look::Taken(lease) => Acquired::Held(lease),
            Look::Held { holder, .. } => Acquired::Busy { holder },
        })
    }

    /// How long the holder that was seen last may be silent before it counts as dead.
    pub(super) fn patience(&self) -> Duration {
        self.observation.promised(self.record.settings.whole())
    }

    pub(super) async fn look(&mut self) -> Result<Look, LeaseError> {
        loop {
            let found = self.record.read().await?;
            let judgement = match &found {
                None => Judgement::Free,
                Some(lease) => {
                    self.observation.judge(lease.spec.as_ref(), Instant::now(), self.record.settings.whole())
                }
            };
            let taken_over_from = match judgement {
                Judgement::Free => None,
                Judgement::Dead { holder } => Some(holder),
                Judgement::Held { holder, lives } => return Ok(Look::Held { holder, lives }),
            };
            if let Some(term) = self.record.take(found).await? {
                if let Some(dead) = taken_over_from.as_deref() {
                    info!(dead, "took over from a job that died");
                }
                let record = Arc::new(self.record.clone());
                let renewal = Renewal::start(Arc::clone(&record), term);
                return Ok(Look::Taken(Lease { record, renewal, taken_over_from }));
            }
        }
    }
}
