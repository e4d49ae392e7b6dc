//! Why an archive is refused.

use std::io;

use snafu::Snafu;

use super::content::ContentError;
use super::key::{Key, PathError};
use crate::encryption::{Seal, UnsealError};
use crate::exit::{Exit, Fault};

/// An archive that was refused, or could not be read. The texts name the entry and never hold what is in it.
///
/// `near` is where the reading had come to: the last entry that was begun. All but [`ReadError::Input`] and
/// [`ReadError::Spool`] say that the archive is not to be used.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[non_exhaustive]
pub enum ReadError {
    /// The archive's bytes could not be read: its disk or its server failed, not the archive.
    #[snafu(display("failed to read the archive's bytes near {near}"))]
    Input {
        /// Where.
        near: String,
        /// What the input said.
        source: io::Error,
    },
    /// The temporary file that holds the objects could not be written.
    #[snafu(display("failed to write the archive's objects to a temporary file; TMPDIR chooses another folder"))]
    Spool {
        /// What the file system said.
        source: io::Error,
    },
    /// The gzip data is wrong: a header, the deflated bytes, the CRC or the length.
    #[snafu(display(
        "failed to inflate the archive near {near}: it is damaged or no gzip; \
         fetch it again or choose another"
    ))]
    Damaged {
        /// Where.
        near: String,
        /// What gzip found.
        source: io::Error,
    },
    /// The archive ends before its end.
    #[snafu(display(
        "failed to read the archive to its end: it is cut off near {near}; \
         fetch it again or choose another"
    ))]
    CutOff {
        /// Where.
        near: String,
    },
    /// After the gzip data come other bytes.
    #[snafu(display(
        "failed to accept the archive: other bytes follow its gzip data; \
         fetch it again or choose another"
    ))]
    TrailingGarbage,
    /// After the end mark of the tar come other bytes, or only half of the mark is there.
    #[snafu(display("failed to accept the archive: other bytes follow its end mark near {near}; choose another"))]
    DataAfterEnd {
        /// Where.
        near: String,
    },
    /// A tar header is not one.
    #[snafu(display("failed to read the header of an entry near {near}: {problem}; choose another archive"))]
    Header {
        /// Where.
        near: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The entry is no file and no directory.
    #[snafu(display("failed to accept entry {entry:?}: it is {what}, which no backup holds; choose another archive"))]
    EntryType {
        /// The entry.
        entry: String,
        /// What it is.
        what: &'static str,
    },
    /// The path is unsafe or of another format.
    #[snafu(display("failed to accept the path of entry {entry:?}; no backup holds it, choose another archive"))]
    Path {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// A directory has a content.
    #[snafu(display("failed to accept entry {entry:?}: it is a directory with a content; choose another archive"))]
    DirectoryContent {
        /// The entry.
        entry: String,
    },
    /// An object is there twice.
    #[snafu(display(
        "failed to accept entry {entry:?} a second time: \
         which one counts is unknown; choose another archive"
    ))]
    Doubled {
        /// The entry.
        entry: String,
    },
    /// One entry is larger than the limit.
    #[snafu(display(
        "failed to accept entry {entry:?}: its {bytes} bytes are above the limit of {limit}; \
         raise it if the archive is trusted"
    ))]
    EntryTooLarge {
        /// The entry.
        entry: String,
        /// The size that its header says.
        bytes: u64,
        /// The size that is accepted.
        limit: u64,
    },
    /// The archive inflates to more than the limit.
    #[snafu(display(
        "failed to accept the archive: near {near} it exceeds the limit of {limit} bytes unpacked; \
         raise it if the archive is trusted"
    ))]
    ArchiveTooLarge {
        /// Where.
        near: String,
        /// The bytes that are accepted.
        limit: u64,
    },
    /// The archive has more entries than the limit.
    #[snafu(display(
        "failed to accept the archive: near {near} it exceeds the limit of {limit} entries; \
         raise it if the archive is trusted"
    ))]
    TooManyEntries {
        /// Where.
        near: String,
        /// The entries that are accepted.
        limit: u64,
    },
    /// The content is not the object that the path names.
    #[snafu(display("failed to accept the content of entry {entry:?}; choose another archive"))]
    Content {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        source: ContentError,
    },
    /// The object is encrypted, and no configuration was named.
    #[snafu(display(
        "failed to read {:?}: the archive is encrypted, with {seal}; name the encryption configuration that the backup was \
         made with: its Secret in spec.encryptionConfigSecretName of the Restore, or its file with --encryption-config",
        key.to_string()
    ))]
    Encrypted {
        /// The object.
        key: Box<Key>,
        /// What it was encrypted with.
        seal: Box<Seal>,
    },
    /// The object is encrypted and cannot be decrypted.
    #[snafu(display("failed to decrypt entry {entry:?}"))]
    Decrypt {
        /// The entry.
        entry: String,
        /// Why.
        source: UnsealError,
    },
    /// The object is in clear, and the configuration encrypts its type.
    #[snafu(display(
        "failed to accept entry {entry:?}: it lies in the archive in clear, and the encryption configuration encrypts its \
         type; somebody put it there, so choose another archive. Where the archive is older than that rule of the \
         configuration, `identity: {{}}` as the last provider of the rule has it read"
    ))]
    InClear {
        /// The entry.
        entry: String,
    },
    /// What was decrypted, without anything that proved the key, is not the object that the path names.
    #[snafu(display(
        "failed to decrypt entry {entry:?} with {seal}: that is another key than the backup was made with, or the entry is \
         damaged"
    ))]
    WrongKey {
        /// The entry.
        entry: String,
        /// What it was encrypted with.
        seal: Box<Seal>,
        /// What is wrong with what came out.
        source: ContentError,
    },
    /// More keys than any configuration has.
    #[snafu(display(
        "failed to accept entry {entry:?}: the archive is encrypted with more than {limit} keys; choose another archive"
    ))]
    TooManyKeys {
        /// The entry of one key too many.
        entry: String,
        /// The keys that are accepted.
        limit: usize,
    },
    /// A type has objects in namespaces and objects outside of any.
    #[snafu(display(
        "failed to accept entry {entry:?}: other objects of its type are {others}; choose another archive"
    ))]
    MixedScope {
        /// The entry.
        entry: String,
        /// Where the others are.
        others: &'static str,
    },
    /// More types than any cluster serves.
    #[snafu(display("failed to accept entry {entry:?}: it is of more than {limit} types; choose another archive"))]
    TooManyTypes {
        /// The entry of one type too many.
        entry: String,
        /// The types that are accepted.
        limit: usize,
    },
    /// The archive was refused before.
    #[snafu(display("failed to read on in an archive that was refused"))]
    Refused,
}

impl Fault for ReadError {
    fn exit(&self) -> Exit {
        match self {
            Self::Input { .. } | Self::Spool { .. } => Exit::Failure,
            _ => Exit::DataRefused,
        }
    }
}
