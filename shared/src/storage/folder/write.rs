//! Writing an archive into a folder, so that a name means a whole, verified archive on the disk.
//!
//! The bytes go into an unfinished file beside the archives. It gets the archive's name only after it was read back and
//! matched, and its label follows; where a kill lies between, the next try finds the archive and writes the label.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise, statvfs};
use snafu::ResultExt;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::super::error::{
    BadCopy, Difference, Error, FolderRefusal, Found, Reason, StoreSnafu, UseLocalFileSnafu, VerifySnafu,
};
use super::super::label::Parcel;
use super::super::meter::Meter;
use super::super::name::Companion;
use super::super::tries::{READS, STORES};
use super::{beside, partial};
use crate::digest::{Content, Hasher};

/// How much is read at once, in bytes: each read is a trip to the pool of blocking threads.
pub(super) const BUFFER_SIZE: usize = 256 * 1024;

/// One archive on its way into a folder; it blocks, so it runs on a thread of its own.
pub(super) struct Writing {
    pub(super) folder: PathBuf,
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) parcel: Parcel,
    pub(super) meter: Arc<Meter>,
    pub(super) stop: CancellationToken,
}

impl Writing {
    pub(super) fn run(&self) -> Result<(), Error> {
        let expected = self.parcel.content;
        let mut found = self.once()?;
        for _ in 1..STORES {
            let Some(content) = found else { return Ok(()) };
            tracing::warn!(name = self.name, found = %content, "not the archive came back; storing it again");
            self.meter.restart();
            found = self.once()?;
        }
        let Some(content) = found else { return Ok(()) };
        // The unfinished file is gone with its handle.
        let difference = Difference { expected, found: Found::Content(content), copy: BadCopy::Removed };
        VerifySnafu { name: &self.name, place: self.folder.display().to_string(), difference }.fail()
    }

    /// Writes an unfinished file and gives it its name, or tells what came back of it instead of the archive.
    fn once(&self) -> Result<Option<Content>, Error> {
        let mut partial = self.prepare().with_context(|_| self.storing())?;
        self.copy(&mut partial)?;
        let found = self.read_back_again(&partial).with_context(|_| self.storing())?;
        if found != self.parcel.content {
            return Ok(Some(found));
        }
        self.finish(partial).with_context(|_| self.storing())?;
        Ok(None)
    }

    fn storing(&self) -> StoreSnafu<&str, String> {
        StoreSnafu { name: &self.name, place: self.folder.display().to_string() }
    }

    /// Removes what earlier tries left, checks the room and begins an unfinished file.
    fn prepare(&self) -> Result<NamedTempFile, Reason> {
        partial::remove_leftovers(&self.folder, &self.name)?;
        let free = statvfs(&self.folder).map_err(|error| FolderRefusal::of_folder(&self.folder, &error.into()))?;
        let free = free.f_bavail.saturating_mul(free.f_frsize);
        let needed = self.parcel.content.bytes;
        if free < needed {
            return Err(FolderRefusal::full(needed, free).into());
        }
        Ok(partial::begin(&self.folder, &self.name)?)
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

    /// Reads the unfinished file, opened anew each time, until it is the archive or was read too often.
    fn read_back_again(&self, partial: &NamedTempFile) -> Result<Content, Reason> {
        let mut found = self.read_back(partial)?;
        for _ in 1..READS {
            if found == self.parcel.content {
                break;
            }
            tracing::warn!(name = self.name, %found, "not the archive came back; reading it again");
            found = self.read_back(partial)?;
        }
        Ok(found)
    }

    /// Reads the unfinished file from the disk: its pages are dropped from the cache first, as far as the system obeys.
    fn read_back(&self, partial: &NamedTempFile) -> Result<Content, Reason> {
        let mut file = partial.reopen().map_err(|error| file_refused(&error))?;
        // Advice that is not taken only means that the cache answers.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; BUFFER_SIZE];
        loop {
            let length = self.go_on().and_then(|()| file.read(&mut buffer)).map_err(|error| file_refused(&error))?;
            let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
            hasher.update(chunk);
            self.meter.read_back(length as u64);
        }
        Ok(hasher.finish())
    }

    /// Gives the unfinished file its name, makes the name last, and writes the label. That of other bytes which had the
    /// name goes first: it would call the new ones bad.
    fn finish(&self, partial: NamedTempFile) -> Result<(), Reason> {
        self.go_on().map_err(|error| file_refused(&error))?;
        partial::remove(&self.folder.join(Companion::Label.beside(&self.name)))?;
        partial.persist(self.folder.join(&self.name)).map_err(|error| file_refused(&error.error))?;
        beside::sync(&self.folder)?;
        Ok(beside::write_label(&self.folder, &self.name, self.parcel)?)
    }

    /// An error once nobody waits for the copy any more.
    fn go_on(&self) -> io::Result<()> {
        if self.stop.is_cancelled() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

fn file_refused(error: &io::Error) -> Reason {
    FolderRefusal::of_file(error).into()
}
