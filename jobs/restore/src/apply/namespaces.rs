//! The namespaces that the archive's objects lie in: where one is missing it is made, and where one is on its way out it
//! is waited for, since nothing can be created in it and all that is seen in it will be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover::api::RequestError;
use drover::archive::Key;
use drover::exit::{Exit, Fault};
use drover::listing::ListError;
use drover::object::{ListPage, ParseError};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use snafu::{ResultExt, Snafu};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::pages::pages;
use crate::api::request::Server;
use crate::objects::shape::Shape;
use crate::plan::Plan;
use crate::report::again::Again;
use crate::report::outcome::{Outcome, Outside, Result as ObjectResult};
use crate::report::progress::Gauge;
use crate::survey::archive::facts::{Facts, OwnerIndex, Position};
use crate::survey::types::Type;

/// How long namespaces that are being deleted may take to go, all together.
const GONE_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(500);
/// Namespaces looked at, and made, at the same time.
const REQUESTS_AT_ONCE: usize = 16;

const MADE: &str = "made: the archive has objects in it and no Namespace object";

/// Why it is not known whether the namespaces are there.
#[derive(Debug, Snafu)]
pub(crate) enum NamespacesError {
    #[snafu(transparent)]
    List { source: ListError },
    #[snafu(display("failed to read the server's list of namespaces"))]
    ReadList { source: ParseError },
    #[snafu(display("failed to read a namespace that the server sent"))]
    ReadOne { source: serde_json::Error },
    #[snafu(display("failed to see whether the namespace {name:?}, which is being deleted, is gone"))]
    Look { name: String, source: RequestError },
    #[snafu(display("failed to make the namespace {name:?}, which objects of the archive lie in"))]
    Make { name: String, source: RequestError },
}

impl Fault for NamespacesError {
    fn exit(&self) -> Exit {
        match self {
            Self::List { source } => source.exit(),
            Self::Look { source, .. } | Self::Make { source, .. } => source.exit(),
            Self::ReadList { .. } | Self::ReadOne { .. } => Exit::Failure,
        }
    }
}

/// What is known of a live namespace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Seen {
    uid: String,
    /// Whether it is being deleted.
    leaves: bool,
    /// What keeps one that is being deleted, in Kubernetes' words.
    troubles: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    status: String,
    message: String,
}

impl Seen {
    fn of(shape: &Shape<'_>) -> Self {
        let identity = shape.identity();
        let status = shape.member("status").and_then(|status| serde_json::from_str::<Status>(status.get()).ok());
        // Each condition of a namespace is the name of a trouble.
        let troubles = status.unwrap_or_default().conditions.into_iter().filter(|condition| condition.status == "True");
        let troubles = troubles.map(|condition| condition.message).filter(|message| !message.is_empty()).collect();
        Self { uid: identity.uid, leaves: identity.deletion_timestamp.is_some(), troubles }
    }

    /// What keeps it.
    fn keeps(&self) -> String {
        match self.troubles.as_slice() {
            [] => "Kubernetes does not say what keeps it".to_owned(),
            troubles => troubles.join("; "),
        }
    }
}

/// What the archive's objects need of namespaces.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Needs {
    /// Those that neither cluster nor archive has.
    missing: Vec<String>,
    /// Those that are being deleted.
    leaving: BTreeMap<String, Seen>,
    /// Those of `leaving` that the archive does not bring back.
    without_object: BTreeSet<String>,
}

/// How the needs were met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// Those that were made, or that the server refused to make.
    made: Vec<Outside>,
    /// Those that were being deleted and are gone.
    gone: BTreeSet<String>,
    /// Those that are still being deleted, each with what is to be said of its objects.
    stuck: BTreeMap<String, Arc<str>>,
}

/// The namespaces that objects which are to be there after the restore lie in.
pub(crate) fn needed<'a>(facts: &'a Facts, plan: &Plan) -> BTreeSet<&'a str> {
    let restored = facts.positions().filter(|position| plan.restores(facts, *position));
    restored.filter_map(|position| facts.namespace_of(position)).collect()
}

impl Needs {
    /// Looks at the live namespaces.
    ///
    /// # Errors
    ///
    /// Where they cannot be looked at.
    pub(crate) async fn survey(
        server: &Server,
        namespaces: &Type,
        facts: &Facts,
        plan: &Plan,
    ) -> Result<Self, NamespacesError> {
        let mut live = BTreeMap::new();
        let mut pages = pages(server, namespaces);
        while let Some(page) = pages.try_next().await? {
            for item in &ListPage::parse(&page).context(ReadListSnafu)?.items {
                let shape = Shape::split(item.get().as_bytes()).context(ReadOneSnafu)?;
                live.insert(shape.metadata_text("name").unwrap_or_default().into_owned(), Seen::of(&shape));
            }
        }
        let is_archived =
            |name: &str| facts.find_namespace(name).is_some_and(|position| plan.restores(facts, position));
        Ok(Self::new(live, &needed(facts, plan), is_archived))
    }

    fn new(live: BTreeMap<String, Seen>, needed: &BTreeSet<&str>, is_archived: impl Fn(&str) -> bool) -> Self {
        let missing = needed.iter().filter(|name| !live.contains_key(**name) && !is_archived(name));
        let missing = missing.map(|name| (*name).to_owned()).collect();
        let is_needed = |name: &str| needed.contains(name) || is_archived(name);
        let leaving: BTreeMap<String, Seen> =
            live.into_iter().filter(|(name, seen)| seen.leaves && is_needed(name)).collect();
        let without_object = leaving.keys().filter(|name| !is_archived(name)).cloned().collect();
        Self { missing, leaving, without_object }
    }

    /// The namespaces that would be made.
    pub(crate) fn foreseen(&self) -> Vec<Outside> {
        let names = self.missing.iter().chain(&self.without_object);
        names.map(|name| outside(name, ObjectResult::new(Outcome::Created, MADE.to_owned()))).collect()
    }

    /// The namespaces that would be waited for.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = &str> {
        self.leaving.keys().map(String::as_str)
    }

    /// Waits and makes. When `shutdown` is cancelled, nothing more is done.
    ///
    /// # Errors
    ///
    /// Where the server does not answer, or does not say whether a namespace is gone.
    pub(crate) async fn meet(
        self,
        server: &Server,
        again: Again,
        gauge: &Arc<Gauge>,
        shutdown: &CancellationToken,
    ) -> Result<Met, NamespacesError> {
        let Self { mut missing, leaving, without_object } = self;
        let all: BTreeSet<String> = leaving.keys().cloned().collect();
        let stuck = wait(server, leaving, gauge, shutdown).await?;
        if shutdown.is_cancelled() {
            return Ok(Met::default());
        }
        let gone: BTreeSet<String> = all.into_iter().filter(|name| !stuck.contains_key(name)).collect();
        missing.extend(without_object.intersection(&gone).cloned());
        let made = stream::iter(missing).map(|name| make(server, name)).buffered(REQUESTS_AT_ONCE);
        let made: Vec<Option<Outside>> = made.try_collect().await?;
        let stuck = stuck.into_iter().map(|(name, seen)| (hindrance(&name, &seen, again).into(), name));
        let stuck = stuck.map(|(reason, name)| (name, reason)).collect();
        Ok(Met { made: made.into_iter().flatten().collect(), gone, stuck })
    }
}

impl Met {
    /// Changes a plan that was made before: what was seen in a namespace that is gone does not hold any more, and
    /// nothing can be written into one that is still being deleted.
    pub(crate) fn revise(&self, facts: &Facts, plan: &mut Plan) {
        if self.gone.is_empty() && self.stuck.is_empty() {
            return;
        }
        let places: Vec<(Position, &str)> = self.places(facts).collect();
        for (position, namespace) in places {
            if !plan.restores(facts, position) {
                continue;
            }
            match self.stuck.get(namespace) {
                Some(reason) => plan.hinder(position, reason),
                None => plan.look_again(position),
            }
        }
    }

    /// The Namespaces, and what lies in them.
    fn places<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = (Position, &'a str)> {
        let names = self.gone.iter().chain(self.stuck.keys());
        let themselves = names.filter_map(|name| Some((facts.find_namespace(name)?, name.as_str())));
        let lie_in = facts.positions().filter_map(|position| Some((position, facts.namespace_of(position)?)));
        themselves.chain(lie_in.filter(|(_, name)| self.gone.contains(*name) || self.stuck.contains_key(*name)))
    }

    /// The owners that are gone with their namespaces, or will be.
    pub(crate) fn lost_owners<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = OwnerIndex> + use<'a> {
        let owners = (0..).zip(facts.owners());
        let lost = owners.filter(|(_, owner)| {
            let is_namespace = owner.kind.group.is_empty() && owner.kind.plural == "namespaces";
            let namespace = if is_namespace { &owner.name } else { &owner.namespace };
            self.gone.contains(namespace) || self.stuck.contains_key(namespace)
        });
        lost.map(|(index, _)| index)
    }

    /// What became of namespaces that the archive does not hold.
    pub(crate) fn take_made(&mut self) -> Vec<Outside> {
        std::mem::take(&mut self.made)
    }
}

/// Waits until the namespaces are gone, and gives those that are not when the time is over.
async fn wait(
    server: &Server,
    mut leaving: BTreeMap<String, Seen>,
    gauge: &Arc<Gauge>,
    shutdown: &CancellationToken,
) -> Result<BTreeMap<String, Seen>, NamespacesError> {
    if !leaving.is_empty() {
        let names: Vec<&str> = leaving.keys().map(String::as_str).collect();
        tracing::info!("waiting for namespaces that are being deleted: {}", names.join(", "));
    }
    let deadline = Instant::now() + GONE_WITHIN;
    while !leaving.is_empty() && Instant::now() < deadline && !shutdown.is_cancelled() {
        let first = leaving.first_key_value().map(|(name, seen)| waited_for(name, seen));
        let _wait = first.map(|first| gauge.wait(first));
        tokio::time::sleep(PAUSE).await;
        let looks =
            stream::iter(leaving).map(|(name, seen)| look(server, name, seen)).buffer_unordered(REQUESTS_AT_ONCE);
        let looks: Vec<Option<(String, Seen)>> = looks.try_collect().await?;
        leaving = looks.into_iter().flatten().collect();
    }
    Ok(leaving)
}

/// What a namespace is now; none where it is gone, and also where there is another of its name already.
async fn look(server: &Server, name: String, before: Seen) -> Result<Option<(String, Seen)>, NamespacesError> {
    match server.get(&format!("/api/v1/namespaces/{name}")).await {
        Err(error) if error.is_not_found() => Ok(None),
        Err(source) => Err(NamespacesError::Look { name, source }),
        Ok(live) => {
            let now = Seen::of(&Shape::split(&live).context(ReadOneSnafu)?);
            Ok((now.uid == before.uid).then_some((name, now)))
        }
    }
}

/// Makes a namespace; none where somebody else was quicker.
async fn make(server: &Server, name: String) -> Result<Option<Outside>, NamespacesError> {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    match server.create("/api/v1/namespaces", body.to_string().into_bytes()).await {
        Ok(_) => Ok(Some(outside(&name, ObjectResult::new(Outcome::Created, MADE.to_owned())))),
        Err(error) if error.is_already_exists() => Ok(None),
        Err(source) if source.is_unreachable() => Err(NamespacesError::Make { name, source }),
        Err(source) => {
            let error = NamespacesError::Make { name: name.clone(), source };
            Ok(Some(outside(&name, ObjectResult::failed(&error))))
        }
    }
}

fn outside(name: &str, result: ObjectResult) -> Outside {
    let type_name =
        drover::archive::TypeName { plural: "namespaces".to_owned(), group: String::new(), version: "v1".to_owned() };
    Outside { key: Key { type_name, namespace: None, name: name.to_owned() }, result }
}

fn hindrance(name: &str, seen: &Seen, again: Again) -> String {
    format!(
        "the namespace {name:?} is being deleted and still there after {} s: {}; when it is gone, {again}",
        GONE_WITHIN.as_secs(),
        seen.keeps()
    )
}

/// What is said while a namespace is waited for.
fn waited_for(name: &str, seen: &Seen) -> String {
    format!("the namespace {name:?} to go, which is being deleted: {}", seen.keeps())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(names: &[(&str, bool)]) -> BTreeMap<String, Seen> {
        let seen = |leaves| Seen { leaves, ..Seen::default() };
        names.iter().map(|(name, leaves)| ((*name).to_owned(), seen(*leaves))).collect()
    }

    /// `live` with whether it is being deleted; missing, waited for, and of these made afterwards.
    #[track_caller]
    fn check(live_ones: &[(&str, bool)], needed: &[&str], archived: &[&str], expected: [&[&str]; 3]) {
        let needs = Needs::new(live(live_ones), &needed.iter().copied().collect(), |name| archived.contains(&name));
        let missing: Vec<&str> = needs.missing.iter().map(String::as_str).collect();
        let without: Vec<&str> = needs.without_object.iter().map(String::as_str).collect();
        assert_eq!([missing, needs.leaving().collect(), without], expected.map(<[&str]>::to_vec));
    }

    #[test]
    fn what_is_made_and_what_is_waited_for() {
        check(&[("a", false)], &["a"], &[], [&[], &[], &[]]);
        check(&[], &["a"], &["a"], [&[], &[], &[]]);
        check(&[], &["a", "b"], &["b"], [&["a"], &[], &[]]);
        check(&[("a", true)], &["a"], &["a"], [&[], &["a"], &[]]);
        check(&[("a", true)], &["a"], &[], [&[], &["a"], &["a"]]);
        check(&[("a", true)], &[], &["a"], [&[], &["a"], &[]]);
        check(&[("a", true)], &["b"], &[], [&["b"], &[], &[]]);
    }

    #[test]
    fn troubles_are_the_messages_of_conditions_that_are_true() {
        let object = json!({"metadata": {"uid": "1", "deletionTimestamp": "t"}, "status": {"conditions": [
            {"type": "NamespaceContentRemaining", "status": "True", "message": "some remain"},
            {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "all deleted"},
            {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "x.io/y in 1 of them"},
        ]}});
        let seen = Seen::of(&Shape::split(object.to_string().as_bytes()).unwrap());
        assert!(seen.leaves);
        let reason = hindrance("a", &seen, Again::Restore);
        assert!(
            reason.contains("after 60 s: some remain; x.io/y in 1 of them; when it is gone, delete this"),
            "{reason}"
        );
    }

    #[test]
    fn a_namespace_that_says_nothing_is_told_of_all_the_same() {
        let seen = Seen::of(&Shape::split(b"{}").unwrap());
        assert_eq!(seen, Seen::default());
        assert!(hindrance("a", &seen, Again::Restore).contains("Kubernetes does not say"));
    }
}
