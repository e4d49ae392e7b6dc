//! Whose turn it is to tell monitors about a Backup or Restore: two Jobs never do so at a time.
//!
//! A Lease says it, one for each Backup and Restore, so that a monitor which does not answer holds up nothing but what is
//! told about the same one. The Lease goes with its Backup or Restore. It is none of those that runs are made under, so no
//! backup waits for a monitor.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover::exit::Failure;
use drover::lease::{self, Acquired, Candidate, Holder, LeaseError};
use kube::Resource;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::memory::member;
use crate::ping::Concern;

/// How often whoever waits for a turn looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// The turns of one job.
pub(crate) struct Turns {
    holder: Holder,
    /// Who waits, by the name of the Lease: what was seen of its holder counts at the next try.
    waiting: Mutex<BTreeMap<String, Candidate>>,
}

/// What became of a turn.
#[derive(Debug)]
pub(crate) enum Turn<T> {
    Had(T),
    /// Another job tells about the same one.
    Busy {
        holder: String,
    },
}

impl Turns {
    pub(crate) fn new(holder: Holder) -> Self {
        Self { holder, waiting: Mutex::default() }
    }

    /// Does the work in turn, where the turn comes within `patience`. Where the Lease is lost the work is dropped where it
    /// stands, before anybody else may begin.
    pub(crate) async fn take<K: Resource<DynamicType = ()>, T>(
        &self,
        concern: Concern,
        about: &K,
        patience: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Turn<T>, Failure> {
        let lease = match self.acquire(concern, about, patience).await? {
            Acquired::Held(lease) => lease,
            Acquired::Busy { holder } => return Ok(Turn::Busy { holder }),
        };
        let Some(outcome) = lease.during(Box::pin(work)).await else {
            warn!("the Lease was lost in the middle of telling; it is tried again");
            return Ok(Turn::Busy { holder: "whoever took the Lease".to_owned() });
        };
        outcome.map(Turn::Had)
    }

    async fn acquire<K: Resource<DynamicType = ()>>(
        &self,
        concern: Concern,
        about: &K,
        patience: Duration,
    ) -> Result<Acquired, LeaseError> {
        let name = lease::of_monitors(&member(concern, about.meta().uid.as_deref().unwrap_or_default()));
        let begun = Instant::now();
        loop {
            match self.try_once(&name, about).await? {
                Acquired::Busy { .. } if begun.elapsed() < patience => sleep(INTERVAL).await,
                acquired => return Ok(acquired),
            }
        }
    }

    async fn try_once<K: Resource<DynamicType = ()>>(&self, name: &str, about: &K) -> Result<Acquired, LeaseError> {
        let known = self.waiting().remove(name);
        let mut candidate = known.unwrap_or_else(|| self.candidate(name, about));
        let acquired: Result<Acquired, _> = candidate.try_once().await;
        if let Ok(Acquired::Busy { .. }) = &acquired {
            self.waiting().insert(name.to_owned(), candidate);
        }
        acquired
    }

    fn candidate<K: Resource<DynamicType = ()>>(&self, name: &str, about: &K) -> Candidate {
        Candidate::new(&self.holder, name).owned_by(about.owner_ref(&()))
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Candidate>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
