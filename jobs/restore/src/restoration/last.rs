//! What is written last, when the controllers have their counts again: what hands requests over to other servers, or judges
//! them.

use std::sync::Arc;

use drover::exit::Failure;
use tokio_util::sync::CancellationToken;

use super::{Finished, Restoration};
use crate::apply::registrations::Unserved;
use crate::report::outcome::Results;
use crate::report::progress::Doing;
use crate::survey::selected::Selection;

impl Restoration {
    /// Writes what hands requests over to other servers, once what serves it is ready; then what it owns names it. A restore
    /// that has not come to its end leaves it to the next try.
    pub(super) async fn register(&self, mut finished: Finished, shutdown: &CancellationToken) -> Finished {
        let Finished { lost, given_up, failed, .. } = &finished;
        let has_ended = lost.is_none() && given_up.is_none() && failed.is_none() && !shutdown.is_cancelled();
        if !has_ended {
            return self.without_registrations(finished);
        }
        if self.registrations.len() == 0 {
            finished = self.without_registrations(finished);
        } else if let Err(failure) = self.write_registrations(&mut finished, shutdown).await {
            finished.failed = Some(failure);
            return self.without_registrations(finished);
        }
        self.name_owners(&mut finished, shutdown).await;
        finished
    }

    async fn write_registrations(&self, finished: &mut Finished, shutdown: &CancellationToken) -> Result<(), Failure> {
        self.gauge.begin(Doing::Comparing, 0);
        // Owners may be of types that the archive's definitions brought a moment ago.
        let (types, _) = self.known_types().await?;
        let surveyed = self.survey(&self.registrations, &Arc::new(types), &Selection::default()).await?;
        let (facts, plan) = (&surveyed.facts, &surveyed.plan);
        let written = facts.positions().filter(|position| plan.action(*position).writes()).collect();
        self.gauge.begin(Doing::WaitingForServers, 0);
        let unserved = Unserved::wait(&self.server, &self.registrations, written, &self.gauge, shutdown).await;
        let (mut results, lost) = self.carry_out(&self.registrations, surveyed, shutdown).await;
        unserved.tell(&mut results);
        finished.parts.push((Arc::clone(&self.registrations), results));
        finished.lost = lost;
        Ok(())
    }

    /// What it comes to where these are left as they are.
    pub(super) fn without_registrations(&self, mut finished: Finished) -> Finished {
        finished.parts.push((Arc::clone(&self.registrations), Results::new(self.registrations.len())));
        finished
    }
}
