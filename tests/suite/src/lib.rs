//! What the integration tests and the benchmark share: a testbed with drover in it, and its jobs as processes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test ends where what it stands on fails, and shows where that was"
)]

mod archives;
mod buckets;
mod job;
pub mod monitor_server;
mod objects;
pub mod recording;
mod site;
mod versions;

use std::path::PathBuf;

pub use archives::{api_of, key_of, write_archive};
pub use buckets::make_bucket_with_versions;
pub use job::{Finished, Job, Running};
pub use objects::{differing_members, objects};
pub use site::{BUCKET, CREDENTIALS, SMALL_SET, Site, message};
pub use versions::{Versions, versions, written};

/// A path in the folder of facts and inputs that lies beside the checkout on the project's own machines.
///
/// Where it is missing the test says so and passes: what a test cannot do without lies in the project itself.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    beside.exists().then_some(beside)
}

/// Ends a test that needs what is not there, and says so.
#[macro_export]
macro_rules! shared_or_skip {
    ($path:expr) => {
        match $crate::shared($path) {
            Some(path) => path,
            None => {
                eprintln!("skipped: {:?} is not beside the checkout", $path);
                return;
            }
        }
    };
}
