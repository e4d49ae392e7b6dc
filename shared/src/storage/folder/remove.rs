//! Removing archives, and what forgotten uploads left. All of it blocks.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use rustix::io::Errno;

use super::super::error::FolderRefusal;
use super::super::name::Companion;
use super::super::removal::Removal;
use super::{beside, partial};

/// Removes an archive, then what lies beside it: a label alone misleads nobody, an archive without one might.
pub(super) fn remove(folder: &Path, name: &str) -> Result<Removal, FolderRefusal> {
    let path = folder.join(name);
    let removal = match fs::symlink_metadata(&path) {
        Ok(metadata) if !metadata.is_file() => return Err(FolderRefusal::not_a_file(&path)),
        Ok(_) => remove_archive(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Removal::Gone,
        Err(error) => return Err(FolderRefusal::of_file(&error)),
    };
    if matches!(removal, Removal::Retained { .. }) {
        return Ok(removal);
    }
    for companion in Companion::ALL {
        beside::remove(folder, name, companion)?;
    }
    beside::sync(folder)?;
    Ok(removal)
}

fn remove_archive(path: &Path) -> Result<Removal, FolderRefusal> {
    match fs::remove_file(path) {
        Ok(()) => Ok(Removal::Removed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Removal::Gone),
        // A folder that this user may not write to says EACCES, which is for somebody to mend.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {
            let reason = "the file system does not let this user delete it; is it immutable, or another user's in a \
                          sticky folder?";
            Ok(Removal::Retained { until: None, reason: reason.to_owned() })
        }
        Err(error) => Err(FolderRefusal::of_file(&error)),
    }
}

/// Removes the unfinished files that were last written to before `before`, and tells how many there were.
pub(super) fn remove_forgotten(folder: &Path, before: Timestamp) -> Result<u64, FolderRefusal> {
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(|error| FolderRefusal::of_folder(folder, &error))? {
        let entry = entry.map_err(|error| FolderRefusal::of_folder(folder, &error))?;
        let is_partial = entry.file_name().to_str().is_some_and(partial::is_partial);
        if is_partial && is_old_file(&entry, before) && partial::remove(&entry.path())? {
            tracing::info!(file = ?entry.path(), "removed what a forgotten upload left");
            removed += 1;
        }
    }
    Ok(removed)
}

/// What cannot be told of a file keeps it.
fn is_old_file(entry: &fs::DirEntry, before: Timestamp) -> bool {
    let Ok(metadata) = entry.metadata() else { return false };
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    metadata.is_file() && modified.is_some_and(|modified| modified < before)
}
