//! Which paths an archive held so far.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

/// A set of paths that keeps 16 bytes of each: the first half of its SHA-256.
///
/// 100,000 paths take 2.2 MB, a tenth of what the paths themselves would. Two different paths with the same 128 bits
/// would have to be searched for with 2^64 tries, and all that an attacker gained is an archive that is refused.
#[derive(Default)]
pub(super) struct Seen {
    digests: HashSet<[u8; 16]>,
}

impl Seen {
    /// Notes a path; false when it was noted before.
    pub(super) fn insert(&mut self, path: &str) -> bool {
        self.digests.insert(digest(path))
    }
}

/// 16 bytes that stand for a path.
pub(super) fn digest(path: &str) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(path.as_bytes())[..16]);
    half
}
