//! What the name of an archive and of a folder in a bucket may be.
//!
//! Both come from outside (`backupFilename` of a Restore, `folder` of a location, names in a listing), so a name that
//! could mean another place than it seems to is refused.

use snafu::Snafu;

use crate::digest::Sha256;

/// The longest name of an archive, in bytes: what file systems take (`NAME_MAX`). What drover writes beside an archive, and
/// what it has not finished, has room under any such name, and so has a key in the longest folder of a bucket.
pub(crate) const LONGEST_NAME: usize = 255;

/// The longest key of an object, in bytes (Amazon S3, "Creating object key names").
const LONGEST_KEY: usize = 1024;

/// Why a name is not that of an archive.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum NameProblem {
    #[snafu(display("it is empty"))]
    Empty,
    #[snafu(display("it is longer than {LONGEST_NAME} bytes"))]
    Long,
    #[snafu(display("it is more than a file name: put the folder into the storage location"))]
    Separator,
    /// It begins with a dot, as what drover has not finished writing does, or climbs.
    #[snafu(display("it begins with a dot or holds `..`"))]
    Dots,
    #[snafu(display("it holds a control character"))]
    Control,
    #[snafu(display("it ends with `.sha256` or `.bad`, as what drover writes beside an archive"))]
    Companion,
}

/// What drover writes beside an archive, under the archive's name with an end of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Companion {
    /// Size, digest and number of objects, in a folder; a bucket has metadata for that.
    Label,
    /// Says that the archive is a bad copy.
    Mark,
}

impl Companion {
    pub(super) const ALL: [Self; 2] = [Self::Label, Self::Mark];

    const fn end(self) -> &'static str {
        match self {
            Self::Label => ".sha256",
            Self::Mark => ".bad",
        }
    }

    /// The name beside the archive `name`. A hash stands for one that leaves no room for the end.
    pub(super) fn beside(self, name: &str) -> String {
        if name.len() + self.end().len() <= LONGEST_NAME {
            format!("{name}{}", self.end())
        } else {
            format!("{}{}", Sha256::of(name), self.end())
        }
    }

    /// Whether a name in a listing is one of these.
    pub(super) fn is(self, name: &str) -> bool {
        name.ends_with(self.end())
    }
}

/// Checks that `name` is a plain file name.
pub(super) fn check_name(name: &str) -> Result<(), NameProblem> {
    if name.is_empty() {
        Err(NameProblem::Empty)
    } else if name.len() > LONGEST_NAME {
        Err(NameProblem::Long)
    } else if name.contains(['/', '\\']) {
        Err(NameProblem::Separator)
    } else if name.starts_with('.') || name.contains("..") {
        Err(NameProblem::Dots)
    } else if name.chars().any(char::is_control) {
        Err(NameProblem::Control)
    } else if Companion::ALL.iter().any(|companion| companion.is(name)) {
        Err(NameProblem::Companion)
    } else {
        Ok(())
    }
}

/// Whether `name` is a plain file name: that of an archive or of what lies beside one.
pub(super) fn is_plain(name: &str) -> bool {
    matches!(check_name(name), Ok(()) | Err(NameProblem::Companion))
}

/// Why a folder in a bucket cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Snafu)]
#[snafu(context(suffix(FolderSnafu)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum FolderProblem {
    /// With the longest name of an archive it is longer than a key may be.
    #[snafu(display("it is longer than {} bytes", LONGEST_KEY - LONGEST_NAME - 1))]
    Long,
    #[snafu(display("`..` is no folder of a place"))]
    Dots,
    #[snafu(display("it holds a backslash or a control character"))]
    Character,
}

/// The folder, cleaned as a path is: without what names no folder of its own (`//a/./b/` is `a/b`); empty is the place
/// itself.
pub(super) fn normalise_folder(folder: &str) -> Result<String, FolderProblem> {
    let parts: Vec<_> = folder.trim().split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let folder = parts.join("/");
    if folder.len() + 1 + LONGEST_NAME > LONGEST_KEY {
        Err(FolderProblem::Long)
    } else if parts.contains(&"..") {
        Err(FolderProblem::Dots)
    } else if folder.chars().any(|character| character == '\\' || character.is_control()) {
        Err(FolderProblem::Character)
    } else {
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Result<(), NameProblem>) {
        assert_eq!(check_name(name), expected, "{name:?}");
    }

    #[test]
    fn only_a_plain_file_name_is_an_archive() {
        check("daily-0d2f-2026-11-23T02-00-00Z.tar.gz", Ok(()));
        check("täglich.tar.gz.enc", Ok(()));
        check(&"a".repeat(255), Ok(()));
        check("", Err(NameProblem::Empty));
        check(&"a".repeat(256), Err(NameProblem::Long));
        check("a/b.tar.gz", Err(NameProblem::Separator));
        check("/etc/passwd", Err(NameProblem::Separator));
        check("a\\b.tar.gz", Err(NameProblem::Separator));
        check("..", Err(NameProblem::Dots));
        check(".", Err(NameProblem::Dots));
        check("a..tar.gz", Err(NameProblem::Dots));
        check(".drover-a.tar.gz.abcdefgh.partial", Err(NameProblem::Dots));
        check("a\n.tar.gz", Err(NameProblem::Control));
        check("a\0.tar.gz", Err(NameProblem::Control));
        check("a\u{1b}[31m", Err(NameProblem::Control));
        check("a.tar.gz.sha256", Err(NameProblem::Companion));
        check("a.tar.gz.bad", Err(NameProblem::Companion));
    }

    #[test]
    fn what_lies_beside_an_archive_has_a_name_that_fits_and_is_no_archive() {
        assert_eq!(Companion::Label.beside("a.tar.gz"), "a.tar.gz.sha256");
        assert_eq!(Companion::Mark.beside("a.tar.gz"), "a.tar.gz.bad");
        for length in [1, 248, 249, 255] {
            for companion in Companion::ALL {
                let name = companion.beside(&"n".repeat(length));
                assert!(name.len() <= LONGEST_NAME && is_plain(&name) && companion.is(&name), "{length} {name}");
                assert_eq!(check_name(&name), Err(NameProblem::Companion));
            }
        }
        assert!(!is_plain("../a.bad") && !is_plain(".a.bad"));
    }

    #[track_caller]
    fn check_folder(folder: &str, expected: Result<&str, FolderProblem>) {
        assert_eq!(normalise_folder(folder).as_deref(), expected.as_ref().copied(), "{folder:?}");
    }

    #[test]
    fn a_folder_is_cleaned_as_a_path_is() {
        check_folder("", Ok(""));
        check_folder("/", Ok(""));
        check_folder("rancher", Ok("rancher"));
        check_folder("/rancher/", Ok("rancher"));
        check_folder("//a/b//", Ok("a/b"));
        check_folder("//a/./b/", Ok("a/b"));
        check_folder("./a//b/.", Ok("a/b"));
        check_folder(".", Ok(""));
        check_folder(".a/b.", Ok(".a/b."));
        check_folder(" a ", Ok("a"));
        check_folder("a..b", Ok("a..b"));
    }

    #[test]
    fn a_folder_that_means_another_place_is_refused() {
        check_folder("..", Err(FolderProblem::Dots));
        check_folder("a/../b", Err(FolderProblem::Dots));
        check_folder("/../a", Err(FolderProblem::Dots));
        check_folder("a\\b", Err(FolderProblem::Character));
        check_folder("a\tb", Err(FolderProblem::Character));
        check_folder(&"a".repeat(800), Err(FolderProblem::Long));
    }
}
