//! Writes an archive, entry by entry.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use tar::{Builder, EntryType, Header};

use super::content::{ContentError, check};
use super::contents::Contents;
use super::format::{CONTENTS_BYTES, CONTENTS_PATH, FILTERS_DIRECTORY, OBJECT_BYTES, RESOURCE_SET_PATH, shown};
use super::key::{Key, PathError};
use super::seen::Seen;
use crate::encryption::{Configuration, SealError, Sealer};
use crate::exit::{Exit, Fault};
use crate::object::DEPTH_LIMIT;

/// gzip's level.
///
/// Measured on 20,000 objects of 2.6 kB, 51 MB in all, one core, checks and tar included (2026-11): level 1 writes
/// text at 90 MB/s to 13.5 MB and base64 of random bytes at 47 MB/s to 49.2 MB; level 4 43 MB/s to 9.0 MB and 30 MB/s
/// to 37.2 MB; level 6 23 MB/s to 8.2 MB and 28 MB/s to 37.1 MB. Level 1 hardly shrinks Secrets, which are base64, and
/// level 6 takes twice the time of 4 for a tenth of the size.
pub const GZIP_LEVEL: u32 = 4;

/// Owner alone, where the operator writes 0644 and 0755: an unpacked archive holds Secrets in clear, and whoever
/// unpacks it, root or not, becomes the owner.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// What went into an archive.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Objects, without the ResourceSet.
    pub objects: u64,
    /// How many of them are encrypted.
    pub encrypted: u64,
}

/// Writes an archive to `W`. Blocking: for a thread of its own.
///
/// A `Writer` that is dropped before [`Writer::finish`], or whose output failed, leaves an archive without an end,
/// which every reader refuses: nothing that was cut off looks like a backup.
pub struct Writer<W: Write> {
    // None only within `finish`.
    tar: Option<Builder<GzEncoder<Output<W>>>>,
    modified: u64,
    directories: Seen,
    files: Seen,
    totals: Totals,
    sealer: Option<Sealer>,
    sealed: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins an archive. `modified` is the time of each entry, so the same objects give the same bytes.
    pub fn new(output: W, modified: Timestamp) -> Self {
        let output = Output { inner: output, closed: false };
        Self {
            tar: Some(Builder::new(GzEncoder::new(output, Compression::new(GZIP_LEVEL)))),
            // tar has no time before 1970.
            modified: u64::try_from(modified.as_second()).unwrap_or(0),
            directories: Seen::default(),
            files: Seen::default(),
            totals: Totals::default(),
            sealer: None,
            sealed: Vec::new(),
        }
    }

    /// Encrypts what this configuration names, object by object; without one nothing is encrypted.
    #[must_use]
    pub fn encrypting(mut self, configuration: Option<Arc<Configuration>>) -> Self {
        self.sealer = configuration.map(Sealer::new);
        self
    }

    /// Whether objects of this type are encrypted.
    #[must_use]
    pub fn encrypts(&self, plural: &str, group: &str) -> bool {
        self.sealer.as_ref().is_some_and(|sealer| sealer.seal_for(plural, group).is_some())
    }

    /// Appends one object, its directories before it where they are new.
    ///
    /// # Errors
    /// [`WriteError::Output`] when the output failed; the archive is lost then. After every other error nothing was
    /// written and the archive can go on without the object: it was refused since no reader would take it.
    pub fn append(&mut self, key: &Key, object: &[u8]) -> Result<(), WriteError> {
        let path = key.path();
        key.check().context(PathSnafu { path: shown(path.as_bytes()) })?;
        self.accept(&path, Some(key), object)?;
        let mut sealed = std::mem::take(&mut self.sealed);
        let is_sealed = self.seal(key, &path, object, &mut sealed)?;
        let type_name = key.type_name.to_string();
        self.directory(&type_name)?;
        if let Some(namespace) = &key.namespace {
            self.directory(&format!("{type_name}/{namespace}"))?;
        }
        self.entry(&path, EntryType::Regular, if is_sealed { &sealed } else { object })?;
        self.sealed = sealed;
        self.totals.objects += 1;
        self.totals.encrypted += u64::from(is_sealed);
        Ok(())
    }

    /// Encrypts an object into `sealed`; false where its type stays in clear.
    fn seal(&mut self, key: &Key, path: &str, object: &[u8], sealed: &mut Vec<u8>) -> Result<bool, WriteError> {
        let Some(sealer) = &mut self.sealer else { return Ok(false) };
        let type_name = (&*key.type_name.plural, &*key.type_name.group);
        let is_sealed = sealer.seal(type_name, &key.sealed_path(), object, sealed).context(SealSnafu { path })?;
        let bytes = sealed.len() as u64;
        ensure!(bytes <= OBJECT_BYTES, TooLargeSnafu { path, bytes });
        Ok(is_sealed)
    }

    /// Appends the ResourceSet that selected the objects.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn resource_set(&mut self, json: &[u8]) -> Result<(), WriteError> {
        self.filter(RESOURCE_SET_PATH, json)
    }

    /// Appends what was listed and what was left out. It is known when all else was appended, so it comes last.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn contents(&mut self, contents: &Contents) -> Result<(), WriteError> {
        let json = serde_json::to_vec(contents).context(EncodeSnafu)?;
        let bytes = json.len() as u64;
        ensure!(bytes <= CONTENTS_BYTES, TooLargeSnafu { path: CONTENTS_PATH, bytes });
        self.filter(CONTENTS_PATH, &json)
    }

    fn filter(&mut self, path: &str, json: &[u8]) -> Result<(), WriteError> {
        self.accept(path, None, json)?;
        self.directory(FILTERS_DIRECTORY)?;
        self.entry(path, EntryType::Regular, json)
    }

    /// Writes the end of the archive, flushes, and gives the output back.
    ///
    /// # Errors
    /// When the output failed; the archive is lost then.
    pub fn finish(mut self) -> Result<(W, Totals), WriteError> {
        let tar = self.tar.take().context(ClosedSnafu)?;
        let Output { mut inner, closed: _ } = tar.into_inner().and_then(GzEncoder::finish).context(FinishSnafu)?;
        inner.flush().context(FinishSnafu)?;
        Ok((inner, self.totals))
    }

    /// What a reader would refuse is refused here, while the cluster is at hand and not the disaster. Notes the path.
    ///
    /// That parses what was just written a second time, and is worth it: 0.15 s of processor time for 20,000 objects,
    /// where their compression takes 1.9 s (2026-11).
    fn accept(&mut self, path: &str, key: Option<&Key>, json: &[u8]) -> Result<(), WriteError> {
        let bytes = json.len() as u64;
        ensure!(bytes <= OBJECT_BYTES, TooLargeSnafu { path, bytes });
        check(key, json, DEPTH_LIMIT).context(ContentSnafu { path })?;
        ensure!(self.files.insert(path), DoubledSnafu { path });
        Ok(())
    }

    fn directory(&mut self, path: &str) -> Result<(), WriteError> {
        if self.directories.insert(path) { self.entry(path, EntryType::Directory, &[]) } else { Ok(()) }
    }

    fn entry(&mut self, path: &str, entry_type: EntryType, content: &[u8]) -> Result<(), WriteError> {
        let tar = self.tar.as_mut().context(ClosedSnafu)?;
        let mut header = header(entry_type, content.len() as u64, self.modified);
        append(tar, &mut header, path, content).context(OutputSnafu { path })
    }
}

impl<W: Write> Drop for Writer<W> {
    /// Both tar's builder and the gzip encoder write their ends when dropped; what was not finished must not have any.
    fn drop(&mut self) {
        if let Some(tar) = &mut self.tar {
            tar.get_mut().get_mut().closed = true;
        }
    }
}

/// The header of an entry, without its path. The owner is root, as in the operator's archives.
fn header(entry_type: EntryType, size: u64, modified: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(entry_type);
    header.set_mode(if entry_type.is_dir() { DIRECTORY_MODE } else { FILE_MODE });
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(modified);
    header
}

/// Appends an entry, its path in the ustar header where that has room for it (100 bytes, 255 if it can be split at a
/// slash), and in a pax header before it otherwise, as Go's archive/tar does it for the operator.
///
/// tar's own `append_data` would write GNU's older long names; it also refuses the name `..a` where the 100th byte cuts
/// it after the dots.
fn append<W: Write>(tar: &mut Builder<W>, header: &mut Header, path: &str, content: &[u8]) -> io::Result<()> {
    if header.set_path(path).is_err() {
        tar.append_pax_extensions([("path", path.as_bytes())])?;
        // What a reader without pax would see; every path has one of its own.
        header.as_old_mut().name.fill(0);
        if let Some(ustar) = header.as_ustar_mut() {
            ustar.prefix.fill(0);
        }
        header.set_path(format!("long-path-{}", hex::encode(super::seen::digest(path))))?;
    }
    header.set_cksum();
    tar.append(header, content)
}

/// The output, which takes nothing more once it failed or was given up.
struct Output<W> {
    inner: W,
    closed: bool,
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the archive was given up"));
        }
        self.inner.write(buffer).inspect_err(|error| self.closed = error.kind() != io::ErrorKind::Interrupted)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed { Ok(()) } else { self.inner.flush() }
    }
}

/// Why an entry was not written.
#[derive(Debug, Snafu)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum WriteError {
    #[snafu(display("failed to write entry {path:?} of the archive"))]
    Output { path: String, source: io::Error },
    #[snafu(display("failed to write the end of the archive"))]
    Finish { source: io::Error },
    #[snafu(display("failed to write to an archive that was finished"))]
    Closed,
    #[snafu(display("failed to archive {path:?}: the archive's format has no place for it; exclude it"))]
    Path { path: String, source: PathError },
    #[snafu(display("failed to archive {path:?}: a restore would refuse it; exclude it"))]
    Content { path: String, source: ContentError },
    #[snafu(display("failed to archive {path:?}: {bytes} bytes are more than a restore accepts; exclude it"))]
    TooLarge { path: String, bytes: u64 },
    #[snafu(display("failed to write down what was listed; this is a fault of drover"))]
    Encode { source: serde_json::Error },
    #[snafu(display("failed to encrypt {path:?}"))]
    Seal { path: String, source: SealError },
    #[snafu(display("failed to archive {path:?} a second time: it was listed twice"))]
    Doubled { path: String },
}

impl Fault for WriteError {
    fn exit(&self) -> Exit {
        match self {
            Self::Output { .. }
            | Self::Finish { .. }
            | Self::Closed
            | Self::Doubled { .. }
            | Self::Encode { .. }
            | Self::Seal { .. } => Exit::Failure,
            Self::Path { .. } | Self::Content { .. } | Self::TooLarge { .. } => Exit::DataRefused,
        }
    }
}
