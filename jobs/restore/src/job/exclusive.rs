//! One restore of a cluster at a time, whoever runs it: a job, or a person with the command line.

use std::time::Duration;

use drover::lease::{self, Acquired, Holder, Lease, LeaseError, Wait};
use drover::task;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The right to restore, until it is given back or lost.
pub(crate) struct Turn {
    lease: Option<Lease>,
    stop: CancellationToken,
    lost: CancellationToken,
}

/// What became of [`take`].
pub(crate) enum Taken {
    /// It is ours.
    Ours(Turn),
    /// Somebody else is at work.
    Busy {
        /// Who it is.
        holder: String,
    },
}

/// Takes the Lease, when nobody who lives holds it, and waits for whoever does.
///
/// # Errors
///
/// When it can be neither read nor written.
pub(crate) async fn take(
    as_whom: &Holder,
    patience: Duration,
    shutdown: &CancellationToken,
) -> Result<Taken, LeaseError> {
    let acquire = |wait| as_whom.acquire(lease::RESTORES, wait);
    let mut acquired = acquire(Wait::No).await?;
    if let Acquired::Busy { holder } = &acquired
        && !patience.is_zero()
    {
        info!("waits for {holder:?}, which restores this cluster");
        acquired = tokio::select! {
            acquired = acquire(Wait::Until(patience)) => acquired?,
            () = shutdown.cancelled() => acquired,
        };
    }
    match acquired {
        Acquired::Held(lease) => Ok(Taken::Ours(Turn::with(lease, shutdown))),
        Acquired::Busy { holder } => Ok(Taken::Busy { holder }),
    }
}

impl Turn {
    /// For a cluster that has no place for the Lease, since drover is not in it.
    pub(crate) fn without_lease(shutdown: &CancellationToken) -> Self {
        Self { lease: None, stop: shutdown.child_token(), lost: CancellationToken::new() }
    }

    /// Whoever loses the Lease stops as if asked to end: what is being written is finished, and nothing more is begun.
    fn with(lease: Lease, shutdown: &CancellationToken) -> Self {
        let (stop, lost) = (shutdown.child_token(), lease.lost());
        let tokens = (stop.clone(), lost.clone());
        task::spawn(async move {
            let (stop, lost) = tokens;
            tokio::select! { () = lost.cancelled() => stop.cancel(), () = stop.cancelled() => {} }
        });
        Self { lease: Some(lease), stop, lost }
    }

    /// Fires when the work is to stop: somebody asked for it, or the Lease is lost.
    pub(crate) const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Fires when somebody else may be at work: then nothing more is written.
    pub(crate) const fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Whether there is a place for the Lease: elsewhere nobody tells who is at work.
    pub(crate) const fn has_lease(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether nobody else can be at work.
    pub(crate) fn is_alone(&self) -> bool {
        self.lease.is_some() && !self.lost.is_cancelled()
    }

    /// Gives it back.
    pub(crate) async fn end(self) {
        if let Some(lease) = self.lease {
            lease.end().await;
        }
    }
}
