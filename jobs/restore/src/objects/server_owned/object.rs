//! An object as its members, and the types that more than one table is about.

/// An object as its members.
pub(crate) type Object = serde_json::Map<String, serde_json::Value>;
/// Group and plural name of the types that more than one table is about.
pub(crate) const SERVICES: (&str, &str) = ("", "services");
pub(crate) const CLAIMS: (&str, &str) = ("", "persistentvolumeclaims");
