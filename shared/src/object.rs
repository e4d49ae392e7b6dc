//! One Kubernetes object as bytes: split shallowly where a member must be seen, and never turned into a tree.
//!
//! A backup copies objects and changes a few members of `metadata`. A tree would cost an allocation for every value of
//! the cluster and would write numbers, escapes and order its own way; slices of the bytes that came do neither.

mod error;
mod list_page;
mod members;
mod well_formed;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

pub use self::error::ParseError;
pub use self::list_page::ListPage;
use self::members::{Member, find, scalar, split, text};
pub(crate) use self::well_formed::{DEPTH_LIMIT, depth_within};

/// Members of `metadata` that an archive leaves out.
///
/// All but the last are those that Rancher's backup operator drops: they belong to one life of the object in one
/// cluster, and an API server refuses or ignores them in a create. The operator keeps `managedFields`; they are the
/// larger half of a small object, and the server makes them anew.
const NOT_ARCHIVED: [&str; 7] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "selfLink",
    "resourceVersion",
    "deletionGracePeriodSeconds",
    "managedFields",
];

/// One object, borrowed from a page of a LIST or from an entry of an archive.
///
/// Only the top level and `metadata` are split. What lies deeper is neither parsed nor held a second time.
pub struct Object<'a> {
    top: Vec<Member<'a>>,
    metadata: Vec<Member<'a>>,
    name: Cow<'a, str>,
    namespace: Option<Cow<'a, str>>,
    api_version: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
}

impl<'a> Object<'a> {
    /// Splits one object.
    ///
    /// # Errors
    /// When the bytes are not one well-formed JSON object, hold a key twice at the top level or in `metadata` (readers
    /// differ in which one counts), or have no name, or a name, namespace, apiVersion or kind that is not a string.
    pub fn parse(json: &'a [u8]) -> Result<Self, ParseError> {
        let top = split(json, "the top level")?;
        let metadata = match find(&top, "metadata") {
            Some(value) => split(value.get().as_bytes(), "metadata")?,
            None => Vec::new(),
        };
        Ok(Self {
            name: text(&metadata, "name", "metadata.name")?
                .filter(|name| !name.is_empty())
                .ok_or(ParseError::NameMissing)?,
            // Kubernetes takes the empty string and a missing member for the same.
            namespace: text(&metadata, "namespace", "metadata.namespace")?.filter(|text| !text.is_empty()),
            api_version: text(&top, "apiVersion", "apiVersion")?.filter(|text| !text.is_empty()),
            kind: text(&top, "kind", "kind")?.filter(|text| !text.is_empty()),
            top,
            metadata,
        })
    }

    /// `metadata.name`, never empty.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `metadata.namespace`; none for a cluster-scoped object.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// `apiVersion`; items of a LIST of a built-in type lack it.
    #[must_use]
    pub fn api_version(&self) -> Option<&str> {
        self.api_version.as_deref()
    }

    /// `kind`; items of a LIST of a built-in type lack it.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// `metadata.labels`, parsed when asked for.
    ///
    /// # Errors
    /// When they are not a map from strings to strings.
    pub fn labels(&self) -> Result<BTreeMap<String, String>, ParseError> {
        let Some(labels) = find(&self.metadata, "labels") else { return Ok(BTreeMap::new()) };
        serde_json::from_str::<Option<BTreeMap<String, String>>>(labels.get()).map(Option::unwrap_or_default).map_err(
            |_| ParseError::MemberType { member: "metadata.labels", expected: "a map from strings to strings" },
        )
    }

    /// The string, number or boolean at a path such as `type` or `status.phase`, as a field selector compares it. None
    /// where there is nothing, null, a list or an object; Kubernetes takes that for the empty text.
    #[must_use]
    pub fn field(&self, dotted_path: &str) -> Option<String> {
        let (first, mut rest) = head_and_tail(dotted_path);
        let mut value = find(&self.top, first)?;
        while let Some(path) = rest {
            let (key, tail) = head_and_tail(path);
            value = find(&split(value.get().as_bytes(), "a field").ok()?, key)?;
            rest = tail;
        }
        scalar(value)
    }

    /// Whether the map at the top level that is called `member` has the key `key`: `data` of a Secret, say. What is no map
    /// has none.
    #[must_use]
    pub(crate) fn has_member(&self, member: &str, key: &str) -> bool {
        let Some(map) = find(&self.top, member) else { return false };
        split(map.get().as_bytes(), "a member").is_ok_and(|members| find(&members, key).is_some())
    }

    /// Whether the object is all but gone, so that a backup leaves it out: it has a `deletionTimestamp` and no
    /// finalizers; for a Namespace those of `spec` count.
    ///
    /// `kind` is what discovery says of the listed type, since the items of a LIST need not say it themselves.
    #[must_use]
    pub fn is_vanishing(&self, kind: &str) -> bool {
        if find(&self.metadata, "deletionTimestamp").is_none_or(|time| time.get() == "null") {
            return false;
        }
        if kind == "Namespace" && self.api_version().is_none_or(|version| version == "v1") {
            return find(&self.top, "spec").is_none_or(|spec| {
                split(spec.get().as_bytes(), "spec").is_ok_and(|spec| find(&spec, "finalizers").is_none_or(is_empty))
            });
        }
        find(&self.metadata, "finalizers").is_none_or(is_empty)
    }

    /// Appends the object as an archive holds it to `out`.
    ///
    /// What belongs to this life of the object in this cluster is left out of `metadata` (uid, creationTimestamp,
    /// deletionTimestamp, selfLink, resourceVersion, deletionGracePeriodSeconds, managedFields); all else, the status
    /// too, stays byte for byte and in its order. `api_version` and `kind` are put in front where the object lacks
    /// them; an object that says others keeps its own.
    pub fn write_archived(&self, api_version: &str, kind: &str, out: &mut Vec<u8>) {
        let mut members = Members::open(out);
        if self.api_version.is_none() {
            members.push("\"apiVersion\"", &Value::from(api_version).to_string());
        }
        if self.kind.is_none() {
            members.push("\"kind\"", &Value::from(kind).to_string());
        }
        for member in &self.top {
            match &*member.key {
                // Present but empty: written above.
                "apiVersion" if self.api_version.is_none() => {}
                "kind" if self.kind.is_none() => {}
                "metadata" => self.write_metadata(members.begin(member.raw_key)),
                _ => members.push(member.raw_key, member.value.get()),
            }
        }
        members.close();
    }

    fn write_metadata(&self, out: &mut Vec<u8>) {
        let mut members = Members::open(out);
        for member in self.metadata.iter().filter(|member| !NOT_ARCHIVED.contains(&&*member.key)) {
            members.push(member.raw_key, member.value.get());
        }
        members.close();
    }
}

/// Shows which object it is. The rest may be a Secret.
impl std::fmt::Debug for Object<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Object")
            .field("api_version", &self.api_version)
            .field("kind", &self.kind)
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A JSON object being written from raw keys and raw values.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Members<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Writes a key and hands out the place of its value.
    fn begin(&mut self, raw_key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(raw_key.as_bytes());
        self.out.push(b':');
        self.out
    }

    fn push(&mut self, raw_key: &str, raw_value: &str) {
        self.begin(raw_key).extend_from_slice(raw_value.as_bytes());
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

fn head_and_tail(dotted_path: &str) -> (&str, Option<&str>) {
    match dotted_path.split_once('.') {
        Some((head, tail)) => (head, Some(tail)),
        None => (dotted_path, None),
    }
}

/// Whether there is nothing in a list. What is no list counts as something: when in doubt an object is backed up.
fn is_empty(value: &RawValue) -> bool {
    serde_json::from_str::<Option<Vec<&RawValue>>>(value.get())
        .is_ok_and(|list| list.is_none_or(|items| items.is_empty()))
}
