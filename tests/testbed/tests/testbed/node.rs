//! A node that runs pods. A test that cannot have one says so.

use std::path::Path;

use drover_testbed::{Image, Options, Part, Service, Testbed};
use rustix::process::Signal;

use crate::ownership::{Up, send};
use crate::{Outcome, traces, wait};

const PODS: &str = include_str!("pods.yaml");

fn options() -> Options {
    Options::only([Service::Node]).images([Image::Kubectl])
}

/// What the testbed's node has on the machine.
fn traces_of(testbed: &Testbed) -> Result<traces::Node, Box<dyn std::error::Error>> {
    // The third number of its address is the number of the node.
    let number = testbed.machine_address()?.octets()[2].to_string();
    Ok(traces::Node::of(&number, testbed.folder()))
}

async fn until_nothing_is_left(node: &traces::Node) -> Outcome {
    let gone = wait::until("nothing of the node is left", async || node.left().is_empty()).await;
    gone.map_err(|error| format!("{error}: {:?}", node.left()).into())
}

#[tokio::test]
async fn two_nodes_run_pods_at_once_and_leave_nothing() -> Outcome {
    if !Testbed::runs_pods().await? {
        return Ok(());
    }
    let before = traces::on_the_machine();
    let (first, second) = tokio::try_join!(Testbed::start(options()), Testbed::start(options()))?;
    tokio::try_join!(run_pods(&first), run_pods(&second))?;
    restart_the_kubelet(&first).await?;
    for testbed in [first, second] {
        let node = traces_of(&testbed)?;
        assert!(node.is_there());
        testbed.shutdown().await;
        until_nothing_is_left(&node).await?;
    }
    assert_eq!(traces::on_the_machine(), before);
    Ok(())
}

/// Makes a Job from a CronJob that asks the API server by its name and writes to a volume.
async fn run_pods(testbed: &Testbed) -> Outcome {
    let manifest = testbed.folder().join("pods.yaml");
    std::fs::write(&manifest, PODS)?;
    testbed.kubectl(&["apply", "-f", &manifest.display().to_string()]).await?;
    testbed.kubectl(&["create", "job", "by-name", "--from=cronjob/asks"]).await?;
    let complete = ["wait", "--for=condition=complete", "--timeout=120s", "job/by-name"];
    if let Err(error) = testbed.kubectl(&complete).await {
        let log = testbed.kubectl(&["logs", "job/by-name"]).await;
        return Err(format!("{error}: {log:?}").into());
    }
    assert_eq!(testbed.kubectl(&["logs", "job/by-name"]).await?.trim(), "ok");
    let claim = ["get", "persistentvolumeclaim", "kept", "--output=jsonpath={.status.phase}"];
    assert_eq!(testbed.kubectl(&claim).await?, "Bound");
    Ok(())
}

/// Kills the kubelet and a container, and waits until the kubelet started anew has started the container anew.
async fn restart_the_kubelet(testbed: &Testbed) -> Outcome {
    let pod = ["get", "pods", "--namespace=kube-system", "--output=jsonpath={.items[0].metadata.name}"];
    let pod = testbed.kubectl(&pod).await?;
    testbed.kill(Part::Kubelet).await?;
    testbed.kill_containers("kube-system", &pod).await?;
    testbed.start_again(Part::Kubelet).await?;
    let restarts = "--output=jsonpath={.status.containerStatuses[0].restartCount}";
    let asked = ["get", "pod", "--namespace=kube-system", &pod, restarts];
    wait::until("the container is started again", async || {
        testbed.kubectl(&asked).await.is_ok_and(|restarts| restarts == "1")
    })
    .await
}

#[tokio::test]
async fn a_killed_owner_leaves_nothing_of_its_node() -> Outcome {
    if !Testbed::runs_pods().await? {
        return Ok(());
    }
    let before = traces::on_the_machine();
    let mut up = Up::start(&["--only=node", "--images=kubectl"]).await?;
    let node = traces::Node::of(&number_of(&up.folder)?, &up.folder);
    assert!(node.is_there());
    up.owner.kill().await?;
    wait::until("the supervisor has ended", async || !wait::exists(up.supervisor)).await?;
    until_nothing_is_left(&node).await?;
    assert_eq!(traces::on_the_machine(), before);
    Ok(())
}

#[tokio::test]
async fn a_killed_supervisor_leaves_nothing_at_work_and_the_next_start_removes_the_rest() -> Outcome {
    if !Testbed::runs_pods().await? {
        return Ok(());
    }
    let before = traces::on_the_machine();
    let testbed = Testbed::start(options()).await?;
    let node = traces_of(&testbed)?;
    assert!(node.is_there());
    send(testbed.supervisor_pid(), Signal::KILL)?;
    testbed.ended().await;
    wait::until("nothing of the node is at work", async || node.at_work().is_empty()).await?;

    Testbed::start(options()).await?.shutdown().await;
    until_nothing_is_left(&node).await?;
    assert_eq!(traces::on_the_machine(), before);
    Ok(())
}

#[tokio::test]
async fn another_cluster_takes_the_place_of_the_node() -> Outcome {
    let other = Testbed::start(Options::only([Service::ControlPlane])).await?;
    let up = Up::start_in(&[("DROVER_TEST_KUBECONFIG", other.kubeconfig()?)], &["--only=node"]).await?;
    assert!(wait::processes_of(&up.folder).is_empty());
    let definitions = other.kubectl(&["get", "customresourcedefinitions", "--output=name"]).await?;
    assert!(definitions.contains("backups.resources.cattle.io"), "{definitions}");
    Ok(())
}

/// The number of a node that another process has, read from the address of its API server.
fn number_of(folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let kubeconfig = std::fs::read_to_string(folder.join("kubernetes/admin.kubeconfig"))?;
    let address = kubeconfig.split_once("https://198.18.").ok_or("no address of a node")?.1;
    Ok(address.split('.').next().unwrap_or_default().to_owned())
}
