//! Objects that no archive can hold: their names, which RBAC and aggregated APIs leave to anybody, make no path of the format.

use drover::archive::{Key, LeftOut, PathError, Reason};

/// Objects of a type that are named; of further ones there is the count.
const NAMED: usize = 10;

/// Characters of a name that are shown: one may be as long as a request.
const CHARACTERS: usize = 100;

/// Such objects of one type.
#[derive(Debug, Default)]
pub(crate) struct NoPlace {
    first: Vec<String>,
    count: usize,
}

impl NoPlace {
    /// Notes an object.
    pub(crate) fn note(&mut self, key: &Key, why: &PathError) {
        self.count += 1;
        if self.first.len() < NAMED {
            let namespace = key.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            let mut name: String = format!("{namespace}{}", key.name).chars().take(CHARACTERS).collect();
            if name.len() < namespace.len() + key.name.len() {
                name.push('…');
            }
            self.first.push(format!("{name:?} ({why})"));
        }
    }

    /// What the archive says of them.
    pub(crate) fn left_out(&self, type_name: &str) -> LeftOut {
        let (count, named) = (self.count, self.first.join(", "));
        let more = match count - self.first.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("{count} with names that the archive's format has no place for: {named}{more}");
        LeftOut { name: type_name.to_owned(), reason: Reason::NoPlace, message }
    }
}

#[cfg(test)]
mod tests {
    use drover::archive::TypeName;

    use super::*;

    fn key(namespace: Option<&str>, name: &str) -> Key {
        let type_name = TypeName { plural: "roles".into(), group: "a.io".into(), version: "v1".into() };
        Key { type_name, namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }

    #[track_caller]
    fn noted(keys: &[Key]) -> String {
        let mut no_place = NoPlace::default();
        for key in keys {
            no_place.note(key, &key.check().unwrap_err());
        }
        let LeftOut { name, reason, message } = no_place.left_out("roles.a.io");
        assert_eq!((name.as_str(), reason), ("roles.a.io", Reason::NoPlace));
        message
    }

    #[test]
    fn objects_are_named_with_what_is_wrong_and_nothing_that_forges_a_line() {
        let words = noted(&[key(Some("shop"), "a\nb"), key(None, "a/b"), key(None, &"long".repeat(2000))]);
        assert!(words.starts_with("3 with names"), "{words}");
        assert!(words.contains(r#""shop/a\nb" (the path holds a control character)"#), "{words}");
        assert!(words.contains(r#""a/b""#) && words.contains("longlong…\" (the path is longer"), "{words}");
        assert!(words.len() < 1000, "{words}");
    }

    #[test]
    fn only_the_first_objects_are_named() {
        let keys: Vec<_> = (0..13).map(|number| key(None, &format!("{number}/"))).collect();
        let words = noted(&keys);
        assert!(words.contains("\"9/\"") && !words.contains("\"10/\"") && words.ends_with(" and 3 more"), "{words}");
    }
}
