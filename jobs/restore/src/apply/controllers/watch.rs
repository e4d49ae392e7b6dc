//! Whether controllers stay down while a restore is at work.
//!
//! Each is looked at by a GET every two seconds, and not by a watch: they are a handful, a watch that breaks hears nothing
//! for a while, and a look tells what is there and not what came of it.

use std::fmt;
use std::time::Duration;

use drover::api::RequestError;
use drover::exit::Chain;
use futures::future::join_all;
use snafu::ResultExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::error::{LookSnafu, ScaleDownSnafu};
use super::state::State;
use super::{Controller, Controllers, ControllersError, Hold};
use crate::api::request::Server;
use crate::report::outcome::{Outside, Result as ObjectResult};

/// Between two looks; with [`LOOK_WITHIN`] what came up is seen within 5 s.
const EVERY: Duration = Duration::from_secs(2);
/// How long a look may take before another one is tried.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// How long looks may fail: as long as a write is tried again.
const BLIND_FOR: Duration = Duration::from_secs(30);
/// Requests in flight.
const LOOKS_AT_ONCE: u32 = 8;
/// How often one may come up before the restore gives up.
const TIMES: u32 = 3;

/// Keeps controllers down.
pub(crate) struct Guard<'a> {
    server: Server,
    hold: &'a Hold,
    kept: Vec<Kept<'a>>,
}

/// What was seen of the controllers while something was done.
pub(crate) enum Watched {
    /// They stayed down.
    Down,
    /// One came up and is scaled down again: what was decided before does not hold any more.
    CameUp,
    /// They do not stay down, or nobody knows whether they do.
    GivenUp(ControllersError),
}

/// One controller, and what was seen of it.
struct Kept<'a> {
    controller: &'a Controller,
    /// The count that it gets back, as far as anybody knows.
    count: Option<i64>,
    /// When it was last seen.
    seen: Instant,
    /// What is wrong with it now.
    disturbance: Option<Disturbance>,
    /// How often that was so, and what it was the last time.
    times: u32,
    last: String,
}

/// What a look shows.
#[derive(Debug, Eq, PartialEq)]
enum Look {
    /// The server did not say.
    Unknown,
    /// It is not there, so it does not run.
    Gone,
    /// It is as it was left, with the count that it gets back.
    Down { count: i64 },
    /// It is not.
    Disturbed(Disturbance),
}

/// What somebody else did with a controller.
#[derive(Debug, Eq, PartialEq)]
enum Disturbance {
    /// It has replicas.
    Up { replicas: Option<i64>, by: Option<String> },
    /// It is at 0 and does not say which count it gets back: it was made anew, or the note was taken off.
    Unnoted,
}

/// As people read it after the controller's name.
impl fmt::Display for Disturbance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Up { replicas, by } = self else {
            return formatter.write_str("lost the note of the replicas that it gets back");
        };
        formatter.write_str("was scaled up")?;
        if let Some(replicas) = replicas {
            write!(formatter, " to {replicas}")?;
        }
        by.as_ref().map_or(Ok(()), |by| write!(formatter, " by {by:?}"))
    }
}

/// What it means that a controller which `holder` holds down is like this.
fn judge(live: Option<&State>, holder: &str) -> Look {
    let Some(live) = live else { return Look::Gone };
    if live.replicas() != Some(0) {
        let by = live.scaled_by().map(str::to_owned);
        return Look::Disturbed(Disturbance::Up { replicas: live.replicas(), by });
    }
    live.noted_by(holder).map_or(Look::Disturbed(Disturbance::Unnoted), |count| Look::Down { count })
}

impl<'a> Guard<'a> {
    /// Takes over controllers that were just scaled down.
    pub(crate) fn new(server: &Server, controllers: &'a Controllers, hold: &'a Hold) -> Self {
        let kept = controllers.found.iter().map(|(controller, live)| Kept {
            controller,
            count: live.as_ref().map(|live| live.count),
            seen: Instant::now(),
            disturbance: None,
            times: 0,
            last: String::new(),
        });
        // Looks do not wait behind the writes, which may be slow or too many.
        Self { server: server.beside(LOOKS_AT_ONCE), hold, kept: kept.collect() }
    }

    /// Does the work while the controllers are looked at, and once more when it is done. Where one came up, `pause` is
    /// cancelled: the work begins nothing more, and ends.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>, pause: &CancellationToken) -> (T, Watched) {
        let mut work = std::pin::pin!(work);
        let looked = tokio::select! {
            done = &mut work => {
                // Where the restore is to end nothing is written after this, and the counts are put back.
                let goes_on = !pause.is_cancelled();
                let looked = self.look((!goes_on).then_some(LOOK_WITHIN)).await;
                return (done, self.answer(looked, goes_on).await);
            }
            looked = self.until_one_comes_up() => looked,
        };
        pause.cancel();
        tokio::join!(work, self.answer(looked, true))
    }

    /// The controllers that came up, as results tell of them.
    pub(crate) fn told(&self) -> Vec<Outside> {
        let came_up = self.kept.iter().filter(|kept| kept.times > 0);
        came_up.map(|kept| Outside { key: kept.controller.key(), result: kept.result() }).collect()
    }

    /// Looks until one is not as it was left; gives true.
    async fn until_one_comes_up(&mut self) -> Result<bool, ControllersError> {
        loop {
            tokio::time::sleep(EVERY).await;
            if self.look(Some(LOOK_WITHIN)).await? {
                return Ok(true);
            }
        }
    }

    /// Looks at all of them, at each for that long or until the server answers. Gives whether one is not as it was left.
    async fn look(&mut self, within: Option<Duration>) -> Result<bool, ControllersError> {
        let looks = self.kept.iter().map(|kept| kept.look(&self.server, self.hold.by(), within));
        let looks = join_all(looks).await;
        for (kept, look) in self.kept.iter_mut().zip(looks) {
            kept.take(look?);
        }
        Ok(self.kept.iter().any(|kept| kept.disturbance.is_some()))
    }

    /// Names what came up and, where the restore goes on, scales it down again.
    async fn answer(&mut self, looked: Result<bool, ControllersError>, goes_on: bool) -> Watched {
        match looked {
            Err(error) => return Watched::GivenUp(error),
            // What whoever took the Lease finds is no longer ours to change.
            Ok(is_disturbed) if !is_disturbed || self.hold.lost.is_cancelled() => return Watched::Down,
            Ok(_) => {}
        }
        let notes: Vec<String> = self.kept.iter_mut().filter_map(Kept::note).collect();
        for note in &notes {
            warn!("{note}");
        }
        let given_up = self.kept.iter().find_map(Kept::given_up);
        let held = self.hold_again(goes_on && given_up.is_none()).await;
        for note in &notes {
            self.hold.warn("ControllerScaledUp", note).await;
        }
        match held {
            Ok(()) => given_up.map_or(Watched::CameUp, Watched::GivenUp),
            Err(error) => Watched::GivenUp(error),
        }
    }

    /// Scales down again what came up. Where that is of no use any more, only what is at 0 without a note gets one: its
    /// count could not be put back otherwise.
    async fn hold_again(&mut self, scales: bool) -> Result<(), ControllersError> {
        for kept in &mut self.kept {
            if kept.disturbance.take().is_none() {
                continue;
            }
            let (holder, count) = (self.hold.by(), kept.count);
            let patch = |live: &State| {
                let is_held = scales || live.replicas() == Some(0);
                is_held.then(|| live.scale_down_again(holder, count))
            };
            let how = "down again; the restore did not go on";
            let context = |_: &mut RequestError| ScaleDownSnafu { controller: Box::new(kept.controller.clone()), how };
            kept.controller.change(&self.server, patch).await.with_context(context)?;
        }
        Ok(())
    }
}

impl Kept<'_> {
    /// Looks. What fails is looked at again, until nothing was seen for too long.
    async fn look(&self, server: &Server, holder: &str, within: Option<Duration>) -> Result<Look, ControllersError> {
        let look = self.controller.look(server);
        let Some(within) = within.filter(|_| self.seen.elapsed() < BLIND_FOR) else {
            let state = "stays down; the restore did not go on";
            let context = |_: &mut RequestError| LookSnafu { controller: Box::new(self.controller.clone()), state };
            return Ok(judge(look.await.with_context(context)?.as_ref(), holder));
        };
        match tokio::time::timeout(within, look).await {
            Ok(Ok(live)) => Ok(judge(live.as_ref(), holder)),
            Ok(Err(error)) => {
                debug!("failed to look at {}: {}", self.controller, Chain(&error));
                Ok(Look::Unknown)
            }
            Err(_) => Ok(Look::Unknown),
        }
    }

    fn take(&mut self, look: Look) {
        match look {
            Look::Unknown => return,
            Look::Gone => {}
            Look::Down { count } => self.count = Some(count),
            Look::Disturbed(disturbance) => self.disturbance = Some(disturbance),
        }
        self.seen = Instant::now();
    }

    /// Counts what is wrong with it, and gives what is to be said of it.
    fn note(&mut self) -> Option<String> {
        self.last = self.disturbance.as_ref()?.to_string();
        self.times += 1;
        let Self { controller, last, .. } = self;
        Some(format!("{controller} {last} while the restore is at work: writing pauses"))
    }

    /// Why it is not scaled down again, if it is not.
    fn given_up(&self) -> Option<ControllersError> {
        let Self { controller, times, last, .. } = self;
        (*times >= TIMES).then(|| ControllersError::ComesUp {
            controller: Box::new((*controller).clone()),
            times: *times,
            last: last.clone(),
        })
    }

    fn result(&self) -> ObjectResult {
        let often = if self.times > 1 { format!(", {} times in all", self.times) } else { String::new() };
        ObjectResult::kept(format!("it {} while the restore was at work{often}; writing paused", self.last))
    }
}

#[cfg(test)]
mod tests {
    use drover::annotations::REPLICAS_ANNOTATION;
    use drover::labels::SCALED_DOWN_BY_LABEL;
    use serde_json::{Value, json};

    use super::*;

    fn live(replicas: &Value, holder: &str, noted: &str) -> State {
        let (labels, annotations) = (json!({SCALED_DOWN_BY_LABEL: holder}), json!({REPLICAS_ANNOTATION: noted}));
        let metadata = json!({"labels": labels, "annotations": annotations, "managedFields": [
            {"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        ]});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"replicas": replicas}})).unwrap()
    }

    fn up(replicas: Option<i64>) -> Look {
        Look::Disturbed(Disturbance::Up { replicas, by: Some("argocd-controller".to_owned()) })
    }

    #[test]
    fn what_a_look_means() {
        assert_eq!(judge(None, "me"), Look::Gone);
        for (replicas, holder, noted, expected) in [
            (json!(0), "me", "3", Look::Down { count: 3 }),
            (json!(0), "me", "0", Look::Down { count: 0 }),
            (json!(1), "me", "3", up(Some(1))),
            (json!(2), "other", "3", up(Some(2))),
            // Unknown is not 0.
            (json!(null), "me", "3", up(None)),
            (json!(0), "other", "3", Look::Disturbed(Disturbance::Unnoted)),
            (json!(0), "me", "many", Look::Disturbed(Disturbance::Unnoted)),
        ] {
            assert_eq!(judge(Some(&live(&replicas, holder, noted)), "me"), expected, "{replicas} {holder} {noted}");
        }
    }

    fn kept(controller: &Controller) -> Kept<'_> {
        let (seen, last) = (Instant::now(), String::new());
        Kept { controller, count: Some(2), seen, disturbance: None, times: 0, last }
    }

    #[test]
    fn the_count_that_comes_back_is_the_one_that_was_noted_last() {
        let rancher = Controller::rancher();
        let mut kept = kept(&rancher);
        for (look, count) in [
            (Look::Unknown, 2),
            (Look::Down { count: 5 }, 5),
            (up(Some(1)), 5),
            (Look::Gone, 5),
            (Look::Disturbed(Disturbance::Unnoted), 5),
        ] {
            kept.take(look);
            assert_eq!(kept.count, Some(count));
        }
    }

    #[test]
    fn one_that_came_up_three_times_is_given_up_with_who_did_it() {
        let rancher = Controller::rancher();
        let mut kept = kept(&rancher);
        assert_eq!(kept.note(), None);
        for times in 1..=3 {
            assert!(kept.given_up().is_none(), "{times}");
            kept.take(up(Some(1)));
            let note = kept.note().unwrap();
            assert!(note.starts_with("deployments.apps \"cattle-system/rancher\" was scaled up to 1 by"), "{note}");
            kept.disturbance = None;
        }
        let error = kept.given_up().unwrap().to_string();
        assert!(error.contains("3 times") && error.contains("\"argocd-controller\""), "{error}");
        let told = kept.result().reason;
        assert!(told.starts_with("it was scaled up to 1 by \"argocd-controller\""), "{told}");
        assert!(told.contains("3 times in all"), "{told}");
    }
}
