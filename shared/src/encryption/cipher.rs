//! The three ciphers, each in the form in which Kubernetes stores what it encrypted.

use std::ops::Range;

use aes::cipher::array::Array;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::consts::{U12, U16};
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit, KeyInit,
    KeyIvInit, StreamCipher,
};
use aes_gcm::{AeadInOut, AesGcm};
use poly1305::Poly1305;
use salsa20::XSalsa20;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes of an AES block, and of the tags of AES-GCM and Poly1305.
const BLOCK: usize = 16;

/// Why bytes were not decrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unfit {
    /// They are fewer than any object gives, or end within a block.
    Truncated,
    /// The tag or the padding is wrong.
    Refused,
}

/// A cipher with its key. Dropped, it leaves nothing of the key behind.
pub(super) trait Cipher: Send + Sync {
    /// Bytes of the nonce, which must never be used twice with one key.
    fn nonce_bytes(&self) -> usize;

    /// Appends nonce and ciphertext to `out`, which grows at most once, so that no copy of the plaintext is left behind.
    /// None when an object is too large for the cipher, or the nonce of another length: both are faults of the caller.
    fn seal(&self, nonce: &[u8], path: &[u8], object: &[u8], out: &mut Vec<u8>) -> Option<()>;

    /// Decrypts in place, and gives the place of the object within `sealed`.
    fn open(&self, path: &[u8], sealed: &mut [u8]) -> Result<Range<usize>, Unfit>;
}

/// AES-CBC with PKCS#7 padding; nothing proves that a key fits but what comes out.
pub(super) struct Cbc<Aes>(Aes);

impl<Aes: KeyInit> Cbc<Aes> {
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        Aes::new_from_slice(key).ok().map(Self)
    }
}

impl<Aes> Cipher for Cbc<Aes>
where
    Aes: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + Send + Sync,
{
    fn nonce_bytes(&self) -> usize {
        BLOCK
    }

    fn seal(&self, nonce: &[u8], _path: &[u8], object: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let iv = Array::try_from(nonce).ok()?;
        // A whole block of padding where the object fills its last one.
        let padded = object.len() / BLOCK * BLOCK + BLOCK;
        out.reserve(nonce.len() + padded);
        out.extend_from_slice(nonce);
        let start = out.len();
        out.extend_from_slice(object);
        out.resize(start + padded, 0);
        let encryptor = cbc::Encryptor::inner_iv_init(&self.0, &iv);
        encryptor.encrypt_padded::<Pkcs7>(&mut out[start..], object.len()).ok().map(drop)
    }

    fn open(&self, _path: &[u8], sealed: &mut [u8]) -> Result<Range<usize>, Unfit> {
        let (iv, blocks) = sealed.split_at_mut_checked(BLOCK).ok_or(Unfit::Truncated)?;
        if blocks.is_empty() || !blocks.len().is_multiple_of(BLOCK) {
            return Err(Unfit::Truncated);
        }
        let iv = Array::try_from(&*iv).map_err(|_| Unfit::Truncated)?;
        let decryptor = cbc::Decryptor::inner_iv_init(&self.0, &iv);
        let object = decryptor.decrypt_padded::<Pkcs7>(blocks).map_err(|_| Unfit::Refused)?;
        Ok(BLOCK..BLOCK + object.len())
    }
}

/// AES-GCM with a nonce of 12 bytes; the path goes along as additional data, so no object can pass for another.
pub(super) struct Gcm<Aes>(AesGcm<Aes, U12>);

/// Bytes of the nonce of [`Gcm`].
const GCM_NONCE: usize = 12;

impl<Aes> Gcm<Aes>
where
    Aes: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit,
{
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        AesGcm::new_from_slice(key).ok().map(Self)
    }
}

impl<Aes> Cipher for Gcm<Aes>
where
    Aes: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync,
{
    fn nonce_bytes(&self) -> usize {
        GCM_NONCE
    }

    fn seal(&self, nonce: &[u8], path: &[u8], object: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let iv = Array::try_from(nonce).ok()?;
        out.reserve(nonce.len() + object.len() + BLOCK);
        out.extend_from_slice(nonce);
        let start = out.len();
        out.extend_from_slice(object);
        let tag = self.0.encrypt_inout_detached(&iv, path, (&mut out[start..]).into()).ok()?;
        out.extend_from_slice(&tag);
        Some(())
    }

    fn open(&self, path: &[u8], sealed: &mut [u8]) -> Result<Range<usize>, Unfit> {
        let end = sealed.len().checked_sub(BLOCK).filter(|end| *end >= GCM_NONCE).ok_or(Unfit::Truncated)?;
        let (sealed, tag) = sealed.split_at_mut(end);
        let (nonce, object) = sealed.split_at_mut(GCM_NONCE);
        let nonce = Array::try_from(&*nonce).map_err(|_| Unfit::Truncated)?;
        let tag = Array::try_from(&*tag).map_err(|_| Unfit::Truncated)?;
        self.0.decrypt_inout_detached(&nonce, path, object.into(), &tag).map_err(|_| Unfit::Refused)?;
        Ok(GCM_NONCE..end)
    }
}

/// NaCl's secretbox: XSalsa20, its first 32 bytes for Poly1305, the tag in front.
///
/// Put together here from the two primitives: the crate `crypto_secretbox` has one release of this generation of
/// RustCrypto, a pre-release that is pinned to candidates of its parts, and its last proper one would bring six crates
/// of the generation before.
pub(super) struct Secretbox(Zeroizing<[u8; 32]>);

/// Bytes of the nonce of [`Secretbox`].
const SECRETBOX_NONCE: usize = 24;

impl Secretbox {
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(|key| Self(Zeroizing::new(key)))
    }

    fn start(&self, nonce: &[u8]) -> Option<(XSalsa20, Poly1305)> {
        let nonce = Array::try_from(nonce).ok()?;
        let mut stream = XSalsa20::new((&*self.0).into(), &nonce);
        let mut one_time_key = Zeroizing::new([0_u8; 32]);
        stream.apply_keystream(&mut *one_time_key);
        Some((stream, Poly1305::new((&*one_time_key).into())))
    }
}

impl Cipher for Secretbox {
    fn nonce_bytes(&self) -> usize {
        SECRETBOX_NONCE
    }

    fn seal(&self, nonce: &[u8], _path: &[u8], object: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (mut stream, authenticator) = self.start(nonce)?;
        out.reserve(nonce.len() + BLOCK + object.len());
        out.extend_from_slice(nonce);
        let start = out.len();
        out.extend_from_slice(&[0; BLOCK]);
        out.extend_from_slice(object);
        let (tag, text) = out[start..].split_at_mut(BLOCK);
        stream.apply_keystream(text);
        tag.copy_from_slice(&authenticator.compute_unpadded(text));
        Some(())
    }

    fn open(&self, _path: &[u8], sealed: &mut [u8]) -> Result<Range<usize>, Unfit> {
        const START: usize = SECRETBOX_NONCE + BLOCK;
        let (head, text) = sealed.split_at_mut_checked(START).ok_or(Unfit::Truncated)?;
        let (nonce, tag) = head.split_at(SECRETBOX_NONCE);
        let (mut stream, authenticator) = self.start(nonce).ok_or(Unfit::Truncated)?;
        let expected = authenticator.compute_unpadded(text);
        if !bool::from(expected.as_slice().ct_eq(tag)) {
            return Err(Unfit::Refused);
        }
        stream.apply_keystream(text);
        Ok(START..START + text.len())
    }
}
