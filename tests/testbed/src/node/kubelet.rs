//! The kubelet.

use serde_json::{Value, json};

use super::{NAME, Node};
use crate::control_plane::ControlPlane;

impl Node {
    pub(super) fn kubelet_arguments(&self) -> Vec<String> {
        vec![
            format!("--config={}", self.path("kubelet.json")),
            format!("--kubeconfig={}", self.path("kubelet.kubeconfig")),
            format!("--root-dir={}", self.path("kubelet")),
            format!("--cert-dir={}", self.path("kubelet/pki")),
            format!("--hostname-override={NAME}"),
            format!("--node-ip={}", self.network.node()),
        ]
    }

    pub(super) fn kubelet_configuration(&self, plane: &ControlPlane) -> Value {
        let node = self.network.node().to_string();
        // The disk is the developer's own: nothing is evicted or removed before it is all but full.
        let eviction = json!({"memory.available": "50Mi", "nodefs.available": "50Mi", "imagefs.available": "50Mi"});
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": node,
            "healthzBindAddress": node,
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": plane.path("ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": format!("unix://{}", self.socket().display()),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{}", self.cgroup),
            "failCgroupV1": false,
            "failSwapOn": false,
            "oomScoreAdj": 0,
            "clusterDNS": [self.network.dns().to_string()],
            "clusterDomain": "cluster.local",
            "resolvConf": self.path("resolv.conf"),
            "podLogsDir": self.path("pods"),
            "volumePluginDir": self.path("volume-plugins"),
            "evictionHard": eviction,
            "imageGCHighThresholdPercent": 100,
        })
    }
}
