//! The supervisor's side.

use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use rustix::process::{Pid, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::isolation::Isolation;
use super::protocol::{Launch, Report, Request, Signal};
use super::{EXEC, INSIDE, OWN_EXECUTABLE};
use crate::folder::Folder;

/// Runs the supervisor until its owner closes its stdin or it is told to end by a signal.
pub(super) fn run() -> ExitCode {
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(supervise()));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "failed to supervise the testbed: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn supervise() -> std::io::Result<()> {
    let mut requests = requests();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let folder = Folder::create()?;
    report(&Report::Folder { path: folder.path().to_owned() });
    let mut children = Children::default();
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                Some(request) => children.obey(request, folder.path()),
                None => break,
            },
            Some((name, status)) = children.ends.next() => children.ended(name, status),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => break,
        }
    }
    let ended = children.end_all().await;
    folder.remove().and(ended)
}

/// The owner's requests; the channel closes with the owner's end of the pipe.
fn requests() -> UnboundedReceiver<Request> {
    let (sender, receiver) = unbounded_channel();
    // Reading a pipe blocks, so a thread does it. It starts no process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let sent = serde_json::from_str(&line).map(|request| sender.send(request));
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
    });
    receiver
}

/// An owner that is gone misses nothing: its end is noticed on stdin.
fn report(report: &Report) {
    if let Ok(line) = serde_json::to_string(report) {
        let mut output = std::io::stdout().lock();
        drop(writeln!(output, "{line}").and_then(|()| output.flush()));
    }
}

struct Running {
    name: String,
    group: Pid,
    grace: Duration,
}

/// The processes that run, in the order in which they were started.
#[derive(Default)]
struct Children {
    isolation: Option<Isolation>,
    running: Vec<Running>,
    ends: FuturesUnordered<BoxFuture<'static, (String, std::io::Result<ExitStatus>)>>,
}

impl Children {
    fn obey(&mut self, request: Request, folder: &Path) {
        match request {
            Request::Start(launch) => {
                let name = launch.name.clone();
                match self.start(launch, folder) {
                    Ok(pid) => report(&Report::Started { name, pid }),
                    Err(error) => report(&Report::Refused { name, reason: error.to_string() }),
                }
            }
            Request::Isolate => match self.isolate(folder) {
                Ok(slot) => report(&Report::Isolated { slot }),
                Err(error) => report(&Report::NotIsolated { reason: error.to_string() }),
            },
            Request::Signal { name, signal } => self.signal(&name, signal),
        }
    }

    /// The first process inside the namespaces is started before all that run there, so it ends after them.
    fn isolate(&mut self, folder: &Path) -> std::io::Result<u8> {
        let (isolation, first) = Isolation::start(folder)?;
        let slot = isolation.slot.number;
        self.isolation = Some(isolation);
        self.own("namespaces".to_owned(), Duration::ZERO, first)?;
        Ok(slot)
    }

    fn start(&mut self, launch: Launch, folder: &Path) -> std::io::Result<i32> {
        if self.running.iter().any(|running| running.name == launch.name) {
            return Err(std::io::Error::other("it runs already"));
        }
        let mut command = command(&launch, folder)?;
        let child = match (&self.isolation, launch.isolated) {
            (_, false) => command.spawn()?,
            (Some(isolation), true) => isolation.spawn(&mut command)?,
            (None, true) => return Err(std::io::Error::other("there are no namespaces to run it in")),
        };
        self.own(launch.name, launch.grace, child)
    }

    fn own(&mut self, name: String, grace: Duration, mut child: Child) -> std::io::Result<i32> {
        let group = process_id(&child)?;
        self.running.push(Running { name: name.clone(), group, grace });
        self.ends.push(Box::pin(async move { (name, child.wait().await) }));
        Ok(group.as_raw_pid())
    }

    fn signal(&self, name: &str, signal: Signal) {
        match self.running.iter().find(|running| running.name == name) {
            Some(running) => send(running.group, signal),
            None => report(&Report::Ended { name: name.to_owned(), status: "it did not run".to_owned() }),
        }
    }

    fn ended(&mut self, name: String, status: std::io::Result<ExitStatus>) {
        self.running.retain(|running| running.name != name);
        let status = status.map_or_else(|error| error.to_string(), describe);
        report(&Report::Ended { name, status });
    }

    /// Ends every process, the last started first, and what outlives them.
    async fn end_all(mut self) -> std::io::Result<()> {
        while let Some(last) = self.running.last() {
            let (name, group, grace) = (last.name.clone(), last.group, last.grace);
            if !grace.is_zero() {
                send(group, Signal::Terminate);
                drop(tokio::time::timeout(grace, self.end_of(&name)).await);
            }
            send(group, Signal::Kill);
            self.end_of(&name).await;
        }
        self.isolation.as_ref().map_or(Ok(()), Isolation::clean)
    }

    async fn end_of(&mut self, name: &str) {
        while self.running.iter().any(|running| running.name == name) {
            match self.ends.next().await {
                Some((ended, status)) => self.ended(ended, status),
                None => self.running.clear(),
            }
        }
    }
}

/// A program in a process group of its own, so that a Ctrl-C in the terminal does not reach it.
fn command(launch: &Launch, folder: &Path) -> std::io::Result<Command> {
    let path = folder.join("logs").join(format!("{}.log", launch.name));
    let log = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    let mut command = Command::new(OWN_EXECUTABLE);
    command
        .arg(EXEC)
        .arg(if launch.isolated { INSIDE.to_owned() } else { std::process::id().to_string() })
        .arg(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .env("PATH", search_path())
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .envs(&launch.environment)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    Ok(command)
}

/// The folders of programs, with those of the system's that only root has on its `PATH`, and not always.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

fn process_id(child: &Child) -> std::io::Result<Pid> {
    let raw = child.id().and_then(|id| i32::try_from(id).ok());
    raw.and_then(Pid::from_raw).ok_or_else(|| std::io::Error::other("it has no process id"))
}

/// A group that has ended needs no signal.
fn send(group: Pid, signal: Signal) {
    let signal = match signal {
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    let _ = kill_process_group(group, signal);
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}
