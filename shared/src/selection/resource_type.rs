//! A type of objects, and its paths.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A type that the cluster serves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResourceType {
    /// Group; empty for the core group.
    pub group: String,
    /// Version, such as "v1".
    pub version: String,
    /// Kind, such as "Secret".
    pub kind: String,
    /// Plural name, such as "secrets".
    pub plural: String,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    /// Whether it can be listed.
    pub can_list: bool,
    /// Whether one object of it can be read.
    pub can_get: bool,
}

impl ResourceType {
    /// Group and version as objects name them: "v1", "apps/v1".
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The type as kubectl names it: "secrets", "clusters.management.cattle.io".
    #[must_use]
    pub fn type_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The path of the list of all objects, or of those of one namespace. Cluster-scoped types have no namespace, and
    /// one that is given for them is left out.
    #[must_use]
    pub fn list_path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let (api_version, plural) = (self.api_version(), segment(&self.plural));
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{api_version}/namespaces/{}/{plural}", segment(namespace)),
            None => format!("{root}/{api_version}/{plural}"),
        }
    }

    /// The path of one object.
    ///
    /// # Caveats
    /// The API server decodes the path before it looks at it, so a name that no object can have, such as `a/status`,
    /// leads elsewhere. [`plan()`](super::plan()) refuses such names; a caller with names from elsewhere must, too.
    #[must_use]
    pub fn object_path(&self, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{}", self.list_path(namespace), segment(name))
    }
}

/// Whether an object may have this name: the API server refuses names that a path cannot hold as one segment.
#[must_use]
pub(super) fn is_object_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%'])
}

/// What a segment of a path cannot hold as it is. Names of RBAC objects may hold nearly anything; their `:` stays, as the API
/// server writes it too.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// Encodes a name as one segment of a path.
#[must_use]
pub fn segment(name: &str) -> impl Display {
    utf8_percent_encode(name, ENCODED)
}
