use std::collections::BTreeMap;

use drover::digest::Sha256;
use serde_json::{Value, json};

/// The digest of what drover lays down of a Backup's CronJob: equal digests, equal CronJobs. The template is a live object
/// and so has its defaults already, and what is made of it gets none.
pub(crate) fn digest(spec: &Value, labels: &BTreeMap<String, String>) -> String {
    // Values hold their keys sorted.
    Sha256::of(json!([spec, labels]).to_string()).to_string()
}

/// The digest of a pod's spec but for the arguments, which say what a Job does and not how it runs.
pub(crate) fn pod_digest(pod: &Value) -> String {
    let mut pod = pod.clone();
    if let Some(container) = pod.pointer_mut("/containers/0").and_then(Value::as_object_mut) {
        container.remove("args");
    }
    Sha256::of(pod.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_differ_in_their_arguments_alone_have_one_digest() {
        let pod = |image: &str, args: Value| json!({"containers": [{"image": image, "args": args}]});
        let digest = |image: &str, args: Value| pod_digest(&pod(image, args));
        assert_eq!(digest("a", json!(["--drain-only"])), digest("a", json!([])));
        assert_ne!(digest("a", json!([])), digest("b", json!([])));
    }
}
