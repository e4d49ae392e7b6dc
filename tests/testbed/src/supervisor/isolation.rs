//! The namespaces of a node, as the supervisor holds them.
//!
//! Processes, network, mounts, IPC and host name of a node are its own. They end with the first process inside, which
//! the kernel kills with the supervisor: containers and their shims, bridges and links, mounts and packet filter rules
//! are gone then, whatever a program forgot to undo. Only cgroups are not, so the supervisor removes those.

use std::fs::File;
use std::io::{BufRead, BufReader, Error};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Output, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags};
use tokio::process::{Child, Command};

use super::slot::Slot;
use super::{EXEC, INSIDE, OWN_EXECUTABLE, cgroups, search_path};
use crate::network::Network;

/// What the first process inside says when all is as it should be.
pub(super) const READY: &str = "ready";

/// The namespaces of a node.
pub(super) struct Isolation {
    pub(super) slot: Slot,
    first: OwnedFd,
}

impl Isolation {
    /// Makes the namespaces, and gives their first process too: they last as long as it does.
    pub(super) fn start(folder: &Path) -> std::io::Result<(Self, Child)> {
        let slot = Slot::take()?;
        cgroups::make(&slot.cgroup())?;
        let mut child = child_elsewhere(new_process_namespace, || spawn_first(folder))?;
        wait_until_ready(&mut child, folder)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::other("the first process has ended"))?;
        let isolation = Self { slot, first: pidfd_open(pid, PidfdFlags::empty())? };
        isolation.connect(pid.as_raw_pid(), folder)?;
        Ok((isolation, child))
    }

    /// Starts a process that is inside as far as processes go; it has to enter the other namespaces itself.
    pub(super) fn spawn(&self, command: &mut Command) -> std::io::Result<Child> {
        child_elsewhere(|| self.aim(), || command.spawn())
    }

    /// Removes what outlives the namespaces, which have ended.
    pub(super) fn clean(&self) -> std::io::Result<()> {
        cgroups::remove(&self.slot.cgroup())
    }

    fn aim(&self) -> std::io::Result<()> {
        Ok(rustix::thread::move_into_thread_name_spaces(self.first.as_fd(), ThreadNameSpaceType::PROCESS_ID)?)
    }

    /// Links the node with the machine. The link ends with the namespace of its other end, a moment after that.
    fn connect(&self, first_process: i32, folder: &Path) -> std::io::Result<()> {
        let network = Network::of(self.slot.number);
        let left = ip().args(["link", "delete", &network.link()]).output()?;
        drop(left);
        for command in network.machine_commands(first_process) {
            succeed(&command, &ip().args(command.split(' ')).output()?)?;
        }
        for command in network.node_commands() {
            let mut inside = std::process::Command::new(OWN_EXECUTABLE);
            inside.args([EXEC, INSIDE, "ip"]).args(command.split(' ')).current_dir(folder);
            inside.env("PATH", search_path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let child = child_elsewhere(|| self.aim(), || inside.spawn())?;
            succeed(&command, &child.wait_with_output()?)?;
        }
        Ok(())
    }
}

fn ip() -> std::process::Command {
    let mut ip = std::process::Command::new("ip");
    ip.env("PATH", search_path()).stdin(Stdio::null());
    ip
}

fn succeed(command: &str, output: &Output) -> std::io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    Err(Error::other(format!("\"ip {command}\" says: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// Lets the children of this thread be made in another process namespace, for the time of one.
fn child_elsewhere<Child>(
    go: impl FnOnce() -> std::io::Result<()>,
    spawn: impl FnOnce() -> std::io::Result<Child>,
) -> std::io::Result<Child> {
    let own = File::open("/proc/self/ns/pid")?;
    go()?;
    let child = spawn();
    rustix::thread::move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
    child
}

#[expect(deprecated, reason = "it is unsafe for file descriptors only, and those stay shared")]
fn new_process_namespace() -> std::io::Result<()> {
    Ok(rustix::thread::unshare(UnshareFlags::NEWPID)?)
}

fn spawn_first(folder: &Path) -> std::io::Result<Child> {
    let log = File::create(folder.join("logs/namespaces.log"))?;
    let mut command = std::process::Command::new(OWN_EXECUTABLE);
    command.arg(INSIDE).arg(std::process::id().to_string()).arg(folder).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0);
    Command::from(command).spawn()
}

/// The pipe closes when the process ends, so this does not wait for ever.
fn wait_until_ready(first: &mut Child, folder: &Path) -> std::io::Result<()> {
    let output = first.stdout.take().ok_or_else(|| Error::other("there is no pipe"))?;
    let mut said = String::new();
    BufReader::new(File::from(output.into_owned_fd()?)).read_line(&mut said)?;
    if said.trim_end() == READY {
        Ok(())
    } else {
        Err(Error::other(crate::log::last_lines(&folder.join("logs/namespaces.log"))))
    }
}
