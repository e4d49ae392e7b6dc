//! Archives that are held since the one that is uploaded lacks what they have.
//!
//! The ledger says so before any place has the new archive, for from then on the next prune counts it, and may find that the
//! Backup was made again and its runs are gone.

use drover::exit::Failure;
use drover::resources::{Backup, BackupRun};
use drover::runs::{Allowed, holds_of, missing_words};

use crate::context::Context;

/// Holds them. One that lacks types which could not be read displaces none. Where there is no ledger yet nothing expires
/// either, and the runs tell retention-prune later.
pub(crate) async fn note(context: &Context, backup: &Backup, run: &BackupRun) -> Result<(), Failure> {
    if missing_words(run).is_some() {
        return Ok(());
    }
    for (filename, held) in holds_of(run, Allowed::on(backup)) {
        context.ledger.hold(&run.spec.backup, &filename, &held).await?;
    }
    Ok(())
}
