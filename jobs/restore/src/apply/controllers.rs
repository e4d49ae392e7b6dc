//! The controllers that must not run while a restore writes: the archive's ResourceSet names them.
//!
//! ```text
//! find ──▶ scale down (count noted on the object) ──▶ pods gone ──▶ everything is written ──▶ counts put back
//!                                                         ▲                │
//!                                                         └── came up: scaled down again
//! ```
//!
//! The count lies where no crash reaches it: one merge patch sets it to 0 and notes what it was on the object itself, in
//! the annotation `drover.dev/replicas-before-restore`, with the label `drover.dev/scaled-down-by` of whoever did it. One
//! merge patch puts it back and takes both away. So whenever a process is killed, each controller either runs or says
//! what it is to get back, and the next job finds it by its label: [`scaled_down`].
//!
//! Others may scale one up in the middle: a GitOps tool that heals what it takes for a drift, an autoscaler, a person. From
//! the moment that it is down until all is written a [`Guard`] looks at it.

mod controller;
mod error;
mod pods;
mod recovery;
mod state;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use drover::cluster::Events;
use drover::resources::{ControllerReference, ResourceSet, Restore};
use kube::ResourceExt;
use serde::Serialize;
use snafu::{IntoError, ResultExt};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub(crate) use self::controller::Controller;
use self::controller::{Found, Live, named};
pub(crate) use self::error::ControllersError;
use self::error::{LookSnafu, ParseSnafu, PutBackSnafu, ScaleDownSnafu};
pub(crate) use self::recovery::{ScaledDown, put_all_back, scaled_down};
pub(crate) use self::state::{COMMAND_LINE, hold_down};
pub(crate) use self::watch::{Guard, Watched};
use crate::api::request::Server;
use crate::report::progress::Gauge;
use crate::survey::ground::Ground;
use crate::survey::types::Types;

/// Who holds controllers down, and for how long they are waited for.
pub(crate) struct Hold {
    by: String,
    restore: Option<(Events, Restore)>,
    patience: Duration,
    lost: CancellationToken,
}

impl Hold {
    /// For a Restore; its Events tell of it.
    ///
    /// `patience` is how long pods may take to go. Once `lost` fires, another restore may be at work: then what is scaled
    /// down is left to it.
    pub(crate) fn of_restore(restore: &Restore, events: &Events, patience: Duration, lost: CancellationToken) -> Self {
        let by = restore.uid().unwrap_or_default();
        Self { by, restore: Some((events.clone(), restore.clone())), patience, lost }
    }

    /// For the command line.
    pub(crate) fn of_command_line(patience: Duration, lost: CancellationToken) -> Self {
        Self { by: COMMAND_LINE.to_owned(), restore: None, patience, lost }
    }

    /// Who it is: a Restore's UID, or [`COMMAND_LINE`].
    pub(crate) fn by(&self) -> &str {
        &self.by
    }

    /// Tells on the Restore, where there is one, what a person should look at.
    async fn warn(&self, reason: &str, note: &str) {
        if let Some((events, restore)) = &self.restore {
            events.warning(restore, reason, note).await;
        }
    }

    async fn tell(&self, reason: &str, what: &str, done: &[(&Controller, i64)]) {
        if done.is_empty() {
            return;
        }
        let each: Vec<_> = done.iter().map(|(controller, count)| format!("{controller} ({count})")).collect();
        let note = format!("{what}: {}", each.join(", "));
        info!("{note}");
        if let Some((events, restore)) = &self.restore {
            events.normal(restore, reason, note).await;
        }
    }
}

/// The controllers that a restore scales down, as they were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controllers {
    found: Vec<(Controller, Option<Live>)>,
}

/// A controller that would be scaled down, as `--output json` shows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Foreseen {
    group: String,
    version: String,
    resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    name: String,
    replicas: i64,
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
        pods::wait(server, &all, hold.patience, gauge, shutdown).await
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
async fn put_back<'a>(
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
