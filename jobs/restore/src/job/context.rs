//! What every Restore's work needs.

use std::sync::Arc;

use drover::cluster::Events;
use drover::queue::Connection;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::api::request::Server;
use crate::command_line::arguments::JobOptions;

/// What every Restore's work needs.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) options: JobOptions,
    pub(crate) events: Events,
    pub(crate) connection: Connection,
    pub(crate) server: Arc<Server>,
    pub(crate) lost: CancellationToken,
}
