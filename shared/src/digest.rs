//! What an archive is: its size and its SHA-256, in every form in which they are written somewhere.

use std::str::FromStr;
use std::{fmt, io};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use hex::FromHexError;
use serde::Serialize;
use sha2::Digest as _;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// How much is read at once, in bytes.
const BUFFER_SIZE: usize = 256 * 1024;

/// What stands before the base64url of a SHA-256 in an object store of NATS.
const NATS_PREFIX: &str = "SHA-256=";

/// A SHA-256, or a MAC that is made with it. As text it is hex in lower case, with a precision the first digits; upper case
/// is read too.
///
/// Custom resources and events have it as text: one that somebody edited would keep all of them from being listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// That of these bytes.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As services of S3 have it in their headers.
    pub(crate) fn to_s3(self) -> String {
        STANDARD.encode(self.0)
    }

    /// As object stores of NATS describe what lies in them.
    pub(crate) fn to_nats(self) -> String {
        format!("{NATS_PREFIX}{}", URL_SAFE.encode(self.0))
    }

    /// Reads what [`Sha256::to_nats`] writes; none where it is none.
    pub(crate) fn of_nats(text: &str) -> Option<Self> {
        let bytes = URL_SAFE.decode(text.strip_prefix(NATS_PREFIX)?).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl From<[u8; 32]> for Sha256 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<Sha256> for String {
    fn from(sha256: Sha256) -> Self {
        sha256.to_string()
    }
}

impl FromStr for Sha256 {
    type Err = FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&hex::encode(self.0))
    }
}

/// Size and digest of an archive.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Content {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Sha256,
}

impl Content {
    /// What a reader gives, to its end.
    pub(crate) async fn read(reader: impl AsyncRead + Unpin) -> io::Result<Self> {
        let (mut reader, mut hasher) = (BufReader::with_capacity(BUFFER_SIZE, reader), Hasher::default());
        loop {
            let length = match reader.fill_buf().await? {
                [] => return Ok(hasher.finish()),
                chunk => {
                    hasher.update(chunk);
                    chunk.len()
                }
            };
            reader.consume(length);
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes with the SHA-256 {}", self.bytes, self.sha256)
    }
}

/// Counts and hashes an archive as it passes.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    digest: sha2::Sha256,
    bytes: u64,
}

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, chunk: &[u8]) {
        self.digest.update(chunk);
        self.bytes += chunk.len() as u64;
    }

    /// How many bytes have passed.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What has passed.
    #[must_use]
    pub fn finish(self) -> Content {
        Content { bytes: self.bytes, sha256: Sha256(self.digest.finalize().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const NATS: &str = "SHA-256=n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg=";

    #[test]
    fn each_form_is_read_as_it_is_written() {
        let sha256 = Sha256::of("test");
        assert_eq!((sha256.to_string().as_str(), sha256.to_nats().as_str()), (HEX, NATS));
        assert_eq!(sha256.to_s3(), "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=");
        assert_eq!(serde_json::to_string(&sha256).unwrap(), format!("\"{HEX}\""));
        for text in [HEX, &HEX.to_uppercase()] {
            assert_eq!(text.parse::<Sha256>(), Ok(sha256), "{text}");
        }
        assert_eq!(Sha256::of_nats(NATS), Some(sha256));
        assert_eq!(format!("{sha256:.4}"), HEX[..4]);
    }

    #[test]
    fn what_is_malformed_is_no_digest() {
        for text in ["", &HEX[1..], &HEX[2..], &format!("{HEX}00"), &format!(" {HEX}"), &HEX.replace('9', "g"), NATS] {
            assert!(text.parse::<Sha256>().is_err(), "{text:?}");
        }
        let standard = "SHA-256=n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";
        for text in
            ["", HEX, &NATS[8..], &NATS[..NATS.len() - 1], &NATS.replace("-256", "-512"), standard, "SHA-256=YQ=="]
        {
            assert_eq!(Sha256::of_nats(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_passes_in_pieces_is_the_whole() {
        let mut hasher = Hasher::default();
        for piece in ["te", "", "st"] {
            hasher.update(piece.as_bytes());
        }
        assert_eq!(hasher.bytes(), 4);
        assert_eq!(hasher.finish(), Content { bytes: 4, sha256: HEX.parse().unwrap() });
    }
}
