//! What a testbed with a node has more.

use std::net::Ipv4Addr;
use std::process::Stdio;

use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::Api;
use kube::runtime::wait::await_condition;
use rustix::process::Signal;
use snafu::{OptionExt, ResultExt, ensure};
use tokio::process::Command;

use super::error::{
    GetProgramsSnafu, GiveImageSnafu, NoImageSnafu, NodeNotReadySnafu, NotStartedSnafu, RefusedSnafu, RunKubectlSnafu,
};
use super::{Error, Testbed};
use crate::ability::{self, Reason};
use crate::external;
use crate::images::{self, Image, Images};
use crate::node::{self, Node};
use crate::part::Part;
use crate::processes;
use crate::programs::{self, Program};
use crate::progress::say;
use crate::readiness::LIMIT;

impl Testbed {
    /// Whether a testbed on this machine can have a node, or another cluster is named in its place.
    ///
    /// # Errors
    /// With the reason why not.
    pub fn can_run_pods() -> Result<(), Reason> {
        ability::can_run_pods()
    }

    /// For a test that needs pods: whether it can do its work here. What a node needs from the distribution is there
    /// then. If not, the reason is on stderr.
    ///
    /// # Errors
    /// With the reason, where it is said that all tests can do their work (`CI=true`).
    pub async fn runs_pods() -> Result<bool, Reason> {
        match ability::prepare().await {
            Ok(()) => Ok(true),
            Err(reason) if std::env::var_os("CI").is_some_and(|value| value == "true") => Err(reason),
            Err(reason) => {
                say(&format!("not tested: {}", snafu::Report::from_error(reason)));
                Ok(false)
            }
        }
    }

    /// Runs kubectl as an administrator and gives what it prints.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String, Error> {
        let kubeconfig = self.kubeconfig()?;
        let programs = programs::locate([Program::Kubectl]).await.context(GetProgramsSnafu)?;
        let mut kubectl = Command::new(programs.into_values().next().unwrap_or_else(|| "kubectl".into()));
        kubectl.arg("--kubeconfig").arg(kubeconfig).args(arguments).env("NO_PROXY", "*").stdin(Stdio::null());
        let command = || format!("kubectl {}", arguments.join(" "));
        let output = kubectl.kill_on_drop(true).output().await.context(RunKubectlSnafu { command: command() })?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), RefusedSnafu { command: command(), said: said.trim() });
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Kills every process in the containers of a pod (SIGKILL), as a lack of memory would; the pod itself stays.
    ///
    /// # Errors
    /// When the testbed was started without its node, or there is no such pod.
    pub async fn kill_containers(&self, namespace: &str, pod: &str) -> Result<(), Error> {
        self.signal_containers(namespace, pod, Signal::KILL).await
    }

    /// Stops every process in the containers of a pod (SIGSTOP), as a service does that hangs: connections to it stay
    /// open, and nothing is answered.
    ///
    /// # Errors
    /// When the testbed was started without its node, or there is no such pod.
    pub async fn freeze_containers(&self, namespace: &str, pod: &str) -> Result<(), Error> {
        self.signal_containers(namespace, pod, Signal::STOP).await
    }

    /// Lets the processes go on that [`Testbed::freeze_containers`] stopped.
    ///
    /// # Errors
    /// When the testbed was started without its node, or there is no such pod.
    pub async fn thaw_containers(&self, namespace: &str, pod: &str) -> Result<(), Error> {
        self.signal_containers(namespace, pod, Signal::CONT).await
    }

    async fn signal_containers(&self, namespace: &str, pod: &str, signal: Signal) -> Result<(), Error> {
        self.node()?;
        let ids = "jsonpath={.status.containerStatuses[*].containerID}";
        let ids = self.kubectl(&["get", "pod", "--namespace", namespace, pod, "--output", ids]).await?;
        for id in ids.split_whitespace().filter_map(|id| id.rsplit('/').next()) {
            processes::signal_cgroup(id, signal);
        }
        Ok(())
    }

    /// The images that differ from what manifests name, as kustomize's `images:` wants them: by the name in the
    /// manifests, the name and the tag that the cluster knows.
    ///
    /// # Errors
    /// When another cluster is named and no image for it, or there is no node.
    pub fn image_names(&self) -> Result<Vec<(&'static str, String)>, Error> {
        if self.external.is_some() {
            return Ok(vec![(Image::Drover.name(), external::image().context(NoImageSnafu)?)]);
        }
        self.node()?;
        Ok(Image::ALL.map(|image| (image.name(), format!("{}:{}", image.name(), images::TAG))).into())
    }

    /// The address by which pods reach a process of this machine that listens on all addresses.
    ///
    /// # Errors
    /// When the testbed was started without its node.
    pub fn machine_address(&self) -> Result<Ipv4Addr, Error> {
        Ok(self.node()?.network().machine())
    }

    fn node(&self) -> Result<&Node, Error> {
        self.node.as_ref().context(NotStartedSnafu { part: Part::Kubelet })
    }

    pub(super) fn node_images(&self) -> &'static [Image] {
        if self.node.is_some() { &Image::OF_THE_NODE } else { &[] }
    }

    /// Gives the node images, several at once.
    pub(super) async fn give_images(&self, images: &Images, wanted: &[Image]) -> Result<(), Error> {
        let Some(node) = &self.node else { return Ok(()) };
        let socket = node.socket();
        let given = wanted.iter().map(|image| images::import(images, *image, &socket, self.folder()));
        try_join_all(given).await.map(drop).context(GiveImageSnafu)
    }

    /// Gives the node DNS and volumes, and waits until it is ready for pods.
    pub(super) async fn fill_node(&self) -> Result<(), Error> {
        let Some(node) = &self.node else { return Ok(()) };
        let manifest = node.write_contents()?;
        self.kubectl(&["apply", "--server-side", "-f", &manifest.display().to_string()]).await?;
        let client = self.client().await?;
        let ready = await_condition(Api::<NodeObject>::all(client.clone()), node::NAME, node::is_ready());
        let deployments: Api<Deployment> = Api::namespaced(client, "kube-system");
        let resolves = await_condition(deployments, "coredns", node::is_available());
        let both = Box::pin(async { futures::try_join!(ready, resolves) });
        if !matches!(tokio::time::timeout(LIMIT, both).await, Ok(Ok(_))) {
            let state = self.kubectl(&["get", "nodes,pods,events", "--all-namespaces"]).await?;
            return NodeNotReadySnafu { seconds: LIMIT.as_secs(), state, log: self.last_lines(Part::Kubelet) }.fail();
        }
        Ok(())
    }
}
