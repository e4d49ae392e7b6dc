//! One deletion: asked for, looked at until the object is gone, its finalizers removed when that takes too long.

use drover::api::RequestError;
use drover::exit::Chain;
use serde_json::json;

use super::Candidate;
use crate::api::request::Server;
use crate::apply::finalizers::{self, is_kubernetes_own};
use crate::objects::shape::Shape;
use crate::report::outcome::{Outcome, Result as ObjectResult};

/// What is known of an object that is to go.
#[derive(Debug)]
pub(crate) enum Left {
    /// It is gone.
    Gone,
    /// It is on its way out, and these finalizers hold it.
    Waiting {
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
        return Ok(Left::Waiting { finalizers: Vec::new() });
    };
    if shape.identity().uid != candidate.uid {
        return Ok(Left::Gone);
    }
    Ok(Left::Waiting { finalizers: shape.finalizers() })
}

/// The result of an object that is gone.
pub(crate) fn pruned(removed: &[String]) -> ObjectResult {
    let reason = finalizers::removed(removed).unwrap_or_default();
    ObjectResult::new(Outcome::Pruned, reason)
}

/// The result of an object that was on its way out when the run was asked to stop.
pub(crate) fn cut_short(removed: &[String]) -> ObjectResult {
    let removed = finalizers::removed(removed).unwrap_or_default();
    ObjectResult::noted(Outcome::Untouched, ["it is being deleted; the restore ended before it was gone", &removed])
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
