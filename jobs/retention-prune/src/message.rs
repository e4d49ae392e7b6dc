use std::collections::HashSet;
use std::sync::Mutex;

use drover::cluster;
use drover::events::Event;
use drover::exit::{Exit, Failure};
use drover::places::targets;
use drover::policy::Policies;
use drover::queue::{Handler, Outcome};
use drover::resources::Backup;
use kube::ResourceExt;
use tracing::info;

use crate::place::Effort;
use crate::prune::Turn;
use crate::pruner::Pruner;

/// The stage: after each new archive its Backup is pruned.
pub(crate) struct Stage<'a> {
    pruner: &'a Pruner,
    /// The worst exit of what is not tried again by a message.
    worst: Mutex<Exit>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(pruner: &'a Pruner) -> Self {
        Self { pruner, worst: Mutex::new(Exit::Done) }
    }

    pub(crate) fn worst(&self) -> Exit {
        self.worst.lock().map_or(Exit::Failure, |worst| *worst)
    }

    fn note(&self, exit: Exit) {
        if let Ok(mut worst) = self.worst.lock() {
            *worst = exit.max(*worst);
        }
    }

    /// The Backup that a message names, if it is there and the same one.
    async fn find(&self, event: &Event) -> Result<Option<Backup>, Failure> {
        let backup: Option<Backup> = cluster::find(&self.pruner.client, &event.data.name).await?;
        let is_it = |backup: &Backup| backup.uid().is_some_and(|uid| uid == event.data.uid);
        Ok(backup.filter(is_it))
    }

    async fn try_handle(&self, event: &Event, away: &HashSet<String>) -> Result<Outcome, Failure> {
        let Some(backup) = self.find(event).await? else {
            info!(backup = event.data.name, "nothing to prune: the Backup is gone");
            return Ok(Outcome::Done);
        };
        Ok(match self.pruner.prune(&backup, away, Effort::UntilRetained).await? {
            Turn::Busy { holder } => Outcome::Busy { holder },
            Turn::Done(outcome) if !outcome.may_pass() => {
                // What somebody must mend is tried again after the next archive and on the schedule, not before.
                self.note(outcome.exit());
                Outcome::Done
            }
            Turn::Done(outcome) => {
                Outcome::Failed { reason: outcome.message(), exit: Exit::Unavailable, away: outcome.away }
            }
        })
    }
}

impl Handler for Stage<'_> {
    async fn places_of(&self, event: &Event) -> Vec<String> {
        let Ok(Some(backup)) = self.find(event).await else { return Vec::new() };
        let Ok(policies) = Policies::load(&self.pruner.client).await else { return Vec::new() };
        targets(&backup, &policies.settings(&backup)).iter().map(drover::places::Target::site).collect()
    }

    /// The message only says that there may be work: what has expired the places and the runs tell.
    async fn handle(&self, event: &Event, away: &HashSet<String>) -> Outcome {
        match Box::pin(self.try_handle(event, away)).await {
            Ok(outcome) => outcome,
            Err(failure) => Outcome::Failed { reason: failure.to_string(), exit: failure.exit(), away: Vec::new() },
        }
    }
}
