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
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum ReadError {
    /// The archive's bytes could not be read: its disk or its server failed, not the archive.
    #[snafu(display("failed to read the archive's bytes near {near}"))]
    Input { near: String, source: io::Error },
    #[snafu(display("failed to write the archive's objects to a temporary file; TMPDIR chooses another folder"))]
    Spool { source: io::Error },
    #[snafu(display(
        "failed to inflate the archive near {near}: it is damaged or no gzip; \
         fetch it again or choose another"
    ))]
    Damaged { near: String, source: io::Error },
    #[snafu(display(
        "failed to read the archive to its end: it is cut off near {near}; \
         fetch it again or choose another"
    ))]
    CutOff { near: String },
    #[snafu(display(
        "failed to accept the archive: other bytes follow its gzip data; \
         fetch it again or choose another"
    ))]
    TrailingGarbage,
    /// After the end mark of the tar come other bytes, or only half of the mark is there.
    #[snafu(display("failed to accept the archive: other bytes follow its end mark near {near}; choose another"))]
    DataAfterEnd { near: String },
    #[snafu(display("failed to read the header of an entry near {near}: {problem}; choose another archive"))]
    Header { near: String, problem: &'static str },
    #[snafu(display("failed to accept entry {entry:?}: it is {what}, which no backup holds; choose another archive"))]
    EntryType { entry: String, what: &'static str },
    #[snafu(display("failed to accept the path of entry {entry:?}; no backup holds it, choose another archive"))]
    Path { entry: String, source: PathError },
    #[snafu(display("failed to accept entry {entry:?}: it is a directory with a content; choose another archive"))]
    DirectoryContent { entry: String },
    #[snafu(display(
        "failed to accept entry {entry:?} a second time: \
         which one counts is unknown; choose another archive"
    ))]
    Doubled { entry: String },
    #[snafu(display(
        "failed to accept entry {entry:?}: its {bytes} bytes are above the limit of {limit}; \
         raise it if the archive is trusted"
    ))]
    EntryTooLarge { entry: String, bytes: u64, limit: u64 },
    #[snafu(display(
        "failed to accept the archive: near {near} it exceeds the limit of {limit} bytes unpacked; \
         raise it if the archive is trusted"
    ))]
    ArchiveTooLarge { near: String, limit: u64 },
    #[snafu(display(
        "failed to accept the archive: near {near} it exceeds the limit of {limit} entries; \
         raise it if the archive is trusted"
    ))]
    TooManyEntries { near: String, limit: u64 },
    #[snafu(display("failed to accept the content of entry {entry:?}; choose another archive"))]
    Content { entry: String, source: ContentError },
    #[snafu(display(
        "failed to read {:?}: the archive is encrypted, with {seal}; name the encryption configuration that the backup was \
         made with: its Secret in spec.encryptionConfigSecretName of the Restore, or its file with --encryption-config",
        key.to_string()
    ))]
    Encrypted { key: Box<Key>, seal: Box<Seal> },
    #[snafu(display("failed to decrypt entry {entry:?}"))]
    Decrypt { entry: String, source: UnsealError },
    #[snafu(display(
        "failed to accept entry {entry:?}: it lies in the archive in clear, and the encryption configuration encrypts its \
         type; somebody put it there, so choose another archive. Where the archive is older than that rule of the \
         configuration, `identity: {{}}` as the last provider of the rule has it read"
    ))]
    InClear { entry: String },
    /// What was decrypted, without anything that proved the key, is not the object that the path names.
    #[snafu(display(
        "failed to decrypt entry {entry:?} with {seal}: that is another key than the backup was made with, or the entry is \
         damaged"
    ))]
    WrongKey { entry: String, seal: Box<Seal>, source: ContentError },
    #[snafu(display(
        "failed to accept entry {entry:?}: the archive is encrypted with more than {limit} keys; choose another archive"
    ))]
    TooManyKeys { entry: String, limit: usize },
    #[snafu(display(
        "failed to accept entry {entry:?}: other objects of its type are {others}; choose another archive"
    ))]
    MixedScope { entry: String, others: &'static str },
    #[snafu(display("failed to accept entry {entry:?}: it is of more than {limit} types; choose another archive"))]
    TooManyTypes { entry: String, limit: usize },
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
