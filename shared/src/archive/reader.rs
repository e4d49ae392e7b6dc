//! Reads an archive, entry by entry, and refuses all that no backup holds.

use std::io::Read;
use std::sync::Arc;

use snafu::{ResultExt, ensure};

use super::content::{check, is_encrypted};
use super::error::{
    ContentSnafu, DirectoryContentSnafu, DoubledSnafu, EntryTooLargeSnafu, EntryTypeSnafu, HeaderSnafu, InClearSnafu,
    PathSnafu, ReadError, RefusedSnafu, TooManyEntriesSnafu,
};
use super::format::{CONTENTS_BYTES, CONTENTS_PATH, OBJECT_BYTES, RESOURCE_SET_PATH, shown};
use super::header::{Head, Kind, long_name, pax_path};
use super::key::{Key, PathError, check_directory};
use super::sealed::{Opened, Opener, Unsealing};
use super::seen::Seen;
use super::stream::Blocks;
use crate::digest::Content;
use crate::encryption::Seal;
use crate::object::DEPTH_LIMIT;

/// Most bytes of a pax header or a GNU long name: the longest path that is accepted, and room for the attributes that a
/// tool which repacked the archive may add.
const EXTENSION_BYTES: u64 = 64 << 10;

/// How much an archive may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the whole archive when unpacked, tar headers included. Default 16 GiB: etcd is not to hold more than
    /// 8 GiB, and JSON is about twice the protobuf that it holds.
    pub bytes: u64,
    /// Bytes of one object. Default 8 MiB: etcd refuses requests above 1.5 MiB, a larger object in a backup is no
    /// object, and one object is held in memory at a time. At most 4 GiB, whatever is set.
    pub object_bytes: u64,
    /// Entries, directories and extension headers included. Default 1,000,000, for which a [`Spool`](super::Spool)
    /// holds about 70 MB while it is filled. At most
    /// 2^32, whatever is set.
    pub entries: u64,
    /// Levels of nesting in one object's JSON. Default [`DEPTH_LIMIT`].
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 30, object_bytes: OBJECT_BYTES, entries: 1_000_000, depth: DEPTH_LIMIT }
    }
}

/// One entry of an archive.
#[derive(Eq, PartialEq)]
pub enum Entry<'a> {
    /// An object, checked: it is the one that its path names.
    Object {
        /// Which one.
        key: Key,
        /// Its JSON.
        bytes: &'a [u8],
        /// What it is encrypted with in the archive; none where it lies there in clear.
        seal: Option<Arc<Seal>>,
    },
    /// An object that stays encrypted. What is in it nobody looked at.
    Sealed {
        /// Which one, by its path alone.
        key: Key,
        /// Bytes of the entry.
        bytes: u64,
        /// What it is encrypted with.
        seal: Arc<Seal>,
    },
    /// The ResourceSet that selected the objects.
    ResourceSet(&'a [u8]),
    /// What was listed and what was left out, which archives of others lack: see [`Contents`](super::Contents).
    Contents(&'a [u8]),
}

/// Reads an archive of drover or of the Rancher backup operator. Every byte is taken for hostile.
///
/// Nothing of an archive is to be applied before [`Reader::next_entry`] has returned `None`: only then was it whole.
pub struct Reader<R: Read> {
    blocks: Blocks<R>,
    limits: Limits,
    seen: Seen,
    entries: u64,
    content: Vec<u8>,
    opener: Opener,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Reading,
    Whole,
    Refused,
}

/// An entry that is still to be told what it is.
enum Step {
    Object(Key),
    Opened(Key, Arc<Seal>),
    Sealed(Key, Arc<Seal>),
    ResourceSet,
    Contents,
    Directory,
    End,
}

impl<R: Read> Reader<R> {
    /// Begins to read an archive; `unsealing` says what becomes of encrypted objects.
    pub fn with_unsealing(input: R, limits: Limits, unsealing: Unsealing) -> Self {
        let object_bytes = limits.object_bytes.min(u64::from(u32::MAX));
        let entries = limits.entries.min(u64::from(u32::MAX));
        Self {
            blocks: Blocks::new(input, limits.bytes),
            limits: Limits { object_bytes, entries, ..limits },
            seen: Seen::default(),
            entries: 0,
            content: Vec::new(),
            opener: Opener::new(unsealing),
            state: State::Reading,
        }
    }

    /// The next object or the ResourceSet; none when the archive was read to its end and all of it was right.
    /// Directories are checked and passed over.
    ///
    /// # Errors
    /// When the archive is refused, and again at every later call.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, ReadError> {
        match self.state {
            State::Reading => {}
            State::Whole => return Ok(None),
            State::Refused => return RefusedSnafu.fail(),
        }
        // Until the step has succeeded, so that no error can be passed over.
        self.state = State::Refused;
        let step = loop {
            match self.step()? {
                Step::Directory => {}
                step => break step,
            }
        };
        self.state = if matches!(step, Step::End) { State::Whole } else { State::Reading };
        Ok(match step {
            Step::Object(key) => Some(Entry::Object { key, bytes: &self.content, seal: None }),
            Step::Opened(key, seal) => Some(Entry::Object { key, bytes: self.opener.object(), seal: Some(seal) }),
            Step::Sealed(key, seal) => Some(Entry::Sealed { key, bytes: self.content.len() as u64, seal }),
            Step::ResourceSet => Some(Entry::ResourceSet(&self.content)),
            Step::Contents => Some(Entry::Contents(&self.content)),
            Step::Directory | Step::End => None,
        })
    }

    /// Digest and size of the archive; none before [`Reader::next_entry`] has returned `None`.
    pub fn fingerprint(&self) -> Option<Content> {
        let State::Whole = self.state else { return None };
        Some(self.blocks.finished()?.hasher.clone().finish())
    }

    fn step(&mut self) -> Result<Step, ReadError> {
        let Some((head, path)) = self.head()? else { return self.end() };
        let entry = shown(&path);
        self.blocks.near = format!("entry {entry:?}");
        if let Kind::Other(what) = head.kind {
            return EntryTypeSnafu { entry, what }.fail();
        }
        let path = std::str::from_utf8(&path).map_err(|_| PathError::NotUtf8).context(PathSnafu { entry: &entry })?;
        if head.kind == Kind::Directory {
            ensure!(head.size == 0, DirectoryContentSnafu { entry });
            directory(path).context(PathSnafu { entry })?;
            return Ok(Step::Directory);
        }
        self.file(rooted(path), head.size, entry)
    }

    /// Reads the next header that is an entry's own, and the path that counts for it; none at the end mark.
    fn head(&mut self) -> Result<Option<(Head, Vec<u8>)>, ReadError> {
        let mut given = None;
        loop {
            let Some(head) = self.header()? else {
                ensure!(
                    given.is_none(),
                    HeaderSnafu { near: &self.blocks.near, problem: "it is missing after its name" }
                );
                return Ok(None);
            };
            let (path, repeatable) = match head.kind {
                Kind::Pax => (self.pax(head.size)?, false),
                Kind::LongName => (Some(long_name(self.extension(head.size)?)), false),
                Kind::PaxGlobal => (self.pax_global(head.size)?, true),
                _ => {
                    let path = given.flatten().unwrap_or_else(|| head.path.clone());
                    return Ok(Some((head, path)));
                }
            };
            if !repeatable {
                // Readers differ in which of two counts.
                ensure!(given.is_none(), HeaderSnafu { near: &self.blocks.near, problem: "it has two extensions" });
                given = Some(path);
            }
        }
    }

    fn header(&mut self) -> Result<Option<Head>, ReadError> {
        let block = self.blocks.block()?;
        let near = &self.blocks.near;
        let head = Head::read(&block).map_err(|problem| ReadError::Header { near: near.clone(), problem })?;
        self.entries += u64::from(head.is_some());
        let limit = self.limits.entries;
        ensure!(self.entries <= limit, TooManyEntriesSnafu { near, limit });
        Ok(head)
    }

    fn extension(&mut self, size: u64) -> Result<&[u8], ReadError> {
        let near = &self.blocks.near;
        ensure!(size <= EXTENSION_BYTES, HeaderSnafu { near, problem: "a name or a pax header is too large" });
        self.blocks.content(small(size), &mut self.content)?;
        Ok(&self.content)
    }

    fn pax(&mut self, size: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let path = pax_path(self.extension(size)?);
        path.map_err(|problem| ReadError::Header { near: self.blocks.near.clone(), problem })
    }

    /// A pax header for all entries, which `git archive` writes for a comment. It can give no path.
    fn pax_global(&mut self, size: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let path = self.pax(size)?;
        ensure!(path.is_none(), HeaderSnafu { near: &self.blocks.near, problem: "one path is given to all entries" });
        Ok(None)
    }

    fn file(&mut self, path: &str, size: u64, entry: String) -> Result<Step, ReadError> {
        let key = match path {
            RESOURCE_SET_PATH | CONTENTS_PATH => None,
            path => Some(Key::from_path(path).context(PathSnafu { entry: &entry })?),
        };
        let (filter, most) = match path {
            CONTENTS_PATH => (Step::Contents, CONTENTS_BYTES),
            _ => (Step::ResourceSet, u64::MAX),
        };
        ensure!(self.seen.insert(path), DoubledSnafu { entry });
        let limit = self.limits.object_bytes.min(most);
        ensure!(size <= limit, EntryTooLargeSnafu { entry, bytes: size, limit });
        self.blocks.content(small(size), &mut self.content)?;
        match key {
            Some(key) if is_encrypted(&self.content) => {
                Ok(match self.opener.open(&key, &self.content, self.limits.depth, entry)? {
                    Opened::Object(seal) => Step::Opened(key, seal),
                    Opened::StillSealed(seal) => Step::Sealed(key, seal),
                })
            }
            key => {
                let is_legal = key.as_ref().is_none_or(|key| self.opener.reads_clear(key));
                ensure!(is_legal, InClearSnafu { entry });
                check(key.as_ref(), &self.content, self.limits.depth).context(ContentSnafu { entry })?;
                Ok(key.map_or(filter, Step::Object))
            }
        }
    }

    /// The end mark is two blocks of zeros, the first of which was read; then only zeros up to the end of the input.
    fn end(&mut self) -> Result<Step, ReadError> {
        let second = self.blocks.block()?;
        if second.iter().any(|byte| *byte != 0) {
            return Err(ReadError::DataAfterEnd { near: self.blocks.near.clone() });
        }
        self.blocks.expect_zeros().map(|()| Step::End)
    }
}

/// A path without the `./` that `tar -C folder .` writes in front of all.
fn rooted(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

/// Checks the path of a directory; the root is one too, where an archive was made of a folder.
fn directory(path: &str) -> Result<(), PathError> {
    match path {
        "." | "./" => Ok(()),
        "/" => Err(PathError::Absolute),
        _ => check_directory(rooted(path.strip_suffix('/').unwrap_or(path))),
    }
}

/// A size that was compared with a limit which memory can hold.
fn small(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
