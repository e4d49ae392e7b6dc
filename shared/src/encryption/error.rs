//! Why a configuration is refused, and why an object was not encrypted or decrypted. No text holds a key.

use snafu::Snafu;

use super::provider::Provider;
use super::seal::Seal;
use crate::exit::{Exit, Fault};

/// Why an EncryptionConfiguration is refused. `place` is where: `resources[0].providers[1].aescbc.keys[0]`.
#[derive(Clone, Debug, Eq, PartialEq, Snafu)]
#[snafu(visibility(pub(super)))]
#[non_exhaustive]
pub enum ConfigurationError {
    /// It is larger than a Secret can be.
    #[snafu(display("failed to accept the configuration: it is larger than {limit} bytes, which no Secret can hold"))]
    TooLarge {
        /// The bytes that are accepted.
        limit: usize,
    },
    /// It is no text.
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
    /// A value is of another type.
    #[snafu(display("failed to read {place} of the configuration: it is not {expected}"))]
    OtherType {
        /// Where.
        place: String,
        /// What it should be.
        expected: &'static str,
    },
    /// It is another kind of file.
    #[snafu(display("failed to accept the configuration: its {place} is {found:?} and should be {expected:?}"))]
    OtherKind {
        /// `apiVersion` or `kind`.
        place: &'static str,
        /// What stands there, shortened.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// Something is missing or empty.
    #[snafu(display("failed to find {place} in the configuration: it is missing or empty"))]
    Missing {
        /// What.
        place: String,
    },
    /// A field that does not exist.
    #[snafu(display("failed to accept {place} of the configuration: it has {field}, which does not exist there"))]
    UnknownField {
        /// Where.
        place: String,
        /// The field, in words: a long one is not shown, for it may be a key that slipped there.
        field: String,
    },
    /// A field stands twice.
    #[snafu(display("failed to accept {place} of the configuration: it stands there twice"))]
    DoubledField {
        /// The field.
        place: String,
    },
    /// A provider that does not exist.
    #[snafu(display(
        "failed to accept {place} of the configuration: it has {provider}, which is none of aescbc, aesgcm, secretbox and \
         identity"
    ))]
    UnknownProvider {
        /// Where.
        place: String,
        /// The provider, in words.
        provider: String,
    },
    /// A provider that this version has not stands first, so that it would write.
    #[snafu(display(
        "failed to encrypt with {place} of the configuration: this version does not talk to a key management service; put \
         secretbox, aesgcm or aescbc first"
    ))]
    Kms {
        /// Where.
        place: String,
    },
    /// An entry of `providers` is none.
    #[snafu(display("failed to find a provider in {place} of the configuration"))]
    NoProvider {
        /// Where.
        place: String,
    },
    /// An entry of `providers` is two.
    #[snafu(display(
        "failed to accept {place} of the configuration: it names more than one provider; make each an entry of its own"
    ))]
    SeveralProviders {
        /// Where.
        place: String,
    },
    /// A key's name is longer than any in use.
    #[snafu(display("failed to accept {place} of the configuration: it is longer than {limit} bytes"))]
    LongName {
        /// Where.
        place: String,
        /// The bytes that are accepted.
        limit: usize,
    },
    /// A secret is not base64.
    #[snafu(display(
        "failed to read {place} of the configuration: it is not base64; `head -c 32 /dev/urandom | base64` makes a key"
    ))]
    NotBase64 {
        /// Where.
        place: String,
    },
    /// A secret is of another length.
    #[snafu(display(
        "failed to use {place} of the configuration: a key of {} has {} bytes, and this one has {bytes}",
        provider.name(), lengths(*provider)
    ))]
    KeyLength {
        /// Where.
        place: String,
        /// The provider.
        provider: Provider,
        /// Bytes of this one.
        bytes: usize,
    },
    /// A line of `resources` names no type.
    #[snafu(display("failed to accept {place} of the configuration: {text:?} {problem}"))]
    Resource {
        /// Where.
        place: String,
        /// The line, shortened.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A type is named twice in one rule.
    #[snafu(display(
        "failed to accept {place} of the configuration: {text:?} is named in the same rule by {other:?}; take one away"
    ))]
    Overlap {
        /// Where.
        place: String,
        /// The line.
        text: String,
        /// The line before it.
        other: String,
    },
    /// An earlier rule leaves nothing to a later one.
    #[snafu(display(
        "failed to accept {place} of the configuration: {text:?} would never count, since {other:?} of an earlier rule \
         is for it; put the narrower rule first"
    ))]
    Masked {
        /// Where.
        place: String,
        /// The line.
        text: String,
        /// The earlier line.
        other: String,
    },
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
pub enum SealError {
    /// The system gave no random bytes.
    #[snafu(display("failed to get random bytes from the system"))]
    Random {
        /// What it said.
        source: getrandom::Error,
    },
    /// The cipher took neither object nor nonce.
    #[snafu(display("failed to encrypt with {seal}; this is a fault of drover"))]
    Cipher {
        /// The key.
        seal: Seal,
    },
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
pub enum UnsealError {
    /// The string is nothing that was encrypted.
    #[snafu(display("the string is not base64 of what Kubernetes' providers encrypt"))]
    NotSealed,
    /// No provider of this version.
    #[snafu(display("it is encrypted by {provider:?}, and this version decrypts aescbc, aesgcm and secretbox"))]
    OtherProvider {
        /// The provider, shortened.
        provider: String,
    },
    /// The configuration has no such key.
    #[snafu(display(
        "the configuration has no key {:?} of {}; name the one that the backup was made with, or add that key to it",
        seal.key, seal.provider
    ))]
    NoKey {
        /// What the entry names.
        seal: Seal,
    },
    /// There are fewer bytes than any object gives.
    #[snafu(display("what is encrypted with {seal} is cut off: the entry is damaged"))]
    Truncated {
        /// What the entry names.
        seal: Seal,
    },
    /// The key does not fit.
    #[snafu(display("{seal} does not fit: it is another key of that name, or the entry is damaged"))]
    Refused {
        /// What the entry names.
        seal: Seal,
    },
}

impl Fault for UnsealError {
    fn exit(&self) -> Exit {
        Exit::DataRefused
    }
}
