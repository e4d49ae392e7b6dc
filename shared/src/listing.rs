//! Lists of the cluster's objects, page by page, as bytes.
//!
//! However large the cluster and its objects: a page aims at a few MiB, one that grows over a hard limit is dropped and
//! asked for again in smaller pieces, and between the server and whoever takes the pages lies one page.

mod error;
mod permission;
mod stream;

use std::time::Duration;

use bytes::Bytes;

pub use error::ListError;
pub use permission::{Account, SNAPSHOT_ACCOUNT};
pub use stream::{Pages, pages};

use crate::api::{Limits, PageSizes};

/// One answer of the API server.
#[derive(Debug)]
pub struct Page {
    /// The place of the type in the plan.
    pub type_index: usize,
    /// What the server sent.
    pub body: Body,
}

/// What the server sent.
#[derive(Debug)]
pub enum Body {
    /// A list of objects.
    List(Bytes),
    /// One object, of a type that cannot be listed.
    Object(Bytes),
    /// Nothing more of the type: the server refuses it, and [`Options::goes_on`] says to go on with the others.
    Refused(Box<ListError>),
}

/// How lists are read. The defaults were measured (2 cores, 100,000 objects of 2.7 kB): pages of 2,000 are nearly as
/// quick as an unpaged list, pages of 500 take nearly twice as long.
#[derive(Clone, Debug)]
pub struct Options {
    /// How large pages are.
    pub sizes: PageSizes,
    /// How many types' first pages are asked for ahead, and read as long as they stay small.
    pub types_ahead: usize,
    /// Time and tries for one page, and how large one object may be that is read by its name.
    pub limits: Limits,
    /// Whether the other types are read where one cannot be.
    pub goes_on: bool,
    /// Who asks, where it is a job with a ServiceAccount of its own: errors say how that one gets a right that it lacks.
    pub account: Option<Account>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // A buffer that grows doubles, so a page that is a little larger than four MiB would take eight.
            sizes: PageSizes { page_bytes: 15 << 18, most_page_bytes: 8 << 20, first_limit: 100, most_limit: 5_000 },
            types_ahead: 4,
            limits: Limits { timeout: Duration::from_mins(2), ..Limits::default() },
            goes_on: false,
            account: None,
        }
    }
}
