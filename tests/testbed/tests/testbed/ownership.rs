//! Nothing outlives its owner.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use drover_testbed::{Options, Part, Service, Testbed};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::{Outcome, wait};

/// A `testbed up` that is ready.
pub(crate) struct Up {
    pub(crate) owner: Child,
    pub(crate) supervisor: u32,
    pub(crate) folder: PathBuf,
}

impl Up {
    pub(crate) async fn start(arguments: &[&str]) -> Result<Self, Box<dyn std::error::Error>> {
        Self::start_in(&[], arguments).await
    }

    pub(crate) async fn start_in(
        environment: &[(&str, &Path)],
        arguments: &[&str],
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut owner = Command::new(env!("CARGO_BIN_EXE_testbed"))
            .arg("up")
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(owner.stderr.take().ok_or("no stderr")?).lines();
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await? {
            if let Some(path) = line.strip_prefix("Logs are in ").and_then(|rest| rest.split_once("/logs.")) {
                let folder = PathBuf::from(path.0);
                // The rest is read too, or the owner would fail to say it.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                let children = wait::children_of(owner.id().ok_or("the owner has ended")?);
                let supervisor = *children.first().ok_or("there is no supervisor")?;
                return Ok(Self { owner, supervisor, folder });
            }
            said.push(line);
        }
        Err(said.join("\n").into())
    }
}

pub(crate) fn send(pid: u32, signal: Signal) -> Outcome {
    kill_process(Pid::from_raw(i32::try_from(pid)?).ok_or("no process")?, signal)?;
    Ok(())
}

#[tokio::test]
async fn a_killed_owner_leaves_no_process_and_no_folder() -> Outcome {
    let mut up = Up::start(&[]).await?;
    assert_eq!(wait::processes_of(&up.folder).len(), 7);
    up.owner.kill().await?;
    wait::until("every process has ended", async || wait::processes_of(&up.folder).is_empty()).await?;
    wait::until("the folder is removed", async || !up.folder.exists()).await?;
    wait::until("the supervisor has ended", async || !wait::exists(up.supervisor)).await
}

#[tokio::test]
async fn ctrl_c_ends_with_everything_gone() -> Outcome {
    let mut up = Up::start(&[]).await?;
    send(up.owner.id().ok_or("the owner has ended")?, Signal::INT)?;
    assert!(up.owner.wait().await?.success());
    assert!(!up.folder.exists() && wait::processes_of(&up.folder).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_killed_supervisor_leaves_no_process_and_the_next_start_removes_its_folder() -> Outcome {
    let testbed = Testbed::start(Options::only([Service::Nats, Service::Minio])).await?;
    let folder = testbed.folder().to_owned();
    assert_eq!(wait::processes_of(&folder).len(), 2);
    send(testbed.supervisor_pid(), Signal::KILL)?;
    testbed.ended().await;
    wait::until("every process has ended", async || wait::processes_of(&folder).is_empty()).await?;
    assert!(testbed.start_again(Part::Nats).await.is_err());

    Testbed::start(Options::only([Service::Nats])).await?.shutdown().await;
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn a_dropped_testbed_is_gone() -> Outcome {
    let testbed = Testbed::start(Options::only([Service::Nats])).await?;
    let folder = testbed.folder().to_owned();
    drop(testbed);
    wait::until("every process has ended", async || wait::processes_of(&folder).is_empty()).await?;
    wait::until("the folder is removed", async || !folder.exists()).await
}
