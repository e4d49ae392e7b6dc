//! The container runtime and the network of pods.

use serde_json::{Value, json};

use super::Node;
use crate::images::Image;

/// Where packages put the CNI plugins.
const PLUGIN_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// The folder of the CNI plugins, where they are installed.
pub(crate) fn plugin_folder() -> Option<&'static str> {
    PLUGIN_FOLDERS.into_iter().find(|folder| std::path::Path::new(folder).join("ptp").exists())
}

impl Node {
    pub(super) fn containerd_arguments(&self) -> Vec<String> {
        vec![format!("--config={}", self.path("containerd.toml"))]
    }

    /// Written by hand, for it has few values and no crate for TOML is otherwise needed; `{:?}` quotes as TOML does.
    pub(super) fn containerd_configuration(&self) -> String {
        let (root, state) = (self.path("containerd"), self.path("containerd-state"));
        let pause = Image::Pause.reference();
        let (plugins, networks) = (plugin_folder().unwrap_or(PLUGIN_FOLDERS[0]), self.path("cni"));
        format!(
            r#"version = 2
root = {root:?}
state = {state:?}
disabled_plugins = [
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = {socket:?}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {pause:?}
# A profile would stay in the kernel.
disable_apparmor = true
# Root in a container, where tests run too, may not lower what the kernel made of it.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {plugins:?}
conf_dir = {networks:?}
"#,
            socket = self.socket().display().to_string(),
        )
    }

    /// Each pod has a link to the node, and all between pods is routed: that needs no bridge, and no kernel module that
    /// shows bridged packets to the rules of Services.
    pub(super) fn pod_network(&self) -> Value {
        let address_management = json!({
            "type": "host-local",
            "ranges": [[{"subnet": self.network.pods()}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": self.path("addresses"),
        });
        json!({
            "cniVersion": "0.4.0",
            "name": "testbed",
            "plugins": [
                {"type": "ptp", "ipMasq": true, "ipam": address_management},
                {"type": "portmap", "capabilities": {"portMappings": true}},
            ],
        })
    }
}
