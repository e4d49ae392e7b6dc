//! kubectl, as people run it.

use std::path::PathBuf;
use std::process::Stdio;

use drover_testbed::Testbed;
use drover_testbed::programs::{self, Program};
use drover_tests::Site;
use tokio::process::Command;

/// Where it is.
pub(crate) async fn program() -> PathBuf {
    programs::locate([Program::Kubectl]).await.unwrap().remove(&Program::Kubectl).unwrap()
}

/// What it prints about a site's cluster. It must succeed.
pub(crate) async fn on(site: &Site, arguments: &[&str]) -> String {
    on_testbed(&site.testbed, arguments).await
}

/// What it prints about a testbed's cluster. It must succeed.
pub(crate) async fn on_testbed(testbed: &Testbed, arguments: &[&str]) -> String {
    printed(Command::new(program().await).args(arguments).arg("--kubeconfig").arg(testbed.kubeconfig().unwrap())).await
}

/// What it prints where there is no cluster. It must succeed.
pub(crate) async fn alone(arguments: &[&str]) -> String {
    printed(Command::new(program().await).args(arguments)).await
}

async fn printed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
