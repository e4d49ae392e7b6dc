//! What is known before anything is written: what the cluster serves, what the archive asks for, and what is live of it.

use std::sync::Arc;

use drover::exit::{Exit, Failure, Fault};
use drover::resources::ResourceSet;
use drover::task;
use snafu::{ResultExt, Snafu};

use super::Restoration;
use crate::api::discovery;
use crate::apply::controllers;
use crate::apply::namespaces::{Met, Needs};
use crate::objects::definitions::Definition;
use crate::plan::Plan;
use crate::prune::Candidate;
use crate::report::again::Again;
use crate::survey::archive::account::Account;
use crate::survey::archive::facts::{Facts, Position};
use crate::survey::archive::inspect::type_title;
use crate::survey::archive::part::{Archive, ArchiveError};
use crate::survey::live::{Live, Scope};
use crate::survey::selected::Selection;
use crate::survey::types::Types;

/// Why a restore did not begin.
#[derive(Debug, Snafu)]
pub(super) enum RestorationError {
    #[snafu(display("failed to wait for the archive's objects to be looked at"))]
    Aborted { source: tokio::task::JoinError },
    #[snafu(display(
        "failed to read in the archive's filters/drover.json which types it would have; choose another archive, or restore \
         without prune"
    ))]
    Contents { source: serde_json::Error },
    #[snafu(display(
        "failed to restore: neither the cluster nor the archive itself knows these types of the archive: {}; nothing \
         was changed. Install what serves them, then {again}; with {} the rest is restored",
        types.join(", "),
        again.asking("spec.ignoreErrors: true", "--ignore-errors")
    ))]
    NotServed { types: Vec<String>, again: Again },
}

impl Fault for RestorationError {
    fn exit(&self) -> Exit {
        match self {
            Self::Aborted { .. } => Exit::Failure,
            Self::Contents { .. } | Self::NotServed { .. } => Exit::DataRefused,
        }
    }
}

/// A part of the archive that was looked at.
pub(super) struct Surveyed {
    pub(super) facts: Arc<Facts>,
    pub(super) live: Live,
    pub(super) plan: Plan,
    pub(super) namespaces: Met,
    pub(super) candidates: Vec<Candidate>,
}

impl Restoration {
    /// What the cluster serves and what the archive's definitions will make it serve.
    pub(super) async fn known_types(&self) -> Result<(Types, Vec<Definition>), Failure> {
        let served = discovery::served(&self.server).await?;
        let archive = Arc::clone(&self.definitions);
        let definitions = task::spawn_blocking(move || archive.definitions());
        let definitions: Result<Vec<Definition>, ArchiveError> = definitions.await.context(AbortedSnafu)?;
        let definitions = definitions?;
        Ok((Types::new(served, &definitions), definitions))
    }

    /// Objects whose type nobody knows cannot be restored; that is said before anything is changed.
    pub(super) async fn refuse_unknown_types(&self, types: &Types) -> Result<(), RestorationError> {
        let is_unknown = |summary: &&drover::archive::TypeSummary| {
            let name = &summary.name;
            types.by_plural(&name.plural, &name.group, &name.version).is_none()
        };
        let unknown: Vec<_> = self.spool.types().iter().filter(is_unknown).collect();
        if !unknown.is_empty() {
            self.away.look_at_apis().await;
        }
        let titled = unknown.into_iter().map(|summary| {
            let name = &summary.name;
            let title = type_title(&name.plural, &name.group, &name.version);
            let why = self.away.why_api_is_away(&name.api_version()).map(|why| format!(": {why}")).unwrap_or_default();
            format!("{title:?} ({} objects{why})", summary.objects)
        });
        let unknown: Vec<String> = titled.collect();
        if unknown.is_empty() || self.wishes.ignore_errors {
            return Ok(());
        }
        NotServedSnafu { types: unknown, again: self.wishes.again }.fail()
    }

    /// The ResourceSet that the archive was made by, if it holds it.
    pub(super) fn resource_set(&self) -> Result<Option<ResourceSet>, Failure> {
        let set = controllers::resource_set(self.spool.resource_set())?;
        if set.is_none() && self.wishes.prune.is_some() {
            tracing::warn!("nothing is pruned: the archive does not hold the ResourceSet that it was made by");
        }
        Ok(set)
    }

    /// What belongs to the archive's ResourceSet, as far as the archive accounts for it; nothing where nothing is pruned.
    pub(super) fn selection(
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
    pub(super) async fn survey(
        &self,
        archive: &Arc<Archive>,
        types: &Arc<Types>,
        selection: &Selection,
    ) -> Result<Surveyed, Failure> {
        let (gathered, known, ground) = (Arc::clone(archive), Arc::clone(types), Arc::clone(&self.ground));
        let gather = task::spawn_blocking(move || gathered.gather(&known, &ground));
        let facts = Arc::new(gather.await.context(AbortedSnafu)??);
        let scope = Scope { archive, facts: &facts, selection, ground: &self.ground, away: &self.away };
        let mut live = Live::survey(&self.server.impatient(), &scope).await?;
        let mut plan = Plan::new(&facts, &live);
        live.unseen().revise(&facts, &live, &mut plan);
        self.tell_apis_away(archive, &mut plan).await;
        let candidates = live.take_candidates();
        Ok(Surveyed { facts, live, plan, namespaces: Met::default(), candidates })
    }

    /// Names the aggregated API whose server is away, where that is why nobody knows the type of an object.
    async fn tell_apis_away(&self, archive: &Archive, plan: &mut Plan) {
        let unknown: Vec<Position> = plan.not_served().collect();
        if unknown.is_empty() {
            return;
        }
        self.away.look_at_apis().await;
        for position in unknown {
            if let Some(why) = self.away.why_api_is_away(&archive.type_of(position).api_version()) {
                plan.hinder(position, why);
            }
        }
    }

    /// What the archive's objects need of namespaces.
    pub(super) async fn namespaces(&self, types: &Types, surveyed: &Surveyed) -> Result<Needs, Failure> {
        let Some(namespaces) = types.by_plural("namespaces", "", "v1") else { return Ok(Needs::default()) };
        Ok(Needs::survey(&self.server, namespaces, &surveyed.facts, &surveyed.plan).await?)
    }
}

/// Says of which types nothing is pruned, in the log; gives it for the report.
pub(super) fn warn_of_unaccounted(selection: &Selection) -> Option<String> {
    let types = selection.unaccounted();
    if types.is_empty() {
        return None;
    }
    let note = format!(
        "nothing of these types is pruned, for the archive does not tell that it would have it: {}",
        types.join(", ")
    );
    tracing::warn!("{note}");
    Some(note)
}
