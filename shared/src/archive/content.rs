//! Whether what an entry holds is what its path says; the same for writing and for reading.

use snafu::{Snafu, ensure};

use super::format::shown;
use super::key::Key;
use crate::object::{Object, ParseError, depth_within};

/// Why a content is not that of its entry.
#[derive(Clone, Debug, Eq, PartialEq, Snafu)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ContentError {
    #[snafu(transparent)]
    Parse { source: ParseError },
    #[snafu(display("the object's {member} is {found:?} where the path says {expected:?}"))]
    Mismatch {
        member: &'static str,
        /// What the object says; empty where it says nothing.
        found: String,
        /// What the path says; empty where it says nothing.
        expected: String,
    },
    #[snafu(display("the object has no \"kind\""))]
    KindMissing,
}

/// Whether the content is a JSON string: an encrypted object.
pub(super) fn is_encrypted(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'"')
}

/// Checks that the content is one object, and that of the key, or a ResourceSet where there is none.
///
/// The plural name is not checked: which kind belongs to it only the cluster knows.
pub(super) fn check(key: Option<&Key>, json: &[u8], depth: usize) -> Result<(), ContentError> {
    depth_within(json, depth)?;
    let object = Object::parse(json)?;
    ensure!(object.kind().is_some(), KindMissingSnafu);
    let Some(key) = key else { return Ok(()) };
    let api_version = key.type_name.api_version();
    let members = [
        ("apiVersion", object.api_version(), Some(&*api_version)),
        ("metadata.namespace", object.namespace(), key.namespace.as_deref()),
        ("metadata.name", Some(object.name()), Some(&*key.name)),
    ];
    for (member, found, expected) in members {
        let (found, expected) = (found.unwrap_or_default(), expected.unwrap_or_default());
        ensure!(found == expected, MismatchSnafu { member, found: shown(found.as_bytes()), expected });
    }
    Ok(())
}
