//! The binaries of this workspace, built by a cargo inside the cargo that runs the tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// Binaries, by name.
pub type Binaries = BTreeMap<String, PathBuf>;

/// What this process has had built.
static BUILT: OnceCell<Binaries> = OnceCell::const_new();

/// Why binaries are not there.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to run {cargo:?}: install Rust, or set CARGO to its cargo"))]
    RunCargo { cargo: OsString, source: std::io::Error },
    /// Cargo failed, and has said why on stderr.
    #[snafu(display("failed to build the binaries of this workspace: cargo says why above"))]
    Build,
    #[snafu(display("failed to find the binary {name:?} in what cargo has built"))]
    NoBinary { name: String },
}

/// Builds the binaries of this workspace, in the profile of the caller.
///
/// All of them, for what cargo builds of packages alone has other features than what it builds of the workspace, and nearly
/// every dependency would be compiled once more for each choice. It happens once in a process. Cargo's progress goes to
/// stderr.
///
/// # Errors
/// When cargo cannot be run or the workspace does not build.
pub async fn build() -> Result<&'static Binaries, Error> {
    BUILT.get_or_try_init(run_cargo).await
}

/// Builds the binaries as [`build`] does, and tells where one of them is.
///
/// # Errors
/// As [`build`], or when there is no such binary.
pub async fn binary(name: &str) -> Result<PathBuf, Error> {
    build().await?.get(name).cloned().context(NoBinarySnafu { name })
}

async fn run_cargo() -> Result<Binaries, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = command(&cargo).output().await.context(RunCargoSnafu { cargo })?;
    ensure!(output.status.success(), BuildSnafu);
    Ok(executables(&output.stdout))
}

fn command(cargo: &OsString) -> Command {
    let mut command = Command::new(cargo);
    command.args(["build", "--message-format=json-render-diagnostics", "--workspace", "--bins"]);
    command.args((!cfg!(debug_assertions)).then_some("--release"));
    if let Some(target) = std::env::current_exe().ok().as_deref().and_then(target_folder) {
        command.arg("--target-dir").arg(target);
    }
    // What cargo tells the process that it runs would make build scripts of the nested build run again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_the_outer_cargo(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    command
}

/// The target folder that an executable lies in; cargo marks it as a cache.
fn target_folder(executable: &Path) -> Option<&Path> {
    executable.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file())
}

fn is_of_the_outer_cargo(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CFG_"].iter().any(|start| name.starts_with(start))
        || matches!(name, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "CARGO_TARGET_TMPDIR" | "OUT_DIR")
}

#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// The executables in cargo's messages; other messages have another form.
fn executables(messages: &[u8]) -> Binaries {
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Artifact>(line).ok())
        .filter(|artifact| artifact.target.kind.iter().any(|kind| kind == "bin"))
        .map(|artifact| (artifact.target.name, artifact.executable))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_executables_from_the_messages_of_cargo() {
        let messages = br#"{"reason":"compiler-artifact","target":{"name":"lib","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"job","kind":["bin"]},"executable":"/t/debug/job"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executables(messages), Binaries::from([("job".to_owned(), "/t/debug/job".into())]));
    }

    #[test]
    fn the_nested_cargo_keeps_the_settings_of_the_user() {
        assert!(is_of_the_outer_cargo("CARGO_MANIFEST_DIR"));
        assert!(!is_of_the_outer_cargo("CARGO_HOME"));
        assert!(!is_of_the_outer_cargo("CARGO_TARGET_DIR"));
    }

    #[test]
    fn the_target_folder_is_the_one_that_cargo_marked() {
        let target = tempfile::tempdir().unwrap();
        std::fs::write(target.path().join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(target_folder(&target.path().join("debug/deps/test")), Some(target.path()));
    }
}
