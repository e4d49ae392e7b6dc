//! The cgroups of a node's pods. They are the one thing of a node that the kernel does not remove with its namespaces.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long processes that were killed may take to leave their cgroup.
const LIMIT: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(20);

/// The name of the cgroup above all of a node's.
pub(crate) fn cgroup_of(slot: u8) -> String {
    format!("drover-testbed-{slot}")
}

/// Whether a cgroup is there in any hierarchy.
pub(super) fn exists(name: &str) -> std::io::Result<bool> {
    Ok(hierarchies()?.iter().any(|hierarchy| hierarchy.join(name).exists()))
}

/// Makes a cgroup in each hierarchy.
pub(super) fn make(name: &str) -> std::io::Result<()> {
    for hierarchy in hierarchies()? {
        pass_on_controllers(&hierarchy);
        match std::fs::create_dir(hierarchy.join(name)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// In version 2, a cgroup has only the controllers that the one above passes on. Whether they suffice is the kubelet's to
/// say, so nothing is wrong with one that cannot be passed on; in version 1 there is no such file.
fn pass_on_controllers(hierarchy: &Path) {
    let controllers = std::fs::read_to_string(hierarchy.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        drop(std::fs::write(hierarchy.join("cgroup.subtree_control"), format!("+{controller}")));
    }
}

/// Removes a cgroup and those in it from each hierarchy, once its processes have ended.
pub(super) fn remove(name: &str) -> std::io::Result<()> {
    let deadline = Instant::now() + LIMIT;
    for hierarchy in hierarchies()? {
        let cgroup = hierarchy.join(name);
        while let Err(error) = remove_tree(&cgroup) {
            if Instant::now() > deadline {
                return Err(error);
            }
            std::thread::sleep(INTERVAL);
        }
    }
    Ok(())
}

/// A cgroup is removed like a folder; the files in it are not.
fn remove_tree(cgroup: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(cgroup) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match std::fs::remove_dir(cgroup) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn hierarchies() -> std::io::Result<Vec<PathBuf>> {
    Ok(mounted_hierarchies(&std::fs::read_to_string("/proc/self/mounts")?))
}

/// Where cgroups are mounted, of version 1 and of version 2.
fn mounted_hierarchies(mounts: &str) -> Vec<PathBuf> {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields
        .filter(|fields| matches!(fields[..], [_, _, "cgroup" | "cgroup2", ..]))
        .map(|fields| fields[1].into())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_hierarchies_of_both_versions() {
        let mounts = "proc /proc proc rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(mounted_hierarchies(mounts), ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"].map(PathBuf::from));
    }

    #[test]
    fn what_is_not_there_is_removed_already() {
        remove("drover-testbed-of-nobody").unwrap();
    }
}
