//! kube-proxy.

use serde_json::{Value, json};

use super::{NAME, Node};

impl Node {
    pub(super) fn proxy_arguments(&self) -> Vec<String> {
        vec![format!("--config={}", self.path("kube-proxy.json"))]
    }

    pub(super) fn proxy_configuration(&self) -> Value {
        let node = self.network.node();
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "bindAddress": node.to_string(),
            "healthzBindAddress": format!("{node}:10256"),
            "metricsBindAddress": "127.0.0.1:10249",
            "hostnameOverride": NAME,
            "clusterCIDR": self.network.pods(),
            "clientConnection": {"kubeconfig": self.path("kube-proxy.kubeconfig")},
            "oomScoreAdj": 0,
            // These limits are the machine's and stay as they are.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        })
    }
}
