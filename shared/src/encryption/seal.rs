//! What an encrypted object says of its key.

use std::fmt;

use super::provider::Provider;

/// What stands in front of all that Kubernetes encrypts.
const PREFIX: &str = "k8s:enc:";

/// Longest name of a key, in bytes; Kubernetes has no limit, and names are words.
pub(super) const NAME_BYTES: usize = 1024;

/// What is known of an encrypted object without its key: who encrypted it, and the name of the key. Displayed as
/// `key "key1" of aescbc`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Seal {
    /// The provider: `aescbc`, or one that this version does not know.
    pub provider: String,
    /// The name of the key.
    pub key: String,
}

impl Seal {
    /// What stands in front of what this key encrypts.
    pub(super) fn prefix(&self) -> String {
        format!("{PREFIX}{}:v1:{}:", self.provider, self.key)
    }

    /// Whether decryption proves that the key fits. Where it does not, only what comes out shows it.
    #[must_use]
    pub(crate) fn is_authenticated(&self) -> bool {
        self.provider != Provider::AesCbc.name()
    }

    /// Reads the names in front of `sealed`. A name is taken to end at its first colon: only a configuration knows those
    /// that hold one.
    pub(super) fn read(sealed: &[u8]) -> Option<Self> {
        // Provider, version, name; the length bounds what is looked at.
        let head = sealed.get(PREFIX.len()..).filter(|_| sealed.starts_with(PREFIX.as_bytes()))?;
        let mut parts = head[..head.len().min(3 * NAME_BYTES)].splitn(4, |byte| *byte == b':');
        let mut next = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
        let (provider, _version, key) = (next()?, next()?, next()?);
        // Without a fourth part the name did not end.
        parts.next().is_some().then(|| Self { provider: shown(provider.as_bytes()), key: shown(key.as_bytes()) })
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key {:?} of {}", self.key, self.provider)
    }
}

/// A name from outside, not longer than a line or two.
pub(super) fn shown(bytes: &[u8]) -> String {
    const CHARACTERS: usize = 200;
    String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARACTERS)]).chars().take(CHARACTERS).collect()
}
