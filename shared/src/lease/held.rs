//! A lease that is held.

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::error::LeaseError;
use super::record::Record;
use super::renewal::Renewal;
use crate::exit::Chain;

/// What became of [`Holder::acquire`](super::Holder::acquire).
#[derive(Debug)]
pub enum Acquired {
    /// It is ours, until it is released or lost.
    Held(Lease),
    /// Somebody else holds it and lives.
    Busy {
        /// The identity of that holder.
        holder: String,
    },
}

/// A lease that is held, and renewed in the background.
///
/// Dropped without [`Lease::release`] it is no longer renewed, and expires.
#[derive(Debug)]
pub struct Lease {
    pub(super) record: Arc<Record>,
    pub(super) renewal: Renewal,
    pub(super) taken_over_from: Option<String>,
}

impl Lease {
    /// Fires when the lease was taken by somebody else, was deleted, or could not be renewed in time. Whoever works
    /// under the lease stops then, and writes nothing more.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.renewal.lost()
    }

    /// The dead holder whom it was taken over from; none where it was free.
    #[must_use]
    pub fn taken_over_from(&self) -> Option<&str> {
        self.taken_over_from.as_deref()
    }

    /// Gives it back, so that the next one need not wait for it to expire. A lease that was lost is left alone.
    ///
    /// # Errors
    /// When the API server does not answer for as long as a lease lasts; it expires then by itself.
    pub async fn release(self) -> Result<(), LeaseError> {
        let Self { record, renewal, taken_over_from: _ } = self;
        match renewal.stop().await {
            Some(term) => record.give_back(term).await,
            None => Ok(()),
        }
    }

    /// Gives it back, also where that has to wait until it expires.
    pub async fn end(self) {
        if let Err(error) = self.release().await {
            info!("the Lease expires by itself: {}", Chain(&error));
        }
    }

    /// Does the work while it is held, and gives it back. None where it was lost meanwhile: the work is dropped where it
    /// stands, before anybody else may begin.
    pub async fn during<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let lost = self.lost();
        let done = tokio::select! {
            biased;
            done = work => Some(done),
            () = lost.cancelled() => None,
        };
        self.end().await;
        done
    }
}
