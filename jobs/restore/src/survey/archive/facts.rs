//! What a restore has to know of every object of the archive at once: a few bytes for each, never the object.

pub(crate) mod position;
mod relations;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

pub(crate) use self::position::{Place, Position};
use crate::objects::order;
use crate::objects::server_owned::leave_to_server;
use crate::objects::shape::{Kind, Shape};
use crate::objects::special_case::{SpecialCase, Subject};
use crate::objects::special_cases::special_case;
use crate::survey::archive::twins::Twins;
use crate::survey::ground::Ground;
use crate::survey::types::{Type, Types};

/// An owner, by its position among all owners that the archive's objects name.
pub(crate) type OwnerIndex = u32;

/// What is remembered of one object of the archive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Position of the type among the archive's types.
    pub(crate) type_index: u16,
    /// How it is special, if it is.
    pub(crate) case: Option<&'static SpecialCase>,
    /// Position in [`Facts::namespaces`]; none for an object without one.
    namespace: Option<u32>,
}

/// An owner that at least one object of the archive names.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Its type.
    pub(crate) kind: Arc<Type>,
    /// Empty where it has no namespace.
    pub(crate) namespace: String,
    /// Name.
    pub(crate) name: String,
    /// Where it is in the archive, if it is.
    pub(crate) position: Option<Position>,
}

/// What is known of all objects of an archive.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// For each of the archive's types what is known of it.
    types: Vec<Option<Arc<Type>>>,
    entries: Vec<Entry>,
    namespaces: Vec<String>,
    /// Objects that the archive holds in another version as well, which is the one that is written.
    twins: HashMap<Position, Position>,
    /// Keyed with this process' own key, so that nobody can make two names collide. A collision costs nothing but time:
    /// the second object is taken for missing, and the server then says that it is not.
    hasher: RandomState,
    positions: HashMap<u64, Position>,
    owners: Vec<Owner>,
    owner_at: HashMap<Position, OwnerIndex>,
    /// For whom controllers are held down.
    holder: String,
    references: HashMap<Position, Box<[Option<OwnerIndex>]>>,
}

impl Facts {
    /// What is known of the archive's type of that position.
    pub(crate) fn type_at(&self, index: u16) -> Option<&Arc<Type>> {
        self.types.get(usize::from(index)).and_then(Option::as_ref)
    }

    /// The namespace that an object lies in, if it does in one.
    pub(crate) fn namespace_of(&self, position: Position) -> Option<&str> {
        self.entry(position).namespace.map(|index| self.namespaces[index as usize].as_str())
    }

    /// Where in the archive the Namespace of that name is.
    pub(crate) fn find_namespace(&self, name: &str) -> Option<Position> {
        let is_namespaces = |known: &Option<Arc<Type>>| known.as_deref().is_some_and(is_namespaces);
        let type_index = u16::try_from(self.types.iter().position(is_namespaces)?).ok()?;
        self.find(Place { type_index, namespace: "", name })
    }

    /// Where the object is that is written in place of this one: the same, in another version of its type.
    pub(crate) fn twin(&self, position: Position) -> Option<Position> {
        self.twins.get(&position).copied()
    }

    /// What is remembered of an object.
    pub(crate) fn entry(&self, position: Position) -> &Entry {
        &self.entries[position as usize]
    }

    /// What is special about an object that is written all the same; empty where nothing is.
    pub(crate) fn note(&self, position: Position) -> &'static str {
        self.entry(position).case.map_or("", |case| case.note(true))
    }

    /// What is special about an object that is as it should be, so that nothing of it is written; empty where nothing is.
    pub(crate) fn note_of_unchanged(&self, position: Position) -> &'static str {
        self.entry(position).case.map_or("", |case| case.note(false))
    }

    /// The object as it is wanted where `live` is there, if it is not wanted as the archive has it.
    ///
    /// # Errors
    ///
    /// Where one of the two is not a JSON object or is nested more than 128 deep.
    pub(crate) fn changed(
        &self,
        position: Position,
        object: &[u8],
        live: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let entry = self.entry(position);
        let special = entry.case.map(|case| case.change(object, live, &self.holder)).transpose()?.flatten();
        let Some(known) = self.type_at(entry.type_index) else { return Ok(special) };
        let left = leave_to_server((&known.group, &known.plural), special.as_deref().unwrap_or(object), live);
        Ok(left.or(special))
    }

    /// All positions.
    pub(crate) fn positions(&self) -> std::ops::Range<Position> {
        0..order::position(self.entries.len())
    }

    /// How many objects the archive has.
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where in the archive an object is.
    pub(crate) fn find(&self, place: Place<'_>) -> Option<Position> {
        self.positions.get(&self.hash(place)).copied()
    }

    /// Where in the archive the object of that type, given as group and plural name, is written from.
    pub(crate) fn find_of(&self, kind: (&str, &str), namespace: &str, name: &str) -> Option<Position> {
        let is_it = |known: &Type| (known.group.as_str(), known.plural.as_str()) == kind;
        let mut of_type = (0..).zip(&self.types).filter(|(_, known)| known.as_deref().is_some_and(is_it));
        let position = of_type.find_map(|(type_index, _)| self.find(Place { type_index, namespace, name }))?;
        Some(self.twin(position).unwrap_or(position))
    }

    /// All owners that the archive's objects name.
    pub(crate) fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// The owner that an object of the archive is, if any other names it.
    pub(crate) fn owner_at(&self, position: Position) -> Option<OwnerIndex> {
        self.owner_at.get(&position).copied()
    }

    /// For each owner that the object names which one it is; none for one of an unknown kind or out of reach.
    pub(crate) fn references(&self, position: Position) -> &[Option<OwnerIndex>] {
        self.references.get(&position).map_or(&[], |references| references)
    }

    /// Whether the object lies in a namespace although its type has none, or the other way round.
    pub(crate) fn is_misplaced(&self, position: Position) -> bool {
        let entry = self.entry(position);
        self.type_at(entry.type_index).is_some_and(|known| known.namespaced != entry.namespace.is_some())
    }

    fn hash(&self, place: Place<'_>) -> u64 {
        self.hasher.hash_one((place.type_index, place.namespace, place.name))
    }
}

fn is_namespaces(known: &Type) -> bool {
    known.group.is_empty() && known.plural == "namespaces"
}

/// Gathers [`Facts`], object by object.
#[derive(Debug)]
pub(crate) struct Gathering<'a> {
    known: &'a Types,
    ground: &'a Ground,
    facts: Facts,
    twins: Twins,
    namespace_index: HashMap<String, u32>,
    owner_index: HashMap<(String, String, String, String), Option<OwnerIndex>>,
}

impl<'a> Gathering<'a> {
    /// Begins with the archive's types, in the archive's order, each as (plural, group, version).
    pub(crate) fn new<'t>(
        known: &'a Types,
        ground: &'a Ground,
        types: impl Iterator<Item = (&'t str, &'t str, &'t str)>,
    ) -> Self {
        let types = types.map(|(plural, group, version)| known.by_plural(plural, group, version).cloned());
        let facts = Facts { types: types.collect(), holder: ground.holder().to_owned(), ..Facts::default() };
        let twins = Twins::new(&facts.types);
        Self { known, ground, facts, twins, namespace_index: HashMap::new(), owner_index: HashMap::new() }
    }

    /// Adds the next object of the archive; its position is the number of those before it.
    ///
    /// # Errors
    ///
    /// Where the bytes are no object; the reader of archives lets none through.
    pub(crate) fn add(&mut self, place: Place<'_>, object: &[u8]) -> Result<(), serde_json::Error> {
        let shape = Shape::split(object)?;
        let position = order::position(self.facts.entries.len());
        let case = self.facts.type_at(place.type_index).and_then(|known| {
            let (group, plural) = (known.group.as_str(), known.plural.as_str());
            let (namespace, name, ground) = (place.namespace, place.name, self.ground);
            special_case(&Subject { group, plural, namespace, name, shape: &shape, ground })
        });
        let namespace = (!place.namespace.is_empty()).then(|| self.namespace(place.namespace));
        self.facts.entries.push(Entry { type_index: place.type_index, case, namespace });
        let hash = self.facts.hash(place);
        self.facts.positions.entry(hash).or_insert(position);
        self.twins.add(place, position);
        let references = shape.owner_references();
        if !references.is_empty() {
            let owners = references.iter().map(|reference| {
                let kind = Kind { api_version: &reference.api_version, kind: &reference.kind };
                self.owner(kind, place.namespace, &reference.name)
            });
            let owners = owners.collect();
            self.facts.references.insert(position, owners);
        }
        Ok(())
    }

    /// Ends: now every owner can be found.
    pub(crate) fn finish(mut self) -> Facts {
        let twins = std::mem::take(&mut self.twins);
        self.facts.twins = twins.finish(|type_index| self.is_preferred(type_index));
        let by_kind = self.indexes_by_kind();
        let find = |owner: &Owner| {
            let key = (owner.kind.group.as_str(), owner.kind.kind.as_str());
            let indexes = by_kind.get(&key).map_or(&[][..], Vec::as_slice);
            indexes.iter().find_map(|&type_index| {
                self.facts.find(Place { type_index, namespace: &owner.namespace, name: &owner.name })
            })
        };
        let find = |owner: &Owner| find(owner).map(|position| self.facts.twin(position).unwrap_or(position));
        let found: Vec<Option<Position>> = self.facts.owners.iter().map(find).collect();
        for (index, position) in found.into_iter().enumerate() {
            self.facts.owners[index].position = position;
            self.facts.owner_at.extend(position.map(|position| (position, order::position(index))));
        }
        self.facts
    }

    /// Whether the cluster names this version first among those of the type.
    fn is_preferred(&self, type_index: u16) -> bool {
        let Some(known) = self.facts.type_at(type_index) else { return false };
        let kind = Kind { api_version: &known.api_version(), kind: &known.kind };
        self.known.by_kind(kind).is_some_and(|first| first.version == known.version)
    }

    /// The archive's types by group and kind: an archive may hold several versions of one.
    fn indexes_by_kind(&self) -> HashMap<(&str, &str), Vec<u16>> {
        let mut indexes: HashMap<(&str, &str), Vec<u16>> = HashMap::new();
        for (type_index, known) in (0_u16..).zip(&self.facts.types) {
            if let Some(known) = known {
                indexes.entry((&known.group, &known.kind)).or_default().push(type_index);
            }
        }
        indexes
    }

    fn namespace(&mut self, name: &str) -> u32 {
        if let Some(index) = self.namespace_index.get(name) {
            return *index;
        }
        let index = order::position(self.facts.namespaces.len());
        self.facts.namespaces.push(name.to_owned());
        self.namespace_index.insert(name.to_owned(), index);
        index
    }

    /// An owner lies in the namespace of what it owns, or in none. For an object without a namespace, an owner that
    /// lies in one is out of reach: Kubernetes forbids it.
    fn owner(&mut self, kind: Kind<'_>, namespace: &str, name: &str) -> Option<OwnerIndex> {
        let known = self.known.by_kind(kind)?;
        if known.namespaced && namespace.is_empty() {
            return None;
        }
        let namespace = if known.namespaced { namespace } else { "" };
        let key = (known.group.clone(), known.kind.clone(), namespace.to_owned(), name.to_owned());
        *self.owner_index.entry(key).or_insert_with(|| {
            let index = order::position(self.facts.owners.len());
            self.facts.owners.push(Owner {
                kind: Arc::clone(known),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                position: None,
            });
            Some(index)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Types {
        let served = vec![
            Type::for_tests("", "namespaces", "Namespace", false),
            Type::for_tests("", "secrets", "Secret", true),
            Type::for_tests("a.io", "things", "Thing", false),
        ];
        Types::new(served, &[])
    }

    fn owned_by(api_version: &str, kind: &str, name: &str) -> String {
        let owner = format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","name":"{name}","uid":"old"}}"#);
        format!(r#"{{"metadata":{{"ownerReferences":[{owner}]}}}}"#)
    }

    /// Types: 0 secrets, 1 namespaces, 2 things, 3 unknown.
    fn gather(objects: &[(u16, &str, &str, String)]) -> Facts {
        let types = [("secrets", "", "v1"), ("namespaces", "", "v1"), ("things", "a.io", "v1"), ("x", "b.io", "v1")];
        let known = known();
        let ground = Ground::default();
        let mut gathering = Gathering::new(&known, &ground, types.into_iter());
        for (type_index, namespace, name, object) in objects {
            gathering.add(Place { type_index: *type_index, namespace, name }, object.as_bytes()).unwrap();
        }
        gathering.finish()
    }

    #[test]
    fn objects_are_found_by_type_namespace_and_name() {
        let facts = gather(&[(0, "a", "b", "{}".into()), (0, "b", "b", "{}".into()), (2, "", "b", "{}".into())]);
        let find = |type_index, namespace, name| facts.find(Place { type_index, namespace, name });
        assert_eq!([find(0, "a", "b"), find(0, "b", "b"), find(2, "", "b")], [Some(0), Some(1), Some(2)]);
        assert_eq!([find(0, "c", "b"), find(0, "", "b"), find(2, "a", "b")], [None; 3]);
    }

    #[test]
    fn owners_lie_in_the_same_namespace_or_in_none() {
        let facts = gather(&[
            (0, "a", "owned", owned_by("v1", "Secret", "owner")),
            (0, "b", "owner", "{}".into()),
            (0, "a", "owner", "{}".into()),
            (0, "a", "far", owned_by("a.io/v9", "Thing", "t")),
            (2, "", "t", owned_by("v1", "Secret", "owner")),
        ]);
        assert_eq!(facts.references(0), [Some(0)]);
        assert_eq!(facts.owners()[0].position, Some(2));
        assert_eq!(facts.owner_at(2), Some(0));
        assert_eq!(facts.references(3), [Some(1)]);
        assert_eq!(facts.owners()[1].position, Some(4));
        assert_eq!(facts.references(4), [None]);
    }

    #[test]
    fn an_owner_outside_of_the_archive_is_named_once() {
        let facts = gather(&[
            (0, "a", "x", owned_by("a.io/v1", "Thing", "t")),
            (0, "b", "y", owned_by("a.io/v1", "Thing", "t")),
            (0, "b", "z", owned_by("b.io/v1", "Unknown", "t")),
        ]);
        assert_eq!(facts.owners().len(), 1);
        assert_eq!(facts.owners()[0].position, None);
        assert_eq!(facts.references(2), [None]);
    }

    #[test]
    fn what_lies_in_a_namespace_with_an_owner_waits_for_it() {
        let facts = gather(&[
            (0, "late", "x", "{}".into()),
            (1, "", "late", owned_by("a.io/v1", "Thing", "t")),
            (2, "", "t", owned_by("a.io/v1", "Thing", "root")),
            (2, "", "root", "{}".into()),
            (1, "", "early", "{}".into()),
        ]);
        assert_eq!(facts.order().stages, [vec![4], vec![3], vec![2], vec![1], vec![0]]);
    }

    #[test]
    fn misplaced_objects_and_unknown_types_are_seen() {
        let facts = gather(&[(0, "", "x", "{}".into()), (2, "a", "t", "{}".into()), (3, "", "t", "{}".into())]);
        assert!(facts.is_misplaced(0) && facts.is_misplaced(1) && !facts.is_misplaced(2));
        assert!(facts.type_at(3).is_none());
    }
}
