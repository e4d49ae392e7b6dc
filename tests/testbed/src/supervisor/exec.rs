//! The step between the supervisor and a program: the kernel is asked to kill this process with its parent.

use std::ffi::{OsStr, OsString};
use std::io::{Error, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal};
use rustix::thread::ThreadNameSpaceType;

use super::INSIDE;

/// Becomes the program of the arguments: the process id of the supervisor, or that the program runs inside the
/// namespaces of the node; the program; its arguments.
pub(super) fn run(arguments: Vec<OsString>) -> ExitCode {
    let error = become_program(arguments);
    drop(writeln!(std::io::stderr(), "failed to become a program of the testbed: {error}"));
    ExitCode::FAILURE
}

fn become_program(arguments: Vec<OsString>) -> Error {
    let mut arguments = arguments.into_iter();
    let (Some(place), Some(program)) = (arguments.next(), arguments.next()) else {
        return Error::other("the arguments are not a process id and a program");
    };
    if let Err(error) = take_place(&place) {
        return error;
    }
    Command::new(program).args(arguments).exec()
}

fn take_place(place: &OsStr) -> std::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if place == INSIDE {
        return enter();
    }
    // A supervisor that was killed before the line above sends no signal any more.
    let supervisor = place.to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    if supervisor.is_none() || getppid() != supervisor {
        return Err(Error::other("the supervisor has ended"));
    }
    Ok(())
}

/// Enters the namespaces of the first process of the process namespace that this process was started in. The kernel
/// ends both with the supervisor.
fn enter() -> std::io::Result<()> {
    let folder = std::env::current_dir()?;
    let first = pidfd_open(Pid::INIT, PidfdFlags::empty())?;
    let types = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME;
    rustix::thread::move_into_thread_name_spaces(first.as_fd(), types)?;
    std::env::set_current_dir(folder)
}
