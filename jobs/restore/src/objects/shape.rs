//! One object, split into its members as they stand in the bytes: most are compared and sent without being read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::value::RawValue;

/// Members of metadata that the server sets, or that no client may set.
const SERVERS_METADATA: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// An object's members, and those of its metadata, each as raw JSON.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    members: Members<'a>,
    metadata: Members<'a>,
}

/// What an answer of the server says about the object that it is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    /// The UID.
    pub(crate) uid: String,
    /// The version of the object in the server's store.
    pub(crate) resource_version: String,
    /// Set on an object that is being deleted.
    pub(crate) deletion_timestamp: Option<String>,
}

/// The type as an object names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind<'a> {
    /// Group and version; the version alone in the core group.
    pub(crate) api_version: &'a str,
    /// The kind.
    pub(crate) kind: &'a str,
}

impl<'a> Shape<'a> {
    /// Splits an object.
    ///
    /// # Errors
    ///
    /// Where the bytes are not a JSON object, or its metadata is not one.
    pub(crate) fn split(object: &'a [u8]) -> Result<Self, serde_json::Error> {
        let members: Members<'a> = serde_json::from_slice(object)?;
        let metadata = match members.get("metadata") {
            Some(metadata) => serde_json::from_str(metadata.get())?,
            None => Members::new(),
        };
        Ok(Self { members, metadata })
    }

    /// A member of the object that is there and not null.
    pub(crate) fn member(&self, name: &str) -> Option<&'a RawValue> {
        self.members.get(name).copied().filter(|value| !is_null(value))
    }

    /// A member of the metadata that is there and not null.
    pub(crate) fn metadata(&self, name: &str) -> Option<&'a RawValue> {
        self.metadata.get(name).copied().filter(|value| !is_null(value))
    }

    /// A member that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.member(name).and_then(text)
    }

    /// A member of the metadata that is a string.
    pub(crate) fn metadata_text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.metadata(name).and_then(text)
    }

    /// The value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<String> {
        let labels = self.metadata("labels")?;
        // Most objects lack the label that is asked for; the map is read only where its name is somewhere in the bytes.
        if !labels.get().contains(name) {
            return None;
        }
        serde_json::from_str::<BTreeMap<String, String>>(labels.get()).ok()?.remove(name)
    }

    /// The owners that the object names; none where that cannot be read.
    pub(crate) fn owner_references(&self) -> Vec<OwnerReference> {
        let Some(references) = self.metadata("ownerReferences") else { return Vec::new() };
        serde_json::from_str(references.get()).unwrap_or_default()
    }

    /// What has to be done before the object can go; none where that cannot be read.
    pub(crate) fn finalizers(&self) -> Vec<String> {
        let Some(finalizers) = self.metadata("finalizers") else { return Vec::new() };
        serde_json::from_str(finalizers.get()).unwrap_or_default()
    }

    /// UID and version of an object that comes from the server.
    pub(crate) fn identity(&self) -> Identity {
        let owned = |name| self.metadata_text(name).unwrap_or_default().into_owned();
        Identity {
            uid: owned("uid"),
            resource_version: owned("resourceVersion"),
            deletion_timestamp: self.metadata_text("deletionTimestamp").map(Cow::into_owned),
        }
    }

    /// All members but those that say what the object is.
    pub(crate) fn content(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        let told_by_the_type = ["apiVersion", "kind", "metadata"];
        self.members
            .iter()
            .map(|(name, value)| (name.as_ref(), *value))
            .filter(move |(name, value)| !told_by_the_type.contains(name) && !is_null(value))
    }

    /// The members of the metadata that a client may set, without `ownerReferences`.
    pub(crate) fn client_metadata(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.metadata
            .iter()
            .map(|(name, value)| (name.as_ref(), *value))
            .filter(|(name, value)| *name != "ownerReferences" && !SERVERS_METADATA.contains(name) && !is_null(value))
    }

    /// Whether the bytes that this was split from can be sent as they are.
    fn can_be_sent_as_it_is(&self, owners: &[OwnerReference]) -> bool {
        owners.is_empty()
            && !self.metadata.contains_key("ownerReferences")
            && !SERVERS_METADATA.iter().any(|name| self.metadata.contains_key(*name))
            && ["apiVersion", "kind"].iter().all(|name| self.members.contains_key(*name))
    }

    /// The body that creates the object (`version` is none) or replaces that version of it.
    ///
    /// # Errors
    ///
    /// None in practice: what is written was read as JSON.
    pub(crate) fn body(
        &self,
        bytes: &[u8],
        kind: Kind<'_>,
        owners: &[OwnerReference],
        version: Option<&str>,
    ) -> Result<Vec<u8>, serde_json::Error> {
        if version.is_none() && self.can_be_sent_as_it_is(owners) {
            return Ok(bytes.to_vec());
        }
        let mut metadata: BTreeMap<&str, Box<RawValue>> =
            self.client_metadata().map(|(name, value)| (name, value.to_owned())).collect();
        if !owners.is_empty() {
            metadata.insert("ownerReferences", serde_json::value::to_raw_value(owners)?);
        }
        if let Some(version) = version {
            metadata.insert("resourceVersion", serde_json::value::to_raw_value(version)?);
        }
        let (api_version, kind_name, metadata) = (
            serde_json::value::to_raw_value(kind.api_version)?,
            serde_json::value::to_raw_value(kind.kind)?,
            serde_json::value::to_raw_value(&metadata)?,
        );
        let mut members: BTreeMap<&str, &RawValue> = self.content().collect();
        members.insert("apiVersion", self.member("apiVersion").unwrap_or(&api_version));
        members.insert("kind", self.member("kind").unwrap_or(&kind_name));
        members.insert("metadata", &metadata);
        serde_json::to_vec(&members)
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    // `Cow` would always be owned here; most strings have no escape and are borrowed.
    serde_json::from_str::<&str>(value.get())
        .map(Cow::Borrowed)
        .or_else(|_| serde_json::from_str::<String>(value.get()).map(Cow::Owned))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind<'static> = Kind { api_version: "v1", kind: "Secret" };

    #[track_caller]
    fn check(object: &str, owners: &[OwnerReference], version: Option<&str>, expected: &str) {
        let shape = Shape::split(object.as_bytes()).unwrap();
        let body = shape.body(object.as_bytes(), KIND, owners, version).unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn bytes_that_need_no_change_are_sent_as_they_are() {
        let object = r#"{"kind":"Secret",  "apiVersion":"v1","metadata":{"name":"a"},"data":null}"#;
        check(object, &[], None, object);
    }

    #[test]
    fn what_the_server_sets_is_left_out() {
        check(
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"uid":"1","name":"a","managedFields":[{}]},"data":{"b":1e2}}"#,
            &[],
            None,
            r#"{"apiVersion":"v1","data":{"b":1e2},"kind":"Secret","metadata":{"name":"a"}}"#,
        );
    }

    #[test]
    fn a_list_item_without_a_type_gets_the_one_it_is_of() {
        check(
            r#"{"metadata":{"name":"a"}}"#,
            &[],
            None,
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}"#,
        );
    }

    #[test]
    fn owners_and_version_are_those_that_are_given() {
        let owner = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: "p".to_owned(),
            uid: "new".to_owned(),
            ..OwnerReference::default()
        };
        check(
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a","ownerReferences":[{"uid":"old"}]}}"#,
            &[owner],
            Some("7"),
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p","uid":"new"}],"resourceVersion":"7"}}"#,
        );
    }

    #[test]
    fn dropped_owners_leave_no_empty_list() {
        check(
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a","ownerReferences":[{"uid":"old"}]}}"#,
            &[],
            None,
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}"#,
        );
    }

    #[test]
    fn escaped_names_and_values_are_read() {
        let object = r#"{"metadata":{"n\u0061me":"a\u002db"}}"#;
        assert_eq!(Shape::split(object.as_bytes()).unwrap().metadata_text("name").as_deref(), Some("a-b"));
    }

    #[test]
    fn labels_are_read_by_their_whole_name() {
        let object = r#"{"metadata":{"labels":{"a.io/part-of":"x","part":"y"}}}"#;
        let shape = Shape::split(object.as_bytes()).unwrap();
        assert_eq!(shape.label("a.io/part-of").as_deref(), Some("x"));
        assert_eq!(shape.label("part-of"), None);
        assert_eq!(Shape::split(b"{}").unwrap().label("part"), None);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bytes in ["", "[]", "7", r#"{"metadata":7}"#, r#"{"a":1"#] {
            assert!(Shape::split(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
