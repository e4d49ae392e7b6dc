//! Whether the pods of controllers are gone.

use std::sync::Arc;
use std::time::Duration;

use drover::api::RequestError;
use drover::object::{ListPage, Object};
use form_urlencoded::Serializer;
use serde::Deserialize;
use snafu::ResultExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::error::{LookForPodsSnafu, PodsRemainSnafu};
use super::{Controller, ControllersError};
use crate::api::request::Server;
use crate::report::progress::Gauge;
use crate::survey::types::segment;

/// Between the first two looks; each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often it is said what is waited for.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Pods asked for at once: enough to name some.
const PODS: u32 = 100;

/// What the subresource `scale` says, as far as it is needed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Scale {
    status: ScaleStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScaleStatus {
    /// Selects the pods, as a query writes it.
    selector: String,
}

/// A controller and the selector of its pods; none where it does not say which they are.
struct Waiting<'a> {
    controller: &'a Controller,
    selector: Option<String>,
}

/// What there still is of a controller: in words that say the same from try to try, and its pods by name.
struct Left {
    what: String,
    pods: Vec<String>,
}

/// Waits until no controller counts replicas and no pod of theirs runs. Gives whether it came to that: not where
/// `shutdown` came first.
pub(super) async fn wait(
    server: &Server,
    controllers: &[&Controller],
    patience: Duration,
    gauge: &Arc<Gauge>,
    shutdown: &CancellationToken,
) -> Result<bool, ControllersError> {
    let (begun, mut said, mut pause) = (Instant::now(), Instant::now(), FIRST_PAUSE);
    let waiting = waiting(server, controllers).await?;
    let mut left = all_left(server, &waiting).await?;
    while let Some(words) = waited_for(&left) {
        let is_over = begun.elapsed() >= patience;
        if is_over || said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let pods: Vec<&str> = left.iter().flat_map(|left| &left.pods).map(String::as_str).collect();
            info!("waiting until the controllers are down: {} left; pods: {}", left.len(), pods.join(", "));
        }
        if is_over {
            let left = left.into_iter().map(|left| left.what).collect::<Vec<_>>();
            return PodsRemainSnafu { seconds: patience.as_secs(), left }.fail();
        }
        let _wait = gauge.wait(words);
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = LONGEST_PAUSE.min(pause * 2),
            () = shutdown.cancelled() => return Ok(false),
        }
        left = all_left(server, &waiting).await?;
    }
    Ok(true)
}

/// The controllers, each with what selects its pods.
async fn waiting<'a>(server: &Server, controllers: &[&'a Controller]) -> Result<Vec<Waiting<'a>>, ControllersError> {
    let mut waiting = Vec::new();
    for controller in controllers.iter().copied() {
        let context = |_: &mut RequestError| LookForPodsSnafu { controller: Box::new(controller.clone()) };
        waiting.push(Waiting { controller, selector: selector_of(server, controller).await.with_context(context)? });
    }
    Ok(waiting)
}

/// What there still is of all of them.
async fn all_left(server: &Server, waiting: &[Waiting<'_>]) -> Result<Vec<Left>, ControllersError> {
    let mut left = Vec::new();
    for one in waiting {
        let context = |_: &mut RequestError| LookForPodsSnafu { controller: Box::new(one.controller.clone()) };
        left.extend(one.left(server).await.with_context(context)?);
    }
    Ok(left)
}

/// What is said while controllers are waited for; none where all are down.
fn waited_for(left: &[Left]) -> Option<String> {
    let (first, others) = left.split_first()?;
    let others = if others.is_empty() { String::new() } else { format!(", and for {} more", others.len()) };
    Some(format!("{} to go{others}; see with kubectl describe what keeps them", first.what))
}

/// The selector of a controller's pods, where it says which they are.
async fn selector_of(server: &Server, controller: &Controller) -> Result<Option<String>, RequestError> {
    let scale = match server.get(&format!("{}/scale", controller.path())).await {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let Scale { status: ScaleStatus { selector } } = serde_json::from_slice(&scale).unwrap_or_default();
    if selector.is_empty() || controller.namespace.is_empty() {
        info!("{controller} does not say which pods are its, so only its own count is waited for");
        return Ok(None);
    }
    Ok(Some(selector))
}

/// The path that lists the pods of a namespace that a selector takes and that have not ended.
fn path_of(namespace: &str, selector: &str) -> String {
    let query = Serializer::new(String::new())
        .append_pair("labelSelector", selector)
        // One that has ended stays until it is collected, and does nothing.
        .append_pair("fieldSelector", "status.phase!=Succeeded,status.phase!=Failed")
        .append_pair("limit", &PODS.to_string())
        .finish();
    format!("/api/v1/namespaces/{}/pods?{query}", segment(namespace))
}

impl Waiting<'_> {
    /// What there still is: pods, and a controller that has not seen its count.
    async fn left(&self, server: &Server) -> Result<Vec<Left>, RequestError> {
        let (controller, namespace) = (self.controller, &self.controller.namespace);
        let mut left = Vec::new();
        if controller.look(server).await?.is_some_and(|state| !state.is_down()) {
            left.push(Left { what: format!("{controller} (its status still counts replicas)"), pods: Vec::new() });
        }
        let Some(selector) = &self.selector else { return Ok(left) };
        let page = server.get(&path_of(namespace, selector)).await?;
        let pods: Vec<String> = names(&page).map(|name| format!("pod \"{namespace}/{name}\"")).collect();
        if !pods.is_empty() {
            let what = format!("pods of {controller} (kubectl -n {namespace} get pods -l '{selector}')");
            left.push(Left { what, pods });
        }
        Ok(left)
    }
}

fn names(page: &[u8]) -> impl Iterator<Item = String> {
    // What is no list names no pods; the API server sends none such with 200.
    let items = ListPage::parse(page).map(|list| list.items).unwrap_or_default();
    items.into_iter().filter_map(|item| Some(Object::parse(item.get().as_bytes()).ok()?.name().to_owned()))
}
