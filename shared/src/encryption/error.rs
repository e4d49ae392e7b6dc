//! Why a configuration is refused, and why an object was not encrypted or decrypted. No text holds a key.

use snafu::Snafu;

use super::provider::Provider;
use super::seal::Seal;
use crate::exit::{Exit, Fault};

/// Why an EncryptionConfiguration is refused. `place` is where: `resources[0].providers[1].aescbc.keys[0]`.
#[derive(Clone, Debug, Eq, PartialEq, Snafu)]
#[snafu(visibility(pub(super)))]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ConfigurationError {
    #[snafu(display("failed to accept the configuration: it is larger than {limit} bytes, which no Secret can hold"))]
    TooLarge { limit: usize },
    #[snafu(display("failed to read the configuration: it is neither UTF-8 nor UTF-16 with a byte order mark"))]
    NoText,
    /// It is not YAML, or more of it than any configuration needs. What the parser says is not shown: it quotes the text.
    #[snafu(display(
        "failed to read the configuration as YAML or JSON: line {line}, column {column} is not well-formed, or it \
         nests, repeats or refers too much; masks such as \"*.*\" stand in quotes"
    ))]
    Yaml {
        /// Where reading ended, from 1; 0 where it is not known.
        line: u64,
        /// The column, from 1; 0 where it is not known.
        column: u64,
    },
    #[snafu(display("failed to read {place} of the configuration: it is not {expected}"))]
    OtherType { place: String, expected: &'static str },
    #[snafu(display("failed to accept the configuration: its {place} is {found:?} and should be {expected:?}"))]
    OtherKind {
        /// `apiVersion` or `kind`.
        place: &'static str,
        /// What stands there, shortened.
        found: String,
        expected: &'static str,
    },
    #[snafu(display("failed to find {place} in the configuration: it is missing or empty"))]
    Missing { place: String },
    #[snafu(display("failed to accept {place} of the configuration: it has {field}, which does not exist there"))]
    UnknownField {
        place: String,
        /// The field, in words: a long one is not shown, for it may be a key that slipped there.
        field: String,
    },
    #[snafu(display("failed to accept {place} of the configuration: it stands there twice"))]
    DoubledField { place: String },
    #[snafu(display(
        "failed to accept {place} of the configuration: it has {provider}, which is none of aescbc, aesgcm, secretbox and \
         identity"
    ))]
    UnknownProvider { place: String, provider: String },
    /// A provider that this version has not stands first, so that it would write.
    #[snafu(display(
        "failed to encrypt with {place} of the configuration: this version does not talk to a key management service; put \
         secretbox, aesgcm or aescbc first"
    ))]
    Kms { place: String },
    #[snafu(display("failed to find a provider in {place} of the configuration"))]
    NoProvider { place: String },
    #[snafu(display(
        "failed to accept {place} of the configuration: it names more than one provider; make each an entry of its own"
    ))]
    SeveralProviders { place: String },
    #[snafu(display("failed to accept {place} of the configuration: it is longer than {limit} bytes"))]
    LongName { place: String, limit: usize },
    #[snafu(display(
        "failed to read {place} of the configuration: it is not base64; `head -c 32 /dev/urandom | base64` makes a key"
    ))]
    NotBase64 { place: String },
    #[snafu(display(
        "failed to use {place} of the configuration: a key of {} has {} bytes, and this one has {bytes}",
        provider.name(), lengths(*provider)
    ))]
    KeyLength { place: String, provider: Provider, bytes: usize },
    #[snafu(display("failed to accept {place} of the configuration: {text:?} {problem}"))]
    Resource {
        place: String,
        /// The line, shortened.
        text: String,
        problem: &'static str,
    },
    #[snafu(display(
        "failed to accept {place} of the configuration: {text:?} is named in the same rule by {other:?}; take one away"
    ))]
    Overlap { place: String, text: String, other: String },
    #[snafu(display(
        "failed to accept {place} of the configuration: {text:?} would never count, since {other:?} of an earlier rule \
         is for it; put the narrower rule first"
    ))]
    Masked { place: String, text: String, other: String },
}

impl Fault for ConfigurationError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

fn lengths(provider: Provider) -> String {
    let lengths: Vec<String> = provider.key_bytes().iter().map(usize::to_string).collect();
    lengths.join(", ")
}

/// Why an object was not encrypted.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum SealError {
    #[snafu(display("failed to get random bytes from the system"))]
    Random { source: getrandom::Error },
    /// The cipher took neither object nor nonce.
    #[snafu(display("failed to encrypt with {seal}; this is a fault of drover"))]
    Cipher { seal: Seal },
}

impl Fault for SealError {
    fn exit(&self) -> Exit {
        Exit::Failure
    }
}

/// Why what an archive holds was not decrypted.
#[derive(Clone, Debug, Eq, PartialEq, Snafu)]
#[snafu(visibility(pub(super)))]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum UnsealError {
    #[snafu(display("the string is not base64 of what Kubernetes' providers encrypt"))]
    NotSealed,
    #[snafu(display("it is encrypted by {provider:?}, and this version decrypts aescbc, aesgcm and secretbox"))]
    OtherProvider {
        /// The provider, shortened.
        provider: String,
    },
    #[snafu(display(
        "the configuration has no key {:?} of {}; name the one that the backup was made with, or add that key to it",
        seal.key, seal.provider
    ))]
    NoKey { seal: Seal },
    /// There are fewer bytes than any object gives.
    #[snafu(display("what is encrypted with {seal} is cut off: the entry is damaged"))]
    Truncated { seal: Seal },
    #[snafu(display("{seal} does not fit: it is another key of that name, or the entry is damaged"))]
    Refused { seal: Seal },
}

impl Fault for UnsealError {
    fn exit(&self) -> Exit {
        Exit::DataRefused
    }
}
