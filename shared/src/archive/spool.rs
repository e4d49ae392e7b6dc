//! An archive that was read to its end and found whole, its objects at hand in any order.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use snafu::{OptionExt, ResultExt, ensure};

use super::contents::Contents;
use super::error::{MixedScopeSnafu, ReadError, RefusedSnafu, SpoolSnafu, TooManyTypesSnafu};
use super::format::shown;
use super::key::{Key, TypeName};
use super::reader::{Entry, Limits, Reader};
use super::scratch::{Scratch, ScratchWriter};
use super::sealed::{FillingSeals, Seals, Unsealing};
use crate::digest::{self, Sha256};
use crate::encryption::Seal;

/// Most types of one archive. Clusters with every operator there is serve a few thousand.
const TYPES: usize = 16 << 10;

/// The objects of a whole archive, in a temporary file without a name, which is gone with the process however it ends.
///
/// In memory are 16 bytes for each object, 18 in an encrypted archive; 24 more while it is read, with what finds doubled ones (measured: 7.3 MB
/// for a process that reads 100,000 objects, 4.1 MB for 20,000). The file holds Secrets, so it is encrypted with a key that
/// is in this process' memory alone, also where the archive itself is in clear.
pub struct Spool {
    file: Scratch,
    slots: Vec<Slot>,
    types: Vec<TypeSummary>,
    resource_set: Option<Vec<u8>>,
    contents: Option<Vec<u8>>,
    fingerprint: digest::Content,
    seals: Seals,
    keeps_sealed: bool,
}

/// Where an object lies: its path, then its JSON, unless it stayed encrypted.
struct Slot {
    offset: u64,
    object_bytes: u32,
    path_bytes: u16,
    type_index: u16,
}

// What a Spool says of itself above.
const _: () = assert!(size_of::<Slot>() == 16);

/// One object of a [`Spool`]; ordered as the archive was.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryId(u32);

/// An object that was loaded.
#[derive(Clone, Eq, PartialEq)]
pub struct Loaded {
    /// Which one.
    pub key: Key,
    /// Its JSON.
    pub object: Vec<u8>,
}

/// How far an archive was read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Objects so far.
    pub objects: u64,
    /// Bytes of their JSON.
    pub bytes: u64,
}

/// What an archive holds of one type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TypeSummary {
    /// The type.
    pub name: TypeName,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Objects.
    pub objects: u64,
    /// Bytes of their JSON; of their entries where they stayed encrypted.
    pub bytes: u64,
}

impl Spool {
    /// Reads an archive to its end, with the temporary file in `folder`, which needs room for all objects unpacked and
    /// should be no file system in memory. `unsealing` says what becomes of encrypted objects. `on_progress` is called after
    /// every object. Blocking.
    ///
    /// # Errors
    /// When the archive is refused, or the file cannot be written.
    pub fn read_in<R: Read>(
        folder: &Path,
        archive: R,
        limits: &Limits,
        unsealing: Unsealing,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, ReadError> {
        let file = Scratch::create_in(folder).context(SpoolSnafu)?;
        let mut filling = Filling::new(file, matches!(unsealing, Unsealing::Keep));
        let mut reader = Reader::with_unsealing(archive, *limits, unsealing);
        while let Some(entry) = reader.next_entry()? {
            match entry {
                Entry::ResourceSet(json) => filling.resource_set = Some(json.to_vec()),
                Entry::Contents(json) => filling.contents = Some(json.to_vec()),
                Entry::Object { key, bytes, seal } => {
                    filling.append(&key, Content::Clear(bytes), seal)?;
                    on_progress(filling.progress);
                }
                Entry::Sealed { key, bytes, seal } => {
                    filling.append(&key, Content::Sealed(bytes), Some(seal))?;
                    on_progress(filling.progress);
                }
            }
        }
        // There is none unless the archive was whole.
        let fingerprint = reader.fingerprint().context(RefusedSnafu)?;
        filling.finish(fingerprint)
    }

    /// The ResourceSet that selected the objects, which an archive may lack.
    #[must_use]
    pub fn resource_set(&self) -> Option<&[u8]> {
        self.resource_set.as_deref()
    }

    /// What was listed and what was left out when the archive was made, which archives of others and of before lack.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn contents(&self) -> Result<Option<Contents>, serde_json::Error> {
        self.contents.as_deref().map(serde_json::from_slice).transpose()
    }

    /// SHA-256 of the archive as it was read.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.fingerprint.sha256
    }

    /// Size of the archive as it was read, in bytes.
    #[must_use]
    pub fn archive_bytes(&self) -> u64 {
        self.fingerprint.bytes
    }

    /// The types, in the order of their first objects.
    #[must_use]
    pub fn types(&self) -> &[TypeSummary] {
        &self.types
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All objects, in the archive's order.
    pub fn ids(&self) -> impl Iterator<Item = EntryId> + use<> {
        // The slots are counted in 32 bits.
        (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)).map(EntryId)
    }

    /// The type of an object, as an index into [`Spool::types`]. `id` is one of this spool's.
    #[must_use]
    pub fn type_of(&self, id: EntryId) -> usize {
        usize::from(self.slots[id.0 as usize].type_index)
    }

    /// Whether any object is encrypted in the archive.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        !self.seals.is_empty()
    }

    /// What an object is encrypted with in the archive; none where it lies there in clear. `id` is one of this spool's.
    #[must_use]
    pub fn seal_of(&self, id: EntryId) -> Option<&Seal> {
        self.seals.get(id.0 as usize)
    }

    /// Whether an object stayed encrypted, so that it cannot be loaded. `id` is one of this spool's.
    #[must_use]
    pub(super) fn is_still_sealed(&self, id: EntryId) -> bool {
        self.keeps_sealed && self.seal_of(id).is_some()
    }

    /// Bytes of an object's JSON; of its entry where it stayed encrypted. `id` is one of this spool's.
    #[must_use]
    pub fn bytes_of(&self, id: EntryId) -> u64 {
        u64::from(self.slots[id.0 as usize].object_bytes)
    }

    /// Which object it is. `id` is one of this spool's.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn key(&self, id: EntryId) -> io::Result<Key> {
        let slot = &self.slots[id.0 as usize];
        let mut path = vec![0; usize::from(slot.path_bytes)];
        self.file.read_exact_at(&mut path, slot.offset)?;
        let path = String::from_utf8(path).map_err(io::Error::other)?;
        Key::from_path(&path).map_err(io::Error::other)
    }

    /// Reads one object back; many threads may do so at once. `id` is one of this spool's.
    ///
    /// # Errors
    /// When the temporary file cannot be read, or the object stayed encrypted.
    pub fn load(&self, id: EntryId) -> io::Result<Loaded> {
        let key = self.key(id)?;
        if self.is_still_sealed(id) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{key} is encrypted")));
        }
        let slot = &self.slots[id.0 as usize];
        let mut object = vec![0; slot.object_bytes as usize];
        self.file.read_exact_at(&mut object, slot.offset + u64::from(slot.path_bytes))?;
        Ok(Loaded { key, object })
    }
}

/// What an entry holds.
#[derive(Clone, Copy)]
enum Content<'a> {
    /// An object.
    Clear(&'a [u8]),
    /// So many bytes that nobody can read.
    Sealed(u64),
}

/// A spool that is being filled.
struct Filling {
    file: ScratchWriter,
    slots: Vec<Slot>,
    types: Vec<TypeSummary>,
    type_indices: HashMap<TypeName, u16>,
    resource_set: Option<Vec<u8>>,
    contents: Option<Vec<u8>>,
    seals: FillingSeals,
    keeps_sealed: bool,
    progress: Progress,
}

impl Filling {
    fn new(file: Scratch, keeps_sealed: bool) -> Self {
        Self {
            file: ScratchWriter::new(file),
            slots: Vec::new(),
            types: Vec::new(),
            type_indices: HashMap::new(),
            resource_set: None,
            contents: None,
            seals: FillingSeals::default(),
            keeps_sealed,
            progress: Progress::default(),
        }
    }

    fn append(&mut self, key: &Key, content: Content<'_>, seal: Option<Arc<Seal>>) -> Result<(), ReadError> {
        let path = key.path();
        let type_index = self.type_index(key)?;
        if let Some(seal) = seal {
            self.seals.note(self.slots.len(), seal, || shown(path.as_bytes()))?;
        }
        let offset = self.file.position();
        self.file.write_all(path.as_bytes()).context(SpoolSnafu)?;
        let (stored, bytes) = match content {
            Content::Clear(object) => (object, object.len() as u64),
            Content::Sealed(bytes) => (&[][..], bytes),
        };
        self.file.write_all(stored).context(SpoolSnafu)?;
        self.slots.push(Slot {
            offset,
            // The reader's limits are below both.
            object_bytes: u32::try_from(bytes).ok().context(RefusedSnafu)?,
            path_bytes: u16::try_from(path.len()).ok().context(RefusedSnafu)?,
            type_index,
        });
        let summary = &mut self.types[usize::from(type_index)];
        summary.objects += 1;
        summary.bytes += bytes;
        self.progress.objects += 1;
        self.progress.bytes += bytes;
        Ok(())
    }

    fn type_index(&mut self, key: &Key) -> Result<u16, ReadError> {
        let namespaced = key.namespace.is_some();
        let entry = || shown(key.path().as_bytes());
        if let Some(index) = self.type_indices.get(&key.type_name) {
            let others = if namespaced { "outside of namespaces" } else { "in namespaces" };
            let summary = &self.types[usize::from(*index)];
            ensure!(summary.namespaced == namespaced, MixedScopeSnafu { entry: entry(), others });
            return Ok(*index);
        }
        let index = u16::try_from(self.types.len()).ok().filter(|index| usize::from(*index) < TYPES);
        let index = index.with_context(|| TooManyTypesSnafu { entry: entry(), limit: TYPES })?;
        self.types.push(TypeSummary { name: key.type_name.clone(), namespaced, objects: 0, bytes: 0 });
        self.type_indices.insert(key.type_name.clone(), index);
        Ok(index)
    }

    fn finish(self, fingerprint: digest::Content) -> Result<Spool, ReadError> {
        let Self { file, mut slots, types, resource_set, contents, seals, keeps_sealed, .. } = self;
        let file = file.finish().context(SpoolSnafu)?;
        slots.shrink_to_fit();
        Ok(Spool { file, slots, types, resource_set, contents, fingerprint, seals: seals.finish(), keeps_sealed })
    }
}
