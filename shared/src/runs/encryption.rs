use std::fmt;

use crate::conditions::{ENCRYPTED, reason};
use crate::resources::ConditionStatus;

/// Secrets that are named; of further ones there is the count.
const NAMED: usize = 5;

/// How much of an archive is encrypted, as a Backup's condition `Encrypted` tells it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Encryption {
    /// Whether a configuration was named.
    pub is_configured: bool,
    /// Objects in the archive.
    pub objects: u64,
    /// How many of them are encrypted.
    pub encrypted: u64,
    /// Secrets that hold keys, and are not.
    pub keys_in_clear: KeysInClear,
}

/// Secrets that hold an encryption configuration and lie in an archive in clear: whoever reads it can decrypt all that
/// their keys encrypted. Displayed as their names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeysInClear {
    /// The first 5, each as `namespace/name`.
    pub first: Vec<String>,
    /// How many there are.
    pub count: u64,
}

impl KeysInClear {
    /// Notes a Secret.
    pub fn note(&mut self, namespace: Option<&str>, name: &str) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}")));
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for KeysInClear {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.first.join(", "))?;
        match self.count.saturating_sub(self.first.len() as u64) {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
}

impl Encryption {
    /// The status of the condition. Keys in clear make it false, however much is encrypted beside them.
    #[must_use]
    pub const fn status(&self) -> ConditionStatus {
        if self.encrypted > 0 && self.keys_in_clear.is_empty() { ConditionStatus::True } else { ConditionStatus::False }
    }

    /// The reason of the condition: one word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self { keys_in_clear, .. } if !keys_in_clear.is_empty() => reason::KEYS_IN_CLEAR,
            Self { is_configured: false, .. } => reason::NO_CONFIGURATION,
            Self { encrypted: 0, .. } => reason::NOTHING_ENCRYPTED,
            _ => ENCRYPTED,
        }
    }

    /// The message of the condition.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { is_configured, objects, encrypted, keys_in_clear } = self;
        let counts = match (is_configured, encrypted) {
            (false, _) => "no encryption configuration is named".to_owned(),
            (true, 0) => format!(
                "none of {objects} objects is encrypted: the configuration names no type that the archive holds, or \
                 \"identity\" stands first"
            ),
            (true, _) => format!("{encrypted} of {objects} objects are encrypted"),
        };
        if keys_in_clear.is_empty() {
            return counts;
        }
        format!(
            "{counts}; Secrets with encryption keys lie in the archive in clear: {keys_in_clear}; let the configuration name \
             \"secrets\", or let the ResourceSet leave them out"
        )
    }

    /// The message where something is wrong: keys in clear, or a configuration that encrypts nothing.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        matches!(self.reason(), reason::KEYS_IN_CLEAR | reason::NOTHING_ENCRYPTED).then(|| self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(encryption: &Encryption, status: ConditionStatus, reason: &str, words: &[&str], warns: bool) {
        assert_eq!((encryption.status(), encryption.reason()), (status, reason), "{encryption:?}");
        let message = encryption.message();
        assert!(words.iter().all(|words| message.contains(words)), "{message}");
        assert_eq!(encryption.warning().is_some(), warns, "{message}");
    }

    #[test]
    fn the_condition_says_how_much_is_encrypted_and_what_is_wrong() {
        let mut keys_in_clear = KeysInClear::default();
        keys_in_clear.note(Some("cattle-resources-system"), "keys");
        let plain = Encryption { objects: 40, ..Encryption::default() };
        let nothing = Encryption { is_configured: true, ..plain.clone() };
        let some = Encryption { encrypted: 12, ..nothing.clone() };
        let in_clear = |of: &Encryption| Encryption { keys_in_clear: keys_in_clear.clone(), ..of.clone() };
        let (yes, no) = (ConditionStatus::True, ConditionStatus::False);
        check(&some, yes, "Encrypted", &["12 of 40 objects are encrypted"], false);
        check(&nothing, no, "NothingEncrypted", &["none of 40 objects", "identity"], true);
        check(&plain, no, "NoConfiguration", &["no encryption configuration"], false);
        let keys = "in clear: cattle-resources-system/keys;";
        check(&in_clear(&some), no, "KeysInClear", &["12 of 40", keys], true);
        check(&in_clear(&nothing), no, "KeysInClear", &["none of 40", keys], true);
        check(&in_clear(&plain), no, "KeysInClear", &["no encryption configuration", keys], true);
    }

    #[test]
    fn only_the_first_secrets_are_named() {
        let mut keys = KeysInClear::default();
        assert!(keys.is_empty());
        for number in 0..7 {
            keys.note(Some("ns"), &format!("keys-{number}"));
        }
        assert_eq!(keys.to_string(), "ns/keys-0, ns/keys-1, ns/keys-2, ns/keys-3, ns/keys-4 and 2 more");
    }
}
