use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::cipher::Cipher;
use super::mac::MacKey;
use super::mask::Mask;
use super::seal::Seal;
use crate::digest::Sha256;

/// An EncryptionConfiguration that was checked: which key encrypts which type, and every key that decrypts.
///
/// A key is found by what an entry says of itself, and the entry's type decides only which of several is tried first: an
/// archive is read also where its rule was moved, changed or merged since.
pub struct Configuration {
    pub(super) keys: Vec<Key>,
    pub(super) rules: Vec<Rule>,
    pub(super) warnings: Vec<String>,
}

/// One key, ready for use.
pub(super) struct Key {
    pub(super) seal: Arc<Seal>,
    /// What stands in front of everything that it encrypted: `k8s:enc:aescbc:v1:key1:`.
    pub(super) prefix: String,
    pub(super) cipher: Box<dyn Cipher>,
    pub(super) mac: MacKey,
}

/// What is done with the types that some masks name.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) masks: Vec<Mask>,
    /// The key that writes; none where `identity` stands first.
    pub(super) writer: Option<usize>,
    /// Whether `identity` is among the providers, so that objects in clear are read.
    pub(super) reads_clear: bool,
    /// Its keys, in the order in which they are tried.
    pub(super) keys: Vec<usize>,
}

impl Configuration {
    /// What an API server takes without a word and what hardly anybody means: keys of one name, what counts for nothing.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The key that encrypts objects of this type; none where they stay as they are.
    #[must_use]
    pub(crate) fn seal_for(&self, plural: &str, group: &str) -> Option<&Seal> {
        self.writer(plural, group).map(|key| &*key.seal)
    }

    /// Whether an object of this type that lies in an archive in clear may be one of the archive's, as Kubernetes sees it: no
    /// rule names the type, or `identity` is among the providers of the one that does.
    #[must_use]
    pub(crate) fn reads_clear(&self, plural: &str, group: &str) -> bool {
        self.rule(plural, group).is_none_or(|rule| rule.reads_clear)
    }

    /// The MAC of an archive with this SHA-256, made with the key that writes by the first rule of which one does; none where
    /// no rule has such a key, since `identity` stands first in each.
    #[must_use]
    pub fn mac(&self, sha256: Sha256) -> Option<Sha256> {
        let writer = self.rules.iter().find_map(|rule| rule.writer)?;
        self.keys.get(writer).map(|key| key.mac.mac(sha256))
    }

    /// The key that made this MAC of an archive with this SHA-256: any of the configuration, so that keys can be rotated.
    #[must_use]
    pub fn maker(&self, sha256: Sha256, mac: Sha256) -> Option<&Seal> {
        let made = |key: &&Key| bool::from(key.mac.mac(sha256).as_bytes().ct_eq(mac.as_bytes()));
        self.keys.iter().find(made).map(|key| &*key.seal)
    }

    /// The first provider's first key of the type's rule.
    pub(super) fn writer(&self, plural: &str, group: &str) -> Option<&Key> {
        self.rule(plural, group)?.writer.and_then(|index| self.keys.get(index))
    }

    /// The first rule that names the type: it alone counts.
    fn rule(&self, plural: &str, group: &str) -> Option<&Rule> {
        self.rules_for(plural, group).next()
    }

    fn rules_for(&self, plural: &str, group: &str) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.masks.iter().any(|mask| mask.matches(plural, group)))
    }

    /// The keys whose prefix stands in front of these bytes, in the order in which they are tried: the longest prefix
    /// first, for names may hold colons (`a`, and `a:b`); of one prefix the keys of the type's own rules, and then others.
    pub(super) fn candidates(&self, (plural, group): (&str, &str), sealed: &[u8]) -> Vec<&Key> {
        let own: Vec<usize> = self.rules_for(plural, group).flat_map(|rule| rule.keys.iter().copied()).collect();
        let place = |index: usize| own.iter().position(|own| *own == index).unwrap_or(usize::MAX);
        let keys = self.keys.iter().enumerate();
        let mut candidates: Vec<_> = keys.filter(|(_, key)| sealed.starts_with(key.prefix.as_bytes())).collect();
        candidates.sort_by_key(|(index, key)| (Reverse(key.prefix.len()), place(*index)));
        candidates.into_iter().map(|(_, key)| key).collect()
    }
}

/// Shows which keys there are, and nothing of them.
impl fmt::Debug for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, rules, warnings } = self;
        let mut shown = formatter.debug_struct("Configuration");
        shown.field("keys", keys).field("rules", rules).field("warnings", warnings).finish()
    }
}

/// Shows the name, and nothing of the key.
impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Key").field(&self.seal).finish()
    }
}
