//! The step between the supervisor and a program: the kernel is asked to kill this process with its parent.

use std::ffi::OsString;
use std::io::{Error, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Becomes the program of the arguments: the process id of the supervisor, the program, its arguments.
pub(super) fn run(arguments: Vec<OsString>) -> ExitCode {
    let error = become_program(arguments);
    drop(writeln!(std::io::stderr(), "failed to become a program of the testbed: {error}"));
    ExitCode::FAILURE
}

fn become_program(arguments: Vec<OsString>) -> Error {
    let mut arguments = arguments.into_iter();
    let supervisor = arguments.next().and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let (Some(supervisor), Some(program)) = (supervisor, arguments.next()) else {
        return Error::other("the arguments are not a process id and a program");
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // A supervisor that was killed before the line above sends no signal any more.
    if getppid() != Some(supervisor) {
        return Error::other("the supervisor has ended");
    }
    Command::new(program).args(arguments).exec()
}
