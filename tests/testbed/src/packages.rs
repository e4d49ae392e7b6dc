//! The programs of a node that distributions have: found, or installed where this is root on Debian or its kin.

use std::path::PathBuf;
use std::process::Stdio;

use snafu::{ResultExt, Snafu, ensure};
use tokio::process::Command;

use crate::node;
use crate::programs;
use crate::progress::Progress;
use crate::supervisor::search_path;

/// Programs, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 7] = [
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("iptables-restore", "iptables"),
    ("ip", "iproute2"),
    ("ldd", "libc-bin"),
];
const CNI_PACKAGE: &str = "containernetworking-plugins";
const APT: &str = "apt-get";

/// Why the packages are not there.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The cache folder, whose lock lets one process install at a time.
    #[snafu(transparent)]
    LockCache { source: programs::Error },
    /// They are missing and this is not Debian or its kin.
    #[snafu(display("failed to find what a node consists of: install {packages} (so Debian calls them)"))]
    Missing { packages: String },
    #[snafu(display("failed to run \"apt-get\" to install {packages}"))]
    RunApt { packages: String, source: std::io::Error },
    #[snafu(display("failed to install {packages}: install them by hand. \"apt-get\" says:\n{output}"))]
    Install { packages: String, output: String },
}

/// The packages that are missing.
pub(crate) fn missing() -> Vec<&'static str> {
    let programs = PROGRAMS.into_iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| package);
    let plugins = node::plugin_folder().is_none().then_some(CNI_PACKAGE);
    let mut packages: Vec<&str> = programs.chain(plugins).collect();
    packages.dedup();
    packages
}

/// Whether what is missing can be installed here.
pub(crate) fn can_install() -> bool {
    find(APT).is_some()
}

/// Where a program of a distribution is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    programs::candidates(program, &search_path()).next()
}

/// Installs the packages that are missing. Progress goes to stderr.
///
/// # Errors
/// When they cannot be installed.
pub(crate) async fn install() -> Result<(), Error> {
    if missing().is_empty() {
        return Ok(());
    }
    let _lock = programs::lock().await?;
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(", ");
    ensure!(can_install(), MissingSnafu { packages: &names });
    let progress = Progress::start(format!("installing {names}"));
    progress.watch(apt(&["update"], &names)).await?;
    let install = [&["install", "--yes", "--no-install-recommends"], &packages[..]].concat();
    progress.watch(apt(&install, &names)).await?;
    progress.finish(&format!("installed {names}"));
    let packages = missing();
    ensure!(packages.is_empty(), MissingSnafu { packages: packages.join(", ") });
    Ok(())
}

async fn apt(arguments: &[&str], packages: &str) -> Result<(), Error> {
    let output = Command::new(APT)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("PATH", search_path())
        // dpkg is left to finish: half an installation would be in the way of the next.
        .stdin(Stdio::null())
        .output()
        .await
        .context(RunAptSnafu { packages })?;
    let said = [output.stdout, output.stderr].concat();
    let last = crate::log::last_lines_of(&String::from_utf8_lossy(&said));
    ensure!(output.status.success(), InstallSnafu { packages, output: last });
    Ok(())
}
