//! What is kept of the objects that are watched: what a decision needs, and no more.

mod cron_job;
mod digests;
mod event;
mod job;
mod obstacle;
mod pod;
mod stable;

pub(crate) use cron_job::{CronJob, Template};
pub(crate) use digests::digest;
pub(crate) use event::Event;
pub(crate) use job::{Job, Outcome};
pub(crate) use obstacle::Obstacle;
pub(crate) use pod::Pod;
pub(crate) use stable::stable;
