//! Whose turn it is: one job at a time works on a Backup, and none reads while a restore writes.

pub(crate) mod not_now;

use std::time::Duration;

use drover::exit::{Chain, Failure};
use drover::lease::{self, Acquired, Lease, Onlooker, Sight, Version, Wait};
use drover::resources::Backup;
use kube::ResourceExt;
use tokio::time::{Instant, sleep};
use tracing::warn;

use not_now::NotNow;

use crate::context::Context;
use crate::report;

/// How often a restore is looked at that is waited for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until no restore is at work, for as long as `patience`.
pub(crate) async fn after_restores(context: &Context, backup: &Backup, patience: Duration) -> Result<Version, Failure> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        match context.restores.look().await? {
            Sight::Free(version) => return Ok(version),
            Sight::Held { holder } => {
                let is_first = !std::mem::replace(&mut is_told, true);
                if is_first {
                    report::waits_for_restore(context, backup).await;
                }
                if begun.elapsed() >= patience {
                    return Err(NotNow::RestoreRuns { holder }.into());
                }
                if is_first {
                    report::waits(context, backup, &format!("{holder:?}, which restores this cluster")).await;
                }
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// That no restore is at work, for a person whose rights may not reach that far: then it is said that nobody knows.
pub(crate) async fn seen_by_a_person(restores: &Onlooker) -> Result<Option<Version>, NotNow> {
    match restores.look().await {
        Ok(Sight::Free(version)) => Ok(Some(version)),
        Ok(Sight::Held { holder }) => Err(NotNow::RestoreRuns { holder }),
        Err(error) => {
            warn!("it is not known whether a restore is at work meanwhile: {}", Chain(&error));
            Ok(None)
        }
    }
}

/// Refuses what was read while a restore was at work: one that began since `before`, and may have ended.
pub(crate) async fn no_restore_since(restores: &Onlooker, before: &Version) -> Result<(), Failure> {
    if restores.was_held_since(before).await? { Err(NotNow::Overtaken.into()) } else { Ok(()) }
}

/// Takes the Backup's Lease, and waits for another job's for as long as `patience`.
pub(crate) async fn take(context: &Context, backup: &Backup, patience: Duration) -> Result<Lease, Failure> {
    let name = lease::of_backup(&backup.name_any());
    let mut acquired = context.holder.acquire(&name, Wait::No).await?;
    if let Acquired::Busy { holder } = &acquired
        && !patience.is_zero()
    {
        report::waits(context, backup, &format!("{holder:?}, which works on this Backup")).await;
        acquired = context.holder.acquire(&name, Wait::Until(patience)).await?;
    }
    match acquired {
        Acquired::Held(lease) => Ok(lease),
        Acquired::Busy { holder } => Err(NotNow::Busy { backup: backup.name_any(), holder }.into()),
    }
}
