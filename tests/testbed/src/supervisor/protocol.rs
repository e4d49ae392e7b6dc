//! What the owner and the supervisor say to each other: one JSON value a line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// From the owner to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Make the namespaces of a node, before any program that is to run inside them.
    Isolate,
    /// Start a program.
    Start(Launch),
    /// Send a program a signal. Its end is reported as any other end.
    Signal { name: String, signal: Signal },
}

/// How a program is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// Unique in the testbed; names the log file too.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// How long the end of the testbed waits for the program after SIGTERM, before it kills it.
    /// Zero for a program that has nothing outside the temporary folder to put in order.
    pub(crate) grace: Duration,
    /// Whether it runs inside the namespaces of the node.
    pub(crate) isolated: bool,
}

/// The two ways to end a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// From the supervisor to the owner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The temporary folder is there; the first report of all.
    Folder { path: PathBuf },
    /// The namespaces of a node are there; it is the one of this number on the machine.
    Isolated { slot: u8 },
    /// There will be no namespaces of a node.
    NotIsolated { reason: String },
    /// A program was started.
    Started { name: String, pid: i32 },
    /// A program could not be started.
    Refused { name: String, reason: String },
    /// A program has ended, for whatever reason.
    Ended { name: String, status: String },
}
