//! What Kubernetes puts into pods that differs each time.

use serde_json::Value;

use super::Object;
use super::path::{find, text};

/// How the volume with the token begins that the API server adds to a pod; a word of chance follows.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// The label of a Job's pod that holds the UID of the Job.
pub(super) const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
/// The same, as older servers know it.
pub(super) const OLD_UID_LABEL: &str = "controller-uid";

/// The volume with the token has the name that it has in the live pod, for nobody may change it there.
pub(super) fn same_token_volume(pod: &mut Object, live: Option<&Object>) {
    let Some((old, new)) = token_volume(pod).zip(live.and_then(token_volume)) else { return };
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    rename(spec.get_mut("volumes"), &old, &new);
    for containers in ["initContainers", "containers"] {
        for container in spec.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
            rename(container.get_mut("volumeMounts"), &old, &new);
        }
    }
}

fn token_volume(pod: &Object) -> Option<String> {
    let volumes = find(pod, &["spec", "volumes"])?.as_array()?;
    let mut names = volumes.iter().filter_map(|volume| volume.get("name")?.as_str());
    names.find(|name| name.starts_with(TOKEN_VOLUME)).map(str::to_owned)
}

fn rename(named: Option<&mut Value>, old: &str, new: &str) {
    for item in named.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(name) = item.get_mut("name")
            && name.as_str() == Some(old)
        {
            *name = Value::from(new);
        }
    }
}

/// A Job's pod with the UID of that Job in those labels in which the archive's pod has the UID of then; without it the Job
/// would let the pod go and start another one. None where it has no such label.
pub(crate) fn with_job_uid(archived: &[u8], wanted: &[u8], uid: &str) -> Option<Vec<u8>> {
    let archived: Object = serde_json::from_slice(archived).ok()?;
    let mut wanted: Object = serde_json::from_slice(wanted).ok()?;
    let mut found = [UID_LABEL, OLD_UID_LABEL]
        .into_iter()
        .filter(|label| text(&archived, &["metadata", "labels", *label]).is_some());
    let first = found.next()?;
    let metadata = wanted.get_mut("metadata")?.as_object_mut()?;
    let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Object::new())).as_object_mut()?;
    for label in [first].into_iter().chain(found) {
        labels.insert(label.to_owned(), Value::from(uid));
    }
    serde_json::to_vec(&wanted).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(volume: &str) -> Value {
        json!({"spec": {
            "volumes": [{"name": "data"}, {"name": volume}],
            "initContainers": [{"name": "a", "volumeMounts": [{"name": volume, "mountPath": "/x"}]}],
            "containers": [{"name": "b", "volumeMounts": [{"name": "data"}, {"name": volume}]}, {"name": "c"}],
        }})
    }

    #[track_caller]
    fn renames(archived: &Value, live: Option<&Value>, expected: &Value) {
        let mut changed = archived.as_object().unwrap().clone();
        same_token_volume(&mut changed, live.map(|live| live.as_object().unwrap()));
        assert_eq!(Value::Object(changed), *expected);
    }

    #[test]
    fn the_volume_with_the_token_is_called_as_it_is_live() {
        let (old, live) = (pod("kube-api-access-old"), pod("kube-api-access-new"));
        renames(&old, Some(&live), &live);
        renames(&old, None, &old);
        renames(&old, Some(&pod("own")), &old);
        renames(&pod("own"), Some(&live), &pod("own"));
        renames(&json!({"spec": 7}), Some(&live), &json!({"spec": 7}));
    }

    #[test]
    fn a_pod_gets_the_uid_of_its_job_where_it_had_one() {
        let labels = |labels: Value| json!({"metadata": {"name": "a", "labels": labels}}).to_string().into_bytes();
        let archived = labels(json!({"controller-uid": "old", "x": "y"}));
        let changed = with_job_uid(&archived, &labels(json!({"x": "y"})), "new").unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&changed).unwrap()["metadata"]["labels"],
            json!({"controller-uid": "new", "x": "y"})
        );
        let bare = br#"{"metadata":{"name":"a"}}"#;
        let both = labels(json!({"controller-uid": "old", "batch.kubernetes.io/controller-uid": "old"}));
        let changed: Value = serde_json::from_slice(&with_job_uid(&both, bare, "new").unwrap()).unwrap();
        assert_eq!(changed["metadata"]["labels"].as_object().unwrap().len(), 2);
        assert_eq!(with_job_uid(&labels(json!({"x": "y"})), bare, "new"), None);
    }
}
