//! One deletion: asked for, looked at until the object is gone, its finalizers removed when that takes too long.

use drover::exit::Chain;
use serde_json::json;

use super::Candidate;
use crate::outcome::{Outcome, Result as ObjectResult};
use crate::request::{RequestError, Server};
use crate::shape::{Identity, Shape};

/// Finalizers behind which Kubernetes itself does what they stand for, apart from those that end with its own domains:
/// without them objects would be left in its store that nobody can reach, or storage would be taken from pods.
const KUBERNETES_OWN: [&str; 2] = ["foregroundDeletion", "orphan"];

/// What is known of an object that is to go.
#[derive(Debug)]
pub(crate) enum Left {
    /// It is gone.
    Gone,
    /// It is on its way out, and these finalizers hold it.
    Waiting {
        /// UID and version as they are now.
        identity: Identity,
        /// What holds it.
        finalizers: Vec<String>,
    },
}

/// Asks for the deletion. Only the very object that was seen is deleted, not one of its name that was made since.
///
/// # Errors
///
/// What the server said.
pub(crate) async fn ask(server: &Server, candidate: &Candidate) -> Result<Left, RequestError> {
    let options = json!({
        "kind": "DeleteOptions", "apiVersion": "v1",
        "preconditions": {"uid": candidate.uid}, "propagationPolicy": "Background",
    });
    match server.delete(&candidate.path(), options.to_string().into_bytes()).await {
        Err(error) if error.is_not_found() => Ok(Left::Gone),
        // A conflict is another UID, so that the object that was seen is gone, or a Namespace that is on its way out.
        Err(error) if !error.is_conflict() => Err(error),
        _ => look(server, candidate).await,
    }
}

/// Looks whether the object is still there.
///
/// # Errors
///
/// What the server said.
pub(crate) async fn look(server: &Server, candidate: &Candidate) -> Result<Left, RequestError> {
    let live = match server.get(&candidate.path()).await {
        Err(error) if error.is_not_found() => return Ok(Left::Gone),
        live => live?,
    };
    // What cannot be read is there all the same, and is told of when the time is over.
    let Ok(shape) = Shape::split(&live) else {
        return Ok(Left::Waiting { identity: Identity::default(), finalizers: Vec::new() });
    };
    let identity = shape.identity();
    if identity.uid != candidate.uid {
        return Ok(Left::Gone);
    }
    Ok(Left::Waiting { identity, finalizers: shape.finalizers() })
}

/// Whether Kubernetes does what a finalizer stands for, so that it is never removed.
pub(crate) fn is_kubernetes_own(finalizer: &str) -> bool {
    let domain = finalizer.split('/').next().unwrap_or_default();
    let is_domain = |own: &str| domain.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    KUBERNETES_OWN.contains(&finalizer) || ["kubernetes.io", "k8s.io"].into_iter().any(is_domain)
}

/// Takes finalizers away but for these, so that the object goes although nobody did what they stand for.
///
/// # Errors
///
/// What the server said; a conflict where the object changed since it was looked at.
pub(crate) async fn remove_finalizers(
    server: &Server,
    candidate: &Candidate,
    identity: &Identity,
    kept: &[&String],
) -> Result<(), RequestError> {
    let metadata = json!({
        "finalizers": kept, "uid": identity.uid, "resourceVersion": identity.resource_version,
    });
    let patch = json!({ "metadata": metadata }).to_string();
    match server.merge_patch(&candidate.path(), patch.into_bytes()).await {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

/// The result of an object that is gone.
pub(crate) fn pruned(removed: &[String]) -> ObjectResult {
    let reason = match removed {
        [] => String::new(),
        finalizers => {
            format!("nobody did what its finalizers wait for, so they were removed: {}", finalizers.join(", "))
        }
    };
    ObjectResult::new(Outcome::Pruned, reason)
}

/// The result of an object that the server did not let go.
pub(crate) fn failed(error: &RequestError) -> ObjectResult {
    ObjectResult::new(Outcome::Failed, format!("failed to delete it: {}", Chain(error)))
}

/// The result of an object that is still there after all that.
pub(crate) fn still_there(candidate: &Candidate, finalizers: &[String]) -> ObjectResult {
    if candidate.is("", "namespaces") || finalizers.iter().any(|finalizer| is_kubernetes_own(finalizer)) {
        let reason = "it is being deleted; Kubernetes removes what belongs to it (kubectl describe tells more)";
        return ObjectResult::new(Outcome::Pruned, reason.to_owned());
    }
    let held = if finalizers.is_empty() { "nothing that it names".to_owned() } else { finalizers.join(", ") };
    ObjectResult::new(Outcome::Failed, format!("it is being deleted and still there, held by {held}"))
}

#[cfg(test)]
mod tests {
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
}
