//! Signing in with an NKey: a seed that never leaves this process, and a signature of what the server sends.

use std::path::Path;

use async_nats::{Auth, AuthError};
use nkeys::{KeyPair, KeyPairType};
use snafu::{ResultExt, Snafu, ensure};
use zeroize::Zeroizing;

use crate::exit::Chain;

/// Reads a user's key from the file with its seed.
pub(super) fn read(file: &Path) -> Result<KeyPair, NkeyError> {
    let text = Zeroizing::new(std::fs::read(file).context(ReadSnafu)?);
    let seed = std::str::from_utf8(&text).map_or("", str::trim);
    // The crate's own words for what it cannot read may name a part of it.
    let key = KeyPair::from_seed(seed).map_err(|_| NkeyError::Seed)?;
    ensure!(key.key_pair_type() == KeyPairType::User, SeedSnafu);
    Ok(key)
}

/// Who signs in, and the signature that shows it.
pub(super) fn sign_in(file: &Path, nonce: &[u8]) -> Result<Auth, AuthError> {
    let refused =
        |error: &(dyn std::error::Error + 'static)| AuthError::new(format!("\"{}\": {}", file.display(), Chain(error)));
    let key = read(file).map_err(|error| refused(&error))?;
    let mut auth = Auth::new();
    auth.nkey = Some(key.public_key());
    auth.signature = Some(key.sign(nonce).map_err(|error| refused(&error))?);
    Ok(auth)
}

/// Why an NKey cannot be used.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum NkeyError {
    #[snafu(display("failed to read the file"))]
    Read { source: std::io::Error },
    #[snafu(display("failed to find the seed of a user's key, which begins with SU"))]
    Seed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn the_nonce_is_signed_with_the_key_that_lies_there_now() {
        let file = file("");
        for _ in 0..2 {
            let key = KeyPair::new_user();
            std::fs::write(file.path(), key.seed().expect("a seed") + "\n").expect("written");
            let auth = sign_in(file.path(), b"nonce").expect("signed in");
            assert_eq!(auth.nkey, Some(key.public_key()));
            key.verify(b"nonce", &auth.signature.expect("signed")).expect("its signature");
        }
    }

    #[test]
    fn what_is_no_users_seed_is_refused_and_not_shown() {
        let account = KeyPair::new_account().seed().expect("a seed");
        let mut damaged = KeyPair::new_user().seed().expect("a seed");
        let other = if damaged.as_bytes()[20] == b'A' { "B" } else { "A" };
        damaged.replace_range(20..21, other);
        for text in ["", "SUnonsense", &account, &damaged] {
            let error = sign_in(file(text).path(), b"nonce").err().expect("refused").to_string();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        assert!(matches!(read(Path::new("/nowhere")), Err(NkeyError::Read { .. })));
    }
}
