//! The job: the Restores of a cluster, one at a time.

pub(crate) mod chosen;
pub(crate) mod cluster_job;
pub(crate) mod cluster_report;
mod context;
mod error;
pub(crate) mod exclusive;
pub(crate) mod fetch;
pub(crate) mod line;
pub(crate) mod name;
pub(crate) mod waiting;
