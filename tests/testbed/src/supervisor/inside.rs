//! The first process inside the namespaces of a node: it makes all but the one of processes, and lives as long as they.

use std::ffi::OsString;
use std::io::{Error, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Signal, WaitOptions, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use super::isolation::READY;
use super::mounts;

/// How long a process that nobody waits for stays a zombie.
const INTERVAL: Duration = Duration::from_millis(500);

/// Settings of the new network namespace. A connection whose process was killed goes on trying to end in order, and holds
/// the namespace meanwhile, for minutes where its other end is gone too; so it may try once, for a second.
const NETWORK_SETTINGS: [(&str, &str); 3] =
    [("ip_forward", "1"), ("tcp_orphan_retries", "1"), ("tcp_fin_timeout", "1")];

/// Makes the namespaces; the arguments are the process id of the supervisor and its folder.
pub(super) fn run(arguments: &[OsString]) -> ExitCode {
    match isolate(arguments) {
        Ok(()) => reap(),
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

fn isolate(arguments: &[OsString]) -> std::io::Result<()> {
    let [supervisor, folder] = arguments else {
        return Err(Error::other("the arguments are not a process id and a folder"));
    };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A supervisor that was killed before the line above sends no signal any more.
    if parent()?.as_deref() != supervisor.to_str() {
        return Err(Error::other("the supervisor has ended"));
    }
    leave_namespaces()?;
    mounts::arrange(Path::new(folder))?;
    for (setting, value) in NETWORK_SETTINGS {
        std::fs::write(Path::new("/proc/sys/net/ipv4").join(setting), value)?;
    }
    let mut output = std::io::stdout().lock();
    writeln!(output, "{READY}").and_then(|()| output.flush())
}

/// The parent's process id where this `/proc` is mounted; inside the new process namespace it has none.
fn parent() -> std::io::Result<Option<String>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    Ok(status.lines().find_map(|line| line.strip_prefix("PPid:")).map(|pid| pid.trim().to_owned()))
}

#[expect(deprecated, reason = "it is unsafe for file descriptors only, and those stay shared")]
fn leave_namespaces() -> std::io::Result<()> {
    let flags = UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    Ok(rustix::thread::unshare(flags)?)
}

/// Waits for processes whose parents have ended, as the first process has to, until the kernel ends it.
fn reap() -> ExitCode {
    loop {
        if rustix::process::wait(WaitOptions::empty()).is_err() {
            std::thread::sleep(INTERVAL);
        }
    }
}
