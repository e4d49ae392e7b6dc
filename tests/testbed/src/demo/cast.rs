use std::path::PathBuf;
use std::process::Stdio;

use drover::resources::DEFAULT_NAMESPACE;
use kube::Client;
use snafu::ResultExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::story::tell;
use super::{Error, KubernetesSnafu, MachineSnafu};
use crate::binaries::{self, Binaries};
use crate::programs::{self, Program};
use crate::testbed::Testbed;

/// Where the jobs run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// In pods of a node, started by `dispatch`.
    Pods,
    /// As processes of this machine, started by the story.
    Processes,
}

/// Who plays: the testbed and the jobs.
pub(super) struct Cast {
    pub(super) testbed: Testbed,
    pub(super) client: Client,
    pub(super) stage: Stage,
    jobs: &'static Binaries,
}

impl Cast {
    pub(super) async fn assemble(testbed: Testbed, stage: Stage) -> Result<Self, Error> {
        let jobs = binaries::build().await?;
        let client = testbed.client().await?;
        Ok(Self { testbed, client, stage, jobs })
    }

    /// Runs a job and shows what it logs.
    pub(super) async fn job(&self, name: &str, arguments: &[&str]) -> Result<(), Error> {
        let path = self.jobs.get(name).cloned().unwrap_or_else(|| name.into());
        self.run(path, name, arguments).await
    }

    /// Runs kubectl, as the reader would.
    pub(super) async fn kubectl(&self, arguments: &[&str]) -> Result<(), Error> {
        let located = programs::locate([Program::Kubectl]).await;
        let path = located.ok().and_then(|found| found.into_values().next()).unwrap_or_else(|| "kubectl".into());
        self.run(path, "kubectl", arguments).await
    }

    /// Waits as a script would.
    pub(super) async fn wait_until_ready(&self, resource: &str, name: &str) -> Result<(), Error> {
        let object = format!("{resource}.resources.cattle.io/{name}");
        self.kubectl(&["wait", "--for=condition=Ready", "--timeout=240s", &object]).await
    }

    /// What `dispatch` started, and what the jobs said. A Backup is Ready a moment before the node tells that the pod is done,
    /// or even that it has begun, and until then there is no log to show.
    pub(super) async fn show_jobs(&self) -> Result<(), Error> {
        let here = ["--namespace", DEFAULT_NAMESPACE];
        let both = "--selector=app.kubernetes.io/component in (snapshot, upload)";
        self.kubectl(&[&here[..], &["wait", "--for=condition=Complete", "--timeout=60s", "jobs", both]].concat())
            .await?;
        self.kubectl(&[&here[..], &["get", "jobs"]].concat()).await?;
        for job in ["snapshot", "upload"] {
            let selector = format!("--selector=app.kubernetes.io/component={job}");
            self.kubectl(&["--namespace", DEFAULT_NAMESPACE, "logs", &selector]).await?;
        }
        Ok(())
    }

    async fn run(&self, program: PathBuf, name: &str, arguments: &[&str]) -> Result<(), Error> {
        let command = [&[name], arguments].concat().join(" ");
        tell(&format!("$ {command}"));
        let mut child = Command::new(program)
            .args(arguments)
            .envs(self.testbed.environment())
            .env("DROVER_FOLDER", self.testbed.folder())
            .env("DROVER_SPOOL", self.testbed.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context(MachineSnafu { what: "start a job" })?;
        let (output, log) = (child.stdout.take(), child.stderr.take());
        let shown = futures::future::join(show(output), show(log));
        let (status, _) = futures::future::join(child.wait(), shown).await;
        let status = status.context(MachineSnafu { what: "wait for a job" })?;
        if status.success() { Ok(()) } else { Err(Error::RunJob { command, status }) }
    }

    pub(super) fn show_how_to_play(&self) {
        tell("Everything stays up. In another terminal:");
        for (name, value) in self.testbed.environment() {
            tell(&format!("export {name}={value}"));
        }
        tell("kubectl get backups.resources.cattle.io,restores.resources.cattle.io,backupruns");
        tell("Ctrl-C here ends and removes everything.");
    }
}

/// Shows a stream line by line.
async fn show(stream: Option<impl tokio::io::AsyncRead + Unpin>) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tell(&format!("  {line}"));
    }
}

/// What the API server says, with what was asked of it.
pub(super) fn asked<T>(what: &str, answer: kube::Result<T>) -> Result<T, Error> {
    answer.context(KubernetesSnafu { what })
}
