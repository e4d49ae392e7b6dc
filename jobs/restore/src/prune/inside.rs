//! What lies in a Namespace that is about to be deleted, of whatever type, and was made after the restore was asked for: the
//! ResourceSet need not select it, and Kubernetes would delete it with the Namespace.
//!
//! Each Namespace is looked into by itself, right before it goes: what that costs follows from the Namespaces that are pruned,
//! which are few, and not from the size of the cluster.

use std::collections::HashSet;

use drover::exit::Chain;
use drover::listing::ListError;
use drover::object::ListPage;
use futures::{StreamExt, TryStreamExt, stream};

use super::Doubts;
use crate::api::discovery;
use crate::api::pages::pages_in;
use crate::api::request::Server;
use crate::objects::shape::Shape;
use crate::survey::types::Type;

/// Types of which nobody misses an object: Kubernetes makes them at every turn, also of the prune itself.
const OF_NO_CONCERN: [(&str, &str); 2] = [("", "events"), ("events.k8s.io", "events")];

/// The types whose objects go with their Namespace.
#[derive(Debug)]
pub(super) struct Inside {
    types: Vec<Type>,
    /// Why it is not known which they are, if it is not.
    unknown: Option<String>,
}

impl Inside {
    /// Asks the cluster which they are by now.
    pub(super) async fn find(server: &Server) -> Self {
        match discovery::served_and_unknown(server).await {
            Ok((served, unknown)) => {
                let words = |version: &String| format!("it may hold objects of {version}, whose server is away");
                Self { types: taken_along(served), unknown: unknown.first().map(words) }
            }
            Err(error) => {
                let unknown = format!("it is not known what it may hold: {}", Chain(&error));
                Self { types: Vec::new(), unknown: Some(unknown) }
            }
        }
    }

    /// Says of something in a namespace that it may have been made after the restore was asked for; none where nothing was.
    /// What cannot be seen may have been.
    pub(super) async fn look_for_new(
        &self,
        server: &Server,
        namespace: &str,
        doubts: &Doubts,
        at_once: usize,
    ) -> Option<String> {
        if self.unknown.is_some() {
            return self.unknown.clone();
        }
        // In their order, so that the same one is named each time.
        let looks = stream::iter(&self.types).map(|known| new_or_unseen(server, known, namespace, doubts));
        let looks: Vec<Option<String>> = looks.buffered(at_once).collect().await;
        looks.into_iter().flatten().next()
    }
}

/// Each type once, whatever its versions, that is deleted with its Namespace.
fn taken_along(served: Vec<Type>) -> Vec<Type> {
    let mut known = HashSet::new();
    let is_taken = |candidate: &Type| {
        let is_of_concern = !OF_NO_CONCERN.contains(&(candidate.group.as_str(), candidate.plural.as_str()));
        candidate.namespaced && candidate.deletes && is_of_concern
    };
    let taken = served.into_iter().filter(is_taken);
    taken.filter(|candidate| known.insert((candidate.group.clone(), candidate.plural.clone()))).collect()
}

async fn new_or_unseen(server: &Server, known: &Type, namespace: &str, doubts: &Doubts) -> Option<String> {
    let found = first_new(server, known, namespace, doubts).await;
    found.unwrap_or_else(|error| Some(format!("it may hold {} that cannot be seen: {}", known.plural, Chain(&error))))
}

async fn first_new(
    server: &Server,
    known: &Type,
    namespace: &str,
    doubts: &Doubts,
) -> Result<Option<String>, ListError> {
    let mut pages = pages_in(server, known, namespace);
    while let Some(page) = pages.try_next().await? {
        let Ok(list) = ListPage::parse(&page) else {
            return Ok(Some(format!("it may hold {} that cannot be read", known.plural)));
        };
        let found = list.items.iter().find_map(|item| doubt(known, item.get().as_bytes(), doubts));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Why an object may have been made after the restore was asked for. One that is being deleted goes anyway.
fn doubt(known: &Type, object: &[u8], doubts: &Doubts) -> Option<String> {
    let Ok(shape) = Shape::split(object) else {
        return Some(format!("it holds one of its {} that cannot be read", known.plural));
    };
    if shape.identity().deletion_timestamp.is_some() {
        return None;
    }
    let made = shape.metadata_text("creationTimestamp").and_then(|stamp| stamp.parse().ok());
    let why = doubts.of_what_was_made(made)?;
    Some(format!("{} {:?} lies in it: {why}", known.kind, shape.metadata_text("name").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn of(group: &str, plural: &str, version: &str) -> Type {
        let mut known = Type::for_tests(group, plural, "", true);
        version.clone_into(&mut known.resource.version);
        known
    }

    #[test]
    fn each_type_is_looked_at_once_that_goes_with_a_namespace() {
        let served = vec![
            of("a.io", "things", "v2"),
            of("a.io", "things", "v1"),
            of("", "events", "v1"),
            of("events.k8s.io", "events", "v1"),
            of("b.io", "events", "v1"),
            Type { deletes: false, ..of("metrics.k8s.io", "pods", "v1") },
            Type::for_tests("", "nodes", "", false),
            of("c.io", "things", "v1"),
        ];
        let taken: Vec<_> = taken_along(served).iter().map(|known| known.list_path(None)).collect();
        assert_eq!(taken, ["/apis/a.io/v2/things", "/apis/b.io/v1/events", "/apis/c.io/v1/things"]);
    }

    #[test]
    fn what_was_not_surely_made_before_is_named() {
        let noon: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let doubts = Doubts::new(BTreeSet::new(), Some(noon), noon);
        let known = Type::for_tests("", "configmaps", "ConfigMap", true);
        let said =
            |metadata: serde_json::Value| doubt(&known, json!({"metadata": metadata}).to_string().as_bytes(), &doubts);
        assert_eq!(said(json!({"name": "a", "creationTimestamp": "2026-11-23T11:59:59Z"})), None);
        let new = said(json!({"name": "a", "creationTimestamp": "2026-11-23T12:00:00Z"})).unwrap();
        assert!(
            new.starts_with("ConfigMap \"a\" lies in it: it was made at 2026-11-23T12:00:00Z, and not before"),
            "{new}"
        );
        assert!(said(json!({"name": "a"})).is_some_and(|said| said.contains("does not say when")));
        let leaving = json!({"creationTimestamp": "2026-11-23T12:00:00Z", "deletionTimestamp": "2026-11-23T12:00:01Z"});
        assert_eq!(said(leaving), None);
        assert!(doubt(&known, b"7", &doubts).is_some_and(|said| said.contains("cannot be read")));
    }
}
