//! A cluster with objects like those of a real Rancher, more kinds of them than the testbed makes itself.

use std::process::Stdio;

use drover_tests::{Site, shared};

use crate::kubectl;

/// Runs populate.py at its smallest scale with these further arguments. It lies beside the checkout.
pub(crate) async fn populate(site: &Site, further: &[&str]) {
    let kubectl = kubectl::program().await;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [kubectl.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let mut command = tokio::process::Command::new("python3");
    command.arg(shared("rancher/populate.py").unwrap()).arg("--kubeconfig").arg(site.testbed.kubeconfig().unwrap());
    command.args(["--scale", "1"]).args(further).env("PATH", std::env::join_paths(path).unwrap());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
