//! The types of an archive's objects, as far as the cluster or the archive itself says what they are.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use drover::archive::{Key, TypeName};
use drover::selection::ResourceType;
pub(crate) use drover::selection::segment;

use crate::objects::compare::StatusRule;
use crate::objects::definitions::{self, Definition};
use crate::objects::order::Rank;
use crate::objects::server_owned::is_status_observed;
use crate::objects::shape::Kind;

/// A type that the cluster serves, or that a definition of the archive will make it serve.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Type {
    /// The type as selection knows it.
    pub(crate) resource: ResourceType,
    /// What becomes of the status.
    pub(crate) status: StatusRule,
    /// Whether its objects can be deleted, so that they go with their Namespace.
    pub(crate) deletes: bool,
    /// Whether it has a count of replicas that can be scaled, the subresource `scale`.
    pub(crate) scales: bool,
    /// Whether the cluster serves it now.
    pub(crate) served: bool,
}

impl Deref for Type {
    type Target = ResourceType;

    fn deref(&self) -> &ResourceType {
        &self.resource
    }
}

impl Type {
    /// Whether it is the type of definitions.
    pub(crate) fn is_definition(&self) -> bool {
        self.group == definitions::GROUP && self.plural == definitions::PLURAL
    }

    /// Whether its objects hand requests over to other servers, or judge them.
    pub(crate) fn is_registration(&self) -> bool {
        self.rank() == Rank::Registration
    }

    /// Whether its objects come neither first nor last.
    pub(crate) fn is_of_the_rest(&self) -> bool {
        !self.is_definition() && !self.is_registration()
    }

    /// Where the type stands in the order of writing.
    pub(crate) fn rank(&self) -> Rank {
        Rank::of(&self.group, &self.plural, self.namespaced)
    }

    /// The path of an object; its namespace is empty where it has none.
    pub(crate) fn object(&self, namespace: &str, name: &str) -> String {
        self.object_path(Some(namespace), name)
    }

    /// The type as archives name it.
    pub(crate) fn type_name(&self) -> TypeName {
        TypeName { plural: self.plural.clone(), group: self.group.clone(), version: self.version.clone() }
    }

    /// Which object of the type it is, as results name it; of the cluster where the namespace is empty.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> Key {
        let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
        Key { type_name: self.type_name(), namespace, name: name.to_owned() }
    }

    fn defined_by(definition: &Definition) -> impl Iterator<Item = Self> {
        let spec = &definition.spec;
        spec.versions.iter().filter(|version| version.served).map(|version| Self {
            resource: ResourceType {
                group: spec.group.clone(),
                version: version.name.clone(),
                plural: spec.names.plural.clone(),
                kind: spec.names.kind.clone(),
                namespaced: spec.scope == "Namespaced",
                can_list: true,
                can_get: true,
            },
            status: status_rule(&spec.group, version.has_status()),
            deletes: true,
            scales: version.scales(),
            served: false,
        })
    }
}

/// What becomes of the status of a type's objects.
pub(crate) fn status_rule(group: &str, has_subresource: bool) -> StatusRule {
    match (is_status_observed(group), has_subresource) {
        (true, _) => StatusRule::Observed,
        (false, true) => StatusRule::Subresource,
        (false, false) => StatusRule::Plain,
    }
}

/// Every type that is known, found by plural name and by kind.
#[derive(Debug, Default)]
pub(crate) struct Types {
    all: Vec<Arc<Type>>,
    by_plural: HashMap<(String, String, String), Arc<Type>>,
    by_kind: HashMap<(String, String), Arc<Type>>,
}

impl Types {
    /// What the cluster serves, and beside it what definitions of the archive define; what is served counts first.
    ///
    /// Of several versions of a type the first is found by kind: the order of `served` is the cluster's preference.
    pub(crate) fn new(served: Vec<Type>, definitions: &[Definition]) -> Self {
        let mut types = Self::default();
        for known in served.into_iter().chain(definitions.iter().flat_map(Type::defined_by)) {
            types.add(known);
        }
        types
    }

    fn add(&mut self, candidate: Type) {
        let plural = (candidate.plural.clone(), candidate.group.clone(), candidate.version.clone());
        if self.by_plural.contains_key(&plural) {
            return;
        }
        let kind = (candidate.group.clone(), candidate.kind.clone());
        let candidate = Arc::new(candidate);
        self.by_kind.entry(kind).or_insert_with(|| Arc::clone(&candidate));
        self.all.push(Arc::clone(&candidate));
        self.by_plural.insert(plural, candidate);
    }

    /// All types, of several versions of a group those of the preferred one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Type>> {
        self.all.iter()
    }

    /// The type of that plural name.
    pub(crate) fn by_plural(&self, plural: &str, group: &str, version: &str) -> Option<&Arc<Type>> {
        let key = (plural.to_owned(), group.to_owned(), version.to_owned());
        self.by_plural.get(&key)
    }

    /// The type of that plural name as the cluster serves it, in whichever version.
    pub(crate) fn served_as(&self, plural: &str, group: &str) -> Option<&Arc<Type>> {
        let is_it = |known: &&Arc<Type>| known.served && known.plural == plural && known.group == group;
        self.iter().filter(is_it).min_by(|one, other| one.version.cmp(&other.version))
    }

    /// The type of that kind, in whichever version.
    pub(crate) fn by_kind(&self, kind: Kind<'_>) -> Option<&Arc<Type>> {
        // An apiVersion without a slash is a version of the core group.
        let group = kind.api_version.split_once('/').map_or("", |(group, _)| group);
        self.by_kind.get(&(group.to_owned(), kind.kind.to_owned()))
    }
}

#[cfg(test)]
impl Type {
    /// A type that the cluster serves in `v1`, can list and read, and cannot scale.
    pub(crate) fn for_tests(group: &str, plural: &str, kind: &str, namespaced: bool) -> Self {
        let resource = ResourceType {
            group: group.to_owned(),
            version: "v1".to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            namespaced,
            can_list: true,
            can_get: true,
        };
        Self { resource, status: status_rule(group, false), deletes: true, scales: false, served: true }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets() -> Type {
        Type::for_tests("", "secrets", "Secret", true)
    }

    fn definition() -> Definition {
        serde_json::from_value(json!({"spec": {
            "group": "a.io", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {"name": "v2", "served": true,
                    "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas"}}},
                {"name": "v1", "served": false},
            ],
        }}))
        .unwrap()
    }

    #[test]
    fn definitions_of_the_archive_are_known_but_not_served() {
        let types = Types::new(vec![secrets()], &[definition()]);
        let thing = types.by_plural("things", "a.io", "v2").unwrap();
        assert_eq!((thing.served, thing.namespaced, thing.status), (false, false, StatusRule::Subresource));
        assert!(thing.scales);
        assert!(types.by_plural("things", "a.io", "v1").is_none());
        assert_eq!(types.by_kind(Kind { api_version: "a.io/v1", kind: "Thing" }), Some(thing));
        assert!(types.by_kind(Kind { api_version: "v1", kind: "Thing" }).is_none());
    }

    #[test]
    fn what_is_served_counts_first() {
        let mut live = Type { served: true, ..Type::defined_by(&definition()).next().unwrap() };
        live.resource.namespaced = true;
        let types = Types::new(vec![live.clone()], &[definition()]);
        assert_eq!(types.by_plural("things", "a.io", "v2").map(Arc::as_ref), Some(&live));
    }

    #[test]
    fn paths() {
        let thing = Type::defined_by(&definition()).next().unwrap();
        assert_eq!(secrets().object("a", "b"), "/api/v1/namespaces/a/secrets/b");
        assert_eq!(thing.object("", "u-1:view"), "/apis/a.io/v2/things/u-1:view");
        assert_eq!(thing.object("", "../a?b%c#d"), "/apis/a.io/v2/things/..%2Fa%3Fb%25c%23d");
    }
}
