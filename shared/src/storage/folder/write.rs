//! Writing an archive into a folder, so that a name means a whole, verified archive on the disk.
//!
//! The bytes go into an unfinished file beside the archives, whose hidden name is never listed. It gets the archive's
//! name only after it was read back and matched. What a killed try left is removed by the next one of the same name.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise, statvfs};
use sha2::{Digest, Sha256};
use snafu::ResultExt;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::super::error::{
    Content, Difference, Error, FolderRefusal, Found, Reason, StoreSnafu, UseLocalFileSnafu, VerifySnafu,
};
use super::super::meter::Meter;
use super::BUFFER_SIZE;

/// How many random characters the name of an unfinished file has.
const RANDOM_LENGTH: usize = 8;

/// The end of the name of an unfinished file.
const PARTIAL: &str = ".partial";

/// The longest name of an archive, in bytes, that the name of its unfinished file repeats: a longer one would not fit
/// beside the rest.
const LONGEST_REPEATED: usize = 200;

/// One archive on its way into a folder; it blocks, so it runs on a thread of its own.
pub(super) struct Writing {
    pub(super) folder: PathBuf,
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) expected: Content,
    pub(super) meter: Arc<Meter>,
    pub(super) stop: CancellationToken,
}

impl Writing {
    pub(super) fn run(&self) -> Result<(), Error> {
        let mut partial = self.prepare().with_context(|_| self.storing())?;
        self.copy(&mut partial)?;
        let found = self.read_back(partial.as_file_mut()).with_context(|_| self.storing())?;
        if found != self.expected {
            // The unfinished file goes with its handle.
            let difference = Difference { expected: self.expected, found: Found::Content(found), removed: true };
            return VerifySnafu { name: &self.name, place: self.folder.display().to_string(), difference }.fail();
        }
        self.finish(partial).with_context(|_| self.storing())
    }

    fn storing(&self) -> StoreSnafu<&str, String> {
        StoreSnafu { name: &self.name, place: self.folder.display().to_string() }
    }

    fn folder_refused(&self, error: &io::Error) -> Reason {
        FolderRefusal::of_folder(&self.folder, error).into()
    }

    /// Removes what earlier tries left, checks the room and begins an unfinished file (mode 0600).
    fn prepare(&self) -> Result<NamedTempFile, Reason> {
        let prefix = partial_prefix(&self.name);
        for entry in fs::read_dir(&self.folder).map_err(|error| self.folder_refused(&error))? {
            let entry = entry.map_err(|error| self.folder_refused(&error))?;
            if entry.file_name().to_str().is_some_and(|found| is_leftover(found, &prefix)) {
                tracing::info!(file = ?entry.path(), "removing what an earlier try left");
                remove(&entry.path())?;
            }
        }
        let free = statvfs(&self.folder).map_err(|error| self.folder_refused(&error.into()))?;
        let free = free.f_bavail.saturating_mul(free.f_frsize);
        if free < self.expected.bytes {
            return Err(FolderRefusal::full(self.expected.bytes, free).into());
        }
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(&prefix).suffix(PARTIAL).rand_bytes(RANDOM_LENGTH);
        builder.tempfile_in(&self.folder).map_err(|error| self.folder_refused(&error))
    }

    fn copy(&self, partial: &mut NamedTempFile) -> Result<(), Error> {
        let local = || UseLocalFileSnafu { name: &self.name };
        let mut from = File::open(&self.file).with_context(|_| local())?;
        let mut buffer = vec![0; BUFFER_SIZE];
        loop {
            let length = from.read(&mut buffer).with_context(|_| local())?;
            let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
            self.go_on()
                .and_then(|()| partial.write_all(chunk))
                .map_err(|error| file_refused(&error))
                .with_context(|_| self.storing())?;
            self.meter.sent(length as u64);
        }
        partial.as_file().sync_all().map_err(|error| file_refused(&error)).with_context(|_| self.storing())
    }

    /// Reads the unfinished file from the disk: its pages are dropped from the cache first, as far as the system obeys.
    fn read_back(&self, file: &mut File) -> Result<Content, Reason> {
        // Advice that is not taken only means that the cache answers.
        let _ = fadvise(&*file, 0, None, Advice::DontNeed);
        let mut digest = Sha256::new();
        let mut bytes = 0;
        let mut buffer = vec![0; BUFFER_SIZE];
        file.rewind().map_err(|error| file_refused(&error))?;
        loop {
            let length = self.go_on().and_then(|()| file.read(&mut buffer)).map_err(|error| file_refused(&error))?;
            let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
            digest.update(chunk);
            bytes += length as u64;
            self.meter.read_back(length as u64);
        }
        Ok(Content { bytes, sha256: digest.finalize().into() })
    }

    /// Gives the unfinished file its name, and makes the name last.
    fn finish(&self, partial: NamedTempFile) -> Result<(), Reason> {
        self.go_on().map_err(|error| file_refused(&error))?;
        partial.persist(self.folder.join(&self.name)).map_err(|error| file_refused(&error.error))?;
        let folder = File::open(&self.folder).map_err(|error| self.folder_refused(&error))?;
        match folder.sync_all() {
            // Some network file systems cannot sync a folder; they have their own way to keep it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced.map_err(|error| self.folder_refused(&error)),
        }
    }

    /// An error once nobody waits for the copy any more.
    fn go_on(&self) -> io::Result<()> {
        if self.stop.is_cancelled() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

fn file_refused(error: &io::Error) -> Reason {
    FolderRefusal::of_file(error).into()
}

/// Another process may have removed it first.
fn remove(path: &Path) -> Result<(), Reason> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_refused(&error)),
        _ => Ok(()),
    }
}

/// What the names of an archive's unfinished files begin with.
fn partial_prefix(name: &str) -> String {
    if name.len() <= LONGEST_REPEATED {
        format!(".drover-{name}.")
    } else {
        format!(".drover-{}.", hex::encode(Sha256::digest(name)))
    }
}

/// Whether a file is an unfinished one of exactly the archive whose prefix this is.
fn is_leftover(found: &str, prefix: &str) -> bool {
    let random = found.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(PARTIAL));
    random
        .is_some_and(|random| random.len() == RANDOM_LENGTH && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &str, expected: bool) {
        assert_eq!(is_leftover(found, &partial_prefix("a.tar.gz")), expected, "{found:?}");
    }

    #[test]
    fn only_unfinished_files_of_the_same_archive_are_leftovers() {
        check(".drover-a.tar.gz.abCD1234.partial", true);
        check(".drover-a.tar.gz.abcd.partial", false);
        check(".drover-a.tar.gz.abcd1234.partial.bak", false);
        check(".drover-a.tar.gz.b.tar.gz.abcd1234.partial", false);
        check(".drover-b.tar.gz.abcd1234.partial", false);
        check("a.tar.gz", false);
    }

    #[test]
    fn names_of_unfinished_files_fit_into_a_file_system() {
        for length in [1, 200, 201, 255] {
            let name = partial_prefix(&"n".repeat(length));
            assert!(name.len() + RANDOM_LENGTH + PARTIAL.len() <= 255, "{length}");
        }
    }
}
