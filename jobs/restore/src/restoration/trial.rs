//! The updates of a plan on trial: which objects are made anew for them, and which the server refuses. Nothing is written.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use drover::exit::{Exit, Failure};
use drover::task;
use futures::{StreamExt, stream};

use super::{Finished, Restoration, Surveyed};
use crate::apply::write::OwnerUids;
use crate::plan::Action;
use crate::report::outcome::Results;
use crate::report::progress::{Doing, Progress};
use crate::survey::archive::facts::Position;
use crate::survey::archive::part::Archive;

impl Restoration {
    /// Asks the server about each update of the three parts, and says in their results what it comes to. What is created is
    /// not asked about: much of it needs what is written before it.
    pub(super) async fn try_updates(&self, finished: &mut Finished, surveyed: [Surveyed; 3]) -> Result<(), Failure> {
        let redefined = redefined(&self.definitions, &surveyed[0])?;
        for ((archive, results), surveyed) in finished.parts.iter_mut().zip(surveyed) {
            let is_tried = |position: &Position| {
                surveyed.plan.action(*position) == Action::Update
                    && !redefined.contains(&archive.type_of(*position).kubectl_name())
            };
            let updates: Vec<Position> = surveyed.facts.positions().filter(is_tried).collect();
            if updates.is_empty() {
                continue;
            }
            self.gauge.begin(Doing::Trying, updates.len());
            self.try_each(archive, surveyed, updates, results).await?;
        }
        Ok(())
    }

    async fn try_each(
        &self,
        archive: &Arc<Archive>,
        surveyed: Surveyed,
        updates: Vec<Position>,
        results: &mut Results,
    ) -> Result<(), Failure> {
        let (Surveyed { facts, live, .. }, count) = (surveyed, updates.len());
        let named = self.wishes.recreate.positions(&facts).into_keys().collect();
        let owners = OwnerUids::new(live.into_owner_uids());
        let writer = Arc::new(self.writer(self.server.on_trial(), archive, facts, owners, named));
        let tries = stream::iter(updates).map(|position| {
            let writer = Arc::clone(&writer);
            let tried = task::spawn(async move { writer.foresee(position).await });
            async move { (position, tried.await) }
        });
        let mut progress = Progress::new("updates tried", count);
        let mut tries = std::pin::pin!(tries.buffer_unordered(self.at_once));
        while let Some((position, tried)) = tries.next().await {
            progress.advance();
            self.gauge.advance();
            let tried = tried.map_err(|error| Failure::new(Exit::Failure, error))?;
            let tried = tried.map_err(|error| Failure::new(Exit::Unavailable, error))?;
            if let Some(result) = tried {
                results.set(position, result);
            }
        }
        Ok(())
    }
}

/// The types of which the archive's definitions are written first: what a live definition says of their objects does not
/// hold then.
fn redefined(archive: &Archive, surveyed: &Surveyed) -> Result<BTreeSet<String>, Failure> {
    let written = surveyed.facts.positions().filter(|position| surveyed.plan.action(*position).writes());
    let names: io::Result<BTreeSet<String>> =
        written.map(|position| archive.load(position).map(|loaded| loaded.key.name)).collect();
    names.map_err(|error| Failure::new(Exit::Failure, error))
}
