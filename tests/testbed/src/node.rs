//! A node that runs pods: containerd, the kubelet and kube-proxy, inside namespaces of their own.

mod containerd;
mod contents;
mod kubelet;
mod proxy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use snafu::ResultExt;

pub(crate) use self::containerd::plugin_folder;
pub(crate) use self::contents::{is_available, is_ready};
use crate::control_plane::ControlPlane;
use crate::network::Network;
use crate::part::Part;
use crate::supervisor::{Isolated, cgroup_of};
use crate::testbed::{Blueprint, Error, WriteFileSnafu};

/// The name of the one node.
pub(crate) const NAME: &str = "testbed";

/// The files of one node.
pub(crate) struct Node {
    folder: PathBuf,
    network: Network,
    cgroup: String,
}

impl Node {
    /// Writes the configurations into `folder`.
    pub(crate) fn prepare(folder: &Path, isolated: Isolated, plane: &ControlPlane) -> Result<Self, Error> {
        let (network, cgroup) = (Network::of(isolated.slot), cgroup_of(isolated.slot));
        let node = Self { folder: folder.join("node"), network, cgroup };
        for folder in ["cni", "kubelet", "pods", "volume-plugins"].map(|name| node.folder.join(name)) {
            std::fs::create_dir_all(&folder).context(WriteFileSnafu { path: folder })?;
        }
        node.write("containerd.toml", &node.containerd_configuration())?;
        node.write("cni/10-testbed.conflist", &node.pod_network().to_string())?;
        // Names outside the cluster have no address here.
        node.write("resolv.conf", "")?;
        node.write("kubelet.json", &node.kubelet_configuration(plane).to_string())?;
        node.write("kube-proxy.json", &node.proxy_configuration().to_string())?;
        node.write_kubeconfig(plane, Part::Kubelet, &format!("system:node:{NAME}"), Some("system:nodes"))?;
        node.write_kubeconfig(plane, Part::KubeProxy, "system:kube-proxy", None)?;
        Ok(node)
    }

    /// How the parts of the node are started and asked.
    pub(crate) fn blueprint(&self, part: Part) -> Blueprint {
        let (arguments, addresses) = match part {
            Part::Containerd => (self.containerd_arguments(), vec![format!("unix:{}", self.socket().display())]),
            Part::Kubelet => (self.kubelet_arguments(), vec![format!("http://{}:10248/healthz", self.network.node())]),
            _ => (self.proxy_arguments(), vec![format!("http://{}:10256/livez", self.network.node())]),
        };
        Blueprint { arguments, environment: BTreeMap::new(), addresses, isolated: true }
    }

    /// Where containerd listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("containerd.sock")
    }

    pub(crate) fn network(&self) -> Network {
        self.network
    }

    fn write_kubeconfig(&self, plane: &ControlPlane, part: Part, user: &str, group: Option<&str>) -> Result<(), Error> {
        let kubeconfig: Value = plane.kubeconfig_for(&plane.client(user, group)?);
        self.write(&format!("{part}.kubeconfig"), &kubeconfig.to_string())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).context(WriteFileSnafu { path })
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
