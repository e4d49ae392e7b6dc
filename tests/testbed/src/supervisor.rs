//! The process that owns the processes of a testbed, and the owner's way to it.
//!
//! The supervisor has one thread: a child is told by the kernel when the *thread* that started it ends, so a child
//! of a test's thread would die with that test. It ends everything when its stdin closes, and its children are
//! killed by the kernel when it is killed itself.

mod cgroups;
mod exec;
mod executable;
mod inside;
mod isolation;
mod mounts;
mod owner;
mod process;
mod protocol;
mod slot;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

pub(crate) use cgroups::cgroup_of;
pub(crate) use executable::executable;
pub(crate) use owner::{Isolated, State, Supervisor};
pub(crate) use process::search_path;
pub(crate) use protocol::{Launch, Signal};
use snafu::Snafu;

/// The first argument of a supervisor.
const SUPERVISOR: &str = "__supervisor";
/// The first argument of a process that is about to become a program of a testbed.
const EXEC: &str = "__exec";
/// The first argument of the first process inside the namespaces of a node.
const INSIDE: &str = "__inside";

/// This process's own executable, also when a newer build has taken the place of its file: another test may have it built
/// anew while this process waits for the programs.
const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// Whether the main function of this process lets it play the roles above.
static PLAYS_ROLES: OnceLock<()> = OnceLock::new();

/// Plays the role that a testbed started this executable for.
///
/// The first thing in `main` of a binary that starts testbeds: where it gives an exit code, the process ends with it.
/// A binary that calls this is its own supervisor; others have the `testbed` binary built.
#[must_use]
pub fn play_role() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(|role| role.to_str()) {
        Some(SUPERVISOR) => Some(process::run()),
        Some(EXEC) => Some(exec::run(arguments.collect::<Vec<OsString>>())),
        Some(INSIDE) => Some(inside::run(&arguments.collect::<Vec<OsString>>())),
        _ => {
            PLAYS_ROLES.get_or_init(|| ());
            None
        }
    }
}

/// Why a supervisor does not do as it is told.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to start the supervisor {executable:?}"))]
    StartSupervisor { executable: PathBuf, source: std::io::Error },
    #[snafu(display("failed to build the supervisor of the testbed"))]
    BuildSupervisor { source: crate::binaries::Error },
    #[snafu(display("failed to reach the supervisor: it has ended; start another testbed"))]
    SupervisorEnded,
    #[snafu(display("failed to make the namespaces of the node: {reason}"))]
    Isolate { reason: String },
    #[snafu(display("failed to start {name:?}: {reason}"))]
    StartProgram { name: String, reason: String },
}
