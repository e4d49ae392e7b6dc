//! Archives made by hand, so that what no writer writes can be read.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use crate::archive::{Entry, Key, Limits, ReadError, Reader, Unsealing};

pub(super) const CONFIG_MAP: &str = "configmaps.#v1/kube-system/a.json";
pub(super) const CLUSTER_ROLE: &str = "clusterroles.rbac.authorization.k8s.io#v1/u-4h2k4:view.json";

/// The object that belongs to a path.
pub(super) fn object(path: &str) -> Vec<u8> {
    let key = Key::from_path(path).unwrap();
    let mut metadata = serde_json::json!({ "name": key.name });
    if let Some(namespace) = key.namespace {
        metadata["namespace"] = namespace.into();
    }
    let object = serde_json::json!({ "apiVersion": key.type_name.api_version(), "kind": "Any", "metadata": metadata });
    object.to_string().into_bytes()
}

/// A tar that is built block by block.
#[derive(Clone, Default)]
pub(super) struct Tar(pub(super) Vec<u8>);

impl Tar {
    /// An object with the content that its path asks for.
    pub(super) fn object(self, path: &str) -> Self {
        self.file(path, &object(path))
    }

    pub(super) fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path.as_bytes(), content)
    }

    pub(super) fn directory(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path.as_bytes(), b"")
    }

    /// An entry of any type, with a path that is not checked.
    pub(super) fn entry(self, entry_type: EntryType, path: &[u8], content: &[u8]) -> Self {
        self.header(entry_type, path, content.len() as u64, |_| {}).content(content)
    }

    pub(super) fn header(
        mut self,
        entry_type: EntryType,
        path: &[u8],
        size: u64,
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(entry_type);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self
    }

    pub(super) fn content(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A pax header for the next entry.
    pub(super) fn pax(self, records: &[u8]) -> Self {
        self.entry(EntryType::XHeader, b"PaxHeaders.0/x", records)
    }

    pub(super) fn long_name(self, name: &[u8]) -> Self {
        self.entry(EntryType::GNULongName, b"././@LongLink", name)
    }

    pub(super) fn zeros(mut self, blocks: usize) -> Self {
        self.0.resize(self.0.len() + 512 * blocks, 0);
        self
    }

    /// The end mark, and gzip around it all.
    pub(super) fn archive(self) -> Vec<u8> {
        self.zeros(2).gzip()
    }

    pub(super) fn gzip(self) -> Vec<u8> {
        gzip(&self.0)
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One record of a pax header, its length counted.
pub(super) fn record(keyword: &str, value: &str) -> Vec<u8> {
    let rest = keyword.len() + value.len() + 3;
    let length = (1..9).map(|digits| rest + digits).find(|length| rest + length.to_string().len() == *length).unwrap();
    format!("{length} {keyword}={value}\n").into_bytes()
}

/// All entries, their paths in front; the ResourceSet has an empty one.
pub(super) type Entries = Vec<(String, Vec<u8>)>;

pub(super) fn read(archive: impl Read) -> Result<Entries, ReadError> {
    read_within(archive, Limits::default())
}

pub(super) fn read_within(archive: impl Read, limits: Limits) -> Result<Entries, ReadError> {
    let mut reader = Reader::with_unsealing(archive, limits, Unsealing::Refuse);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(match entry {
            Entry::Object { key, bytes, .. } => (key.path(), bytes.to_vec()),
            Entry::Sealed { key, .. } => panic!("{key} stayed encrypted"),
            Entry::ResourceSet(bytes) => (String::new(), bytes.to_vec()),
            Entry::Contents(bytes) => ("filters/drover.json".to_owned(), bytes.to_vec()),
        });
    }
    assert!(reader.fingerprint().is_some(), "an archive that was whole has a digest");
    Ok(entries)
}

/// The paths of all entries of an archive that must be whole.
#[track_caller]
pub(super) fn paths(archive: &[u8]) -> Vec<String> {
    read(archive).unwrap().into_iter().map(|(path, _)| path).collect()
}
