//! What the integration tests and the benchmark share: a testbed with drover in it, and its jobs as processes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test ends where what it stands on fails, and shows where that was"
)]

mod archives;
mod buckets;
pub mod inputs;
mod job;
pub mod monitor_server;
mod objects;
pub mod recording;
mod site;
mod versions;

pub use archives::{api_of, key_of, write_archive};
pub use buckets::make_bucket_with_versions;
pub use job::{Finished, Job, Running};
pub use objects::{differing_members, object, objects};
pub use site::{BUCKET, CREDENTIALS, SMALL_SET, Site, message};
pub use versions::{Versions, versions, written};
