//! Finalizers that nobody sees to: taken away from what is being deleted and does not go.

use drover::api::RequestError;
use serde_json::json;

use crate::api::request::Server;
use crate::objects::shape::Shape;

/// Finalizers behind which Kubernetes itself does what they stand for, apart from those that end with its own domains:
/// without them objects would be left in its store that nobody can reach, or storage would be taken from pods.
const KUBERNETES_OWN: [&str; 2] = ["foregroundDeletion", "orphan"];
/// How often finalizers are removed again from an object that somebody else changes meanwhile.
const TRIES: usize = 5;

/// Whether Kubernetes does what a finalizer stands for, so that it is never removed.
pub(crate) fn is_kubernetes_own(finalizer: &str) -> bool {
    let domain = finalizer.split('/').next().unwrap_or_default();
    let is_domain = |own: &str| domain.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    KUBERNETES_OWN.contains(&finalizer) || ["kubernetes.io", "k8s.io"].into_iter().any(is_domain)
}

/// What is said of an object whose finalizers were removed, if there were any.
pub(crate) fn removed(finalizers: &[String]) -> Option<String> {
    let names = finalizers.join(", ");
    (!finalizers.is_empty()).then(|| format!("nobody did what its finalizers wait for, so they were removed: {names}"))
}

/// What is said while an object that is being deleted is waited for: which one, what holds it, and how many others there are.
pub(crate) fn waited_for(object: &str, held: &str, others: usize) -> String {
    let others = if others == 0 { String::new() } else { format!(", and for {others} more") };
    format!("{object} to go{others}: {held}; see that whoever does what its finalizers stand for runs, or remove them")
}

/// Takes away the finalizers of an object that is being deleted, as they are now, but for those of Kubernetes; gives
/// which ones. Where `uid` is given, only from the object of that UID.
///
/// # Errors
///
/// What the server said.
pub(crate) async fn remove(server: &Server, path: &str, uid: Option<&str>) -> Result<Vec<String>, RequestError> {
    let mut removed = Vec::new();
    for _ in 0..TRIES {
        let live = match server.get(path).await {
            Err(error) if error.is_not_found() => return Ok(removed),
            live => live?,
        };
        let Some((kept, taken)) = to_remove(&live, uid) else { return Ok(removed) };
        match server.merge_patch(path, kept).await {
            Err(error) if error.is_conflict() => {}
            Err(error) if !error.is_not_found() => return Err(error),
            _ => removed.extend(taken),
        }
    }
    Ok(removed)
}

/// The patch that takes finalizers away, and which ones it takes; nothing where there are none to take.
fn to_remove(live: &[u8], uid: Option<&str>) -> Option<(Vec<u8>, Vec<String>)> {
    let shape = Shape::split(live).ok()?;
    let identity = shape.identity();
    let is_other = uid.is_some_and(|uid| uid != identity.uid);
    if is_other || identity.deletion_timestamp.is_none() {
        return None;
    }
    let (kept, taken): (Vec<String>, Vec<String>) =
        shape.finalizers().into_iter().partition(|finalizer| is_kubernetes_own(finalizer));
    let metadata = json!({
        "finalizers": kept, "uid": identity.uid, "resourceVersion": identity.resource_version,
    });
    (!taken.is_empty()).then(|| (json!({ "metadata": metadata }).to_string().into_bytes(), taken))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn finalizers_of_kubernetes_are_told_from_those_of_others() {
        for (finalizer, expected) in [
            ("customresourcecleanup.apiextensions.k8s.io", true),
            ("kubernetes.io/pvc-protection", true),
            ("batch.kubernetes.io/job-tracking", true),
            ("foregroundDeletion", true),
            ("orphan", true),
            ("controller.cattle.io/namespace-auth", false),
            ("wrangler.cattle.io/k8s.io", false),
            ("notk8s.io/x", false),
            ("", false),
        ] {
            assert_eq!(is_kubernetes_own(finalizer), expected, "{finalizer}");
        }
    }

    #[test]
    fn what_is_waited_for_is_named_with_what_holds_it() {
        let held = "it is being deleted and waits for its finalizers a.io/x";
        let alone = waited_for("configmaps/default/a", held, 0);
        assert!(alone.starts_with("configmaps/default/a to go: it is being deleted and waits for"), "{alone}");
        assert!(alone.contains("its finalizers a.io/x; see that"), "{alone}");
        assert!(waited_for("pods/default/a", held, 2).starts_with("pods/default/a to go, and for 2 more: "));
    }

    #[test]
    fn only_what_is_being_deleted_loses_the_finalizers_of_others() {
        let object = |deleted: Option<&str>, finalizers: &[&str]| {
            let metadata = json!({"uid": "1", "resourceVersion": "7", "deletionTimestamp": deleted,
                "finalizers": finalizers});
            json!({ "metadata": metadata }).to_string()
        };
        let mixed = ["a.io/x", "orphan", "b.io/y"];
        let (patch, taken) = to_remove(object(Some("now"), &mixed).as_bytes(), Some("1")).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert_eq!(patch, json!({"metadata": {"finalizers": ["orphan"], "uid": "1", "resourceVersion": "7"}}));
        assert_eq!(taken, ["a.io/x", "b.io/y"]);
        for (object, uid) in [
            (object(None, &mixed), None),
            (object(Some("now"), &mixed), Some("2")),
            (object(Some("now"), &["orphan"]), None),
            (object(Some("now"), &[]), None),
            ("no object".to_owned(), None),
        ] {
            assert_eq!(to_remove(object.as_bytes(), uid), None, "{object}");
        }
    }
}
