//! Which places answer, as far as one audit knows.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use drover::exit::{Exit, Failure};
use tokio::time::timeout;

/// How long a look at one place may take: a few requests, of which each is answered in a moment where all is well. The
/// tries of the S3 client alone take minutes at a place that accepts and never answers.
const LIMIT: Duration = Duration::from_secs(30);

/// The places that did not answer: each is waited for once, not once for each Backup. That a place refuses something is
/// quickly known, and may be another thing the next time, so it is not remembered.
#[derive(Debug, Default)]
pub(super) struct Sites {
    away: Mutex<BTreeSet<String>>,
}

impl Sites {
    /// Looks at a place, for no longer than a look may take.
    pub(super) async fn ask<T>(
        &self,
        site: &str,
        look: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if self.is_away(site) {
            return Err(away(site, "it did not answer a moment ago"));
        }
        if let Ok(found) = timeout(LIMIT, look).await {
            return found;
        }
        self.away.lock().unwrap_or_else(PoisonError::into_inner).insert(site.to_owned());
        Err(away(site, &format!("it did not answer for {} s", LIMIT.as_secs())))
    }

    fn is_away(&self, site: &str) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).contains(site)
    }
}

fn away(site: &str, why: &str) -> Failure {
    Failure::new(Exit::Unavailable, format!("failed to look at {site}: {why}; check that it is there"))
}
