//! Two archives compared, object by object: what was, and what is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use drover::archive::{Limits, Spool, Unsealing};
use drover::exit::Chain;
use serde_json::Value;
use sha2::{Digest, Sha256};
use snafu::{ResultExt, Snafu};

/// Why archives could not be compared.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to open the archive {path:?}"))]
    Open { path: PathBuf, source: std::io::Error },
    #[snafu(display("failed to read the archive {path:?}: {reason}"))]
    Read { path: PathBuf, reason: String },
}

/// The objects of an archive: path and digest of what an object is, apart from what every cluster fills in anew.
pub type Contents = BTreeMap<String, [u8; 32]>;

/// How two archives differ.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Differences {
    /// In the first alone.
    pub missing: Vec<String>,
    /// In the second alone.
    pub added: Vec<String>,
    /// In both, with other content.
    pub changed: Vec<String>,
}

impl Differences {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.added.is_empty() && self.changed.is_empty()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, changed, added) = (self.missing.len(), self.changed.len(), self.added.len());
        write!(formatter, "{missing} missing, {changed} changed, {added} added")
    }
}

/// Reads what an archive holds.
///
/// # Errors
/// When it cannot be read or is refused.
pub fn contents(path: &Path) -> Result<Contents, Error> {
    let file = std::fs::File::open(path).context(OpenSnafu { path })?;
    let refused = |error: &(dyn std::error::Error + 'static)| Error::Read {
        path: path.to_owned(),
        reason: Chain(error).to_string(),
    };
    let spool = Spool::read_in(&std::env::temp_dir(), file, &Limits::default(), Unsealing::Refuse, &mut |_| {})
        .map_err(|error| refused(&error))?;
    let mut contents = Contents::new();
    for id in spool.ids() {
        let loaded = spool.load(id).map_err(|error| refused(&error))?;
        contents.insert(loaded.key.to_string(), digest(&loaded.object));
    }
    Ok(contents)
}

/// What differs between what was and what is.
#[must_use]
pub fn differences(before: &Contents, after: &Contents) -> Differences {
    let lacks = |one: &Contents, other: &Contents| -> Vec<String> {
        one.keys().filter(|path| !other.contains_key(*path)).cloned().collect()
    };
    let changed = before.iter().filter(|(path, digest)| after.get(*path).is_some_and(|other| other != *digest));
    Differences {
        missing: lacks(before, after),
        added: lacks(after, before),
        changed: changed.map(|(path, _)| path.clone()).collect(),
    }
}

/// The digest of an object without its generation and its owners' UIDs: an object that was made again has new ones.
fn digest(object: &[u8]) -> [u8; 32] {
    let mut value: Value = serde_json::from_slice(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("generation");
        for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
            owner["uid"] = Value::Null;
        }
    }
    Sha256::digest(value.to_string().as_bytes()).into()
}
