//! What would be lost with a Namespace or a definition that is to be pruned.

use std::collections::HashMap;

use drover::api::RequestError;
use drover::exit::{Exit, Fault};
use drover::listing::ListError;
use drover::object::{ListPage, Object, ParseError};
use futures::{StreamExt, TryStreamExt, stream};
use snafu::{ResultExt, Snafu};

use super::Candidate;
use crate::api::pages::pages;
use crate::api::request::Server;
use crate::apply::away::{Away, Register, Unseen};
use crate::survey::types::{Type, Types};

/// Namespaces and definitions looked at at the same time.
const LOOKS_AT_ONCE: usize = 8;

/// Why it is not known what would be lost.
#[derive(Debug, Snafu)]
pub(crate) enum UsageError {
    #[snafu(display("failed to see whether the namespace {namespace:?} has {plural}; nothing is pruned"))]
    Look { namespace: String, plural: &'static str, source: RequestError },
    #[snafu(transparent)]
    List { source: ListError },
    #[snafu(display("failed to read the server's list of {plural:?}"))]
    Read { plural: String, source: ParseError },
}

impl Fault for UsageError {
    fn exit(&self) -> Exit {
        match self {
            Self::Look { source, .. } => source.exit(),
            Self::List { source } => source.exit(),
            Self::Read { .. } => Exit::Failure,
        }
    }
}

/// What would be lost, by the name of the Namespace or definition that would take it along; nothing where there is none.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    namespaces: HashMap<String, String>,
    definitions: HashMap<String, String>,
}

impl Usage {
    #[cfg(test)]
    pub(crate) const fn new(namespaces: HashMap<String, String>, definitions: HashMap<String, String>) -> Self {
        Self { namespaces, definitions }
    }

    /// Looks at what the candidates would take with them. `archived` says whether the archive holds an object of a type.
    ///
    /// # Errors
    ///
    /// Where it cannot be seen: what is not seen would be taken for nothing.
    pub(crate) async fn survey(
        server: &Server,
        types: &Types,
        candidates: &[Candidate],
        away: &Register,
        archived: impl Fn(&Type, &str, &str) -> bool,
    ) -> Result<Self, UsageError> {
        let namespaces = stream::iter(candidates.iter().filter(|candidate| candidate.is("", "namespaces")))
            .map(|candidate| async move {
                let found = use_of_namespace(server, &candidate.name).await?;
                Ok::<_, UsageError>(named(candidate, found))
            })
            .buffer_unordered(LOOKS_AT_ONCE)
            .try_collect::<Vec<_>>();
        let namespaces = namespaces.await?.into_iter().flatten().collect();
        let mut definitions = HashMap::new();
        for candidate in candidates.iter().filter(|candidate| candidate.known.is_definition()) {
            let found = use_of_definition(server, types, &candidate.name, &archived).await;
            let found = known_or_held_back(types, &candidate.name, away, found).await?;
            definitions.extend(named(candidate, found));
        }
        Ok(Self { namespaces, definitions })
    }

    /// Holds back also the Namespaces that may hold objects which cannot be seen: unknown is not none.
    pub(crate) fn with_unseen(mut self, unseen: &Unseen, candidates: &[Candidate]) -> Self {
        let Some(why) = unseen.in_namespaces() else { return self };
        for candidate in candidates.iter().filter(|candidate| candidate.is("", "namespaces")) {
            self.namespaces.entry(candidate.name.clone()).or_insert_with(|| why.clone());
        }
        self
    }

    /// What a Namespace would take with it.
    pub(crate) fn of_namespace(&self, name: &str) -> Option<&str> {
        self.namespaces.get(name).map(String::as_str)
    }

    /// What a definition would take with it.
    pub(crate) fn of_definition(&self, name: &str) -> Option<&str> {
        self.definitions.get(name).map(String::as_str)
    }
}

fn named(candidate: &Candidate, found: Option<String>) -> Option<(String, String)> {
    found.map(|reason| (candidate.name.clone(), reason))
}

pub(super) async fn use_of_namespace(server: &Server, namespace: &str) -> Result<Option<String>, UsageError> {
    for (plural, what) in [("pods", "pods"), ("persistentvolumeclaims", "volumes (PersistentVolumeClaims)")] {
        let path = format!("/api/v1/namespaces/{namespace}/{plural}?limit=1");
        let page = server.get(&path).await.with_context(|_| LookSnafu { namespace, plural })?;
        let list = ListPage::parse(&page).with_context(|_| ReadSnafu { plural })?;
        if !list.items.is_empty() {
            return Ok(Some(format!("it has {what} that would be lost")));
        }
    }
    Ok(None)
}

/// What a definition would take with it: also where that cannot be seen, for another server is away.
async fn known_or_held_back(
    types: &Types,
    name: &str,
    away: &Register,
    found: Result<Option<String>, UsageError>,
) -> Result<Option<String>, UsageError> {
    let (plural, group) = name.split_once('.').unwrap_or((name, ""));
    let request = match &found {
        Err(UsageError::List { source }) => source.request(),
        _ => None,
    };
    let who = request.zip(types.served_as(plural, group)).and_then(|(request, known)| Away::of(request, known));
    match request.zip(who) {
        Some((request, who)) => {
            let (_, why) = away.learn(who, request).await;
            Ok(Some(format!("it may have objects that the archive lacks, which cannot be seen: {why}")))
        }
        None => found,
    }
}

/// An object that the archive lacks, of the type that a definition defines, in whichever version it is served.
async fn use_of_definition(
    server: &Server,
    types: &Types,
    name: &str,
    archived: &impl Fn(&Type, &str, &str) -> bool,
) -> Result<Option<String>, UsageError> {
    let (plural, group) = name.split_once('.').unwrap_or((name, ""));
    let Some(known) = types.served_as(plural, group) else { return Ok(None) };
    let mut pages = pages(server, known);
    while let Some(page) = pages.try_next().await? {
        let list = ListPage::parse(&page).with_context(|_| ReadSnafu { plural })?;
        for item in &list.items {
            let object = Object::parse(item.get().as_bytes()).with_context(|_| ReadSnafu { plural })?;
            let namespace = object.namespace().unwrap_or_default();
            if !archived(known, namespace, object.name()) {
                let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
                let (kind, object) = (&known.kind, format!("{place}{}", object.name()));
                return Ok(Some(format!("it has objects that the archive lacks, {kind} {object:?} among them")));
            }
        }
    }
    Ok(None)
}
