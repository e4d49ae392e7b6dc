//! Controllers that a restore left scaled down: it was killed, or its end did not reach the API server.

use std::collections::BTreeSet;
use std::sync::Arc;

use drover::labels::SCALED_DOWN_BY_LABEL;
use form_urlencoded::Serializer;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use snafu::ResultExt;
use tracing::{info, warn};

use super::error::{FindSnafu, ReadSnafu};
use super::state::State;
use super::{Controller, ControllersError};
use crate::api::discovery;
use crate::api::request::Server;
use crate::survey::types::Type;

/// Types asked for at the same time.
const LISTS_AT_ONCE: usize = 8;

/// A controller that a restore holds down, or has left behind.
#[derive(Clone, Debug)]
pub(crate) struct ScaledDown {
    controller: Controller,
    holder: String,
}

impl ScaledDown {
    /// Who did it: a Restore's UID, or [`COMMAND_LINE`](super::COMMAND_LINE).
    pub(crate) fn holder(&self) -> &str {
        &self.holder
    }
}

#[derive(Deserialize)]
struct List {
    items: Vec<State>,
}

/// Every object of the cluster that carries the label of a restore, of whatever type.
///
/// # Errors
///
/// When the API server does not say what it serves, or does not answer. A type that it refuses to list is warned of: it
/// would hold up every restore.
pub(crate) async fn scaled_down(server: &Server) -> Result<Vec<ScaledDown>, ControllersError> {
    let lists = stream::iter(scaling_types(discovery::served(server).await?))
        .map(|known| list(server, known))
        .buffer_unordered(LISTS_AT_ONCE);
    let found: Vec<Vec<ScaledDown>> = lists.try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The types with replicas, each in one version: the one that the cluster prefers.
fn scaling_types(served: Vec<Type>) -> Vec<Arc<Type>> {
    let mut seen = BTreeSet::new();
    let scaling = served.into_iter().filter(|known| known.scales && known.can_list);
    scaling.filter(|known| seen.insert((known.group.clone(), known.plural.clone()))).map(Arc::new).collect()
}

async fn list(server: &Server, known: Arc<Type>) -> Result<Vec<ScaledDown>, ControllersError> {
    // Those that carry the label are a handful; the server sends no others.
    let query = Serializer::new(String::new()).append_pair("labelSelector", SCALED_DOWN_BY_LABEL).finish();
    let listed = match server.get(&format!("{}?{query}", known.list_path(None))).await {
        Err(error) if error.is_unreachable() => return Err(error).context(FindSnafu { plural: &known.plural }),
        Err(error) => {
            warn!("failed to look for {:?} that a restore left scaled down: {error}", known.plural);
            return Ok(Vec::new());
        }
        Ok(listed) => listed,
    };
    let List { items } = serde_json::from_slice(&listed).with_context(|_| ReadSnafu { plural: &known.plural })?;
    let found = items.into_iter().filter_map(|state| {
        let (namespace, name) = (state.namespace().to_owned(), state.name().to_owned());
        let controller = Controller { known: Arc::clone(&known), namespace, name };
        Some(ScaledDown { controller, holder: state.holder()?.to_owned() })
    });
    Ok(found.collect())
}

/// Puts back the counts of those that are still held down by whom they were when they were found. Gives how many.
///
/// # Errors
///
/// Where some are still down; the others are back.
pub(crate) async fn put_all_back(server: &Server, left: &[ScaledDown]) -> Result<usize, ControllersError> {
    let (done, outcome) =
        super::put_back(server, left.iter().map(|left| (&left.controller, left.holder.as_str()))).await;
    for (controller, count) in &done {
        info!("{controller} was left scaled down by a restore and has its {count} replicas again");
    }
    outcome.map(|()| done.len())
}
