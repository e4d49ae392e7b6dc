//! New keys: all that is random.

use std::collections::BTreeMap;

use drover::queue::JOBS;
use nkeys::KeyPair;
use snafu::{ResultExt, Snafu};
use zeroize::Zeroizing;

/// Length of the key that data is encrypted with, in bytes.
const ENCRYPTION_BYTES: usize = 32;

/// Keys that nobody has yet. There is no Debug: they are secrets.
pub(super) struct Fresh {
    /// Of an authority.
    pub(super) authority: rcgen::KeyPair,
    /// Of a server.
    pub(super) server: rcgen::KeyPair,
    /// Of data on a disk, hex.
    pub(super) encryption: Zeroizing<String>,
    users: BTreeMap<&'static str, KeyPair>,
}

impl Fresh {
    /// Makes them.
    pub(super) fn new() -> Result<Self, Error> {
        let mut encryption = Zeroizing::new([0; ENCRYPTION_BYTES]);
        getrandom::fill(encryption.as_mut()).context(RandomSnafu)?;
        // ECDSA over P-256, which rcgen takes where nothing else is said.
        let key = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).context(GenerateSnafu);
        Ok(Self {
            authority: key()?,
            server: key()?,
            encryption: Zeroizing::new(hex::encode(encryption.as_ref())),
            users: JOBS.into_iter().map(|job| (job, KeyPair::new_user())).collect(),
        })
    }

    /// The users' public keys.
    pub(super) fn public_keys(&self) -> BTreeMap<&'static str, String> {
        self.users.iter().map(|(job, key)| (*job, key.public_key())).collect()
    }

    /// The seed of a job's key.
    pub(super) fn seed(&self, job: &str) -> Option<String> {
        self.users.get(job).and_then(|key| key.seed().ok())
    }
}

/// Why there are no keys.
#[derive(Debug, Snafu)]
pub(super) enum Error {
    #[snafu(display("failed to get random bytes from the system"))]
    Random { source: getrandom::Error },
    #[snafu(display("failed to make a key"))]
    Generate { source: rcgen::Error },
}

impl drover::exit::Fault for Error {
    fn exit(&self) -> drover::exit::Exit {
        drover::exit::Exit::Failure
    }
}
