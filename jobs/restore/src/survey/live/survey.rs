//! Looking at what is live: each type once, page by page or, where it cannot be listed, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover::archive::TypeName;
use drover::selection::{Request, TypePlan};
use drover::task;
use futures::{Stream, TryStreamExt};
use snafu::ResultExt;

use super::comparison::{AbortedSnafu, Comparison, Found, LoadSnafu};
use super::{CompareSnafu, LiveError, Scope, get};
use crate::api::pages::pages;
use crate::api::request::Server;
use crate::objects::compare::UidMarks;
use crate::survey::archive::facts::Position;
use crate::survey::live::look::Look;
use crate::survey::types::Type;

/// What looking takes.
pub(super) struct Survey<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) marks: UidMarks,
}

impl<'a> Survey<'a> {
    /// Each type once: those of the archive, and those of the selection.
    pub(super) fn looks(&self) -> Vec<Look> {
        let facts = self.scope.facts;
        let mut selected: BTreeMap<TypeName, (&Arc<Type>, &Arc<TypePlan>)> =
            self.scope.selection.iter().map(|(known, plan)| (known.type_name(), (known, plan))).collect();
        let held: BTreeSet<u16> = facts.positions().map(|position| facts.entry(position).type_index).collect();
        let served = held.into_iter().filter_map(|index| Some((index, facts.type_at(index)?)));
        let mut looks: Vec<Look> = Vec::new();
        for (index, known) in served.filter(|(_, known)| known.served) {
            let selection = selected.remove(&known.type_name()).map(|(_, plan)| Arc::clone(plan));
            looks.push(self.look(known, Some(index), selection));
        }
        looks.extend(selected.into_values().map(|(known, plan)| self.look(known, None, Some(Arc::clone(plan)))));
        looks
    }

    fn look(&self, known: &Arc<Type>, type_index: Option<u16>, selection: Option<Arc<TypePlan>>) -> Look {
        let versions = self.scope.archive.versions_of(known);
        let other_versions = versions.filter(|index| Some(*index) != type_index).collect();
        Look { known: Arc::clone(known), type_index, other_versions, selection }
    }

    fn comparison(&self, look: Look) -> Comparison {
        Comparison {
            archive: Arc::clone(self.scope.archive),
            facts: Arc::clone(self.scope.facts),
            ground: Arc::clone(self.scope.ground),
            marks: self.marks.clone(),
            look,
        }
    }

    /// A page is compared on a thread of its own while the next one comes.
    pub(super) fn pages(
        &self,
        server: &'a Server,
        look: Look,
    ) -> impl Stream<Item = Result<(Vec<Found>, usize), LiveError>> + use<'a> {
        let (plural, pages) = (look.known.plural.clone(), pages(server, &look.known));
        let comparison = Arc::new(self.comparison(look));
        let compared = pages.map_err(LiveError::from).map_ok(move |page| {
            let (comparison, plural) = (Arc::clone(&comparison), plural.clone());
            let compared = task::spawn_blocking(move || comparison.page(&page));
            async move { compared.await.context(AbortedSnafu).flatten().context(CompareSnafu { plural }) }
        });
        compared.try_buffered(2)
    }

    /// For a type that the server does not list: it has few objects, and archive and selection know their names.
    pub(super) async fn one_by_one(&self, server: &Server, look: Look) -> Result<Vec<Found>, LiveError> {
        let known = Arc::clone(&look.known);
        let compare = || CompareSnafu { plural: known.plural.clone() };
        let names = self.names(&look).context(LoadSnafu).with_context(|_| compare())?;
        let comparison = self.comparison(look);
        let mut seen = Vec::new();
        for (namespace, name) in names {
            let live = get(server, &known, namespace.as_deref().unwrap_or_default(), &name).await?;
            let found = live.map(|live| comparison.object(&live)).transpose().with_context(|_| compare())?;
            seen.extend(found.into_iter().flatten());
        }
        Ok(seen)
    }

    /// Namespace and name of every object that may be there.
    fn names(&self, look: &Look) -> std::io::Result<BTreeSet<(Option<String>, String)>> {
        let mut names = BTreeSet::new();
        let Scope { archive, facts, .. } = self.scope;
        let is_of_type = |position: &Position| Some(facts.entry(*position).type_index) == look.type_index;
        for position in facts.positions().filter(is_of_type) {
            let key = archive.load(position)?.key;
            names.insert((key.namespace, key.name));
        }
        if let Some(Request::Get { objects }) = look.selection.as_ref().map(|plan| &plan.request) {
            names.extend(objects.iter().cloned());
        }
        Ok(names)
    }
}
