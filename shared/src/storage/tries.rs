//! How often is tried before an archive counts as not stored, and with what pauses.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How often an archive is stored in one try.
pub(super) const STORES: u32 = 3;

/// How often an archive is read that is not what it should be.
pub const READS: usize = 3;

/// The pauses before it is read again.
pub fn pauses_between_reads() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(500)).with_max_times(READS - 1).build()
}
