//! What lies beside an archive that somebody keeps as a file: the same label as in a folder of archives.

use std::path::Path;

use super::error::FolderRefusal;
use super::folder::beside;
use super::label::Parcel;
use crate::digest::Sha256;

/// The MAC that is recorded beside the archive `path`; none where there is none, or none that can be read. Blocking.
#[must_use]
pub fn mac_beside(path: &Path) -> Option<Sha256> {
    let (folder, name) = split(path)?;
    beside::recorded(folder, name).mac
}

/// Records beside the archive `path` what is known of it, unless it stands there. A name that is no text has none. Blocking.
///
/// # Errors
/// When the folder refuses.
pub fn record_beside(path: &Path, parcel: Parcel) -> Result<(), FolderRefusal> {
    let Some((folder, name)) = split(path) else { return Ok(()) };
    beside::write_label(folder, name, parcel)
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
