//! Carries out a prune, stage by stage: all deletions of a stage are asked for, then waited for together.

use std::sync::Arc;
use std::time::Duration;

use drover::api::RequestError;
use futures::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deletion::{self, Left};
use super::inside::Inside;
use super::usage::use_of_namespace;
use super::{Candidate, Doubts, PrunePlan};
use crate::api::request::Server;
use crate::apply::finalizers;
use crate::plan::made_anew::ObjectName;
use crate::prune::verdict::Verdict;
use crate::report::outcome::{Outcome, Outside, Result as ObjectResult};
use crate::report::progress::{Doing, Gauge, Progress, Wait};

/// Between two looks at objects that are on their way out.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a Namespace or a definition may take after its finalizers are removed: what lies in it goes first.
const CASCADE_TIMEOUT: Duration = Duration::from_mins(1);

/// What a prune comes to if the server agrees to all of it.
pub(crate) fn foreseen(plan: &PrunePlan) -> Vec<Outside> {
    let outside = plan.iter().map(|(candidate, verdict)| Outside {
        key: candidate.key(),
        result: settled(verdict).unwrap_or_else(|| deletion::pruned(&[])),
    });
    outside.collect()
}

/// The result of a candidate that is not deleted.
fn settled(verdict: &Verdict) -> Option<ObjectResult> {
    match verdict {
        Verdict::Delete => None,
        Verdict::Keep(reason) => Some(ObjectResult::kept(*reason)),
        Verdict::HoldBack(reason) => Some(ObjectResult::new(Outcome::HeldBack, reason.clone())),
    }
}

/// Deletes what the plan says, at most `at_once` objects at a time, and gives what became of every candidate.
///
/// When `shutdown` is cancelled no further stage is begun, and what is on its way out is waited for no longer: its
/// finalizers stay, since the time that they have is not over.
pub(crate) async fn execute(
    server: &Server,
    plan: &PrunePlan,
    timeout: Duration,
    at_once: usize,
    gauge: &Arc<Gauge>,
    shutdown: &CancellationToken,
) -> Vec<Outside> {
    let stages = plan.stages();
    let count = stages.iter().map(Vec::len).sum();
    gauge.begin(Doing::Pruning, count);
    let mut run = Run {
        server,
        timeout,
        at_once,
        outside: Vec::new(),
        progress: Progress::new("objects pruned", count),
        gauge: Arc::clone(gauge),
        doubts: &plan.doubts,
        everything: plan.everything,
        shutdown,
    };
    for (candidate, verdict) in plan.iter() {
        if let Some(result) = settled(verdict) {
            run.outside.push(Outside { key: candidate.key(), result });
        }
    }
    for stage in stages {
        if shutdown.is_cancelled() {
            run.untouched(&stage);
        } else {
            run.stage(stage).await;
        }
    }
    run.outside
}

struct Run<'a> {
    server: &'a Server,
    timeout: Duration,
    at_once: usize,
    outside: Vec<Outside>,
    progress: Progress,
    gauge: Arc<Gauge>,
    doubts: &'a Doubts,
    everything: bool,
    shutdown: &'a CancellationToken,
}

/// An object on its way out, the finalizers that hold it, and those that were removed from it.
struct Going<'a> {
    candidate: &'a Candidate,
    held: Vec<String>,
    removed: Vec<String>,
}

impl<'a> Run<'a> {
    async fn stage(&mut self, stage: Vec<&'a Candidate>) {
        let is_looked_at = |candidate: &&Candidate| !self.everything && candidate.is("", "namespaces");
        let (namespaces, others): (Vec<_>, Vec<_>) = stage.into_iter().partition(is_looked_at);
        let mut asked = self.ask(others).await;
        asked.extend(self.ask_for_unused(namespaces).await);
        let deadline = Instant::now() + self.timeout;
        let late = self.wait(asked, deadline).await;
        if late.is_empty() {
            return;
        }
        if self.shutdown.is_cancelled() {
            return self.cut_short(late);
        }
        let freed = self.each(late, remove).await;
        let longest = if freed.iter().any(takes_others_along) { CASCADE_TIMEOUT } else { self.timeout };
        let left = self.wait(freed, Instant::now() + longest.max(PAUSE)).await;
        if self.shutdown.is_cancelled() {
            return self.cut_short(left);
        }
        for going in left {
            let result = self.still_there(&going).await;
            self.done(going.candidate, result);
        }
    }

    /// Asks for their deletion, and gives those that are still there.
    async fn ask(&mut self, candidates: Vec<&'a Candidate>) -> Vec<Going<'a>> {
        let new = |candidate| Going { candidate, held: Vec::new(), removed: Vec::new() };
        let going = candidates.into_iter().map(new).collect();
        self.each(going, async |server, going| deletion::ask(server, going.candidate).await).await
    }

    /// The same of the Namespaces that have not come to be used since all was decided, which may be minutes ago: each right
    /// after it was looked into, and none once the run is to stop.
    async fn ask_for_unused(&mut self, namespaces: Vec<&'a Candidate>) -> Vec<Going<'a>> {
        let mut asked = Vec::new();
        if namespaces.is_empty() {
            return asked;
        }
        let shutdown = self.shutdown;
        // A look only reads, so it may be dropped half-way.
        let Some(inside) = shutdown.run_until_cancelled(Inside::find(self.server)).await else {
            self.untouched(&namespaces);
            return asked;
        };
        for candidate in namespaces {
            match shutdown.run_until_cancelled(self.keeps(candidate, &inside)).await {
                None => self.untouched(&[candidate]),
                Some(Some(result)) => self.done(candidate, result),
                Some(None) => asked.extend(self.ask(vec![candidate]).await),
            }
        }
        asked
    }

    /// The result of a Namespace that is not deleted after all, for something would be lost with it that came meanwhile.
    async fn keeps(&self, namespace: &Candidate, inside: &Inside) -> Option<ObjectResult> {
        match use_of_namespace(self.server, &namespace.name).await {
            Ok(None) => {}
            Ok(Some(why)) => {
                let reason = format!("{why}; they came while the archive was written");
                return Some(ObjectResult::new(Outcome::HeldBack, reason));
            }
            Err(error) => return Some(ObjectResult::failed(&error)),
        }
        let new = inside.look_for_new(self.server, &namespace.name, self.doubts, self.at_once).await?;
        settled(&Verdict::hold_back(&new))
    }

    /// Waits until the objects are gone, the time is over or the run is to stop, and gives those that are not gone.
    async fn wait(&mut self, mut going: Vec<Going<'a>>, deadline: Instant) -> Vec<Going<'a>> {
        while !going.is_empty() && Instant::now() < deadline && !self.shutdown.is_cancelled() {
            let _wait = self.wait_for(&going);
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
            going = self.each(going, async |server, going| deletion::look(server, going.candidate).await).await;
        }
        going
    }

    /// Says that these are waited for.
    fn wait_for(&self, going: &[Going<'_>]) -> Option<Wait> {
        let Going { candidate, held, removed: _ } = going.first()?;
        let held = match held.as_slice() {
            [] => "it is being deleted".to_owned(),
            held => format!("it is being deleted and waits for its finalizers {}", held.join(", ")),
        };
        let kind = (candidate.known.group.as_str(), candidate.known.plural.as_str());
        let name = ObjectName::new(kind, &candidate.namespace, &candidate.name).to_string();
        Some(self.gauge.wait(finalizers::waited_for(&name, &held, going.len() - 1)))
    }

    /// Does one thing with each object, and gives those that are still there.
    async fn each(
        &mut self,
        going: Vec<Going<'a>>,
        act: impl AsyncFn(&Server, &mut Going<'a>) -> Result<Left, RequestError>,
    ) -> Vec<Going<'a>> {
        let (server, act) = (self.server, &act);
        let acted = stream::iter(going)
            .map(|mut going| async move { (act(server, &mut going).await, going) })
            .buffer_unordered(self.at_once);
        let acted: Vec<_> = acted.collect().await;
        let mut left = Vec::new();
        for (outcome, going) in acted {
            match outcome {
                Ok(Left::Gone) => self.done(going.candidate, deletion::pruned(&going.removed)),
                Ok(Left::Waiting { finalizers }) => left.push(Going { held: finalizers, ..going }),
                Err(error) => self.done(going.candidate, deletion::failed(&error)),
            }
        }
        left
    }

    /// The result of an object that nothing helped with.
    async fn still_there(&self, going: &Going<'_>) -> ObjectResult {
        match deletion::look(self.server, going.candidate).await {
            Ok(Left::Gone) => deletion::pruned(&going.removed),
            Ok(Left::Waiting { finalizers, .. }) => deletion::still_there(going.candidate, &finalizers),
            Err(error) => deletion::failed(&error),
        }
    }

    fn done(&mut self, candidate: &Candidate, result: ObjectResult) {
        self.outside.push(Outside { key: candidate.key(), result });
        self.progress.advance();
        self.gauge.advance();
    }

    /// Nobody waits for these any more: whoever goes on with the restore does.
    fn cut_short(&mut self, going: Vec<Going<'a>>) {
        for Going { candidate, removed, .. } in going {
            self.done(candidate, deletion::cut_short(&removed));
        }
    }

    fn untouched(&mut self, stage: &[&Candidate]) {
        let result = ObjectResult::new(Outcome::Untouched, String::new());
        self.outside.extend(stage.iter().map(|candidate| Outside { key: candidate.key(), result: result.clone() }));
    }
}

/// Namespaces and definitions go after what lies in them.
fn takes_others_along(going: &Going<'_>) -> bool {
    going.candidate.is("", "namespaces") || going.candidate.known.is_definition()
}

/// Removes the finalizers that nobody saw to.
async fn remove(server: &Server, going: &mut Going<'_>) -> Result<Left, RequestError> {
    let Candidate { uid, .. } = going.candidate;
    going.removed = finalizers::remove(server, &going.candidate.path(), Some(uid)).await?;
    deletion::look(server, going.candidate).await
}
