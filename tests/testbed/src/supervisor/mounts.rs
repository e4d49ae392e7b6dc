//! What the programs of a node see of the file system: all of the machine's, with a layer of their own above the places
//! that they write to without being asked.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_change, move_mount,
    open_tree,
};

/// Settings of the whole machine that the kubelet sets. It gets files of its own in their places.
const SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Lets nothing that is written outside `folder` last longer than this mount namespace.
pub(super) fn arrange(folder: &Path) -> std::io::Result<()> {
    // No mount goes to or comes from the machine's namespace.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let folder_itself = tree(folder)?;
    let layer = folder.join("written-outside");
    std::fs::create_dir(&layer)?;
    mount_new("tmpfs", &layer)?;
    cover_var(&layer)?;
    mount_new("tmpfs", Path::new("/run"))?;
    uncover(folder, &folder_itself)?;
    mount_new("proc", Path::new("/proc"))?;
    shield_settings(&layer)?;
    // Pods may ask for mounts that are passed on to them, which only a shared mount does.
    Ok(mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)?)
}

fn mount_new(kind: &str, target: &Path) -> std::io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount(kind, target, kind, flags, None)?)
}

/// A mount as it is now, wherever it is hidden later.
fn tree(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(CWD, path, flags)?)
}

/// Puts a layer above `/var` that takes what is written there: CNI's and the kubelet's records, links to logs.
fn cover_var(layer: &Path) -> std::io::Result<()> {
    let below = mounts_below(&std::fs::read_to_string("/proc/self/mounts")?, Path::new("/var"));
    let trees: Vec<(PathBuf, OwnedFd)> =
        below.into_iter().map(|path| tree(&path).map(|tree| (path, tree))).collect::<std::io::Result<_>>()?;
    let (upper, work) = (layer.join("upper"), layer.join("work"));
    std::fs::create_dir(&upper)?;
    std::fs::create_dir(&work)?;
    let options = format!("lowerdir=/var,upperdir={},workdir={}", upper.display(), work.display());
    let options = std::ffi::CString::new(options)?;
    mount("overlay", "/var", "overlay", MountFlags::empty(), options.as_c_str())?;
    for (path, tree) in &trees {
        put(tree, path)?;
    }
    Ok(())
}

/// Makes the folder visible again where it lies below a place that is covered now.
fn uncover(folder: &Path, itself: &OwnedFd) -> std::io::Result<()> {
    if ["/run", "/var"].iter().any(|covered| folder.starts_with(covered)) {
        std::fs::create_dir_all(folder)?;
        put(itself, folder)?;
    }
    Ok(())
}

fn put(tree: &OwnedFd, path: &Path) -> std::io::Result<()> {
    Ok(move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn shield_settings(layer: &Path) -> std::io::Result<()> {
    for setting in SETTINGS {
        let real = Path::new("/proc/sys").join(setting);
        let own = layer.join(setting.replace('/', "."));
        std::io::copy(&mut File::open(&real)?, &mut File::create(&own)?)?;
        mount_bind(&own, &real)?;
    }
    Ok(())
}

/// Where something else is mounted below a folder. A name with a space stands there with `\040`; such are left out.
fn mounts_below(mounts: &str, folder: &Path) -> Vec<PathBuf> {
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|place| !place.contains('\\'));
    places.map(PathBuf::from).filter(|place| place.starts_with(folder) && place != folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_mounted_below_a_folder() {
        let mounts = "a / ext4 rw 0 0\nb /var ext4 rw 0 0\nc /var/lib/ci xfs rw 0 0\nd /variable xfs rw 0 0\n";
        assert_eq!(mounts_below(mounts, Path::new("/var")), [PathBuf::from("/var/lib/ci")]);
    }
}
