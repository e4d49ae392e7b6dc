//! What keeps a pod from running is said on the Backup, in the words of Kubernetes.

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::place::{AT_FIRST, Place, SERVER};

pub(crate) async fn is_said_on_the_backup(place: &Place) {
    by_a_quota(place).await;
    by_an_admission_policy(place).await;
    by_an_image(place).await;
}

/// Waits until a new Backup says one of these words, and tells how long that took.
async fn says(place: &Place, backup: &str, words: &[&str]) {
    let begun = Instant::now();
    place.backup(backup, None).await;
    let what = format!("Backup {backup} says one of {words:?}");
    place
        .until(&what, async || {
            let said = place.backup_says(backup).await;
            words.iter().any(|word| said.contains(word))
        })
        .await;
    eprintln!("{:.0} s after it was applied: {}", begun.elapsed().as_secs_f64(), place.backup_says(backup).await);
}

async fn make(place: &Place, name: &str, object: &Value) {
    place.kubectl(&["apply", "-f", &place.write(name, &object.to_string())]).await;
}

async fn by_a_quota(place: &Place) {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": "cattle-resources-system"}, "spec": {"hard": {"count/pods": "0"}}});
    make(place, "quota.json", &quota).await;
    place
        .until("the quota counts", async || {
            place
                .kubectl_here(&["get", "resourcequota", "full", "--output=jsonpath={.status.hard}"])
                .await
                .contains("pods")
        })
        .await;
    says(place, "by-quota", &["exceeded quota"]).await;
    place.kubectl_here(&["delete", "resourcequota", "full"]).await;
    place.until_completed("by-quota").await;
}

async fn by_an_admission_policy(place: &Place) {
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]);
    let expression = "!('app.kubernetes.io/component' in object.metadata.?labels.orValue({})) || \
                      object.metadata.labels['app.kubernetes.io/component'] != 'snapshot'";
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "no-snapshots"}, "spec": {"matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": expression, "message": "no snapshots on Sundays"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "no-snapshots"},
        "spec": {"policyName": "no-snapshots", "validationActions": ["Deny"]}});
    make(place, "policy.json", &policy).await;
    make(place, "binding.json", &binding).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": "default",
        "labels": {"app.kubernetes.io/component": "snapshot"}},
        "spec": {"containers": [{"name": "probe", "image": "none"}]}});
    let probe = place.write("probe.json", &pod.to_string());
    place
        .until("the policy is in force", async || {
            let tried = place.testbed.kubectl(&["create", "--dry-run=server", "-f", &probe]).await;
            tried.is_err_and(|error| error.to_string().contains("Sundays"))
        })
        .await;
    says(place, "by-policy", &["no snapshots on Sundays"]).await;
    for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
        place.kubectl(&["delete", kind, "no-snapshots"]).await;
    }
    place.until_completed("by-policy").await;
}

/// Wrong images of an overlay keep everything from starting. Once they are mended all comes back by itself, and the Job of the
/// wrong image is in nobody's way.
async fn by_an_image(place: &Place) {
    let right = place.overlay(&AT_FIRST);
    place.apply(&with_wrong_images(place)).await;
    for service in ["nats", SERVER] {
        place.until(&format!("{service} has a wrong image"), async || has_wrong_image(place, service).await).await;
    }
    says(place, "by-image", &["ErrImagePull", "ImagePullBackOff"]).await;
    place.apply(&right).await;
    for service in ["nats", SERVER] {
        let set = format!("statefulset/{service}");
        place.kubectl_here(&["rollout", "status", "--timeout=240s", &set]).await;
    }
    place.until_completed("by-image").await;
    let images = "--output=jsonpath={.items[*].spec.template.spec.containers[*].image}";
    place
        .until("no Job of the wrong image is left", async || {
            !place.kubectl_here(&["get", "jobs", images]).await.contains("nowhere")
        })
        .await;
    place.kubectl_here(&["delete", "jobs", "--field-selector=status.successful=0"]).await;
}

/// An overlay over the one that runs, with images that are nowhere: nothing listens there, so nobody outside is asked.
fn with_wrong_images(place: &Place) -> String {
    let names = place.testbed.image_names().unwrap();
    let wrong = names.iter().map(|(_, full)| {
        let name = full.rsplit_once(':').map_or(full.as_str(), |(name, _)| name);
        json!({"name": name, "newName": format!("localhost:9/{name}"), "newTag": "nowhere"})
    });
    let overlay = json!({"resources": ["../../overlays/running"], "images": wrong.collect::<Vec<_>>()});
    let path = place.write("wrong/kustomization.yaml", &overlay.to_string());
    path.trim_end_matches("/kustomization.yaml").to_owned()
}

async fn has_wrong_image(place: &Place, component: &str) -> bool {
    let image = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.containers[0].image.clone());
    place.pods(component).await.iter().any(|pod| image(pod).is_some_and(|image| image.contains("nowhere")))
}
