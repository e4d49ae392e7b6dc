//! One object by name, as people write it in an annotation or on the command line.

use std::fmt;
use std::str::FromStr;

use drover::archive::{Key, TypeName};
use snafu::Snafu;

use super::{Loss, loss};
use crate::survey::archive::facts::{Facts, Position};

/// What an object's name looks like.
const FORM: &str = "the name of an object: TYPE/NAMESPACE/NAME, or TYPE/NAME where it has no namespace, such as \
                    deployments.apps/default/web or storageclasses.storage.k8s.io/fast; without spaces, and with \
                    commas between several";

/// The name of an object: its type as `kubectl api-resources` names it, its namespace where it has one, and its own name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ObjectName {
    group: String,
    plural: String,
    /// Empty where it has none.
    namespace: String,
    name: String,
}

/// Why a text is not the name of an object that can be made anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Snafu)]
#[snafu(display("it can only be {allowed}"))]
pub(crate) struct NameRefused {
    /// What it can be.
    pub(crate) allowed: &'static str,
}

impl ObjectName {
    /// The object of that type, given as group and plural name; `namespace` is empty where it has none.
    pub(crate) fn new(kind: (&str, &str), namespace: &str, name: &str) -> Self {
        let [group, plural, namespace, name] = [kind.0, kind.1, namespace, name].map(str::to_owned);
        Self { group, plural, namespace, name }
    }

    /// The name of an object of an archive.
    pub(super) fn of(key: &Key) -> Self {
        let TypeName { group, plural, .. } = &key.type_name;
        Self::new((group, plural), key.namespace.as_deref().unwrap_or_default(), &key.name)
    }

    fn kind(&self) -> (&str, &str) {
        (&self.group, &self.plural)
    }

    /// Whether the object is of that type, in whatever version.
    pub(super) fn is_of(&self, type_name: &TypeName) -> bool {
        self.kind() == (type_name.group.as_str(), type_name.plural.as_str())
    }

    /// Whether that is the object.
    pub(super) fn names(&self, key: &Key) -> bool {
        self.is_of(&key.type_name)
            && self.namespace == key.namespace.as_deref().unwrap_or_default()
            && self.name == key.name
    }

    /// Where it is in a part of the archive.
    pub(super) fn find(&self, facts: &Facts) -> Option<Position> {
        facts.find_of(self.kind(), &self.namespace, &self.name)
    }
}

impl FromStr for ObjectName {
    type Err = NameRefused;

    fn from_str(text: &str) -> Result<Self, NameRefused> {
        // Two names with a space in place of the comma would pass for one.
        if text.contains(char::is_whitespace) {
            return Err(NameRefused { allowed: FORM });
        }
        let parts: Vec<&str> = text.split('/').collect();
        let (of, namespace, name) = match *parts {
            [of, name] => (of, "", name),
            [of, namespace, name] if !namespace.is_empty() => (of, namespace, name),
            _ => return Err(NameRefused { allowed: FORM }),
        };
        let (plural, group) = of.split_once('.').unwrap_or((of, ""));
        if plural.is_empty() || name.is_empty() || of.ends_with('.') {
            return Err(NameRefused { allowed: FORM });
        }
        match loss((group, plural)) {
            Loss::TooMuch(_) => Err(NameRefused { allowed: MAY_GO }),
            Loss::Nothing | Loss::Something(_) => Ok(Self::new((group, plural), namespace, name)),
        }
    }
}

/// What may be named, said of a type with which too much would go.
const MAY_GO: &str = "an object of another type: no Namespace, Node, PersistentVolume, PersistentVolumeClaim or \
                      CustomResourceDefinition is deleted to be created again, for data or other objects would go with it";

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.plural)?;
        for (before, part) in [(".", &self.group), ("/", &self.namespace)] {
            if !part.is_empty() {
                write!(formatter, "{before}{part}")?;
            }
        }
        write!(formatter, "/{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, kind, namespace, name) in [
            ("deployments.apps/default/web", ("apps", "deployments"), "default", "web"),
            ("storageclasses.storage.k8s.io/fast", ("storage.k8s.io", "storageclasses"), "", "fast"),
            ("services/a/b", ("", "services"), "a", "b"),
            (
                "clusterroles.rbac.authorization.k8s.io/a:b.c",
                ("rbac.authorization.k8s.io", "clusterroles"),
                "",
                "a:b.c",
            ),
        ] {
            let read: ObjectName = text.parse().unwrap();
            assert_eq!(read, ObjectName::new(kind, namespace, name));
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn other_words_are_refused() {
        for text in
            ["", "/", "web", "services/", "services/a/", "services//b", "/a/b", "services/a/b/c", "a./b", ".a/b"]
                .into_iter()
                .chain(["services/a/b c", "services/a/b secrets", "services /a/b", "services/a\t/b"])
        {
            assert_eq!(text.parse::<ObjectName>(), Err(NameRefused { allowed: FORM }), "{text:?}");
        }
        for text in ["namespaces/a", "persistentvolumeclaims/a/b", "customresourcedefinitions.apiextensions.k8s.io/a.b"]
        {
            assert_eq!(text.parse::<ObjectName>(), Err(NameRefused { allowed: MAY_GO }), "{text:?}");
        }
    }

    #[test]
    fn an_entry_of_the_archive_is_found_in_whatever_version() {
        let name: ObjectName = "deployments.apps/default/web".parse().unwrap();
        let key = |path: &str| Key::from_path(path).unwrap();
        assert!(name.names(&key("deployments.apps#v1beta1/default/web.json")));
        assert!(!name.names(&key("deployments.apps#v1/other/web.json")));
        assert!(!name.names(&key("deployments.apps#v1/default/web2.json")));
        assert!(!name.names(&key("daemonsets.apps#v1/default/web.json")));
    }
}
