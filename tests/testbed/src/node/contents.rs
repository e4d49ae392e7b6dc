//! What a cluster has before its users come: DNS and volumes.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::runtime::wait::Condition;
use serde_json::{Value, json};
use snafu::ResultExt;

use super::{NAME, Node};
use crate::images::Image;
use crate::testbed::{Error, WriteFileSnafu};

const DNS: &str = include_str!("dns.yaml");
/// How many volumes there are: enough for a good many claims, one after another too.
const VOLUMES: usize = 20;

impl Node {
    /// Writes the manifest of DNS and volumes.
    ///
    /// The volumes are folders of the node, of a class that is the default, as small clusters have it.
    pub(crate) fn write_contents(&self) -> Result<PathBuf, Error> {
        let dns =
            DNS.replace("{address}", &self.network.dns().to_string()).replace("{image}", &Image::Coredns.reference());
        let mut documents = vec![dns, storage_class().to_string()];
        for number in 0..VOLUMES {
            let folder = self.folder.join(format!("volumes/{number}"));
            make_volume(&folder).context(WriteFileSnafu { path: &folder })?;
            documents.push(volume(number, &folder).to_string());
        }
        self.write("contents.yaml", &documents.join("\n---\n"))?;
        Ok(self.folder.join("contents.yaml"))
    }
}

/// Pods of any user write to a volume, as with the provisioners of small clusters.
fn make_volume(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o777))
}

fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}

fn volume(number: usize, folder: &Path) -> Value {
    let on_the_node = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]});
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": format!("local-{number:02}")},
        "spec": {
            "storageClassName": "local",
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": folder},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_the_node]}]}},
        },
    })
}

/// Whether pods can be put on the node.
pub(crate) fn is_ready() -> impl Condition<NodeObject> {
    |node: Option<&NodeObject>| {
        let conditions = node.and_then(|node| node.status.as_ref()?.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    }
}

/// Whether a Deployment's pods serve.
pub(crate) fn is_available() -> impl Condition<Deployment> {
    |deployment: Option<&Deployment>| {
        let available = deployment.and_then(|deployment| deployment.status.as_ref()?.available_replicas);
        available.is_some_and(|replicas| replicas > 0)
    }
}
