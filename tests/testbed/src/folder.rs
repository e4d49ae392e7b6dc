//! The temporary folder of a testbed.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

const PREFIX: &str = "drover-testbed-";
/// Locked by the supervisor as long as it lives.
const LOCK: &str = "lock";

/// A folder that exactly one supervisor owns.
pub(crate) struct Folder {
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// Makes a folder, after removing those whose supervisors were killed.
    pub(crate) fn create() -> std::io::Result<Self> {
        Self::create_in(&std::env::temp_dir())
    }

    fn create_in(parent: &Path) -> std::io::Result<Self> {
        remove_abandoned(parent)?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = lock(folder.path())?;
        std::fs::create_dir(folder.path().join("logs"))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn remove(self) -> std::io::Result<()> {
        self.folder.close()
    }
}

/// The lock file gets its name only when it is locked, so nobody takes a new folder for an abandoned one.
fn lock(folder: &Path) -> std::io::Result<File> {
    let unlocked = folder.join("lock.new");
    let file = File::create(&unlocked)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    std::fs::rename(unlocked, folder.join(LOCK))?;
    Ok(file)
}

fn remove_abandoned(parent: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            // Another supervisor may be removing the same folder.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
    Ok(())
}

/// Nobody holds the lock of an abandoned folder. A folder that cannot be read is another user's.
fn is_abandoned(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_a_killed_supervisor_left_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let abandoned = parent.path().join("drover-testbed-abandoned");
        let other = parent.path().join("other");
        for folder in [&abandoned, &other] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join(LOCK), "").unwrap();
        }
        let first = Folder::create_in(parent.path()).unwrap();
        let second = Folder::create_in(parent.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(other.exists() && first.path().exists() && second.path().exists());
    }

    #[test]
    fn a_removed_folder_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create_in(parent.path()).unwrap();
        let path = folder.path().to_owned();
        folder.remove().unwrap();
        assert!(!path.exists());
    }
}
