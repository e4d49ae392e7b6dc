//! What proves who made an archive: this cluster, which recorded its digest then, or its MAC, which only who has a key of
//! the encryption configuration can make.

use std::fmt;

use drover::digest::Sha256;
use drover::encryption::{Configuration, Seal};
use drover::exit::{Exit, Fault};
use snafu::Snafu;

use crate::survey::archive::recorded::Evidence;

/// Why an archive is not restored.
#[derive(Debug, Eq, PartialEq, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum AuthenticityError {
    #[snafu(display(
        "failed to trust the archive {filename:?}: no key of the encryption configuration made the MAC that is recorded beside \
         it, so somebody changed the archive or the MAC, or the configuration lacks the key; nothing was changed. Restore \
         another archive, or add the key that the archive was made with; who trusts this one applies a copy of the file alone \
         by hand, with `restore apply`"
    ))]
    WrongMac { filename: String },
    #[snafu(display(
        "failed to accept the archive {filename:?}: {by} asks for an authentic one, and nothing proves who made this one: \
         {why}, and this cluster recorded no digest of it; nothing was changed. Restore another archive or, where this one \
         is trusted, take that back"
    ))]
    Unproved { filename: String, by: String, why: &'static str },
    #[snafu(display(
        "failed to tell whether the archive {filename:?}, of which nothing proves who made it, may be restored; nothing was \
         changed: {why}"
    ))]
    UnknownPolicy { filename: String, why: String },
}

impl Fault for AuthenticityError {
    fn exit(&self) -> Exit {
        match self {
            Self::WrongMac { .. } | Self::Unproved { .. } => Exit::DataRefused,
            Self::UnknownPolicy { .. } => Exit::Usage,
        }
    }
}

/// What the MAC beside an archive says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Mac {
    /// There is none.
    Missing,
    /// No configuration is named to check it with.
    Unchecked,
    /// No key of the configuration made it.
    Wrong,
    /// This key made it.
    MadeWith(Seal),
}

impl Mac {
    /// What this MAC says of an archive with this SHA-256.
    pub(crate) fn of(mac: Option<Sha256>, sha256: Sha256, configuration: Option<&Configuration>) -> Self {
        let Some(mac) = mac else { return Self::Missing };
        let Some(configuration) = configuration else { return Self::Unchecked };
        configuration.maker(sha256, mac).map_or(Self::Wrong, |seal| Self::MadeWith(seal.clone()))
    }

    /// The word that programs read.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unchecked => "unchecked",
            Self::Wrong => "wrong",
            Self::MadeWith(_) => "authentic",
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("none beside the file"),
            Self::Unchecked => formatter.write_str("not checked; --encryption-config names the keys"),
            Self::Wrong => formatter.write_str("WRONG, it was made with no key of the configuration"),
            Self::MadeWith(seal) => write!(formatter, "made with {seal}"),
        }
    }
}

/// What proves who made an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Proof {
    /// This cluster recorded its digest when it was made.
    Record {
        /// The MAC beside it says another thing. Whoever may write there may change that.
        despite_mac: bool,
    },
    /// Its MAC, made with this key.
    Mac(Seal),
    /// Nothing; why.
    Nothing(&'static str),
}

/// Decides what proves who made an archive.
///
/// # Errors
///
/// When its MAC is wrong, and this cluster did not record its digest.
fn prove(filename: &str, is_recorded: bool, mac: Mac) -> Result<Proof, AuthenticityError> {
    match mac {
        Mac::MadeWith(seal) => Ok(Proof::Mac(seal)),
        mac if is_recorded => Ok(Proof::Record { despite_mac: mac == Mac::Wrong }),
        Mac::Wrong => WrongMacSnafu { filename }.fail(),
        Mac::Unchecked => Ok(Proof::Nothing("no encryption configuration is named to check its MAC with")),
        Mac::Missing => Ok(Proof::Nothing("it has no MAC")),
    }
}

impl Proof {
    /// What proves an archive of this SHA-256, by what is known of it and by this configuration.
    ///
    /// # Errors
    ///
    /// As [`prove`].
    pub(crate) fn of(
        filename: &str,
        sha256: Sha256,
        Evidence { is_recorded, mac }: Evidence,
        configuration: Option<&Configuration>,
    ) -> Result<Self, AuthenticityError> {
        prove(filename, is_recorded, Mac::of(mac, sha256, configuration))
    }

    /// What is to be said where nothing proves it, also in the log before anything is written; the log has the rest.
    pub(crate) fn told(&self) -> Option<String> {
        match self {
            Self::Record { despite_mac: false } => None,
            Self::Record { despite_mac: true } => {
                tracing::warn!(
                    "this cluster recorded the archive's digest, and no key of the encryption configuration made the MAC beside \
                     it: somebody changed that, or the configuration lacks the key"
                );
                None
            }
            Self::Mac(seal) => {
                tracing::info!("the archive's MAC was made with {seal}");
                None
            }
            Self::Nothing(why) => {
                Some(format!("nothing proves who made this archive: {why}, and this cluster recorded no digest of it"))
            }
        }
    }

    /// Refuses an archive that nothing proves, where something asks for that.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub(crate) fn demand(&self, filename: &str, by: Option<String>) -> Result<(), AuthenticityError> {
        match (self, by) {
            (Self::Nothing(why), Some(by)) => UnprovedSnafu { filename, by, why: *why }.fail(),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = r#"{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [
        {"resources": ["secrets"], "providers": [{"aescbc": {"keys": [{"name": "one", "secret": "MDEyMzQ1Njc4OWFiY2RlZg=="}]}}]}
    ]}"#;

    fn seal() -> Seal {
        Seal { provider: "aescbc".to_owned(), key: "one".to_owned() }
    }

    #[test]
    fn a_mac_says_who_made_it_only_where_its_key_is_at_hand() {
        let (keys, sha256) = (Configuration::parse(KEYS).unwrap(), [0xab; 32].into());
        let own = keys.mac(sha256);
        for (mac, configuration, expected) in [
            (None, Some(&keys), Mac::Missing),
            (own, None, Mac::Unchecked),
            (own, Some(&keys), Mac::MadeWith(seal())),
            (Some([7; 32].into()), Some(&keys), Mac::Wrong),
        ] {
            assert_eq!(Mac::of(mac, sha256, configuration), expected, "{mac:?}");
        }
        assert_eq!(Mac::of(own, [0xac; 32].into(), Some(&keys)), Mac::Wrong);
    }

    #[test]
    fn a_wrong_mac_is_refused_unless_this_cluster_recorded_the_digest() {
        let error = prove("a.tar.gz", false, Mac::Wrong).unwrap_err();
        assert_eq!(
            (error.exit(), error),
            (Exit::DataRefused, AuthenticityError::WrongMac { filename: "a.tar.gz".into() })
        );
        assert_eq!(prove("a.tar.gz", true, Mac::Wrong), Ok(Proof::Record { despite_mac: true }));
    }

    #[test]
    fn an_archive_is_authentic_by_its_mac_or_by_what_this_cluster_recorded() {
        for (is_recorded, mac, expected) in [
            (false, Mac::MadeWith(seal()), Proof::Mac(seal())),
            (true, Mac::MadeWith(seal()), Proof::Mac(seal())),
            (true, Mac::Missing, Proof::Record { despite_mac: false }),
            (true, Mac::Unchecked, Proof::Record { despite_mac: false }),
        ] {
            let proof = prove("a", is_recorded, mac).unwrap();
            assert_eq!((&proof, proof.told()), (&expected, None));
            assert_eq!(proof.demand("a", Some("somebody".to_owned())), Ok(()));
        }
    }

    #[test]
    fn what_nothing_proves_is_said_and_refused_where_somebody_asks_for_it() {
        for (mac, words) in [(Mac::Missing, "it has no MAC"), (Mac::Unchecked, "no encryption configuration is named")]
        {
            let proof = prove("a", false, mac).unwrap();
            assert!(
                proof.told().is_some_and(|note| note.contains("nothing proves") && note.contains(words)),
                "{words}"
            );
            assert_eq!(proof.demand("a", None), Ok(()));
            let error = proof.demand("a", Some("--require".to_owned())).unwrap_err();
            assert!(error.to_string().contains("--require asks for") && error.to_string().contains(words), "{error}");
            assert_eq!(error.exit(), Exit::DataRefused);
        }
    }
}
