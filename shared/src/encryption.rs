//! Encryption of the objects in an archive, by a Kubernetes EncryptionConfiguration: the file that also says how an API
//! server encrypts what it stores, and that the Rancher backup operator takes for its archives.
//!
//! ```text
//! object ──▶ key of its type ──▶ k8s:enc:<provider>:v1:<key name>:<nonce and ciphertext> ──base64──▶ JSON string
//! ```
//!
//! | provider | ciphertext | what it proves |
//! | --- | --- | --- |
//! | `aescbc` | IV (16 bytes), AES-CBC with PKCS#7 | nothing: only what comes out shows whether the key fits |
//! | `aesgcm` | nonce (12), AES-GCM, tag (16), with the object's path as additional data | the key, the bytes, the object |
//! | `secretbox` | nonce (24), tag (16), XSalsa20 (NaCl's secretbox) | the key and the bytes |
//! | `identity` | the object itself | nothing |
//!
//! A configuration is read as the loader of API servers reads it: see [`Configuration::parse`]. The first rule whose
//! `resources` name a type counts for it, and its first provider's first key writes. What is read names its key: each of
//! that name is tried, those of the type's own rules first, until one fits. Kubernetes looks in the type's own rules only; a
//! restore should not fail because a rule was moved since.
//!
//! An archive has a [MAC](Configuration::mac) beside it, which proves that whoever wrote it had a key. Objects in clear whose
//! type is encrypted are refused, unless `identity` is among the providers of the type's rule.
//!
//! Keys, their base64 and the plaintext buffers are overwritten when they are dropped. What the YAML parser, the HTTP
//! client and the system copied of them on the way is out of reach.

mod build;
mod cipher;
mod configuration;
mod document;
mod error;
mod mac;
mod mask;
mod provider;
mod seal;
mod sealed;
mod source;

#[cfg(test)]
mod tests;

pub use self::configuration::Configuration;
pub use self::error::{ConfigurationError, SealError, UnsealError};
pub use self::provider::Provider;
pub use self::seal::Seal;
pub use self::sealed::{Sealer, Unopened, Unsealer, seal_of};
pub use self::source::{CONFIGURATION_KEY, SourceError, from_file, from_secret, holds_configuration};
