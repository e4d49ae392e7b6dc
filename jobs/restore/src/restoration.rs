//! One restore, from the checked archive to the results: definitions first, then everything else, then what the archive
//! lacks is pruned.
//!
//! What is written is decided when the controllers are down ([`rounds`]); whether they are scaled down at all, before
//! ([`foresight`]).

mod foresight;
mod rounds;

use std::sync::Arc;

use drover::archive::Spool;
use drover::exit::{Exit, Failure, Fault};
use drover::resources::ResourceSet;
use snafu::{ResultExt, Snafu};
use tokio_util::sync::CancellationToken;

use self::foresight::Foresight;
use crate::account::Account;
use crate::archive::{Archive, ArchiveError};
use crate::controllers::{Controllers, ControllersError, Foreseen, Hold};
use crate::definitions::Definition;
use crate::facts::{Facts, Place};
use crate::ground::Ground;
use crate::inspect::type_title;
use crate::live::{Live, Scope};
use crate::namespaces::{self, Met, Needs};
use crate::outcome::{Outcome, Outside, Result as ObjectResult, Results};
use crate::plan::Plan;
use crate::progress::Gauge;
use crate::prune::{self, Candidate, PrunePlan, Usage};
use crate::request::Server;
use crate::selected::Selection;
use crate::types::{Type, Types};
use crate::wishes::Wishes;
use crate::write::{OwnerUids, WriteError, Writer};
use crate::{controllers, discovery, establish, stages};

/// Why a restore did not begin.
#[derive(Debug, Snafu)]
enum RestorationError {
    #[snafu(display("failed to wait for the archive's objects to be looked at"))]
    Aborted { source: tokio::task::JoinError },
    #[snafu(display(
        "failed to read in the archive's filters/drover.json which types it would have; choose another archive, or restore \
         without prune"
    ))]
    Contents { source: serde_json::Error },
    #[snafu(display(
        "failed to restore: neither the cluster nor the archive itself knows these types of the archive: {}; nothing \
         was changed. Install what serves them, or restore the rest with spec.ignoreErrors: true (--ignore-errors)",
        types.join(", ")
    ))]
    NotServed { types: Vec<String> },
}

impl Fault for RestorationError {
    fn exit(&self) -> Exit {
        match self {
            Self::Aborted { .. } => Exit::Failure,
            Self::Contents { .. } | Self::NotServed { .. } => Exit::DataRefused,
        }
    }
}

/// A restore of one archive into one cluster.
#[derive(Clone)]
pub(crate) struct Restoration {
    server: Arc<Server>,
    spool: Arc<Spool>,
    definitions: Arc<Archive>,
    rest: Arc<Archive>,
    wishes: Wishes,
    ground: Arc<Ground>,
    at_once: usize,
    gauge: Arc<Gauge>,
}

/// What a restore came to.
#[derive(Default)]
pub(crate) struct Finished {
    /// The parts of the archive, each with its results.
    pub(crate) parts: Vec<(Arc<Archive>, Results)>,
    /// What became of objects that the archive does not hold.
    pub(crate) outside: Vec<Outside>,
    /// Why it ended early, if the server stopped answering.
    pub(crate) lost: Option<WriteError>,
    /// The controllers that would be scaled down; of a plan.
    pub(crate) controllers: Vec<Foreseen>,
    /// Why controllers are still scaled down, if they are.
    pub(crate) left_down: Option<ControllersError>,
    /// Why it ended early, if controllers did not stay down.
    pub(crate) given_up: Option<ControllersError>,
    /// What is to be said of it as a whole.
    pub(crate) notes: Vec<String>,
}

/// A part of the archive that was looked at.
struct Surveyed {
    facts: Arc<Facts>,
    live: Live,
    plan: Plan,
    namespaces: Met,
    candidates: Vec<Candidate>,
}

impl Restoration {
    /// Prepares; nothing is asked or written yet. At most `in_flight` objects are written at a time.
    pub(crate) fn new(server: Arc<Server>, spool: Arc<Spool>, wishes: Wishes, ground: Ground, in_flight: u32) -> Self {
        let (definitions, rest) = Archive::parts(&spool);
        let (definitions, rest) = (Arc::new(definitions), Arc::new(rest));
        let (ground, at_once) = (Arc::new(ground), in_flight as usize);
        Self { server, spool, definitions, rest, wishes, ground, at_once, gauge: Arc::default() }
    }

    /// The API server.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// How far the writing is.
    pub(crate) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    /// What [`Restoration::apply`] would do. Writes nothing.
    ///
    /// # Errors
    ///
    /// Where the cluster cannot be looked at.
    pub(crate) async fn plan(&self) -> Result<Finished, Failure> {
        let (types, definitions) = self.known_types().await?;
        if let Err(error) = self.refuse_unknown_types(&types) {
            tracing::warn!("apply would refuse: {error}");
        }
        let set = self.resource_set()?;
        let controllers = Controllers::find(&self.server, &types, set.as_ref(), &self.ground).await?;
        let types = Arc::new(types);
        let selection = self.selection(set.as_ref(), &types, &definitions)?;
        warn_of_unaccounted(&selection);
        let first = self.survey(&self.definitions, &types, &selection.only(Type::is_definition)).await?;
        let Foresight { mut finished, leaving, changes } = self.foresee(&types, &selection, first).await?;
        for name in leaving {
            tracing::warn!("the namespace {name:?} is being deleted; apply would wait for it");
        }
        if changes {
            finished.controllers = controllers.foreseen();
        }
        Ok(finished)
    }

    /// Restores while the controllers that the archive's ResourceSet names are held down, and puts their counts back
    /// however that ends. Where there is nothing to write none is scaled. Objects that fail are in the results, not in the
    /// error.
    ///
    /// # Errors
    ///
    /// Where the restore cannot begin, or cannot go on after the definitions.
    pub(crate) async fn apply(&self, hold: &Hold, shutdown: &CancellationToken) -> Result<Finished, Failure> {
        let (types, definitions) = self.known_types().await?;
        self.refuse_unknown_types(&types)?;
        let set = self.resource_set()?;
        let controllers = Controllers::find(&self.server, &types, set.as_ref(), &self.ground).await?;
        // Where none runs there is none to spare, and what is decided when their pods are gone is enough.
        let unchanged = if controllers.run() {
            let beforehand = self.holding(&controllers.held_by(hold.by()), hold);
            Box::pin(beforehand.unchanged(types, &definitions, set.as_ref())).await
        } else {
            Ok(None)
        };
        let written = match unchanged {
            Ok(Some(unchanged)) => Ok(unchanged),
            Ok(None) => Box::pin(self.write_while_down(&controllers, set.as_ref(), hold, shutdown)).await,
            Err(failure) => Err(failure),
        };
        let back = controllers.put_back(&self.server, hold).await;
        with_controllers(written, back)
    }

    /// The same while these controllers are held down.
    fn holding(&self, controllers: &Controllers, hold: &Hold) -> Self {
        Self { ground: Arc::new(self.ground.holding(controllers, hold.by())), ..self.clone() }
    }

    /// What a restore comes to that was stopped before its first write.
    fn untouched(&self) -> Finished {
        let parts = [&self.definitions, &self.rest].map(|archive| (Arc::clone(archive), Results::new(archive.len())));
        Finished { parts: parts.into(), ..Finished::default() }
    }

    /// Everything that is written, once nothing is in its way.
    async fn write(
        &self,
        types: Types,
        definitions: &[Definition],
        set: Option<&ResourceSet>,
        shutdown: &CancellationToken,
    ) -> Result<Finished, Failure> {
        let types = Arc::new(types);
        let selection = self.selection(set, &types, definitions)?.only(Type::is_definition);
        let mut surveyed = self.survey(&self.definitions, &types, &selection).await?;
        let candidates = std::mem::take(&mut surveyed.candidates);
        let (results, lost) = self.carry_out(&self.definitions, surveyed, shutdown).await;
        let mut finished =
            Finished { parts: vec![(Arc::clone(&self.definitions), results)], lost, ..Finished::default() };
        if finished.lost.is_some() || shutdown.is_cancelled() {
            finished.parts.push((Arc::clone(&self.rest), Results::new(self.rest.len())));
            return Ok(finished);
        }
        let types = Arc::new(establish::wait(&self.server, definitions, shutdown).await?);
        let selection = self.selection(set, &types, definitions)?.only(|known| !known.is_definition());
        warn_of_unaccounted(&selection);
        let mut surveyed = self.survey(&self.rest, &types, &selection).await?;
        surveyed.candidates.extend(candidates);
        let prune = self.prune_plan(&types, &mut surveyed).await?;
        surveyed.namespaces = self.namespaces(&types, &surveyed).await?.meet(&self.server, shutdown).await?;
        surveyed.namespaces.revise(&surveyed.facts, &mut surveyed.plan);
        finished.outside = surveyed.namespaces.take_made();
        let (results, lost) = self.carry_out(&self.rest, surveyed, shutdown).await;
        finished.parts.push((Arc::clone(&self.rest), results));
        finished.lost = lost;
        let pruned = self.prune(&prune, &finished, shutdown).await;
        finished.outside.extend(pruned);
        Ok(finished)
    }

    async fn carry_out(
        &self,
        archive: &Arc<Archive>,
        surveyed: Surveyed,
        shutdown: &CancellationToken,
    ) -> (Results, Option<WriteError>) {
        let Surveyed { facts, live, plan, namespaces, candidates: _ } = surveyed;
        let owners = OwnerUids::new(live.into_owner_uids());
        owners.forget(namespaces.lost_owners(&facts));
        let writer = Writer { server: Arc::clone(&self.server), archive: Arc::clone(archive), facts, owners };
        let patience = self.wishes.prune.map(|prune| prune.timeout);
        let execution = stages::execute(writer, &plan, self.at_once, patience, &self.gauge, shutdown).await;
        (execution.results, execution.lost)
    }

    /// Deletes what the archive lacks, unless the archive itself could not be restored.
    async fn prune(&self, plan: &PrunePlan, finished: &Finished, shutdown: &CancellationToken) -> Vec<Outside> {
        let Some(wish) = self.wishes.prune else { return Vec::new() };
        if self.is_whole(finished) && finished.lost.is_none() {
            return prune::execute(&self.server, plan, wish.timeout, self.at_once, &self.gauge, shutdown).await;
        }
        not_pruned(prune::foreseen(plan))
    }

    /// Whether the whole archive is there, so that what it lacks may go.
    fn is_whole(&self, finished: &Finished) -> bool {
        let counts = crate::report::counts(finished);
        counts.of(Outcome::Untouched) == 0 && (counts.of(Outcome::Failed) == 0 || self.wishes.ignore_errors)
    }

    /// What is deleted and what is not: decided before the first object is written.
    async fn prune_plan(&self, types: &Types, surveyed: &mut Surveyed) -> Result<PrunePlan, Failure> {
        let Some(wish) = self.wishes.prune else { return Ok(PrunePlan::default()) };
        let mut candidates = std::mem::take(&mut surveyed.candidates);
        let facts = &surveyed.facts;
        // As those that an earlier restore of this archive had to make.
        let needed = namespaces::needed(facts, &surveyed.plan);
        for candidate in candidates.iter_mut().filter(|candidate| candidate.is("", "namespaces")) {
            let is_needed = needed.contains(candidate.name.as_str());
            candidate.kept = candidate.kept.or(is_needed.then_some("objects of the archive lie in it"));
        }
        let archived = |known: &Type, namespace: &str, name: &str| {
            let mut versions = self.rest.versions_of(known);
            versions.any(|type_index| facts.find(Place { type_index, namespace, name }).is_some())
        };
        let usage = Usage::survey(&self.server, types, &candidates, archived).await?;
        Ok(PrunePlan::new(candidates, &usage, &self.ground, wish.everything))
    }

    /// The ResourceSet that the archive was made by, if it holds it.
    fn resource_set(&self) -> Result<Option<ResourceSet>, Failure> {
        let set = controllers::resource_set(self.spool.resource_set())?;
        if set.is_none() && self.wishes.prune.is_some() {
            tracing::warn!("nothing is pruned: the archive does not hold the ResourceSet that it was made by");
        }
        Ok(set)
    }

    /// What belongs to the archive's ResourceSet, as far as the archive accounts for it; nothing where nothing is pruned.
    fn selection(
        &self,
        set: Option<&ResourceSet>,
        types: &Types,
        definitions: &[Definition],
    ) -> Result<Selection, Failure> {
        let (Some(_), Some(set)) = (self.wishes.prune, set) else { return Ok(Selection::default()) };
        let contents = self.spool.contents().context(ContentsSnafu)?;
        let held = self.spool.types().iter().map(|held| (held.name.kubectl_name(), held.name.api_version()));
        let account = Account::of(contents.as_ref(), held, definitions);
        Ok(Selection::of(set, types, &account)?)
    }

    /// Looks at the archive's objects and at what is live of them, and decides.
    async fn survey(
        &self,
        archive: &Arc<Archive>,
        types: &Arc<Types>,
        selection: &Selection,
    ) -> Result<Surveyed, Failure> {
        let (gathered, known, ground) = (Arc::clone(archive), Arc::clone(types), Arc::clone(&self.ground));
        let gather = tokio::task::spawn_blocking(move || gathered.gather(&known, &ground));
        let facts = Arc::new(gather.await.context(AbortedSnafu)??);
        let scope = Scope { archive, facts: &facts, selection, ground: &self.ground };
        let mut live = Live::survey(&self.server, &scope).await?;
        let (plan, candidates) = (Plan::new(&facts, &live), live.take_candidates());
        Ok(Surveyed { facts, live, plan, namespaces: Met::default(), candidates })
    }

    /// What the archive's objects need of namespaces.
    async fn namespaces(&self, types: &Types, surveyed: &Surveyed) -> Result<Needs, Failure> {
        let Some(namespaces) = types.by_plural("namespaces", "", "v1") else { return Ok(Needs::default()) };
        Ok(Needs::survey(&self.server, namespaces, &surveyed.facts, &surveyed.plan).await?)
    }

    /// What the cluster serves and what the archive's definitions will make it serve.
    async fn known_types(&self) -> Result<(Types, Vec<Definition>), Failure> {
        let served = discovery::served(&self.server).await?;
        let archive = Arc::clone(&self.definitions);
        let definitions = tokio::task::spawn_blocking(move || archive.definitions());
        let definitions: Result<Vec<Definition>, ArchiveError> = definitions.await.context(AbortedSnafu)?;
        let definitions = definitions?;
        Ok((Types::new(served, &definitions), definitions))
    }

    /// Objects whose type nobody knows cannot be restored; that is said before anything is changed.
    fn refuse_unknown_types(&self, types: &Types) -> Result<(), RestorationError> {
        let is_unknown = |summary: &&drover::archive::TypeSummary| {
            let name = &summary.name;
            types.by_plural(&name.plural, &name.group, &name.version).is_none()
        };
        let unknown: Vec<String> = self
            .spool
            .types()
            .iter()
            .filter(is_unknown)
            .map(|summary| {
                let name = &summary.name;
                let title = type_title(&name.plural, &name.group, &name.version);
                format!("{title:?} ({} objects)", summary.objects)
            })
            .collect();
        if unknown.is_empty() || self.wishes.ignore_errors { Ok(()) } else { NotServedSnafu { types: unknown }.fail() }
    }
}

/// What would have been pruned and was not.
fn not_pruned(mut foreseen: Vec<Outside>) -> Vec<Outside> {
    let reason = "not pruned, since not all of the archive was restored";
    for pruned in foreseen.iter_mut().filter(|outside| outside.result.outcome == Outcome::Pruned) {
        pruned.result = ObjectResult::new(Outcome::Untouched, reason.to_owned());
    }
    foreseen
}

fn warn_of_unaccounted(selection: &Selection) {
    let types = selection.unaccounted();
    if !types.is_empty() {
        tracing::warn!(
            "nothing of these types is pruned, for the archive does not tell that it would have it: {}",
            types.join(", ")
        );
    }
}

/// Controllers that are left down count for more than why the writing ended: the next job has to see to them.
fn with_controllers(
    written: Result<Finished, Failure>,
    back: Result<(), ControllersError>,
) -> Result<Finished, Failure> {
    match (written, back) {
        (Ok(finished), back) => Ok(Finished { left_down: back.err(), ..finished }),
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(error)) => {
            tracing::error!("{failure}");
            Err(error.into())
        }
    }
}
