//! The MAC of an archive: who has the key of a configuration proves with it that the archive is of its making.
//!
//! ```text
//! key of the MACs = HMAC-SHA256(key of the configuration, "drover.dev/archive-mac/v1:" <provider>)
//! MAC             = HMAC-SHA256(key of the MACs, SHA-256 of the archive)
//! ```
//!
//! The digest stands for every byte of the file, and is at hand wherever an archive is written or was read. So each key of
//! a configuration is tried without a further look at the bytes.

use hmac::{Hmac, KeyInit, Mac};
use zeroize::Zeroizing;

use super::provider::Provider;
use crate::digest::Sha256;

/// Keeps the key of the MACs apart from the key that encrypts, and from what else may be derived of that one some day.
const LABEL: &[u8] = b"drover.dev/archive-mac/v1:";

/// Bytes of a block of SHA-256, to which HMAC fills a key with zeros (RFC 2104); no key of a provider is longer.
const BLOCK: usize = 64;

/// What makes the MACs of archives; it is derived of a key of the configuration.
pub(super) struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    pub(super) fn of(provider: Provider, secret: &[u8]) -> Self {
        Self(Zeroizing::new(keyed(secret, &[LABEL, provider.name().as_bytes()])))
    }

    /// The MAC of an archive with this SHA-256.
    pub(super) fn mac(&self, sha256: Sha256) -> Sha256 {
        keyed(&*self.0, &[sha256.as_bytes()]).into()
    }
}

fn keyed(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut block = Zeroizing::new([0_u8; BLOCK]);
    for (filled, byte) in block.iter_mut().zip(key) {
        *filled = *byte;
    }
    let mut mac = Hmac::<sha2::Sha256>::new((&*block).into());
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
