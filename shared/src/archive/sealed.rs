//! Encrypted objects of an archive: what becomes of them, and which key they name.

use std::collections::HashMap;
use std::sync::Arc;

use snafu::{OptionExt, ResultExt};

use super::content::check;
use super::error::{DecryptSnafu, EncryptedSnafu, ReadError, TooManyKeysSnafu};
use super::key::Key;
use crate::encryption::{Configuration, Seal, Unopened, Unsealer, seal_of};

/// Most keys of one archive. A configuration has a handful; where none is at hand the names come from the archive.
const KEYS: usize = 4096;

/// What becomes of encrypted objects.
#[derive(Clone, Debug)]
pub enum Unsealing {
    /// The archive is refused.
    Refuse,
    /// They are decrypted by this configuration, and checked as all others. An object in clear whose type it encrypts is
    /// refused, unless `identity` is among the providers of the type's rule.
    Decrypt(Arc<Configuration>),
    /// They stay as they are: told are their paths and which key they name, and nothing is known of what is in them.
    Keep,
}

/// Opens one encrypted entry after another.
pub(super) enum Opener {
    Refuse,
    Decrypt(Unsealer),
    Keep(Vec<u8>),
}

impl Unsealing {
    /// The configuration that decrypts, where one does.
    #[must_use]
    pub fn configuration(&self) -> Option<&Configuration> {
        match self {
            Self::Decrypt(configuration) => Some(configuration),
            Self::Refuse | Self::Keep => None,
        }
    }
}

/// What became of an encrypted entry.
pub(super) enum Opened {
    /// [`Opener::object`] is the object, checked.
    Object(Arc<Seal>),
    /// Nothing.
    StillSealed(Arc<Seal>),
}

impl Opener {
    pub(super) fn new(unsealing: Unsealing) -> Self {
        match unsealing {
            Unsealing::Refuse => Self::Refuse,
            Unsealing::Decrypt(configuration) => Self::Decrypt(Unsealer::new(configuration)),
            Unsealing::Keep => Self::Keep(Vec::new()),
        }
    }

    /// The object that was opened last.
    pub(super) fn object(&self) -> &[u8] {
        match self {
            Self::Decrypt(unsealer) => unsealer.object(),
            Self::Refuse | Self::Keep(_) => &[],
        }
    }

    /// Whether an object may lie there in clear.
    pub(super) fn reads_clear(&self, Key { type_name, .. }: &Key) -> bool {
        match self {
            Self::Decrypt(unsealer) => unsealer.reads_clear(&type_name.plural, &type_name.group),
            Self::Refuse | Self::Keep(_) => true,
        }
    }

    /// Opens the JSON string of an entry.
    pub(super) fn open(&mut self, key: &Key, text: &[u8], depth: usize, entry: String) -> Result<Opened, ReadError> {
        match self {
            Self::Refuse => {
                let seal = Box::new(seal_of(text, &mut Vec::new()).context(DecryptSnafu { entry })?);
                EncryptedSnafu { key: Box::new(key.clone()), seal }.fail()
            }
            Self::Keep(buffer) => {
                let seal = seal_of(text, buffer).context(DecryptSnafu { entry })?;
                Ok(Opened::StillSealed(Arc::new(seal)))
            }
            Self::Decrypt(unsealer) => decrypt(unsealer, key, text, depth, entry),
        }
    }
}

/// Decrypts the JSON string of an entry, and checks the object.
fn decrypt(unsealer: &mut Unsealer, key: &Key, text: &[u8], depth: usize, entry: String) -> Result<Opened, ReadError> {
    let type_name = (&*key.type_name.plural, &*key.type_name.group);
    let fits = |object: &[u8]| check(Some(key), object, depth);
    unsealer.unseal(type_name, &key.sealed_path(), text, fits).map(Opened::Object).map_err(|unopened| match unopened {
        Unopened::Sealed(source) => ReadError::Decrypt { entry, source },
        Unopened::Content { seal, error } if seal.is_authenticated() => ReadError::Content { entry, source: error },
        Unopened::Content { seal, error } => {
            ReadError::WrongKey { entry, seal: Box::new((*seal).clone()), source: error }
        }
    })
}

/// Which key encrypted which object of a spool: 2 bytes of each, and none as long as no object is encrypted.
#[derive(Default)]
pub(super) struct Seals {
    known: Vec<Arc<Seal>>,
    /// For each object: 0, or the place of its key in `known`, from 1. Shorter where the last objects are in clear.
    of: Vec<u16>,
}

/// [`Seals`] that are being filled.
#[derive(Default)]
pub(super) struct FillingSeals {
    seals: Seals,
    places: HashMap<Arc<Seal>, u16>,
}

impl Seals {
    pub(super) fn get(&self, object: usize) -> Option<&Seal> {
        let place = usize::from(*self.of.get(object)?).checked_sub(1)?;
        self.known.get(place).map(|seal| &**seal)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

impl FillingSeals {
    /// Notes the key of the object number `object`, which is higher than all before.
    pub(super) fn note(
        &mut self,
        object: usize,
        seal: Arc<Seal>,
        entry: impl FnOnce() -> String,
    ) -> Result<(), ReadError> {
        let place = self.place(seal).with_context(|| TooManyKeysSnafu { entry: entry(), limit: KEYS })?;
        self.seals.of.resize(object, 0);
        self.seals.of.push(place);
        Ok(())
    }

    /// The place of a key, from 1; none where there are too many.
    fn place(&mut self, seal: Arc<Seal>) -> Option<u16> {
        if let Some(place) = self.places.get(&seal) {
            return Some(*place);
        }
        let next = self.seals.known.len() + 1;
        let place = u16::try_from(next).ok().filter(|_| next <= KEYS)?;
        self.seals.known.push(Arc::clone(&seal));
        self.places.insert(seal, place);
        Some(place)
    }

    pub(super) fn finish(self) -> Seals {
        let mut seals = self.seals;
        seals.of.shrink_to_fit();
        seals
    }
}
