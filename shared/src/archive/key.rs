//! Which object an entry holds: the type, the namespace and the name that its path says.

use std::fmt;
use std::str::FromStr;

use snafu::Snafu;

use super::format::{FILTERS_DIRECTORY, PATH_BYTES, shown};
use crate::exit::{Exit, Fault};

/// The ending of every object's path.
const SUFFIX: &str = ".json";

/// A resource type as archives name it, in one version: `secrets.#v1`, `clusters.management.cattle.io#v3`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TypeName {
    /// The plural name, lower case: `secrets`.
    pub plural: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The version: `v1`.
    pub version: String,
}

impl TypeName {
    /// What an object of this type says as its `apiVersion`: `v1`, `management.cattle.io/v3`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The type as kubectl names it, without its version: `secrets`, `clusters.management.cattle.io`.
    #[must_use]
    pub fn kubectl_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    fn check(&self) -> Result<(), PathError> {
        let group = self.group.is_empty() || is_subdomain(&self.group);
        if group && is_label(&self.plural) && is_label(&self.version) {
            Ok(())
        } else {
            Err(PathError::Type { text: shown(self.to_string().as_bytes()) })
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}#{}", self.plural, self.group, self.version)
    }
}

impl FromStr for TypeName {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let refused = || PathError::Type { text: shown(text.as_bytes()) };
        let (plural, rest) = text.split_once('.').ok_or_else(refused)?;
        let (group, version) = rest.split_once('#').ok_or_else(refused)?;
        let name = Self { plural: plural.to_owned(), group: group.to_owned(), version: version.to_owned() };
        name.check().map(|()| name)
    }
}

/// One object's place in an archive. Displayed as its path without `.json`, which is also how people name it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The type.
    pub type_name: TypeName,
    /// The namespace; none for a cluster-scoped object.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl Key {
    /// The path of the object's entry: `secrets.#v1/cattle-system/tls.json`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{self}{SUFFIX}")
    }

    /// Reads the path of an entry. It must be exactly what [`Key::path`] gives back.
    ///
    /// # Errors
    /// When it is not a path of this format, or one that is not safe to unpack.
    pub fn from_path(path: &str) -> Result<Self, PathError> {
        check_path(path)?;
        let stem = path.strip_suffix(SUFFIX).ok_or(PathError::Format)?;
        let (type_name, rest) = stem.split_once('/').ok_or(PathError::Format)?;
        let (namespace, name) = match rest.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, rest),
        };
        let key = Self { type_name: type_name.parse()?, namespace, name: name.to_owned() };
        key.check_names().map(|()| key)
    }

    /// How an encrypted object names itself to its cipher, as the operator does it: `<name>`, or `<namespace>#<name>`.
    pub(super) fn sealed_path(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Checks that an archive can hold the object: that its path reads back as this key.
    ///
    /// # Errors
    /// When the format has no place for it: names of RBAC, and of aggregated APIs, may hold what no path does.
    pub fn check(&self) -> Result<(), PathError> {
        check_path(&self.path())?;
        self.type_name.check()?;
        self.check_names()
    }

    fn check_names(&self) -> Result<(), PathError> {
        // Namespaces are DNS labels, so none is ever named as a file is, with a dot in it: `a.json` cannot be both.
        if let Some(namespace) = &self.namespace
            && !is_label(namespace)
        {
            return Err(PathError::Namespace { text: shown(namespace.as_bytes()) });
        }
        // What the API server refuses as a name of any type; `%` would be decoded again in a URL.
        if matches!(&*self.name, "" | "." | "..") || self.name.contains(['/', '%']) {
            return Err(PathError::Name { text: shown(self.name.as_bytes()) });
        }
        Ok(())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/", self.type_name)?;
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{namespace}/")?;
        }
        formatter.write_str(&self.name)
    }
}

/// Why a path is none of an archive.
#[derive(Clone, Debug, Eq, PartialEq, Snafu)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum PathError {
    #[snafu(display("the path is absolute"))]
    Absolute,
    #[snafu(display("the path leaves the archive's root through \"..\""))]
    LeavesRoot,
    #[snafu(display("the path holds an empty segment or \".\""))]
    Segment,
    /// It holds a NUL or another control character. A backslash is a character as any: names of RBAC objects may hold it,
    /// as in "CORP\\admins", and nothing here unpacks an archive where it would separate folders.
    #[snafu(display("the path holds a control character"))]
    Character,
    #[snafu(display("the path is not UTF-8"))]
    NotUtf8,
    /// It is longer than any system can unpack.
    #[snafu(display("the path is longer than {PATH_BYTES} bytes"))]
    TooLong,
    #[snafu(display("the path is not <plural>.<group>#<version>/[<namespace>/]<name>.json"))]
    Format,
    #[snafu(display("{text:?} is not a type such as \"secrets.#v1\" or \"clusters.management.cattle.io#v3\""))]
    Type { text: String },
    #[snafu(display("{text:?} cannot be the name of a namespace"))]
    Namespace { text: String },
    #[snafu(display("{text:?} cannot be the name of an object"))]
    Name { text: String },
}

impl Fault for PathError {
    fn exit(&self) -> Exit {
        Exit::DataRefused
    }
}

/// Checks what holds for the path of any entry, whatever it names.
pub(super) fn check_path(path: &str) -> Result<(), PathError> {
    if path.len() > PATH_BYTES {
        return Err(PathError::TooLong);
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute);
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Character);
    }
    for segment in path.split('/') {
        match segment {
            ".." => return Err(PathError::LeavesRoot),
            "" | "." => return Err(PathError::Segment),
            _ => {}
        }
    }
    Ok(())
}

/// Checks the path of a directory: a type, or a namespace in it.
pub(super) fn check_directory(path: &str) -> Result<(), PathError> {
    check_path(path)?;
    if path == FILTERS_DIRECTORY {
        return Ok(());
    }
    let (type_name, namespace) = match path.split_once('/') {
        Some((type_name, namespace)) => (type_name, Some(namespace)),
        None => (path, None),
    };
    type_name.parse::<TypeName>()?;
    match namespace {
        Some(namespace) if !is_label(namespace) => Err(PathError::Namespace { text: shown(namespace.as_bytes()) }),
        _ => Ok(()),
    }
}

/// A label of RFC 1123 as Kubernetes takes it.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// A subdomain of RFC 1123 as Kubernetes takes it.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}
