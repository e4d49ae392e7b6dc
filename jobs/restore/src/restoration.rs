//! One restore, from the checked archive to the results: definitions first, then everything else, then what the archive
//! lacks is pruned; and last what hands requests over to other servers.
//!
//! What is written is decided when the controllers are down ([`rounds`]); whether they are scaled down at all, before
//! ([`foresight`]).

pub(crate) mod finished;
mod foresight;
mod inputs;
mod last;
mod owned;
pub(crate) mod owned_later;
mod pruning;
mod rounds;
mod survey;
mod trial;

use std::collections::HashSet;
use std::sync::Arc;

use drover::archive::Spool;
use drover::exit::Failure;
use drover::resources::ResourceSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::finished::Finished;
use self::foresight::Foresight;
pub(crate) use self::inputs::Restoration;
use self::survey::{Surveyed, warn_of_unaccounted};
use crate::api::request::Server;
use crate::apply::away::{Part, Register};
use crate::apply::controllers::{Controllers, ControllersError, Hold};
use crate::apply::copies::Copies;
use crate::apply::write::{OwnerUids, WriteError, Writer};
use crate::apply::{establish, exemption, stages};
use crate::objects::definitions::Definition;
use crate::plan::made_anew;
use crate::plan::wishes::Wishes;
use crate::prune::Candidate;
use crate::report::outcome::{Outcome, Results};
use crate::report::progress::{Doing, Gauge};
use crate::report::results;
use crate::survey::archive::facts::{Facts, Position};
use crate::survey::archive::part::Archive;
use crate::survey::archive::unselected;
use crate::survey::ground::Ground;
use crate::survey::types::{Type, Types};

impl Restoration {
    /// Prepares; nothing is asked or written yet. At most `in_flight` objects are written at a time.
    pub(crate) fn new(server: Arc<Server>, spool: Arc<Spool>, wishes: Wishes, ground: Ground, in_flight: u32) -> Self {
        let [definitions, rest, registrations] = Archive::parts(&spool).map(Arc::new);
        let copies = Arc::new(Copies::Secrets { namespace: ground.namespace().to_owned() });
        let (ground, at_once) = (Arc::new(ground), in_flight as usize);
        let (gauge, away) = (Arc::default(), Arc::new(Register::new(Arc::new(server.impatient()), wishes.again)));
        let notes = Vec::new();
        Self { server, spool, definitions, rest, registrations, wishes, ground, at_once, gauge, away, notes, copies }
    }

    /// The same, with something to be said of the archive beside what its own objects tell.
    pub(crate) fn noting(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }

    /// The same with copies of what is made anew elsewhere than in drover's namespace.
    pub(crate) fn keeping(self, copies: Copies) -> Self {
        Self { copies: Arc::new(copies), ..self }
    }

    /// The API server.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// How far the writing is.
    pub(crate) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    /// What [`Restoration::apply`] would do. Writes nothing: the server is asked about each update on trial.
    ///
    /// # Errors
    ///
    /// Where the cluster cannot be looked at.
    pub(crate) async fn plan(&self) -> Result<Finished, Failure> {
        self.wishes.recreate.check([&self.rest, &self.registrations], self.wishes.again).await?;
        let (types, definitions) = self.known_types().await?;
        if let Err(error) = self.refuse_unknown_types(&types).await {
            tracing::warn!("apply would refuse: {error}");
        }
        let set = self.resource_set()?;
        let from_elsewhere = self.unselected(set.as_ref(), &types);
        let controllers = Controllers::find(&self.server, &types, set.as_ref(), &self.ground).await?;
        let types = Arc::new(types);
        let selection = self.selection(set.as_ref(), &types, &definitions)?;
        let note = warn_of_unaccounted(&selection);
        let first = self.survey(&self.definitions, &types, &selection.only(Type::is_definition)).await?;
        let Foresight { mut finished, registrations, surveyed, leaving, changes } =
            self.foresee(&types, &selection, first).await?;
        if !leaving.is_empty() {
            tracing::warn!("apply would wait for namespaces that are being deleted: {}", leaving.join(", "));
        }
        if changes {
            finished.controllers = controllers.foreseen();
        }
        finished.parts.push((Arc::clone(&self.registrations), registrations));
        self.try_updates(&mut finished, surveyed).await?;
        let mut finished = Finished { from_elsewhere, ..finished }.noting(self.notes.clone()).noting(note).in_order();
        if writes(&finished) {
            finished.notes.extend(exemption::foreseen(&self.server).await);
        }
        Ok(finished)
    }

    /// Restores while the controllers that the archive's ResourceSet names are held down, and puts their counts back
    /// however that ends. Where there is nothing to write but what is written after that, none is scaled. Objects that
    /// fail are in the results, not in the error.
    ///
    /// # Errors
    ///
    /// Where the restore cannot begin. What keeps it from going on is told beside what it had come to by then.
    pub(crate) async fn apply(&self, hold: &Hold, shutdown: &CancellationToken) -> Result<Finished, Failure> {
        self.wishes.recreate.check([&self.rest, &self.registrations], self.wishes.again).await?;
        let (types, definitions) = self.known_types().await?;
        self.refuse_unknown_types(&types).await?;
        let set = self.resource_set()?;
        let from_elsewhere = self.unselected(set.as_ref(), &types);
        let controllers = Controllers::find(&self.server, &types, set.as_ref(), &self.ground).await?;
        let types = Arc::new(types);
        // Where all are down already there is none to spare, and what is decided when their pods are gone is enough.
        let unchanged = if controllers.would_be_written_by(hold.by()) {
            let beforehand = self.holding(&controllers.held_by(hold.by()), hold);
            Box::pin(beforehand.unchanged(&types, &definitions, set.as_ref())).await
        } else {
            Ok(None)
        };
        let written = match unchanged {
            Ok(Some(unchanged)) => Ok(unchanged),
            Ok(None) => Box::pin(self.write_while_down(&controllers, set.as_ref(), hold, shutdown)).await,
            Err(failure) => Err(failure),
        };
        self.gauge.begin(Doing::ScalingUp, 0);
        let back = controllers.put_back(&self.server, hold).await;
        let written = match written {
            // Whoever puts the controllers back goes on with the restore.
            Ok(finished) if back.is_err() => Ok(self.without_registrations(finished)),
            Ok(finished) => Ok(Box::pin(self.register(finished, shutdown)).await),
            Err(failure) => Err(failure),
        };
        let finished = with_controllers(written, back)?;
        Ok(Finished { from_elsewhere, ..finished }.noting(self.notes.clone()).in_order())
    }

    /// What is to be said of objects that the archive's ResourceSet does not select.
    fn unselected(&self, set: Option<&ResourceSet>, types: &Types) -> Option<String> {
        unselected::told(&self.spool, set?, types)
    }

    /// The same while these controllers are held down.
    fn holding(&self, controllers: &Controllers, hold: &Hold) -> Self {
        Self { ground: Arc::new(self.ground.holding(controllers.places(), hold.by())), ..self.clone() }
    }

    /// What a restore comes to that was stopped before its first write; what comes last is not part of it.
    fn untouched(&self) -> Finished {
        let parts = [&self.definitions, &self.rest].map(|archive| (Arc::clone(archive), Results::new(archive.len())));
        Finished { parts: parts.into(), ..Finished::default() }
    }

    /// Everything that is written while controllers are down.
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
        let owned = self.owned(&self.definitions, &surveyed.facts).into_iter().collect();
        let (results, lost) = self.carry_out(&self.definitions, surveyed, shutdown).await;
        let mut finished =
            Finished { parts: vec![(Arc::clone(&self.definitions), results)], lost, owned, ..Finished::default() };
        if finished.lost.is_none() && !shutdown.is_cancelled() {
            let rest = Box::pin(self.write_rest(&mut finished, definitions, set, candidates, shutdown)).await;
            finished.failed = rest.err();
        }
        if finished.parts.len() == 1 {
            finished.parts.push((Arc::clone(&self.rest), Results::new(self.rest.len())));
        }
        Ok(finished)
    }

    /// What comes after the definitions, and the prune.
    async fn write_rest(
        &self,
        finished: &mut Finished,
        definitions: &[Definition],
        set: Option<&ResourceSet>,
        candidates: Vec<Candidate>,
        shutdown: &CancellationToken,
    ) -> Result<(), Failure> {
        self.gauge.begin(Doing::Establishing, 0);
        let types = Arc::new(establish::wait(&self.server, definitions, &self.gauge, shutdown).await?);
        self.gauge.begin(Doing::Comparing, 0);
        let selection = self.selection(set, &types, definitions)?;
        finished.notes.extend(warn_of_unaccounted(&selection));
        let mut surveyed = self.survey(&self.rest, &types, &selection.only(Type::is_of_the_rest)).await?;
        let last = self.survey(&self.registrations, &types, &selection.only(Type::is_registration)).await?;
        surveyed.candidates.extend(candidates.into_iter().chain(last.candidates));
        let prune = self.prune_plan(&types, &selection, &mut surveyed).await?;
        self.gauge.begin(Doing::MakingNamespaces, 0);
        let needs = self.namespaces(&types, &surveyed).await?;
        surveyed.namespaces = needs.meet(&self.server, self.wishes.again, &self.gauge, shutdown).await?;
        surveyed.namespaces.revise(&surveyed.facts, &mut surveyed.plan);
        finished.outside = surveyed.namespaces.take_made();
        finished.owned.extend(self.owned(&self.rest, &surveyed.facts));
        let (results, lost) = self.carry_out(&self.rest, surveyed, shutdown).await;
        finished.parts.push((Arc::clone(&self.rest), results));
        finished.lost = lost;
        let pruned = self.prune(&prune, finished, shutdown).await;
        finished.outside.extend(pruned);
        Ok(())
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
        let recreated = self.wishes.recreate.positions(&facts);
        let named = recreated.keys().copied().collect();
        let writer = self.writer(self.server.impatient(), archive, facts, owners, named);
        let patience = self.wishes.prune.map(|prune| prune.timeout);
        let mut execution = stages::execute(writer, &plan, self.at_once, patience, &self.gauge, shutdown).await;
        made_anew::say_unneeded(&mut execution.results, &recreated);
        (execution.results, execution.lost)
    }

    /// What writes a part of the archive.
    fn writer(
        &self,
        server: Server,
        archive: &Arc<Archive>,
        facts: Arc<Facts>,
        owners: OwnerUids,
        named: HashSet<Position>,
    ) -> Writer {
        let part = if Arc::ptr_eq(archive, &self.definitions) { Part::Definitions } else { Part::Others };
        let (server, archive, away) = (Arc::new(server), Arc::clone(archive), Arc::clone(&self.away));
        let (copies, gauge, again) = (Arc::clone(&self.copies), Arc::clone(&self.gauge), self.wishes.again);
        Writer { server, archive, facts, owners, away, part, named, copies, again, gauge }
    }
}

/// Whether a plan writes or deletes anything.
fn writes(finished: &Finished) -> bool {
    let counts = results::counts(finished);
    [Outcome::Created, Outcome::Updated, Outcome::Pruned].into_iter().any(|outcome| counts.of(outcome) > 0)
}

/// Controllers that are left down count for more than why the writing ended: the next job has to see to them.
fn with_controllers(
    written: Result<Finished, Failure>,
    back: Result<(), ControllersError>,
) -> Result<Finished, Failure> {
    match (written, back) {
        (Ok(finished), Ok(())) => Ok(finished),
        (Ok(finished), Err(error)) => {
            if let Some(failure) = &finished.failed {
                tracing::error!("{failure}");
            }
            Ok(Finished { left_down: Some(error), ..finished })
        }
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(error)) => {
            tracing::error!("{failure}");
            Err(error.into())
        }
    }
}
