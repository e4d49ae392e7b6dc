//! Whether this machine can run pods.

use std::path::Path;

use rustix::process::geteuid;
use snafu::{ResultExt, Snafu, ensure};

use crate::external;
use crate::packages;

/// Bits of capabilities, see `capabilities(7)`: to make and change networks, and to mount and make namespaces.
const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;
/// Without these controllers the kubelet does not start.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// Why this machine cannot run pods.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Reason {
    #[snafu(display("pods need Linux: set DROVER_TEST_KUBECONFIG to the kubeconfig of a cluster that may be broken"))]
    NoLinux,
    #[snafu(display(
        "pods need root: run this as root, or set DROVER_TEST_KUBECONFIG to the kubeconfig of a cluster that may be broken"
    ))]
    NoRoot,
    #[snafu(display("pods need root with all its capabilities: run this outside a container, or in a privileged one"))]
    NoCapabilities,
    #[snafu(display("pods need cgroups with the controllers {missing}: mount them below /sys/fs/cgroup"))]
    NoCgroups { missing: String },
    #[snafu(display("pods need {packages} (so Debian calls them), and there is no \"apt-get\" to install them with"))]
    NoPackages { packages: String },
    #[snafu(display("pods need what a distribution has"))]
    Install { source: packages::Error },
}

/// Whether a node can be had here: that of the testbed, or another cluster.
pub(crate) fn can_run_pods() -> Result<(), Reason> {
    if external::kubeconfig().is_some() {
        return Ok(());
    }
    ensure!(cfg!(target_os = "linux"), NoLinuxSnafu);
    ensure!(geteuid().is_root(), NoRootSnafu);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ensure!(has_capabilities(&status), NoCapabilitiesSnafu);
    let missing = missing_controllers();
    ensure!(missing.is_empty(), NoCgroupsSnafu { missing: missing.join(", ") });
    let packages = packages::missing();
    ensure!(packages.is_empty() || packages::can_install(), NoPackagesSnafu { packages: packages.join(", ") });
    Ok(())
}

/// Asks [`can_run_pods`], and installs what it only found that it can install.
pub(crate) async fn prepare() -> Result<(), Reason> {
    can_run_pods()?;
    if external::kubeconfig().is_none() {
        packages::install().await.context(InstallSnafu)?;
    }
    Ok(())
}

/// Reads `/proc/self/status`.
fn has_capabilities(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default();
    bits & NET_ADMIN != 0 && bits & SYS_ADMIN != 0
}

fn missing_controllers() -> Vec<&'static str> {
    let unified = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let is_there = |controller: &&str| {
        unified.split_whitespace().any(|one| one == *controller)
            || Path::new("/sys/fs/cgroup").join(controller).join("cgroup.procs").exists()
    };
    CONTROLLERS.into_iter().filter(|controller| !is_there(controller)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_container_has_too_few_capabilities() {
        assert!(has_capabilities("CapEff:\t000001fffeffffff\n"));
        assert!(!has_capabilities("CapEff:\t00000000a80425fb\n"));
        assert!(!has_capabilities(""));
    }
}
