//! The job: the Restores of a cluster, one at a time.

pub(crate) mod chosen;
pub(crate) mod cluster_job;
pub(crate) mod cluster_report;
pub(crate) mod exclusive;
pub(crate) mod fetch;
pub(crate) mod line;
pub(crate) mod waiting;
