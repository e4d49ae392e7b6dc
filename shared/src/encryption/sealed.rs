//! The string that an encrypted object is in an archive.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use snafu::{OptionExt, ResultExt};
use zeroize::Zeroizing;

use super::cipher::Unfit;
use super::configuration::{Configuration, Key};
use super::error::{
    CipherSnafu, NoKeySnafu, NotSealedSnafu, OtherProviderSnafu, RandomSnafu, RefusedSnafu, SealError, TruncatedSnafu,
    UnsealError,
};
use super::provider::Provider;
use super::seal::Seal;

/// Who encrypted the JSON string `text`, and with which key; `buffer` is overwritten.
///
/// # Errors
/// When it is no string, or nothing that was encrypted.
pub fn seal_of(text: &[u8], buffer: &mut Vec<u8>) -> Result<Seal, UnsealError> {
    decode(text, buffer).and_then(|()| Seal::read(buffer)).context(NotSealedSnafu)
}

/// The bytes of a JSON string of base64. An escape is none: whoever writes base64 writes none.
fn decode(text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let text = text.trim_ascii().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    bytes.resize(base64::decoded_len_estimate(text.len()), 0);
    let length = STANDARD.decode_slice(text, bytes).ok()?;
    bytes.truncate(length);
    Some(())
}

/// Encrypts one object after another, in one buffer that is used again.
pub struct Sealer {
    configuration: Arc<Configuration>,
    sealed: Vec<u8>,
}

impl Sealer {
    /// Encrypts by this configuration.
    #[must_use]
    pub const fn new(configuration: Arc<Configuration>) -> Self {
        Self { configuration, sealed: Vec::new() }
    }

    /// The key that encrypts objects of this type.
    #[must_use]
    pub(crate) fn seal_for(&self, plural: &str, group: &str) -> Option<&Seal> {
        self.configuration.seal_for(plural, group)
    }

    /// Writes an object of this type as a JSON string into `text`, which is cleared; false, and nothing in it, where the
    /// type is not encrypted. `path` is `<name>` or `<namespace>#<name>`.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(
        &mut self,
        (plural, group): (&str, &str),
        path: &str,
        object: &[u8],
        text: &mut Vec<u8>,
    ) -> Result<bool, SealError> {
        text.clear();
        let Some(key) = self.configuration.writer(plural, group) else { return Ok(false) };
        let mut nonce = vec![0; key.cipher.nonce_bytes()];
        getrandom::fill(&mut nonce).context(RandomSnafu)?;
        seal_with(key, &nonce, path, object, &mut self.sealed).context(CipherSnafu { seal: (*key.seal).clone() })?;
        let length = base64::encoded_len(self.sealed.len(), true);
        let length = length.context(CipherSnafu { seal: (*key.seal).clone() })?;
        text.resize(length + 2, b'"');
        let written = STANDARD.encode_slice(&self.sealed, &mut text[1..=length]);
        written.ok().context(CipherSnafu { seal: (*key.seal).clone() }).map(|_| true)
    }
}

/// Writes prefix, nonce and ciphertext into `sealed`, which is cleared.
pub(super) fn seal_with(key: &Key, nonce: &[u8], path: &str, object: &[u8], sealed: &mut Vec<u8>) -> Option<()> {
    sealed.clear();
    // The cipher's own part is at most a block and a tag; so nothing is moved while there is plaintext in it.
    sealed.reserve(key.prefix.len() + nonce.len() + object.len() + 32);
    sealed.extend_from_slice(key.prefix.as_bytes());
    key.cipher.seal(nonce, path.as_bytes(), object, sealed)
}

/// Decrypts one object after another, in one buffer that is used again and overwritten at the end.
pub struct Unsealer {
    configuration: Arc<Configuration>,
    opened: Zeroizing<Vec<u8>>,
    object: Range<usize>,
}

impl Unsealer {
    /// Decrypts by this configuration.
    #[must_use]
    pub fn new(configuration: Arc<Configuration>) -> Self {
        Self { configuration, opened: Zeroizing::default(), object: 0..0 }
    }

    /// Whether objects of this type are read in clear: see [`Configuration::reads_clear`].
    #[must_use]
    pub(crate) fn reads_clear(&self, plural: &str, group: &str) -> bool {
        self.configuration.reads_clear(plural, group)
    }

    /// Decrypts the JSON string `text` of an object of this type; [`Unsealer::object`] is then what came out, and passed
    /// `check`. `path` is `<name>` or `<namespace>#<name>`. Each key of the name is tried: where a seal is not authenticated
    /// only `check` shows that the key fits.
    ///
    /// # Errors
    /// When it is nothing that was encrypted, no key is there or fits, or bytes are damaged.
    pub(crate) fn unseal<E>(
        &mut self,
        type_name: (&str, &str),
        path: &str,
        text: &[u8],
        check: impl Fn(&[u8]) -> Result<(), E>,
    ) -> Result<Arc<Seal>, Unopened<E>> {
        let configuration = Arc::clone(&self.configuration);
        self.decode(text).map_err(Unopened::Sealed)?;
        let mut first = None;
        for key in configuration.candidates(type_name, &self.opened) {
            // A try that failed has overwritten the bytes.
            if first.is_some() {
                self.decode(text).map_err(Unopened::Sealed)?;
            }
            match self.try_key(key, path, &check) {
                Ok(()) => return Ok(Arc::clone(&key.seal)),
                Err(unopened) if unopened.is_proven() => return Err(unopened),
                Err(unopened) => first = first.or(Some(unopened)),
            }
        }
        Err(first.unwrap_or_else(|| Unopened::Sealed(unknown(&self.opened))))
    }

    /// What was decrypted last.
    #[must_use]
    pub fn object(&self) -> &[u8] {
        &self.opened[self.object.clone()]
    }

    fn decode(&mut self, text: &[u8]) -> Result<(), UnsealError> {
        self.object = 0..0;
        decode(text, &mut self.opened).context(NotSealedSnafu)
    }

    fn try_key<E>(&mut self, key: &Key, path: &str, check: impl Fn(&[u8]) -> Result<(), E>) -> Result<(), Unopened<E>> {
        let object = self.open(key, path).map_err(Unopened::Sealed)?;
        check(&self.opened[object.clone()])
            .map_err(|error| Unopened::Content { seal: Arc::clone(&key.seal), error })?;
        self.object = object;
        Ok(())
    }

    /// Decrypts in place, and gives the place of the object.
    fn open(&mut self, key: &Key, path: &str) -> Result<Range<usize>, UnsealError> {
        let (prefix, sealed) = self.opened.split_at_mut(key.prefix.len());
        let seal = || (*key.seal).clone();
        let object = key.cipher.open(path.as_bytes(), sealed).map_err(|unfit| match unfit {
            Unfit::Truncated => TruncatedSnafu { seal: seal() }.build(),
            Unfit::Refused => RefusedSnafu { seal: seal() }.build(),
        })?;
        Ok(prefix.len() + object.start..prefix.len() + object.end)
    }
}

/// Why no object came out of a string.
#[derive(Debug)]
pub enum Unopened<E> {
    /// It was not decrypted.
    Sealed(UnsealError),
    /// What came out is not the object.
    Content {
        /// The key.
        seal: Arc<Seal>,
        /// What is wrong with it.
        error: E,
    },
}

impl<E> Unopened<E> {
    /// Whether the key is known to be the right one.
    fn is_proven(&self) -> bool {
        matches!(self, Self::Content { seal, .. } if seal.is_authenticated())
    }
}

/// Why no key fits what names one.
fn unknown(sealed: &[u8]) -> UnsealError {
    let Some(seal) = Seal::read(sealed) else { return UnsealError::NotSealed };
    if Provider::ALL.iter().any(|provider| provider.name() == seal.provider) {
        NoKeySnafu { seal }.build()
    } else {
        OtherProviderSnafu { provider: seal.provider }.build()
    }
}
