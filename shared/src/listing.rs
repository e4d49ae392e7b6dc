//! Lists of the cluster's objects, page by page, as bytes.
//!
//! However large the cluster and its objects: a page aims at a few MiB, one that grows over a hard limit is dropped and
//! asked for again in smaller pieces, and between the server and whoever takes the pages lies one page.

mod error;
mod options;
mod page;
mod permission;
mod stream;

pub use error::ListError;
pub use options::Options;
pub use page::{Body, Page};
pub use permission::{Account, SNAPSHOT_ACCOUNT};
pub use stream::{Pages, pages};
