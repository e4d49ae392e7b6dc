use aes::{Aes128, Aes192, Aes256};

use super::cipher::{Cbc, Cipher, Gcm, Secretbox};

/// A way to encrypt that an EncryptionConfiguration can name, and that this version knows.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Provider {
    /// `aescbc`.
    AesCbc,
    /// `aesgcm`.
    AesGcm,
    /// `secretbox`.
    Secretbox,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AesCbc, Self::AesGcm, Self::Secretbox];

    /// Its name in a configuration and in what it encrypted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCbc => "aescbc",
            Self::AesGcm => "aesgcm",
            Self::Secretbox => "secretbox",
        }
    }

    /// The lengths of its keys, in bytes.
    #[must_use]
    pub(crate) const fn key_bytes(self) -> &'static [usize] {
        match self {
            Self::AesCbc | Self::AesGcm => &[16, 24, 32],
            Self::Secretbox => &[32],
        }
    }

    /// The cipher with this key; none where the key is of another length.
    pub(super) fn cipher(self, key: &[u8]) -> Option<Box<dyn Cipher>> {
        Some(match (self, key.len()) {
            (Self::AesCbc, 16) => Box::new(Cbc::<Aes128>::new(key)?),
            (Self::AesCbc, 24) => Box::new(Cbc::<Aes192>::new(key)?),
            (Self::AesCbc, _) => Box::new(Cbc::<Aes256>::new(key)?),
            (Self::AesGcm, 16) => Box::new(Gcm::<Aes128>::new(key)?),
            (Self::AesGcm, 24) => Box::new(Gcm::<Aes192>::new(key)?),
            (Self::AesGcm, _) => Box::new(Gcm::<Aes256>::new(key)?),
            (Self::Secretbox, _) => Box::new(Secretbox::new(key)?),
        })
    }
}
