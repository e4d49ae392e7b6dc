//! One restore, from the checked archive to the results: definitions first, then everything else.

use std::sync::Arc;

use drover::archive::Spool;
use drover::exit::{Exit, Failure, Fault};
use snafu::{ResultExt, Snafu};
use tokio_util::sync::CancellationToken;

use crate::archive::{Archive, ArchiveError};
use crate::definitions::Definition;
use crate::facts::Facts;
use crate::live::Live;
use crate::outcome::Results;
use crate::plan::Plan;
use crate::progress::Gauge;
use crate::request::Server;
use crate::types::Types;
use crate::write::{OwnerUids, WriteError, Writer};
use crate::{controllers, discovery, establish, stages};

/// Why a restore did not begin.
#[derive(Debug, Snafu)]
enum RestorationError {
    #[snafu(display("failed to wait for the archive's objects to be looked at"))]
    Aborted { source: tokio::task::JoinError },
}

impl Fault for RestorationError {
    fn exit(&self) -> Exit {
        match self {
            Self::Aborted { .. } => Exit::Failure,
        }
    }
}

/// A restore of one archive into one cluster.
pub(crate) struct Restoration {
    server: Arc<Server>,
    spool: Arc<Spool>,
    definitions: Arc<Archive>,
    rest: Arc<Archive>,
    at_once: usize,
    gauge: Arc<Gauge>,
}

/// What a restore came to.
pub(crate) struct Finished {
    /// The parts of the archive, each with its results.
    pub(crate) parts: Vec<(Arc<Archive>, Results)>,
    /// Why it ended early, if the server stopped answering.
    pub(crate) lost: Option<WriteError>,
}

/// A part of the archive that was looked at.
struct Surveyed {
    facts: Arc<Facts>,
    live: Live,
    plan: Plan,
}

impl Restoration {
    /// Prepares; nothing is asked or written yet. At most `in_flight` objects are written at a time.
    pub(crate) fn new(server: Arc<Server>, spool: Arc<Spool>, in_flight: u32) -> Self {
        let (definitions, rest) = Archive::parts(&spool);
        let (definitions, rest) = (Arc::new(definitions), Arc::new(rest));
        Self { server, spool, definitions, rest, at_once: in_flight as usize, gauge: Arc::default() }
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
        let (types, _) = self.known_types().await?;
        if let Err(error) = self.refuse_running_controllers(&types).await {
            tracing::warn!("apply would refuse: {error}");
        }
        let types = Arc::new(types);
        let mut parts = Vec::new();
        for archive in [&self.definitions, &self.rest] {
            let surveyed = self.survey(archive, &types).await?;
            parts.push((Arc::clone(archive), stages::foreseen(&surveyed.facts, &surveyed.plan)));
        }
        Ok(Finished { parts, lost: None })
    }

    /// Restores. Objects that fail are in the results, not in the error.
    ///
    /// # Errors
    ///
    /// Where the restore cannot begin, or cannot go on after the definitions.
    pub(crate) async fn apply(&self, shutdown: &CancellationToken) -> Result<Finished, Failure> {
        let (types, definitions) = self.known_types().await?;
        self.refuse_running_controllers(&types).await?;
        let types = Arc::new(types);
        let (first, lost) = self.carry_out(&self.definitions, &types, shutdown).await?;
        let untouched = || (Arc::clone(&self.rest), Results::new(self.rest.len()));
        let first = (Arc::clone(&self.definitions), first);
        if lost.is_some() || shutdown.is_cancelled() {
            return Ok(Finished { parts: vec![first, untouched()], lost });
        }
        let types = Arc::new(establish::wait(&self.server, &definitions, shutdown).await?);
        let (rest, lost) = self.carry_out(&self.rest, &types, shutdown).await?;
        Ok(Finished { parts: vec![first, (Arc::clone(&self.rest), rest)], lost })
    }

    async fn carry_out(
        &self,
        archive: &Arc<Archive>,
        types: &Arc<Types>,
        shutdown: &CancellationToken,
    ) -> Result<(Results, Option<WriteError>), Failure> {
        let Surveyed { facts, live, plan } = self.survey(archive, types).await?;
        let writer = Writer {
            server: Arc::clone(&self.server),
            archive: Arc::clone(archive),
            facts,
            owners: OwnerUids::new(live.into_owner_uids()),
        };
        let execution = stages::execute(writer, &plan, self.at_once, &self.gauge, shutdown).await;
        Ok((execution.results, execution.lost))
    }

    /// Looks at the archive's objects and at what is live of them, and decides.
    async fn survey(&self, archive: &Arc<Archive>, types: &Arc<Types>) -> Result<Surveyed, Failure> {
        let (gathered, known) = (Arc::clone(archive), Arc::clone(types));
        let gather = tokio::task::spawn_blocking(move || gathered.gather(&known));
        let facts = Arc::new(gather.await.context(AbortedSnafu)??);
        let live = Live::survey(&self.server, archive, &facts).await?;
        let plan = Plan::new(&facts, &live);
        Ok(Surveyed { facts, live, plan })
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

    async fn refuse_running_controllers(&self, types: &Types) -> Result<(), Failure> {
        let set = controllers::resource_set(self.spool.resource_set())?;
        Ok(controllers::refuse_running(&self.server, types, set.as_ref()).await?)
    }
}
