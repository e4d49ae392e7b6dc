//! Volumes and claims find each other again, and no volume is lost for a UID of another life.

use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::support::{Archive, api, live, namespace, run, until};

const OLD_UID: &str = "00000000-0000-4000-8000-000000000000";

fn volume(name: &str, home: &str) -> (&'static str, Value) {
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": home, "name": "data",
        "uid": OLD_UID, "resourceVersion": "7"});
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
            "finalizers": ["kubernetes.io/pv-protection"]},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"}, "claimRef": claim,
            "hostPath": {"path": "/nowhere", "type": ""}, "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "by-hand", "volumeMode": "Filesystem"},
        "status": {"phase": "Bound"}});
    ("persistentvolumes", volume)
}

fn claim(home: &str, volume: &str) -> (&'static str, Value) {
    let annotations = json!({"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": home, "name": "data", "annotations": annotations,
            "finalizers": ["kubernetes.io/pvc-protection"]},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}},
            "storageClassName": "by-hand", "volumeMode": "Filesystem", "volumeName": volume},
        "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"}}});
    ("persistentvolumeclaims", claim)
}

async fn claims(home: &str) -> Api<DynamicObject> {
    api("persistentvolumeclaims", "v1", "PersistentVolumeClaim", Some(home)).await
}

#[tokio::test]
async fn a_claim_gets_its_volume_again() {
    let home = "bound-again";
    let archive = Archive::of(&[namespace(home), volume(home, home), claim(home, home)], None);
    let first = run("apply", &archive).await;
    assert_eq!((first.code, first.count("created")), (0, 3), "{} {}", first.report, first.errors);
    let claims = claims(home).await;
    until("the claim has its volume", async || live(&claims, "data").await["status"]["phase"] == "Bound").await;
    assert_eq!(live(&claims, "data").await["spec"]["volumeName"], home);
    let volumes = api("persistentvolumes", "v1", "PersistentVolume", None).await;
    until("the volume says so too", async || live(&volumes, home).await["status"]["phase"] == "Bound").await;
    let again = run("apply", &archive).await;
    assert_eq!((again.code, again.count("failed"), again.count("updated")), (0, 0, 0), "{}", again.report);
    assert_eq!(live(&claims, "data").await["status"]["phase"], "Bound");
}

#[tokio::test]
async fn a_claim_whose_volume_is_nowhere_is_not_lost() {
    let home = "volume-nowhere";
    let archive = Archive::of(&[namespace(home), claim(home, "nowhere-at-all")], None);
    let first = run("apply", &archive).await;
    let (result, reason) = first.result("persistentvolumeclaims", "data");
    assert_eq!((first.code, result.as_str()), (0, "created"), "{} {}", first.report, first.errors);
    assert!(reason.contains("\"nowhere-at-all\" is nowhere"), "{reason}");
    let claims = claims(home).await;
    until("its controller looked at it", async || live(&claims, "data").await["status"]["phase"] == "Pending").await;
    assert_eq!(live(&claims, "data").await["spec"]["volumeName"], Value::Null);
    let again = run("apply", &archive).await;
    let (result, reason) = again.result("persistentvolumeclaims", "data");
    assert_eq!((again.code, result.as_str()), (0, "unchanged"), "{} {}", again.report, again.errors);
    assert!(reason.contains("it waits for a volume, unlike the archive's, which has \"nowhere-at-all\""), "{reason}");
}
