//! What lies beside an archive in a folder: its label, and the mark of a bad copy. All of it blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::super::error::FolderRefusal;
use super::super::label::{Parcel, Recorded};
use super::super::name::Companion;
use super::partial;
use crate::digest::Sha256;

/// The most that is read of a label, in bytes; drover writes less than 500.
const LONGEST_LABEL: u64 = 4096;

/// What the label beside the archive `name` says. One that is missing, too long, no regular file or not readable says
/// nothing: anybody who may write into the folder may have put it there, and it proves nothing anyway.
pub(super) fn recorded(folder: &Path, name: &str) -> Recorded {
    let text = read_label(&folder.join(Companion::Label.beside(name))).unwrap_or_default();
    Recorded::of_file(&text, name)
}

fn read_label(path: &Path) -> io::Result<String> {
    // A pipe would hold the job up for ever.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(String::new());
    }
    let mut text = String::new();
    file.take(LONGEST_LABEL).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes the label of an archive that has its name, unless it stands there.
pub(super) fn write_label(folder: &Path, name: &str, parcel: Parcel) -> Result<(), FolderRefusal> {
    if recorded(folder, name).covers(parcel) {
        return Ok(());
    }
    write(folder, &Companion::Label.beside(name), &Recorded::file(parcel, name))
}

/// Whether the archive `name` is marked; an empty mark is lifted.
pub(super) fn is_marked(folder: &Path, name: &str) -> bool {
    let mark = fs::symlink_metadata(folder.join(Companion::Mark.beside(name)));
    mark.is_ok_and(|metadata| !metadata.is_dir() && metadata.len() > 0)
}

/// Writes the mark of a bad copy.
pub(super) fn write_mark(folder: &Path, name: &str, text: &str) -> Result<(), FolderRefusal> {
    write(folder, &Companion::Mark.beside(name), text)
}

/// Removes the mark of a copy that is good now.
pub(super) fn lift_mark(folder: &Path, name: &str) -> Result<(), FolderRefusal> {
    if remove(folder, name, Companion::Mark)? { sync(folder) } else { Ok(()) }
}

/// Removes what lies beside the archive `name`, and tells whether it was there. A folder of that name is not drover's, and
/// stays.
pub(super) fn remove(folder: &Path, name: &str, companion: Companion) -> Result<bool, FolderRefusal> {
    let path = folder.join(companion.beside(name));
    if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) { Ok(false) } else { partial::remove(&path) }
}

/// Writes a small file, whole or not at all, and makes it last.
fn write(folder: &Path, name: &str, text: &str) -> Result<(), FolderRefusal> {
    partial::remove_leftovers(folder, name)?;
    let mut unfinished = partial::begin(folder, name)?;
    let written = unfinished.write_all(text.as_bytes()).and_then(|()| unfinished.as_file().sync_all());
    written.map_err(|error| FolderRefusal::of_file(&error))?;
    unfinished.persist(folder.join(name)).map_err(|error| FolderRefusal::of_file(&error.error))?;
    sync(folder)
}

/// Makes what was named, renamed or removed in a folder last.
pub(super) fn sync(folder: &Path) -> Result<(), FolderRefusal> {
    let refused = |error| FolderRefusal::of_folder(folder, &error);
    match File::open(folder).map_err(refused)?.sync_all() {
        // Some network file systems cannot sync a folder; they have their own way to keep it.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced.map_err(refused),
    }
}

/// The MAC that is recorded beside the archive `path`, a file that somebody keeps; none where there is none, or none that can
/// be read. Blocking.
#[must_use]
pub fn mac_beside(path: &Path) -> Option<Sha256> {
    let (folder, name) = split(path)?;
    recorded(folder, name).mac
}

/// Records beside the archive `path` what is known of it, unless it stands there. A name that is no text has none. Blocking.
///
/// # Errors
/// When the folder refuses.
pub fn record_beside(path: &Path, parcel: Parcel) -> Result<(), FolderRefusal> {
    let Some((folder, name)) = split(path) else { return Ok(()) };
    write_label(folder, name, parcel)
}

fn split(path: &Path) -> Option<(&Path, &str)> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some((folder, path.file_name()?.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Content;

    #[test]
    fn what_is_recorded_beside_a_file_is_read_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.tar.gz");
        assert_eq!(mac_beside(&path), None);
        let parcel = Parcel { mac: Some([7; 32].into()), ..Parcel::from(Content { bytes: 7, sha256: [9; 32].into() }) };
        record_beside(&path, parcel).unwrap();
        assert_eq!(mac_beside(&path), Some(Sha256::from([7; 32])));
        let label = std::fs::read_to_string(folder.path().join("backup.tar.gz.sha256")).unwrap();
        assert!(label.ends_with(&format!("{}  backup.tar.gz\n", "09".repeat(32))), "{label}");
        assert_eq!(mac_beside(Path::new("/")), None);
    }

    #[test]
    fn a_file_without_a_folder_lies_in_the_one_that_is_worked_in() {
        assert_eq!(split(Path::new("a.tar.gz")), Some((Path::new("."), "a.tar.gz")));
        assert_eq!(split(Path::new("b/a.tar.gz")), Some((Path::new("b"), "a.tar.gz")));
        assert_eq!(split(Path::new("..")), None);
    }
}
