//! The shared libraries that a program links with, as the machine's own loader finds them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use snafu::ResultExt;
use tokio::process::Command;

use super::layout::{Error, RunToolSnafu};

/// The libraries of programs, and the loader; none of a program that is static.
pub(super) async fn of(programs: impl IntoIterator<Item = &Path>) -> Result<BTreeSet<PathBuf>, Error> {
    let mut libraries = BTreeSet::new();
    for program in programs {
        let ldd = Command::new("ldd").arg(program).stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = ldd.context(RunToolSnafu { tool: "ldd" })?;
        libraries.extend(paths(&String::from_utf8_lossy(&output.stdout)));
    }
    Ok(libraries)
}

/// The files that `ldd` names. One that the kernel provides has no path.
fn paths(said: &str) -> impl Iterator<Item = PathBuf> {
    said.lines().filter_map(|line| {
        let (place, _address) = line.trim().rsplit_once(" (")?;
        let path = place.rsplit_once("=> ").map_or(place, |(_name, path)| path);
        path.starts_with('/').then(|| path.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_paths_and_leaves_what_the_kernel_provides() {
        let said = "\tlinux-vdso.so.1 (0x00007ffc)\n\
                    \tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f6e)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f6f)\n";
        let expected = ["/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(paths(said).collect::<Vec<_>>(), expected.map(PathBuf::from));
        assert_eq!(paths("\tnot a dynamic executable\n").count(), 0);
    }
}
