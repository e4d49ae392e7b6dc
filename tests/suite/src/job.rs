use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// The longest that a job in a test may take; one that hangs is shown with its log instead of hanging the test.
const LIMIT: Duration = Duration::from_mins(3);

/// What each job is asked for where a test names no arguments: its whole work, as the manifests ask for it.
const WHOLE: [(&str, &str); 6] = [
    ("snapshot", "--due"),
    ("upload", "--drain"),
    ("retention-prune", "--drain"),
    ("heartbeat", "--drain"),
    ("restore", "--pending"),
    ("dispatch", "--watch"),
];

/// A job's process, about to be started.
pub struct Job {
    name: String,
    command: Command,
    is_bare: bool,
}

/// A job's process.
pub struct Running {
    name: String,
    child: Child,
}

/// A job that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// What it printed.
    pub output: String,
    /// What it logged.
    pub log: String,
}

impl Job {
    pub(crate) fn new(name: &str, program: PathBuf, environment: Vec<(String, String)>) -> Self {
        let mut command = Command::new(program);
        command.envs(environment).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Self { name: name.to_owned(), command, is_bare: false }
    }

    /// Without a word of what is to be done, outside of a pod, wherever the test itself runs.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.command.env_remove("KUBERNETES_SERVICE_HOST");
        Self { is_bare: true, ..self }
    }

    /// With these arguments.
    #[must_use]
    pub fn arguments<A: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// With this variable set.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut self) -> Running {
        if !self.is_bare && self.command.as_std().get_args().len() == 0 {
            self.command.args(WHOLE.iter().filter(|(name, _)| *name == self.name).map(|(_, argument)| argument));
        }
        let child = self.command.spawn();
        Running {
            child: child.unwrap_or_else(|error| panic!("failed to start {:?}: {error}", self.name)),
            name: self.name,
        }
    }

    /// Runs it to its end.
    pub async fn run(self) -> Finished {
        self.start().wait().await
    }

    /// Runs it to its end, which must be good.
    pub async fn succeed(self) -> Finished {
        self.end_with(0).await
    }

    /// Runs it to its end, which must be this exit code.
    #[track_caller]
    pub fn end_with(self, code: i32) -> impl Future<Output = Finished> {
        let caller = std::panic::Location::caller();
        let name = self.name.clone();
        async move {
            let finished = self.run().await;
            assert_eq!(finished.code, code, "{name} at {caller} ended with {}:\n{}", finished.code, finished.log);
            finished
        }
    }
}

impl Finished {
    /// Whether a line of the log is about this object and says all of these words.
    #[must_use]
    pub fn says(&self, object: &str, words: &[&str]) -> bool {
        let object = format!("{object:?}");
        self.log.lines().any(|line| line.contains(&object) && words.iter().all(|word| line.contains(word)))
    }
}

impl Running {
    /// Kills it, as `kill -9` does, and waits until it is dead.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub async fn kill(mut self) -> Finished {
        self.child.start_kill().unwrap_or_else(|error| panic!("failed to kill {:?}: {error}", self.name));
        self.wait().await
    }

    /// Kills it as soon as the condition holds, unless it has ended before, and waits until it is dead.
    ///
    /// # Panics
    /// When it can neither be killed nor waited for.
    pub async fn kill_when(mut self, condition: impl Future<Output = ()>) -> Finished {
        let ended = tokio::select! { _ = self.child.wait() => true, () = condition => false };
        if ended { self.wait().await } else { self.kill().await }
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer than any job in a test should.
    pub async fn wait(mut self) -> Finished {
        let (mut output, mut log) = (String::new(), String::new());
        let (mut stdout, mut stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let reading = async {
            let output = async { read(stdout.as_mut(), &mut output).await };
            let log = async { read(stderr.as_mut(), &mut log).await };
            tokio::join!(output, log, self.child.wait()).2
        };
        let status = tokio::time::timeout(LIMIT, reading).await;
        match status {
            Ok(Ok(status)) => Finished { status, code: status.code().unwrap_or(-1), output, log },
            Ok(Err(error)) => panic!("failed to wait for {:?}: {error}", self.name),
            Err(elapsed) => panic!("{:?} did not end in {LIMIT:?} ({elapsed}); its log:\n{log}", self.name),
        }
    }
}

async fn read(stream: Option<&mut (impl AsyncReadExt + Unpin)>, text: &mut String) {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        drop(stream.read_to_end(&mut bytes).await);
    }
    *text = String::from_utf8_lossy(&bytes).into_owned();
}
