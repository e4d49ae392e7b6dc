//! What a node could leave on the machine.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where programs of a node write without being asked.
const FOLDERS: [&str; 9] = [
    "/etc/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];
/// Settings of the whole machine that a kubelet changes.
const SETTINGS: [&str; 3] = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

/// What there is that a node could have made, but for what belongs to one that runs: files, settings, packet filter.
pub(crate) fn on_the_machine() -> BTreeSet<String> {
    let settings = SETTINGS.map(|name| Path::new("/proc/sys").join(name));
    let settings =
        settings.iter().map(|path| format!("{} {}", path.display(), std::fs::read_to_string(path).unwrap_or_default()));
    let folders = FOLDERS.into_iter().filter(|folder| Path::new(folder).exists());
    let files = folders.clone().flat_map(entries).chain(folders.map(str::to_owned));
    files.chain(settings).chain(packet_filter()).collect()
}

/// What one node has on the machine.
pub(crate) struct Node {
    number: String,
    folder: PathBuf,
    /// With a number of its own, for another node may take the names when this one has ended.
    link: String,
    cgroups: BTreeSet<String>,
}

impl Node {
    /// What the node of a number has, which runs.
    pub(crate) fn of(number: &str, folder: &Path) -> Self {
        let link = link(number).unwrap_or_default();
        Self { number: number.to_owned(), folder: folder.to_owned(), link, cgroups: cgroups(number) }
    }

    /// Whether there is anything for the other questions to find.
    pub(crate) fn is_there(&self) -> bool {
        !self.link.is_empty() && !self.cgroups.is_empty() && !crate::wait::processes_of(&self.folder).is_empty()
    }

    /// What of it works yet: its link, its mounts and its processes.
    pub(crate) fn at_work(&self) -> Vec<String> {
        let link = link(&self.number).filter(|link| *link == self.link);
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let folder = self.folder.display().to_string();
        let mounts = mounts.lines().filter(|line| line.contains(&folder)).map(str::to_owned);
        let processes = crate::wait::processes_of(&self.folder).into_iter().map(|pid| format!("process {pid}"));
        link.into_iter().chain(mounts).chain(processes).collect()
    }

    /// What of it is left, at work or not.
    pub(crate) fn left(&self) -> Vec<String> {
        let cgroups = cgroups(&self.number).into_iter().filter(|cgroup| self.cgroups.contains(cgroup));
        let folder = self.folder.exists().then(|| self.folder.display().to_string());
        self.at_work().into_iter().chain(cgroups).chain(folder).collect()
    }
}

/// The machine's end of a node's link, with a number that no other link ever has.
fn link(number: &str) -> Option<String> {
    let index = std::fs::read_to_string(format!("/sys/class/net/drover{number}/ifindex")).ok()?;
    Some(format!("drover{number} {}", index.trim()))
}

/// The cgroups of a node in all hierarchies, with their numbers there.
fn cgroups(number: &str) -> BTreeSet<String> {
    let hierarchies = std::iter::once("/sys/fs/cgroup".to_owned()).chain(entries("/sys/fs/cgroup"));
    let paths = hierarchies.map(|hierarchy| format!("{hierarchy}/drover-testbed-{number}"));
    paths.filter_map(|path| Some(format!("{path} {}", std::fs::metadata(&path).ok()?.ino()))).collect()
}

fn entries(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// The rules, without the times and counts that comments have.
fn packet_filter() -> Vec<String> {
    let output = Command::new("iptables-save").env("PATH", "/usr/sbin:/sbin").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('-')).map(str::to_owned).collect()
}
