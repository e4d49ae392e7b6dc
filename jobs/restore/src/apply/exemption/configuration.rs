//! The configurations of webhooks as they are in the cluster: read, and written under the version that was read, so that
//! nobody's write is lost.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use snafu::ResultExt;

use super::condition::{self, Added};
use super::error::{ContendedSnafu, ExemptionError, GetSnafu, ListSnafu, ParseSnafu};
use crate::api::request::Server;
use crate::apply::exemption::webhook_types::{GROUP, PLURALS};
use crate::survey::types::segment;

/// How often one that somebody else keeps changing is read and written again.
const CONFLICTS: usize = 10;

const PUT_IN: &str = "put in";
const TAKE_OUT: &str = "take out";

/// A configuration, by its type and name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Configuration {
    plural: &'static str,
    name: String,
}

impl fmt::Display for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.plural, self.name)
    }
}

#[derive(Deserialize)]
struct List {
    items: Vec<Map<String, Value>>,
}

/// Both configurations of each name, whether they are there or not.
pub(super) fn of_names(names: &[String]) -> Vec<Configuration> {
    names.iter().flat_map(|name| PLURALS.map(|plural| Configuration { plural, name: name.clone() })).collect()
}

/// Those of all configurations of the cluster that have the condition.
///
/// # Errors
///
/// Where it is not known.
pub(super) async fn with_condition(server: &Server) -> Result<Vec<Configuration>, ExemptionError> {
    let mut found = Vec::new();
    for plural in PLURALS {
        found.extend(of_type_with_condition(server, plural).await?);
    }
    Ok(found)
}

/// The same, but for a type that this user may not list: for whoever has another thing to do.
///
/// # Errors
///
/// Where it is not known for another reason.
pub(super) async fn seen_with_condition(server: &Server) -> Result<Vec<Configuration>, ExemptionError> {
    let mut found = Vec::new();
    for plural in PLURALS {
        match of_type_with_condition(server, plural).await {
            Err(ExemptionError::List { source, .. }) if source.is_forbidden() => {
                tracing::info!("{plural} are not looked at: {source}");
            }
            seen => found.extend(seen?),
        }
    }
    Ok(found)
}

/// The names of all configurations of the cluster.
///
/// # Errors
///
/// Where they cannot be listed.
pub(super) async fn all_names(server: &Server) -> Result<BTreeSet<String>, ExemptionError> {
    let mut names = BTreeSet::new();
    for plural in PLURALS {
        names.extend(list(server, plural).await?.iter().map(|item| metadata(item, "name").to_owned()));
    }
    Ok(names)
}

async fn list(server: &Server, plural: &'static str) -> Result<Vec<Map<String, Value>>, ExemptionError> {
    let listed = server.plain(Method::GET, &collection(plural), Bytes::new()).await.context(ListSnafu { plural })?;
    let List { items } = serde_json::from_slice(&listed).context(ParseSnafu { plural })?;
    Ok(items)
}

async fn of_type_with_condition(server: &Server, plural: &'static str) -> Result<Vec<Configuration>, ExemptionError> {
    let found = list(server, plural).await?.into_iter().filter_map(|mut item| {
        (condition::remove(&mut item) > 0).then(|| Configuration { plural, name: metadata(&item, "name").to_owned() })
    });
    Ok(found.collect())
}

fn collection(plural: &str) -> String {
    format!("/apis/{GROUP}/v1/{plural}")
}

fn metadata<'a>(object: &'a Map<String, Value>, member: &str) -> &'a str {
    object.get("metadata").and_then(|metadata| metadata.get(member)?.as_str()).unwrap_or_default()
}

impl Configuration {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> String {
        format!("{}/{}", collection(self.plural), segment(&self.name))
    }

    /// Reads it; none where it is not there.
    ///
    /// # Errors
    ///
    /// What the server said.
    pub(super) async fn read(&self, server: &Server) -> Result<Option<Map<String, Value>>, ExemptionError> {
        let (plural, name) = (self.plural, &self.name);
        match server.plain(Method::GET, &self.path(), Bytes::new()).await {
            Err(error) if error.is_not_found() => Ok(None),
            live => {
                let live = live.with_context(|_| GetSnafu { plural, name: name.clone() })?;
                Ok(Some(serde_json::from_slice(&live).context(ParseSnafu { plural })?))
            }
        }
    }

    /// Puts the condition into each of its webhooks that lacks it; gives what that came to, and none where the
    /// configuration is not there.
    ///
    /// # Errors
    ///
    /// What the server said.
    pub(super) async fn put_in(&self, server: &Server, expression: &str) -> Result<Option<Added>, ExemptionError> {
        self.change(server, PUT_IN, |live| {
            let added = condition::add(live, expression);
            (added.changed > 0, added)
        })
        .await
    }

    /// Takes the condition out of all of its webhooks; gives of how many.
    ///
    /// # Errors
    ///
    /// What the server said.
    pub(super) async fn take_out(&self, server: &Server) -> Result<usize, ExemptionError> {
        let taken = self.change(server, TAKE_OUT, |live| {
            let removed = condition::remove(live);
            (removed > 0, removed)
        });
        Ok(taken.await?.unwrap_or_default())
    }

    /// Changes it, where `change` says that there is something to change, as it is at that moment. A change whose answer was
    /// lost conflicts with itself, and is ours all the same.
    async fn change<T>(
        &self,
        server: &Server,
        verb: &'static str,
        change: impl Fn(&mut Map<String, Value>) -> (bool, T),
    ) -> Result<Option<T>, ExemptionError> {
        let (plural, name) = (self.plural, &self.name);
        let path = format!("{}?fieldManager={}", self.path(), condition::NAME);
        let mut tried = None;
        for _ in 0..CONFLICTS {
            let Some(mut live) = self.read(server).await? else { return Ok(None) };
            let (is_changed, what) = change(&mut live);
            if !is_changed {
                return Ok(Some(tried.unwrap_or(what)));
            }
            match server.plain(Method::PATCH, &path, patch(&live).to_string().into()).await {
                Ok(_) => return Ok(Some(what)),
                Err(error) if error.is_conflict() => tried = Some(what),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(source) => {
                    return Err(ExemptionError::Write { verb, plural, name: name.clone(), source });
                }
            }
        }
        ContendedSnafu { verb, plural, name: name.clone() }.fail()
    }
}

/// The merge patch that writes the webhooks of a configuration; refused where it is another one by now, or was changed.
fn patch(configuration: &Map<String, Value>) -> Value {
    json!({
        "metadata": {
            "uid": metadata(configuration, "uid"),
            "resourceVersion": metadata(configuration, "resourceVersion"),
        },
        "webhooks": configuration.get("webhooks"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_holds_under_the_version_that_was_read() {
        let read = json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
            "webhooks": [{"name": "w", "clientConfig": {"caBundle": "x"}}]});
        let expected = json!({"metadata": {"uid": "u", "resourceVersion": "7"},
            "webhooks": [{"name": "w", "clientConfig": {"caBundle": "x"}}]});
        assert_eq!(patch(read.as_object().unwrap()), expected);
    }

    #[test]
    fn both_configurations_of_a_name_are_meant() {
        let all: Vec<String> = of_names(&["a.io".to_owned()]).iter().map(ToString::to_string).collect();
        assert_eq!(all, ["mutatingwebhookconfigurations \"a.io\"", "validatingwebhookconfigurations \"a.io\""]);
    }
}
