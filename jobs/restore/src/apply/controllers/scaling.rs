//! Scaling the controllers down, and putting their counts back.

use std::fmt;
use std::sync::Arc;

use drover::resources::{ControllerReference, ResourceSet};
use serde::Serialize;
use snafu::{IntoError, ResultExt};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::api::request::Server;
use crate::apply::controllers::controller::{Controller, Found, Live, named};
use crate::apply::controllers::error::{ControllersError, LookSnafu, ParseSnafu, PutBackSnafu, ScaleDownSnafu};
use crate::apply::controllers::hold::Hold;
use crate::report::progress::Gauge;
use crate::survey::ground::Ground;
use crate::survey::types::Types;

/// The controllers that a restore scales down, as they were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controllers {
    pub(super) found: Vec<(Controller, Option<Live>)>,
}

/// A controller that would be scaled down, as `--output json` shows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Foreseen {
    pub(crate) group: String,
    version: String,
    pub(crate) resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) replicas: i64,
}

impl fmt::Display for Foreseen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, version, resource, namespace, name, replicas } = self;
        let (dot, slash) = (if group.is_empty() { "" } else { "." }, if namespace.is_empty() { "" } else { "/" });
        write!(formatter, "{resource}{dot}{group} {version}: {namespace}{slash}{name} (now {replicas})")
    }
}

/// The ResourceSet that an archive was made by, if the archive holds it.
pub(crate) fn resource_set(bytes: Option<&[u8]>) -> Result<Option<ResourceSet>, ControllersError> {
    bytes.map(serde_json::from_slice).transpose().context(ParseSnafu)
}

impl Controllers {
    /// Finds the controllers that the archive's ResourceSet names, and says of each that is not to be scaled why.
    ///
    /// One that is not there is among them: the archive may bring it.
    ///
    /// # Errors
    ///
    /// Where it cannot be seen whether one runs.
    pub(crate) async fn find(
        server: &Server,
        types: &Types,
        set: Option<&ResourceSet>,
        ground: &Ground,
    ) -> Result<Self, ControllersError> {
        let mut found: Vec<(Controller, Option<Live>)> = Vec::new();
        for reference in set.map_or(&[][..], |set| &set.spec.controller_references) {
            let controller = match named(types, reference) {
                Ok(controller) => controller,
                Err(reason) => {
                    let ControllerReference { resource, namespace, name, .. } = reference;
                    info!("{resource} \"{namespace}/{name}\" of controllerReferences stays as it is: {reason}");
                    continue;
                }
            };
            if found.iter().any(|(other, _)| *other == controller) {
                continue;
            }
            match controller.find(server, ground).await {
                Ok(Found::Live(live)) => found.push((controller, Some(live))),
                Ok(Found::Absent) => {
                    info!("{controller} of controllerReferences is not there, so it does not run");
                    found.push((controller, None));
                }
                Ok(Found::NotToBeScaled(reason)) => {
                    info!("{controller} of controllerReferences stays as it is: {reason}");
                }
                Err(source) => {
                    let state = "runs; nothing was changed";
                    return Err(LookSnafu { controller: Box::new(controller), state }.into_error(source));
                }
            }
        }
        Ok(Self { found })
    }

    /// Which objects they are: group, plural name, namespace and name of each.
    pub(crate) fn places(&self) -> impl Iterator<Item = [&str; 4]> {
        self.found.iter().map(|(controller, _)| controller.parts())
    }

    /// Whether this holder would write to one of them, to scale it down or to note a count that is 0 already: not where all
    /// that are there are held down by it.
    pub(crate) fn would_be_written_by(&self, holder: &str) -> bool {
        self.found.iter().filter_map(|(_, live)| live.as_ref()).any(|live| !live.is_held_by(holder))
    }

    /// Those that are down already, by this holder: an earlier try of the same restore was killed.
    pub(crate) fn held_by(&self, holder: &str) -> Self {
        let held = self.found.iter().filter(|(_, live)| live.as_ref().is_some_and(|live| live.is_held_by(holder)));
        Self { found: held.cloned().collect() }
    }

    /// Those that are there, as a plan shows them.
    pub(crate) fn foreseen(&self) -> Vec<Foreseen> {
        let there = self.found.iter().filter_map(|(controller, live)| Some((controller, live.as_ref()?.count)));
        let foreseen = there.map(|(controller, replicas)| Foreseen {
            group: controller.known.group.clone(),
            version: controller.known.version.clone(),
            resource: controller.known.plural.clone(),
            namespace: controller.namespace.clone(),
            name: controller.name.clone(),
            replicas,
        });
        foreseen.collect()
    }

    /// Scales them down. Gives whether it came to that: not where `shutdown` came first. Their pods are still going.
    ///
    /// # Errors
    ///
    /// Where one cannot be scaled down. Those before it are down then: put them back.
    pub(crate) async fn scale_down(
        &self,
        server: &Server,
        hold: &Hold,
        shutdown: &CancellationToken,
    ) -> Result<bool, ControllersError> {
        let mut done = Vec::new();
        for (controller, _) in self.found.iter().filter(|(_, live)| live.is_some()) {
            if shutdown.is_cancelled() {
                return Ok(false);
            }
            let scaled = controller.change(server, |state| state.scale_down(&hold.by)).await;
            let how = "down; nothing of the archive was written";
            let scaled = scaled.with_context(|_| ScaleDownSnafu { controller: Box::new(controller.clone()), how })?;
            done.extend(scaled.map(|count| (controller, count)));
        }
        hold.tell("ControllersScaledDown", "scaled down before the first write, from their replicas", &done).await;
        Ok(true)
    }

    /// Waits until the pods of all of them are gone, also of those that were not there when they were looked for. Gives
    /// whether it came to that: not where `shutdown` came first.
    ///
    /// # Errors
    ///
    /// Where pods remain, or cannot be looked at.
    pub(crate) async fn are_gone(
        &self,
        server: &Server,
        hold: &Hold,
        gauge: &Arc<Gauge>,
        shutdown: &CancellationToken,
    ) -> Result<bool, ControllersError> {
        let all: Vec<&Controller> = self.found.iter().map(|(controller, _)| controller).collect();
        super::pods::wait(server, &all, hold.patience, gauge, shutdown).await
    }

    /// Puts back the counts of those that this restore holds down, whoever of them there is.
    ///
    /// # Errors
    ///
    /// Where some are still down; the others are back.
    pub(crate) async fn put_back(&self, server: &Server, hold: &Hold) -> Result<(), ControllersError> {
        if hold.lost.is_cancelled() {
            info!("the controllers are left to whoever took the Lease");
            return Ok(());
        }
        let all = self.found.iter().map(|(controller, _)| (controller, hold.by.as_str()));
        let (done, outcome) = put_back(server, all).await;
        hold.tell("ControllersScaledUp", "scaled back to their replicas", &done).await;
        outcome
    }
}

/// Puts back what each holder holds down, all of it as far as possible. Gives what was put back, with its count.
pub(crate) async fn put_back<'a>(
    server: &Server,
    all: impl Iterator<Item = (&'a Controller, &'a str)>,
) -> (Vec<(&'a Controller, i64)>, Result<(), ControllersError>) {
    let (mut done, mut left, mut first) = (Vec::new(), Vec::new(), None);
    for (controller, holder) in all {
        match controller.put_back(server, holder).await {
            Ok(count) => done.extend(count.map(|count| (controller, count))),
            Err(error) => {
                left.push(controller.clone());
                first.get_or_insert(error);
            }
        }
    }
    let outcome = first.map_or(Ok(()), |error| Err(PutBackSnafu { left }.into_error(error)));
    (done, outcome)
}
