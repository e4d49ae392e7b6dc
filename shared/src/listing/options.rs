use std::time::Duration;

use super::Account;
use crate::api::{Limits, PageSizes};

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
