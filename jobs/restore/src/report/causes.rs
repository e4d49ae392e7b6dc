//! Objects of a type that came to the same for the same cause, told together: what stands for hundreds of them is said once.

use std::cmp::Reverse;
use std::collections::HashMap;

use drover::archive::Key;

use crate::report::told::Told;

/// What stands in a cause where each reason has the object's own name or namespace.
const OWN: &str = "…";

/// How many objects of a cause are named.
const NAMED: usize = 10;

/// How many causes are told at once.
const TOLD: usize = 10;

/// Objects by their types and causes.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    groups: Vec<Group>,
    places: HashMap<(String, String), usize>,
}

/// The objects of one type and one cause.
#[derive(Debug)]
struct Group {
    type_name: String,
    cause: String,
    /// The reason of the first object, which names it.
    reason: String,
    /// The first objects.
    names: Vec<String>,
    count: usize,
}

impl Causes {
    /// Those of all objects.
    pub(crate) fn of<'a>(all: impl Iterator<Item = Told<'a>>) -> Self {
        let mut causes = Self::default();
        for told in all {
            let (type_name, cause, name) = place(&told);
            causes.put(type_name, cause, told.reason, name);
        }
        causes
    }

    /// One more object.
    pub(crate) fn add(&mut self, key: &Key, reason: &str) {
        self.put(key.type_name.kubectl_name(), cause(reason, key), reason, name_of(key));
    }

    fn put(&mut self, type_name: String, cause: String, reason: &str, name: String) {
        let groups = &mut self.groups;
        let place = *self.places.entry((type_name, cause)).or_insert_with_key(|(type_name, cause)| {
            let (type_name, cause, reason) = (type_name.clone(), cause.clone(), reason.to_owned());
            groups.push(Group { type_name, cause, reason, names: Vec::new(), count: 0 });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(place) else { return };
        group.count += 1;
        if group.names.len() < NAMED {
            group.names.push(name);
        }
    }

    /// How many objects of its type came to the same for the same cause as this one.
    pub(crate) fn count(&self, told: &Told<'_>) -> usize {
        let (type_name, cause, _) = place(told);
        let group = self.places.get(&(type_name, cause)).and_then(|place| self.groups.get(*place));
        group.map_or(0, |group| group.count)
    }

    /// Of each cause the number of objects, and the words: that of most objects comes first. `what` is what they came to.
    pub(crate) fn told(&self, what: &str) -> impl Iterator<Item = (usize, String)> {
        let mut groups: Vec<&Group> = self.groups.iter().collect();
        groups.sort_by_key(|group| Reverse(group.count));
        groups.into_iter().map(move |group| (group.count, group.in_words(what)))
    }

    /// The causes of most objects, each once; empty where there is none.
    pub(crate) fn in_words(&self, what: &str) -> String {
        let told = self.told(what).take(TOLD).map(|(_, words)| words);
        let more = self.groups.len().saturating_sub(TOLD);
        let more = (more > 0).then(|| format!("and {more} more causes"));
        told.chain(more).collect::<Vec<_>>().join("; ")
    }
}

impl Group {
    fn in_words(&self, what: &str) -> String {
        let Self { type_name, cause, reason, names, count } = self;
        let named = names.join(", ");
        let more = match count.saturating_sub(names.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if *count == 1 {
            return format!("{type_name} {named} {what}: {reason}");
        }
        format!("{count} {type_name} {what}: {cause}: {named}{more}")
    }
}

/// Type, cause and name of an object; one whose name cannot be read back from the spool is still told of.
fn place(told: &Told<'_>) -> (String, String, String) {
    let type_name = told.type_name().kubectl_name();
    match told.key() {
        Ok(key) => (type_name, cause(told.reason, &key), name_of(&key)),
        Err(error) => (type_name, told.reason.to_owned(), format!("? ({error})")),
    }
}

/// The name of an object, behind its namespace where it has one.
pub(crate) fn name_of(key: &Key) -> String {
    key.namespace.as_ref().map_or_else(|| key.name.clone(), |namespace| format!("{namespace}/{}", key.name))
}

/// A reason without what stands in it for this object alone: its name and its namespace, where they are quoted or part of a
/// path. Elsewhere a name may be any word.
pub(crate) fn cause(reason: &str, key: &Key) -> String {
    let cause = without(reason, &key.name);
    match &key.namespace {
        Some(namespace) => without(&cause, namespace),
        None => cause,
    }
}

fn without(reason: &str, own: &str) -> String {
    let mut cause = String::with_capacity(reason.len());
    let mut told = 0;
    for (start, _) in reason.match_indices(own) {
        let (before, end) = (&reason[..start], start + own.len());
        if before.ends_with(['"', '/']) && !reason[end..].starts_with(is_of_name) {
            cause.push_str(&reason[told..start]);
            cause.push_str(OWN);
            told = end;
        }
    }
    cause.push_str(&reason[told..]);
    cause
}

/// Whether a character may stand in a name, and not at its end alone.
const fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> Key {
        Key::from_path(path).unwrap()
    }

    #[track_caller]
    fn check(path: &str, reason: &str, expected: &str) {
        assert_eq!(cause(reason, &key(path)), expected);
    }

    #[test]
    fn a_cause_is_a_reason_without_the_objects_own_name() {
        let map = "configmaps.#v1/home/told-1.json";
        check(
            map,
            r#"ConfigMap "told-1" is invalid: data: Required value"#,
            r#"ConfigMap "…" is invalid: data: Required value"#,
        );
        check(map, r#"namespaces "home" not found"#, r#"namespaces "…" not found"#);
        check(map, "--recreate configmaps/home/told-1, and it", "--recreate configmaps/…/…, and it");
        check(
            map,
            r#"failed for "/api/v1/namespaces/home/configmaps/told-1""#,
            r#"failed for "/api/v1/namespaces/…/configmaps/…""#,
        );
        // Others' names, and words of the sentence.
        check(
            map,
            r#"secrets "told-10" and "told-1.b" are at home: told-1"#,
            r#"secrets "told-10" and "told-1.b" are at home: told-1"#,
        );
        check(
            "clusterroles.rbac.authorization.k8s.io#v1/a.json",
            r#"a role "a" of "ä" is a"#,
            r#"a role "…" of "ä" is a"#,
        );
        check(map, "", "");
    }

    fn causes(objects: &[(&str, &str)]) -> Causes {
        let mut causes = Causes::default();
        for (path, reason) in objects {
            causes.add(&key(path), reason);
        }
        causes
    }

    #[test]
    fn a_cause_of_many_objects_is_said_once() {
        let paths: Vec<String> = (0..12).map(|index| format!("configmaps.#v1/home/a-{index}.json")).collect();
        let reasons: Vec<String> = (0..12).map(|index| format!(r#"ConfigMap "a-{index}" is invalid"#)).collect();
        let mut objects = vec![("secrets.#v1/home/b.json", r#"Secret "b" is invalid"#)];
        objects.extend(paths.iter().zip(&reasons).map(|(path, reason)| (path.as_str(), reason.as_str())));
        let words = causes(&objects).in_words("failed");
        let names: Vec<String> = (0..10).map(|index| format!("home/a-{index}")).collect();
        let many = format!(r#"12 configmaps failed: ConfigMap "…" is invalid: {} and 2 more"#, names.join(", "));
        assert_eq!(words, format!(r#"{many}; secrets home/b failed: Secret "b" is invalid"#));
        assert_eq!(Causes::default().in_words("failed"), "");
    }

    #[test]
    fn objects_of_two_types_or_causes_are_told_apart() {
        let words = causes(&[
            ("configmaps.#v1/home/a.json", "no"),
            ("secrets.#v1/home/a.json", "no"),
            ("configmaps.#v1/home/b.json", "never"),
            ("configmaps.#v1/home/c.json", "no"),
        ]);
        let expected =
            "2 configmaps failed: no: home/a, home/c; secrets home/a failed: no; configmaps home/b failed: never";
        assert_eq!(words.in_words("failed"), expected);
    }

    #[test]
    fn more_causes_than_anybody_reads_are_counted() {
        let reasons: Vec<String> = (0..13).map(|index| format!("cause {index}")).collect();
        let objects: Vec<_> = reasons.iter().map(|reason| ("secrets.#v1/home/a.json", reason.as_str())).collect();
        let words = causes(&objects).in_words("failed");
        assert!(words.contains("cause 9; and 3 more causes") && !words.contains("cause 10"), "{words}");
    }
}
