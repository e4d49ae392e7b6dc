//! How the programs are built, with a stand-in for the Go toolchain.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;
use tokio::process::Command;

use crate::Outcome;

/// Notes what it is asked for, takes a moment, and writes the program that `-o` names.
const GO: &str = r#"#!/bin/sh
while [ "$1" != -o ]; do shift; done
set="${2##*/programs/}"
echo "$3 of ${set%%/*}" >> "$GO_NOTES"
sleep 0.2
echo program > "$2"
"#;

const FAILING_GO: &str = "#!/bin/sh\necho 'go: module not found' >&2\nexit 1\n";

/// A machine with a Go of our making and nothing in the cache.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn with_go(script: &str) -> std::io::Result<Self> {
        let machine = Self { folder: tempfile::tempdir()? };
        std::fs::create_dir(machine.path("bin"))?;
        std::fs::write(machine.path("bin/go"), script)?;
        std::fs::set_permissions(machine.path("bin/go"), PermissionsExt::from_mode(0o755))?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn build(&self, path: &str) -> std::io::Result<Output> {
        Command::new(env!("CARGO_BIN_EXE_testbed"))
            .arg("build")
            .env("PATH", path)
            .env_remove("KUBEBUILDER_ASSETS")
            .env("DROVER_CACHE", self.path("cache"))
            .env("GO_NOTES", self.path("notes"))
            .kill_on_drop(true)
            .output()
            .await
    }

    /// The folder of the stand-in, and that of the shell and `sleep` that it needs.
    fn go_and_shell(&self) -> String {
        format!("{}:/bin", self.path("bin").display())
    }

    fn built(&self) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for set in folders(&self.path("cache/programs"))? {
            for file in std::fs::read_dir(set.join("bin"))? {
                names.push(file?.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

fn folders(parent: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: std::io::Result<Vec<_>> = std::fs::read_dir(parent)?.collect();
    Ok(entries?.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

#[tokio::test]
async fn processes_that_ask_at_once_build_each_program_once() -> Outcome {
    let machine = Machine::with_go(GO)?;
    let path = machine.go_and_shell();
    let (first, second) = tokio::try_join!(machine.build(&path), machine.build(&path))?;
    assert!(first.status.success() && second.status.success(), "{first:?} {second:?}");
    let said = [first.stderr, second.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("waiting for another process that builds the programs"));

    let mut notes: Vec<_> = std::fs::read_to_string(machine.path("notes"))?.lines().map(str::to_owned).collect();
    let asked = notes.len();
    notes.sort();
    notes.dedup();
    assert_eq!(notes.len(), asked, "{notes:?}");
    assert!(machine.built()?.contains(&"kube-apiserver".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_failed_build_tells_what_go_said_and_leaves_no_program() -> Outcome {
    let machine = Machine::with_go(FAILING_GO)?;
    let output = machine.build(&machine.go_and_shell()).await?;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("failed to build \"nats-server\"") && said.contains("go: module not found"), "{said}");
    assert!(!machine.built()?.contains(&"nats-server".to_owned()));
    Ok(())
}

#[tokio::test]
async fn without_go_the_error_says_what_to_install() -> Outcome {
    let machine = Machine::with_go(GO)?;
    let output = machine.build("").await?;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("install Go 1.26 or newer"), "{said}");
    Ok(())
}
