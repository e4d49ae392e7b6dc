//! What an archive says of its own making: `filters/drover.json`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The form of [`Contents`], as an object of Kubernetes says it. Members are added, never changed.
const API_VERSION: &str = "drover.dev/v1";
const KIND: &str = "ArchiveContents";
const NAME: &str = "contents";

/// What was listed in which version, how much of it is in the archive, and what was left out and why.
///
/// It comes from outside, as all of an archive does. What it says of types only narrows what the ResourceSet selects.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// `drover.dev/v1`.
    pub api_version: String,
    /// `ArchiveContents`.
    pub kind: String,
    /// The same for all, so that it is an object like those beside it.
    pub metadata: Metadata,
    /// The version of drover that made the archive.
    #[serde(default)]
    pub drover_version: String,
    /// The version of the API server, where it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Every type that was read to its end, also where there was nothing of it.
    #[serde(default)]
    pub types: Vec<ListedType>,
    /// What the ResourceSet names and the archive lacks.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

/// What every object has.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Metadata {
    /// `contents`.
    pub name: String,
}

/// A type that was read to its end.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedType {
    /// `<plural>.<group>`, as kubectl names it.
    pub name: String,
    /// The version that its objects have in the archive.
    pub version: String,
    /// The versions that the ResourceSet names, where the cluster serves the type in none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<String>,
    /// Objects in the archive.
    #[serde(default)]
    pub objects: u64,
    /// Objects that were left out since they were being deleted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub being_deleted: u64,
    /// Secrets of drover itself, which are in no archive.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub of_drover: u64,
}

/// Something that the ResourceSet names and the archive lacks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// A type as kubectl names it or, where it is not known which types there are, an API version. One that is not served has
    /// the name that the ResourceSet gives it, which may be its Kind.
    pub name: String,
    /// Why.
    pub reason: Reason,
    /// The same for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Why something was left out.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Reason {
    /// The cluster does not serve it.
    NotServed,
    /// The cluster serves it, and it could not be read, or not to its end.
    NotListed,
    /// It can only be read by name, and the ResourceSet gives no names.
    NoNames,
    /// Some of its objects have names that the archive's format has no place for; the others are there.
    NoPlace,
    /// A reason of later versions.
    #[serde(other)]
    Other,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            metadata: Metadata { name: NAME.to_owned() },
            drover_version: env!("CARGO_PKG_VERSION").to_owned(),
            kubernetes_version: None,
            types: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

impl Contents {
    /// The names of the types that were read to their end.
    #[must_use]
    pub fn listed(&self) -> BTreeSet<&str> {
        self.types.iter().map(|listed| listed.name.as_str()).collect()
    }

    /// Objects that no archive can hold, in words; none where there are none.
    #[must_use]
    pub fn without_place(&self) -> Option<String> {
        let left_out = self.left_out.iter().filter(|left_out| left_out.reason == Reason::NoPlace);
        let words: Vec<_> = left_out.map(|left_out| format!("{}: {}", left_out.name, left_out.message)).collect();
        (!words.is_empty()).then(|| format!("left out of {}", words.join("; ")))
    }

    /// What could not be read although the cluster serves it: an archive with any of it is none that a restore may take for
    /// the whole.
    pub fn missing(&self) -> impl Iterator<Item = &LeftOut> {
        self.left_out.iter().filter(|left_out| left_out.reason == Reason::NotListed)
    }
}
