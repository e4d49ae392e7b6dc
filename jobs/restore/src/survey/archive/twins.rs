//! Objects that an archive holds in several versions of their type, as where a ResourceSet selects both: in the cluster
//! they are one. One of them is written. Were all, each would undo what another version says that it does not know.

use std::collections::HashMap;
use std::sync::Arc;

use crate::survey::archive::facts::position::{Place, Position};
use crate::survey::types::Type;

/// Finds them while the archive's objects are gathered. Only objects of types that are there in several versions take
/// memory here.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    /// For each of the archive's types the first of the same type in another version, where there is one.
    families: Vec<Option<u16>>,
    seen: HashMap<Object, Vec<Version>>,
}

/// A family of types, a namespace and a name.
type Object = (u16, Box<str>, Box<str>);

/// One of the archive's types, and the object in it.
type Version = (u16, Position);

impl Twins {
    /// Begins with the archive's types.
    pub(crate) fn new(types: &[Option<Arc<Type>>]) -> Self {
        let mut members: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (index, known) in types.iter().enumerate() {
            if let Some(known) = known {
                members.entry((&known.group, &known.plural)).or_default().push(index);
            }
        }
        let mut families = vec![None; types.len()];
        for family in members.into_values().filter(|family| family.len() > 1) {
            for index in &family {
                families[*index] = u16::try_from(family[0]).ok();
            }
        }
        Self { families, seen: HashMap::new() }
    }

    /// Adds an object of the archive.
    pub(crate) fn add(&mut self, place: Place<'_>, position: Position) {
        let Some(family) = self.families.get(usize::from(place.type_index)).copied().flatten() else { return };
        let object = (family, place.namespace.into(), place.name.into());
        self.seen.entry(object).or_default().push((place.type_index, position));
    }

    /// For each object that is not written where the one is that is written instead: the one in the preferred version,
    /// or else in the version that the archive names first.
    pub(crate) fn finish(self, is_preferred: impl Fn(u16) -> bool) -> HashMap<Position, Position> {
        let mut twins = HashMap::new();
        for versions in self.seen.into_values() {
            let written = versions.iter().min_by_key(|(type_index, _)| (!is_preferred(*type_index), *type_index));
            let Some((_, written)) = written.copied() else { continue };
            let others = versions.into_iter().map(|(_, position)| position).filter(|position| *position != written);
            twins.extend(others.map(|position| (position, written)));
        }
        twins
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::survey::types::Types;

    /// The types that definitions with three versions define.
    fn known(plural: &str, version: &str) -> Arc<Type> {
        let versions: Vec<_> = ["v1", "v2", "v3"].map(|name| json!({"name": name, "served": true})).into();
        let names = json!({"plural": plural, "kind": plural});
        let definition = json!({"spec": {"group": "a.io", "names": names, "versions": versions}});
        let types = Types::new(Vec::new(), &[serde_json::from_value(definition).unwrap()]);
        Arc::clone(types.by_plural(plural, "a.io", version).unwrap())
    }

    /// The types are: 0 things v1, 1 one that nobody knows, 2 others v1, 3 things v2, 4 things v3.
    #[track_caller]
    fn check(objects: &[(u16, &str, &str)], preferred: u16, expected: &[(Position, Position)]) {
        let things = |version| Some(known("things", version));
        let types = [things("v1"), None, Some(known("others", "v1")), things("v2"), things("v3")];
        let mut twins = Twins::new(&types);
        for (position, (type_index, namespace, name)) in (0..).zip(objects) {
            twins.add(Place { type_index: *type_index, namespace, name }, position);
        }
        let mut found: Vec<_> = twins.finish(|type_index| type_index == preferred).into_iter().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{objects:?}");
    }

    #[test]
    fn the_preferred_version_is_written() {
        check(&[(0, "a", "x"), (3, "a", "x")], 3, &[(0, 1)]);
        check(&[(3, "a", "x"), (4, "a", "x"), (0, "a", "x")], 4, &[(0, 1), (2, 1)]);
    }

    #[test]
    fn else_the_one_that_the_archive_names_first() {
        check(&[(4, "a", "x"), (3, "a", "x")], 0, &[(0, 1)]);
    }

    #[test]
    fn objects_of_other_names_places_or_types_are_no_twins() {
        check(&[(0, "a", "x"), (3, "a", "y"), (3, "b", "x"), (2, "a", "x"), (1, "a", "x")], 0, &[]);
    }
}
