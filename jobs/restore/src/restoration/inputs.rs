//! What a restore works with.

use std::sync::Arc;

use drover::archive::Spool;

use crate::api::request::Server;
use crate::apply::away::Register;
use crate::apply::copies::Copies;
use crate::plan::wishes::Wishes;
use crate::report::progress::Gauge;
use crate::survey::archive::part::Archive;
use crate::survey::ground::Ground;

/// A restore of one archive into one cluster.
#[derive(Clone)]
pub(crate) struct Restoration {
    pub(crate) server: Arc<Server>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) definitions: Arc<Archive>,
    pub(crate) rest: Arc<Archive>,
    pub(crate) registrations: Arc<Archive>,
    pub(crate) wishes: Wishes,
    pub(crate) ground: Arc<Ground>,
    pub(crate) at_once: usize,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) away: Arc<Register>,
    /// What is to be said of the archive.
    pub(crate) notes: Vec<String>,
    pub(crate) copies: Arc<Copies>,
}
