//! A cluster with objects like those of a real Rancher, more kinds of them than the testbed makes itself.

use std::path::Path;
use std::process::Stdio;

use drover_tests::Site;
use drover_tests::inputs::{self, Inputs};

use crate::kubectl;

/// Makes what the archives of these inputs hold.
pub(crate) async fn populate(site: &Site, inputs: &Inputs) {
    fill(site, inputs, false).await;
}

/// Makes what the archives of these inputs hold, and what is hard to put back.
pub(crate) async fn populate_awkwardly(site: &Site, inputs: &Inputs) {
    fill(site, inputs, true).await;
}

async fn fill(site: &Site, inputs: &Inputs, awkwardly: bool) {
    match inputs {
        Inputs::Own(_) => inputs::populate(&site.client, awkwardly).await,
        Inputs::Further(folder) => run(site, &folder.join("rancher/populate.py"), awkwardly).await,
    }
}

/// Runs the inputs' own program, at its smallest scale.
async fn run(site: &Site, program: &Path, awkwardly: bool) {
    let kubectl = kubectl::program().await;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [kubectl.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let mut command = tokio::process::Command::new("python3");
    command.arg(program).arg("--kubeconfig").arg(site.testbed.kubeconfig().unwrap()).args(["--scale", "1"]);
    command.args(awkwardly.then_some("--awkward")).env("PATH", std::env::join_paths(path).unwrap());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
