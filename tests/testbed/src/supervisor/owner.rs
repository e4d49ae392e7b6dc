//! The owner's side.
//!
//! It belongs to no async runtime, so that a testbed in a `static` serves tests that each have a runtime of their own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use snafu::{OptionExt, ResultExt};
use tokio::sync::watch;

use super::protocol::{Launch, Report, Request, Signal};
use super::{Error, IsolateSnafu, SUPERVISOR, StartProgramSnafu, StartSupervisorSnafu, SupervisorEndedSnafu};

/// What is known of a program.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// It was asked for.
    Starting,
    /// It runs, and this is its process id.
    Running(i32),
    /// It could not be started.
    Refused(String),
    /// It has ended, and this is how.
    Ended(String),
}

/// The namespaces of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isolated {
    /// Which of the machine's nodes it is.
    pub(crate) slot: u8,
}

#[derive(Default)]
struct Known {
    folder: Option<PathBuf>,
    isolated: Option<Result<Isolated, String>>,
    programs: BTreeMap<String, State>,
    ended: bool,
}

/// A supervisor and the way to tell it what to do. It ends everything when this is dropped.
pub(crate) struct Supervisor {
    requests: Mutex<Option<ChildStdin>>,
    known: watch::Sender<Known>,
    folder: PathBuf,
    pid: u32,
}

impl Supervisor {
    /// Starts a supervisor; its temporary folder is there when this returns.
    pub(crate) async fn start(executable: &Path) -> Result<Self, Error> {
        let mut child = Command::new(executable)
            .arg(SUPERVISOR)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context(StartSupervisorSnafu { executable })?;
        let known = watch::Sender::new(Known::default());
        let pid = child.id();
        let requests = Mutex::new(child.stdin.take());
        if let Some(reports) = child.stdout.take() {
            let known = known.clone();
            std::thread::spawn(move || listen(child, reports, &known));
        }
        let mut supervisor = Self { requests, known, folder: PathBuf::new(), pid };
        supervisor.folder = supervisor.wait(|known| known.folder.clone()).await?;
        Ok(supervisor)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Makes the namespaces of a node.
    pub(crate) async fn isolate(&self) -> Result<Isolated, Error> {
        self.request(&Request::Isolate)?;
        let isolated = self.wait(|known| known.isolated.clone()).await?;
        isolated.map_err(|reason| IsolateSnafu { reason }.build())
    }

    /// Starts a program and waits until it runs, which does not mean that it is ready.
    pub(crate) async fn launch(&self, launch: Launch) -> Result<(), Error> {
        let name = launch.name.clone();
        if let Some(State::Running(_)) = self.state(&name) {
            return StartProgramSnafu { name, reason: "it runs already" }.fail();
        }
        self.known.send_modify(|known| drop(known.programs.insert(name.clone(), State::Starting)));
        self.request(&Request::Start(launch))?;
        let started = |known: &Known| match known.programs.get(&name) {
            Some(State::Refused(reason)) => Some(StartProgramSnafu { name: &name, reason }.fail()),
            Some(State::Starting) | None => None,
            Some(State::Running(_) | State::Ended(_)) => Some(Ok(())),
        };
        self.wait(started).await?
    }

    /// Sends a program a signal and waits until it has ended.
    pub(crate) async fn end(&self, name: &str, signal: Signal) -> Result<(), Error> {
        self.request(&Request::Signal { name: name.to_owned(), signal })?;
        self.wait(|known| match known.programs.get(name) {
            Some(State::Ended(_) | State::Refused(_)) | None => Some(()),
            Some(State::Starting | State::Running(_)) => None,
        })
        .await
    }

    pub(crate) fn state(&self, name: &str) -> Option<State> {
        self.known.borrow().programs.get(name).cloned()
    }

    /// Waits until the supervisor has ended.
    pub(crate) async fn ended(&self) {
        drop(self.known.subscribe().wait_for(|known| known.ended).await);
    }

    /// Has everything ended and removed, and waits for it.
    pub(crate) async fn shut_down(&self) {
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.ended().await;
    }

    fn request(&self, request: &Request) -> Result<(), Error> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let line = serde_json::to_string(request).ok().context(SupervisorEndedSnafu)?;
        let pipe = requests.as_mut().context(SupervisorEndedSnafu)?;
        writeln!(pipe, "{line}").ok().context(SupervisorEndedSnafu)
    }

    /// Waits until something is known, or the supervisor has ended.
    async fn wait<Value>(&self, value: impl Fn(&Known) -> Option<Value>) -> Result<Value, Error> {
        let mut reports = self.known.subscribe();
        let known = reports.wait_for(|known| known.ended || value(known).is_some()).await;
        known.ok().and_then(|known| value(&known)).context(SupervisorEndedSnafu)
    }
}

/// Notes what the supervisor reports until it has ended.
fn listen(mut supervisor: Child, reports: ChildStdout, known: &watch::Sender<Known>) {
    for line in BufReader::new(reports).lines().map_while(Result::ok) {
        if let Ok(report) = serde_json::from_str(&line) {
            known.send_modify(|known| note(known, report));
        }
    }
    drop(supervisor.wait());
    known.send_modify(|known| known.ended = true);
}

fn note(known: &mut Known, report: Report) {
    let (name, state) = match report {
        Report::Folder { path } => {
            known.folder = Some(path);
            return;
        }
        Report::Isolated { slot } => {
            known.isolated = Some(Ok(Isolated { slot }));
            return;
        }
        Report::NotIsolated { reason } => {
            known.isolated = Some(Err(reason));
            return;
        }
        Report::Started { name, pid } => (name, State::Running(pid)),
        Report::Refused { name, reason } => (name, State::Refused(reason)),
        Report::Ended { name, status } => (name, State::Ended(status)),
    };
    known.programs.insert(name, state);
}
