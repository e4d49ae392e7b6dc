//! Somebody who does not want a lease, and must know whether others hold it.

use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use tokio::time::{Instant, sleep};

use super::error::LeaseError;
use super::holder::Holder;
use super::observation::{Judgement, Observation};
use super::record::Record;

/// Somebody who looks at a lease and never takes it.
#[derive(Debug)]
pub struct Onlooker {
    record: Record,
}

/// What an onlooker saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sight {
    /// Nobody who lives holds it.
    Free(Version),
    /// Somebody holds it and lives.
    Held {
        /// The identity of that holder.
        holder: String,
    },
}

/// The record of a lease as it was once. Whoever takes, renews or gives back the lease makes another one of it, so it
/// tells whether anybody did since; no clock is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Version {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Version {
    fn of(lease: Option<&LeaseObject>) -> Self {
        let metadata = lease.map(|lease| lease.metadata.clone()).unwrap_or_default();
        Self { uid: metadata.uid, resource_version: metadata.resource_version }
    }
}

impl Onlooker {
    /// One for the lease `name`. The settings of `holder` are those of a record that does not tell its own.
    #[must_use]
    pub fn new(holder: &Holder, name: &str) -> Self {
        Self { record: Record::new(holder, name) }
    }

    /// Looks whether somebody holds it. Where nobody does the answer comes at once; else it takes as long as it takes to see
    /// whether the holder lives.
    ///
    /// # Errors
    /// When the Lease cannot be read.
    pub async fn look(&self) -> Result<Sight, LeaseError> {
        let mut observation = Observation::default();
        loop {
            let found = self.record.read().await?;
            let spec = found.as_ref().and_then(|lease| lease.spec.as_ref());
            match observation.judge(spec, Instant::now(), self.record.settings.whole()) {
                Judgement::Free | Judgement::Dead { .. } => return Ok(Sight::Free(Version::of(found.as_ref()))),
                Judgement::Held { holder, lives: true } => return Ok(Sight::Held { holder }),
                Judgement::Held { .. } => sleep(self.record.poll_interval()).await,
            }
        }
    }

    /// Whether anybody has held it since it was of this version, also where they have given it back.
    ///
    /// # Errors
    /// When the Lease cannot be read.
    pub async fn was_held_since(&self, version: &Version) -> Result<bool, LeaseError> {
        Ok(Version::of(self.record.read().await?.as_ref()) != *version)
    }
}
