use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::Client;
use snafu::{OptionExt, ResultExt, Snafu};
use tracing::warn;
use zeroize::Zeroizing;

use super::configuration::Configuration;
use super::document::DOCUMENT_BYTES;
use super::error::ConfigurationError;
use crate::cluster;
use crate::exit::{Exit, Fault};
use crate::object::Object;

/// The key of a Secret's data that holds an EncryptionConfiguration, as Rancher's users know it.
pub const CONFIGURATION_KEY: &str = "encryption-provider-config.yaml";

/// Why there is no configuration.
#[derive(Debug, Snafu)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum SourceError {
    #[snafu(display("failed to read the encryption configuration that spec.encryptionConfigSecretName names"))]
    ReadSecret {
        #[snafu(source(from(cluster::Error, Box::new)))]
        source: Box<cluster::Error>,
    },
    #[snafu(display(
        "failed to find {CONFIGURATION_KEY:?} in the data of the Secret {name:?} in the namespace {namespace:?}; \
         `kubectl create secret generic {name} --from-file={CONFIGURATION_KEY}` makes one that has it"
    ))]
    FindKey { name: String, namespace: String },
    #[snafu(display(
        "failed to use the encryption configuration of the Secret {name:?} in the namespace {namespace:?}"
    ))]
    UseSecret {
        name: String,
        namespace: String,
        #[snafu(source(from(ConfigurationError, Box::new)))]
        source: Box<ConfigurationError>,
    },
    #[snafu(display("failed to read the encryption configuration {path:?}"))]
    ReadFile { path: PathBuf, source: io::Error },
    #[snafu(display("failed to use the encryption configuration {path:?}"))]
    UseFile {
        path: PathBuf,
        #[snafu(source(from(ConfigurationError, Box::new)))]
        source: Box<ConfigurationError>,
    },
}

impl SourceError {
    /// Whether only a person can mend it: a Secret that is missing or refused, and not an API server that is away.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::ReadSecret { source } => matches!(**source, cluster::Error::FindSecret { .. }),
            Self::FindKey { .. } | Self::UseSecret { .. } | Self::ReadFile { .. } | Self::UseFile { .. } => true,
        }
    }
}

impl Fault for SourceError {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadSecret { source } => source.exit(),
            Self::UseSecret { source, .. } | Self::UseFile { source, .. } => source.exit(),
            Self::FindKey { .. } | Self::ReadFile { .. } => Exit::Usage,
        }
    }
}

/// Reads the configuration of a Secret. What is ambiguous in it is logged.
///
/// # Errors
/// When the Secret is missing, may not be read or holds something else, or the configuration is refused.
pub async fn from_secret(client: &Client, namespace: &str, name: &str) -> Result<Arc<Configuration>, SourceError> {
    let mut data = cluster::secret(client, namespace, namespace, name).await.context(ReadSecretSnafu)?;
    let found = data.remove(CONFIGURATION_KEY).context(FindKeySnafu { name, namespace })?;
    let configuration = parse(&Zeroizing::new(found.0)).context(UseSecretSnafu { name, namespace })?;
    for words in configuration.warnings() {
        warn!(secret = name, namespace, "encryption configuration: {words}");
    }
    Ok(configuration)
}

/// Reads the configuration of a file. What is ambiguous in it is logged. Blocking.
///
/// # Errors
/// When the file cannot be read or the configuration is refused.
pub fn from_file(path: &Path) -> Result<Arc<Configuration>, SourceError> {
    // Room for all of it from the beginning: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(DOCUMENT_BYTES + 2));
    let limit = DOCUMENT_BYTES as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.context(ReadFileSnafu { path })?;
    let configuration = parse(&bytes).context(UseFileSnafu { path })?;
    for words in configuration.warnings() {
        warn!(?path, "encryption configuration: {words}");
    }
    Ok(configuration)
}

fn parse(bytes: &[u8]) -> Result<Arc<Configuration>, ConfigurationError> {
    let text = text(bytes).ok_or(ConfigurationError::NoText)?;
    Configuration::parse(&text).map(Arc::new)
}

/// A text in UTF-8, or in UTF-16 with its mark in front, as PowerShell writes files and YAML allows.
fn text(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xFF, 0xFE, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] => u16::from_be_bytes,
        _ => return std::str::from_utf8(bytes).ok().map(|text| Zeroizing::new(text.to_owned())),
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    // Room for all of it from the beginning, as above: a unit takes up to three bytes.
    let mut text = Zeroizing::new(String::with_capacity(3 * pairs.len()));
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        text.push(character.ok()?);
    }
    rest.is_empty().then_some(text)
}

/// Whether this Secret holds an EncryptionConfiguration, and so keys.
#[must_use]
pub fn holds_configuration(secret: &Object<'_>) -> bool {
    ["data", "stringData"].iter().any(|member| secret.has_member(member, CONFIGURATION_KEY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_utf_8_and_utf_16_are_read() {
        let with_mark = "\u{feff}kind: ä😀";
        let little: Vec<u8> = with_mark.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = with_mark.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [with_mark.as_bytes(), &*little, &*big] {
            assert_eq!(text(bytes).as_deref().map(String::as_str), Some(with_mark));
        }
        assert_eq!(text(b"a").as_deref().map(String::as_str), Some("a"));
        for bytes in [&b"\xFF\xFEa"[..], b"\xFF\xFE\x00\xD8", b"a\xFF"] {
            assert!(text(bytes).is_none(), "{bytes:?}");
        }
    }
}
