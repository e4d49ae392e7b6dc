//! Programs that are on this machine already.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{Access, access};
use tokio::process::Command;

use super::Program;

/// The program in `KUBEBUILDER_ASSETS` or on the `PATH`, where it is there and serves.
pub(super) async fn on_this_machine(program: Program) -> Option<PathBuf> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    for candidate in candidates(program.name(), &assets).chain(candidates(program.name(), &path)) {
        if serves(program, &candidate).await {
            return Some(candidate);
        }
    }
    None
}

/// The executable files of a name in a list of folders such as `PATH`.
pub(crate) fn candidates(name: &str, folders: &OsStr) -> impl Iterator<Item = PathBuf> {
    let files: Vec<PathBuf> = std::env::split_paths(folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .filter(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
        .collect();
    files.into_iter()
}

async fn serves(program: Program, path: &Path) -> bool {
    // Distributions have versions that lack what is asked of them, and that do not say their module's version.
    if matches!(program, Program::Prometheus | Program::Promtool) {
        return false;
    }
    if !program.needs_pinned_version() {
        return true;
    }
    let output = Command::new(path).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await;
    output.is_ok_and(|output| output.status.success() && says_version(&output.stdout, program.set().minor_version()))
}

/// Whether the answer to `--version`, such as `Kubernetes v1.34.4`, names a version with this start.
fn says_version(output: &[u8], start: &str) -> bool {
    String::from_utf8_lossy(output).split_whitespace().any(|word| word.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_the_minor_version_that_is_pinned() {
        assert!(says_version(b"Kubernetes v1.34.1\n", "v1.34."));
        assert!(!says_version(b"Kubernetes v1.35.0\n", "v1.34."));
        assert!(!says_version(b"Kubernetes v1.3.0\n", "v1.34."));
    }

    #[test]
    fn an_empty_path_has_no_candidates() {
        assert_eq!(candidates("sh", OsStr::new("")).count(), 0);
    }

    #[test]
    fn finds_what_is_on_the_path() {
        assert!(candidates("sh", OsStr::new("/nowhere:/bin:/usr/bin")).next().is_some());
    }
}
