//! Building one program with the Go toolchain.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use snafu::{OptionExt, ResultExt, ensure};
use tokio::process::Command;

use super::{BuildSnafu, Error, FindGoSnafu, KeepProgramSnafu, Program, RunGoSnafu, search};
use crate::log;
use crate::progress::Progress;

/// The oldest Go that all sets of programs can be built with.
pub(super) const GO_VERSION: &str = "1.26";

/// Finds the Go toolchain in the folders of `path`, to make `what` with, which is missing.
///
/// # Errors
/// When there is none; the error says what to install.
pub(super) fn find_go(path: &OsStr, what: &str) -> Result<PathBuf, Error> {
    search::candidates("go", path).next().context(FindGoSnafu { what })
}

/// Builds a program in the module of `folder` and puts it at `target`, whole or not at all.
pub(super) async fn build(go: &Path, folder: &Path, program: Program, target: &Path) -> Result<(), Error> {
    let unfinished = target.with_extension(format!("{}.building", std::process::id()));
    let output = unfinished.with_extension("log");
    let progress = Progress::start(format!("building {} {}", program.name(), program.set().version()));
    let status = progress.watch(run_go(go, folder, program, &unfinished, &output)).await?;
    ensure!(status.success(), BuildSnafu { program: program.name(), output: log::last_lines(&output) });
    std::fs::rename(&unfinished, target)
        .and_then(|()| std::fs::remove_file(&output))
        .context(KeepProgramSnafu { program: program.name(), path: target })?;
    progress.finish(&format!("built {} {}", program.name(), program.set().version()));
    Ok(())
}

async fn run_go(go: &Path, folder: &Path, program: Program, target: &Path, output: &Path) -> Result<ExitStatus, Error> {
    let log = std::fs::File::create(output).context(KeepProgramSnafu { program: program.name(), path: output })?;
    command(go, folder)
        .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-tags"])
        .arg(program.set().tag.unwrap_or_default())
        .arg("-ldflags")
        .arg(program.set().linker_flags())
        .arg("-o")
        .arg(target)
        .arg(program.package())
        .stdout(Stdio::null())
        .stderr(log)
        .status()
        .await
        .context(RunGoSnafu { go, program: program.name() })
}

/// The Go toolchain in the module of `folder`, whatever the user's own settings are.
pub(super) fn command(go: &Path, folder: &Path) -> Command {
    let mut command = Command::new(go);
    command
        .current_dir(folder)
        .envs([("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOOS", ""), ("GOARCH", "")])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_go_the_error_says_what_to_install() {
        let error = find_go(OsStr::new(""), "etcd, minio").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("install Go 1.26 or newer"), "{text}");
        assert!(text.contains("etcd, minio"), "{text}");
    }
}
