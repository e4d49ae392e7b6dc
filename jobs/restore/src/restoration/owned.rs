//! What has an owner in a later part of the archive: an object that a configuration of webhooks or an APIService owns, or a
//! definition with any owner. It is written before that owner is there, and names it when all is written.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use drover::exit::Chain;
use tokio_util::sync::CancellationToken;

use super::{Finished, Restoration};
use crate::apply::stages;
use crate::apply::write::OwnerUids;
use crate::report::outcome::{Outcome, Results};
use crate::restoration::owned_later::Owned;
use crate::survey::archive::facts::{Facts, OwnerIndex, Position};
use crate::survey::archive::part::Archive;
use crate::survey::live::{self, LiveError};
use crate::survey::types::Type;

impl Restoration {
    /// Those of a part; none where it has no such object.
    pub(super) fn owned(&self, archive: &Arc<Archive>, facts: &Arc<Facts>) -> Option<Owned> {
        let is_first = Arc::ptr_eq(archive, &self.definitions);
        let is_later = |known: &Type| if is_first { !known.is_definition() } else { known.is_registration() };
        let owned = facts.owned_by(|owner| is_later(&facts.owners()[owner as usize].kind));
        let positions: Vec<Position> = owned.filter(|position| facts.twin(*position).is_none()).collect();
        let (archive, facts) = (Arc::clone(archive), Arc::clone(facts));
        (!positions.is_empty()).then_some(Owned { archive, facts, positions })
    }

    /// Has objects name the owners that were written after them.
    pub(super) async fn name_owners(&self, finished: &mut Finished, shutdown: &CancellationToken) {
        for owned in std::mem::take(&mut finished.owned) {
            if finished.lost.is_some() || shutdown.is_cancelled() {
                return;
            }
            if let Err(error) = self.name_owners_of(owned, finished, shutdown).await {
                finished.failed = Some(error.into());
                return;
            }
        }
    }

    async fn name_owners_of(
        &self,
        owned: Owned,
        finished: &mut Finished,
        shutdown: &CancellationToken,
    ) -> Result<(), LiveError> {
        let Owned { archive, facts, mut positions } = owned;
        let mut parts = finished.parts.iter_mut().skip_while(|(part, _)| !Arc::ptr_eq(part, &archive));
        let Some((_, results)) = parts.next() else { return Ok(()) };
        positions.retain(|position| is_there(results.outcome(*position)));
        if positions.is_empty() || !parts.any(|(_, later)| is_written(later)) {
            return Ok(());
        }
        let uids = self.owner_uids(&facts, &mut positions).await?;
        let writer = self.writer(self.server.impatient(), &archive, facts, uids, HashSet::new());
        finished.lost = stages::name_owners(&writer, positions, results, self.at_once, shutdown).await;
        Ok(())
    }

    /// The UIDs that all owners of these objects have now. An object with an owner that cannot be seen is taken out: it
    /// would lose that one.
    async fn owner_uids(&self, facts: &Facts, positions: &mut Vec<Position>) -> Result<OwnerUids, LiveError> {
        let named = |position: &Position| facts.references(*position).iter().flatten().copied();
        let owners: BTreeSet<OwnerIndex> = positions.iter().flat_map(named).collect();
        let (mut uids, mut unseen) = (HashMap::<OwnerIndex, String>::new(), BTreeSet::new());
        for owner in owners {
            match live::uid(&self.server, &facts.owners()[owner as usize]).await {
                Ok(uid) => uids.extend(uid.map(|uid| (owner, uid))),
                Err(error) if error.is_unreachable() => return Err(error),
                Err(error) => {
                    tracing::warn!("what has this owner keeps the owners that it has: {}", Chain(&error));
                    unseen.insert(owner);
                }
            }
        }
        positions.retain(|position| !named(position).any(|owner| unseen.contains(&owner)));
        Ok(OwnerUids::new(uids))
    }
}

/// Whether an object that came to this is there, and its owners are this restore's to write.
const fn is_there(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Created | Outcome::Updated | Outcome::Unchanged)
}

/// Whether any object was written.
fn is_written(results: &Results) -> bool {
    let mut outcomes = results.positions().map(|position| results.outcome(position));
    outcomes.any(|outcome| matches!(outcome, Outcome::Created | Outcome::Updated))
}
