//! Archives in a folder of this machine: the place where a volume is mounted.
//!
//! The folder itself is never created. Where the volume is not mounted, a folder made by drover would lie in the
//! container's own layer, take the archives, and vanish with the container. So a missing folder is an error also for
//! somebody who names one by hand, and says that it has to be created.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{BoxStream, try_unfold};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use rustix::fs::OFlags;
use snafu::ResultExt;
use tokio::fs::{self, File, OpenOptions, ReadDir};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::error::{Error, FolderRefusal, ReadSnafu, Reason, UseLocalFileSnafu};
use super::label::{Parcel, Recorded};
use super::listed::Listed;
use super::meter::Meter;
use super::name::is_plain;
use super::opened::Opened;
use super::removal::Removal;
use crate::task;

pub(super) mod beside;
mod partial;
mod remove;
mod write;

/// A folder with archives.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// Copies `file` into the folder and verifies the copy before it gets its name.
    ///
    /// Dropping the future stops the copy at its next chunk and removes it.
    pub(super) async fn store(&self, name: &str, file: &Path, parcel: Parcel, meter: Arc<Meter>) -> Result<(), Error> {
        let stop = CancellationToken::new();
        let writing = write::Writing {
            folder: self.path.clone(),
            name: name.to_owned(),
            file: file.to_owned(),
            parcel,
            meter,
            stop: stop.clone(),
        };
        let _stop_when_dropped = stop.drop_guard();
        let written = task::spawn_blocking(move || writing.run()).await;
        written.unwrap_or_else(|panicked| Err(io::Error::other(panicked)).context(UseLocalFileSnafu { name }))
    }

    /// Writes the label of an archive that is there already, unless it stands there.
    pub(super) async fn write_label(&self, name: &str, parcel: Parcel) -> Result<(), Reason> {
        self.with(name, move |folder, name| beside::write_label(folder, name, parcel)).await
    }

    /// The size of an archive and what its label says; `None` where there is no archive.
    pub(super) async fn recorded(&self, name: &str) -> Result<Option<(u64, Recorded)>, Reason> {
        let size = match self.open_file(name).await {
            Ok((_, size)) => size,
            Err(reason) if reason.is_missing() => return Ok(None),
            Err(reason) => return Err(reason),
        };
        let recorded = self.with(name, |folder, name| Ok(beside::recorded(folder, name))).await?;
        Ok(Some((size, recorded)))
    }

    /// Whether an archive is marked as a bad copy.
    pub(super) async fn is_marked(&self, name: &str) -> Result<bool, Reason> {
        self.with(name, |folder, name| Ok(beside::is_marked(folder, name))).await
    }

    /// Marks an archive as a bad copy.
    pub(super) async fn write_mark(&self, name: &str, text: String) -> Result<(), Reason> {
        self.with(name, move |folder, name| beside::write_mark(folder, name, &text)).await
    }

    /// Takes the mark from an archive that is good now.
    pub(super) async fn lift_mark(&self, name: &str) -> Result<(), Reason> {
        self.with(name, beside::lift_mark).await
    }

    /// Removes an archive and what lies beside it.
    pub(super) async fn remove(&self, name: &str) -> Result<Removal, Reason> {
        self.check().await?;
        self.with(name, remove::remove).await
    }

    /// Removes the unfinished files that were last written to before `before`.
    pub(super) async fn remove_forgotten(&self, before: Timestamp) -> Result<u64, Reason> {
        self.with("", move |folder, _| remove::remove_forgotten(folder, before)).await
    }

    /// Does what blocks on a thread of its own.
    async fn with<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Path, &str) -> Result<T, FolderRefusal> + Send + 'static,
    ) -> Result<T, Reason> {
        let (folder, name) = (self.path.clone(), name.to_owned());
        let done = task::spawn_blocking(move || work(&folder, &name)).await;
        Ok(done.unwrap_or_else(|panicked| Err(FolderRefusal::of_file(&io::Error::other(panicked))))?)
    }

    /// Opens an archive for reading.
    pub(super) async fn open(&self, name: &str) -> Result<Opened, Error> {
        let (file, size) = self.open_file(name).await.context(ReadSnafu { name, place: self.place() })?;
        let (name, place) = (name.to_owned(), self.place());
        let chunks = ReaderStream::with_capacity(file.take(size), write::BUFFER_SIZE);
        let chunks = chunks.map_err(|error| Reason::from(FolderRefusal::of_file(&error)));
        let whole = try_unfold((chunks, 0), move |(mut chunks, got)| async move {
            match chunks.try_next().await? {
                Some(chunk) => {
                    let got = got + chunk.len() as u64;
                    Ok(Some((chunk, (chunks, got))))
                }
                None if got < size => Err(FolderRefusal::cut_off(got, size).into()),
                None => Ok(None),
            }
        });
        let body = whole.map_err(move |source| Error::Read { name: name.clone(), place: place.clone(), source });
        Ok(Opened { size, body: body.boxed() })
    }

    async fn open_file(&self, name: &str) -> Result<(File, u64), Reason> {
        self.check().await?;
        let path = self.path.join(name);
        // A link could lead to what the job may read and others may not; a pipe would hold it up for ever.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let open = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path).await;
        let file = open.map_err(|error| FolderRefusal::of_file(&error))?;
        let metadata = file.metadata().await.map_err(|error| FolderRefusal::of_file(&error))?;
        if !metadata.is_file() {
            return Err(FolderRefusal::not_a_file(&path).into());
        }
        Ok((file, metadata.len()))
    }

    /// Tells a missing folder from a missing archive.
    async fn check(&self) -> Result<(), FolderRefusal> {
        let metadata = fs::metadata(&self.path).await;
        let metadata = metadata.map_err(|error| FolderRefusal::of_folder(&self.path, &error))?;
        if metadata.is_dir() {
            Ok(())
        } else {
            Err(FolderRefusal::of_folder(&self.path, &io::ErrorKind::NotADirectory.into()))
        }
    }

    /// The files of the folder whose names are those of archives or of what lies beside one.
    pub(super) fn entries(&self) -> BoxStream<'static, Result<Listed, Error>> {
        let (path, place) = (self.path.clone(), self.place());
        let entries = try_unfold(None, move |entries: Option<ReadDir>| {
            let path = path.clone();
            async move {
                let mut entries = match entries {
                    Some(entries) => entries,
                    None => fs::read_dir(&path).await?,
                };
                let entry = entries.next_entry().await?;
                io::Result::Ok(entry.map(|entry| (entry, Some(entries))))
            }
        });
        let folder = self.path.clone();
        let archives = entries.map_err(move |error| FolderRefusal::of_folder(&folder, &error)).try_filter_map(listed);
        archives.map_err(move |refusal| Error::List { place: place.clone(), source: refusal.into() }).boxed()
    }
}

async fn listed(entry: fs::DirEntry) -> Result<Option<Listed>, FolderRefusal> {
    let Some(name) = entry.file_name().to_str().filter(|name| is_plain(name)).map(str::to_owned) else {
        return Ok(None);
    };
    let metadata = match entry.metadata().await {
        Ok(metadata) => metadata,
        // It was deleted since the folder was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FolderRefusal::of_file(&error)),
    };
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    Ok(metadata.is_file().then_some(Listed { name, bytes: metadata.len(), modified, is_bad: false }))
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
