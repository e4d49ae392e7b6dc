//! The look at every Backup, on the schedule or when somebody asks.

use std::collections::HashSet;
use std::time::Duration;

use drover::exit::{Exit, Failure, warn_of};
use drover::places::{Target, targets};
use drover::policy::Policies;
use drover::resources::Backup;
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::place::Effort;
use crate::prune::Turn;
use crate::pruner::Pruner;

/// When a multipart upload counts as forgotten: as long as its artifact is kept another try may go on with it.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(72);

/// Prunes every Backup, removes what uploads that were cut off long ago left at their places, and forgets old lines of Backups
/// that are gone. Gives the worst exit.
///
/// # Errors
/// When the Backups or the policies cannot be listed. What fails at one Backup does not hold up another.
pub async fn sweep(pruner: &Pruner, shutdown: &CancellationToken) -> Result<Exit, Failure> {
    let policies = Policies::load(&pruner.client).await?;
    let backups = pruner.backups().await?;
    let (mut worst, mut away) = (Exit::Done, HashSet::new());
    let mut waiting: Vec<_> = backups.iter().collect();
    // What another job works on has a second turn after all others.
    for when_busy in [None, Some(Exit::Unavailable)] {
        let mut busy = Vec::new();
        for backup in waiting {
            if shutdown.is_cancelled() {
                return Ok(worst);
            }
            match prune(pruner, backup, &mut away).await.or(when_busy) {
                Some(exit) => worst = worst.max(exit),
                None => busy.push(backup),
            }
        }
        waiting = busy;
    }
    let mut tidied = HashSet::new();
    for target in backups.iter().flat_map(|backup| targets(backup, &policies.settings(backup))) {
        if shutdown.is_cancelled() {
            return Ok(worst);
        }
        if !away.contains(&target.site()) {
            tidy(pruner, &target, &mut tidied).await;
        }
    }
    // That it cannot be done now fails no prune: it is bounded by the next one.
    warn_of(pruner.forget_left().await);
    Ok(worst)
}

/// How a prune ended; none where another job works on the Backup.
async fn prune(pruner: &Pruner, backup: &Backup, away: &mut HashSet<String>) -> Option<Exit> {
    let name = backup.name_any();
    match pruner.prune(backup, away, Effort::All).await {
        Ok(Turn::Done(outcome)) => {
            let exit = outcome.exit();
            away.extend(outcome.away);
            Some(exit)
        }
        Ok(Turn::Busy { holder }) => {
            warn!(backup = name, holder, "not pruned: another job works on this Backup");
            None
        }
        Err(failure) => {
            warn!(backup = name, "{failure}");
            Some(failure.exit())
        }
    }
}

/// What is left there costs money and shows in no listing. That it cannot be removed fails no prune.
async fn tidy(pruner: &Pruner, target: &Target, tidied: &mut HashSet<String>) {
    let storage = match target.open(&pruner.client, &pruner.options.namespace, &pruner.storage).await {
        Ok(storage) => storage,
        Err(failure) => return warn!(place = target.name, "{failure}"),
    };
    let place = storage.location().to_string();
    if !tidied.insert(format!("{} {place}", target.site())) {
        return;
    }
    match storage.abort_forgotten(FORGOTTEN_AFTER, pruner.now()).await {
        Ok(0) => {}
        Ok(uploads) => info!(place, uploads, "removed what uploads left that were cut off long ago"),
        Err(error) => warn!(place, "{}", Failure::from(error)),
    }
}
