//! Unfinished files: what is written gets its name only when it is whole, and until then a hidden one that no listing
//! gives. What a killed process left is removed by the next try of the same name.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

use super::super::error::FolderRefusal;
use crate::digest::Sha256;

/// What the names of unfinished files begin with.
const HIDDEN: &str = ".drover-";

/// How many random characters the name of an unfinished file has.
const RANDOM_LENGTH: usize = 8;

/// The end of the name of an unfinished file.
const PARTIAL: &str = ".partial";

/// The longest name, in bytes, that the name of its unfinished file repeats: a longer one would not fit beside the rest.
const LONGEST_REPEATED: usize = 200;

/// Begins an unfinished file (mode 0600) of what is to be called `name`; dropped, it is removed.
pub(super) fn begin(folder: &Path, name: &str) -> Result<NamedTempFile, FolderRefusal> {
    let prefix = partial_prefix(name);
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(&prefix).suffix(PARTIAL).rand_bytes(RANDOM_LENGTH);
    builder.tempfile_in(folder).map_err(|error| FolderRefusal::of_folder(folder, &error))
}

/// Removes what earlier tries of exactly this name left.
pub(super) fn remove_leftovers(folder: &Path, name: &str) -> Result<(), FolderRefusal> {
    let prefix = partial_prefix(name);
    for entry in fs::read_dir(folder).map_err(|error| FolderRefusal::of_folder(folder, &error))? {
        let entry = entry.map_err(|error| FolderRefusal::of_folder(folder, &error))?;
        if entry.file_name().to_str().is_some_and(|found| is_leftover(found, &prefix)) {
            tracing::info!(file = ?entry.path(), "removing what an earlier try left");
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file, and tells whether it was there; another process may have removed it first.
pub(super) fn remove(path: &Path) -> Result<bool, FolderRefusal> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FolderRefusal::of_file(&error)),
    }
}

/// What the names of the unfinished files of `name` begin with.
fn partial_prefix(name: &str) -> String {
    if name.len() <= LONGEST_REPEATED { format!("{HIDDEN}{name}.") } else { format!("{HIDDEN}{}.", Sha256::of(name)) }
}

/// Whether a file is an unfinished one of exactly the name whose prefix this is.
fn is_leftover(found: &str, prefix: &str) -> bool {
    let random = found.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(PARTIAL));
    random.is_some_and(is_random)
}

/// Whether a file is an unfinished one of any name.
pub(super) fn is_partial(found: &str) -> bool {
    let rest = found.strip_prefix(HIDDEN).and_then(|rest| rest.strip_suffix(PARTIAL));
    rest.and_then(|rest| rest.rsplit_once('.')).is_some_and(|(name, random)| !name.is_empty() && is_random(random))
}

fn is_random(text: &str) -> bool {
    text.len() == RANDOM_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &str, of_the_archive: bool, of_any: bool) {
        assert_eq!(is_leftover(found, &partial_prefix("a.tar.gz")), of_the_archive, "{found:?}");
        assert_eq!(is_partial(found), of_any, "{found:?}");
    }

    #[test]
    fn only_unfinished_files_of_the_same_archive_are_leftovers() {
        check(".drover-a.tar.gz.abCD1234.partial", true, true);
        check(".drover-a.tar.gz.abcd.partial", false, false);
        check(".drover-a.tar.gz.abcd1234.partial.bak", false, false);
        check(".drover-a.tar.gz.b.tar.gz.abcd1234.partial", false, true);
        check(".drover-a.tar.gz.sha256.abcd1234.partial", false, true);
        check(".drover-b.tar.gz.abcd1234.partial", false, true);
        check(".drover-.abcd1234.partial", false, false);
        check("a.tar.gz", false, false);
    }

    #[test]
    fn names_of_unfinished_files_fit_into_a_file_system() {
        for length in [1, 200, 201, 255] {
            let name = partial_prefix(&"n".repeat(length));
            assert!(name.len() + RANDOM_LENGTH + PARTIAL.len() <= 255, "{length}");
        }
    }
}
