//! What becomes of an object of which there is a copy.

use bytes::Bytes;
use drover::api::RequestError;
use serde_json::json;
use snafu::{OptionExt, ResultExt, Snafu};

use crate::api::request::{Server, is_transient};
use crate::objects::shape::{Identity, Shape};

/// Why an object cannot be put back, or it is not known whether it is there.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(crate) enum BackError {
    #[snafu(display("failed to {step}"))]
    Request { step: &'static str, source: RequestError },
    #[snafu(display("failed to read {what}"))]
    Parse { what: &'static str, source: serde_json::Error },
    /// Somebody changed the copy, or took a part of it away.
    #[snafu(display("failed to find all of its copy as it was written"))]
    Incomplete,
}

impl BackError {
    /// Whether another try may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Request { source, .. } => is_transient(source) || source.is_conflict(),
            Self::Parse { .. } | Self::Incomplete => false,
        }
    }
}

/// How it stands about an object of which there is a copy.
pub(crate) enum Standing {
    /// It was missing, and was created of its copy; with the server's answer.
    PutBack(Bytes),
    /// It is there.
    There,
    /// It is being deleted: its copy is needed once it is gone.
    Leaving,
}

/// What is to be done about an object.
#[derive(Debug)]
enum Step {
    Create,
    GiveFinalizers(Identity),
    Wait,
    Nothing,
}

/// Creates the object of that path where it is missing, and gives it its finalizers back where it is the very one of the
/// copy, and has lost them. `body` creates it; without it there is no whole copy.
///
/// # Errors
///
/// Where it is not known to be there, or not whole.
pub(crate) async fn put_back(
    server: &Server,
    path: &str,
    uid: &str,
    body: Option<&[u8]>,
) -> Result<Standing, BackError> {
    let live = match server.get(path).await {
        Err(error) if error.is_not_found() => None,
        live => Some(live.context(RequestSnafu { step: "see whether it is there" })?),
    };
    let shape = live.as_deref().map(Shape::split).transpose().context(ParseSnafu { what: "the live object" })?;
    match (decide(shape.as_ref(), uid), body) {
        (Step::Create, body) => create(server, path, body.context(IncompleteSnafu)?).await,
        (Step::GiveFinalizers(identity), Some(body)) => give_finalizers(server, path, &identity, body).await,
        (Step::Wait, _) => Ok(Standing::Leaving),
        (Step::GiveFinalizers(_) | Step::Nothing, _) => Ok(Standing::There),
    }
}

fn decide(live: Option<&Shape<'_>>, uid: &str) -> Step {
    let Some(live) = live else { return Step::Create };
    let identity = live.identity();
    if identity.uid != uid {
        return Step::Nothing;
    }
    match identity.deletion_timestamp {
        Some(_) => Step::Wait,
        None if live.finalizers().is_empty() => Step::GiveFinalizers(identity),
        None => Step::Nothing,
    }
}

async fn create(server: &Server, path: &str, body: &[u8]) -> Result<Standing, BackError> {
    let collection = path.rsplit_once('/').map_or(path, |(collection, _)| collection);
    match server.create(collection, body.to_vec()).await {
        Err(error) if error.is_already_exists() => Ok(Standing::There),
        created => created.map(Standing::PutBack).context(RequestSnafu { step: "create it" }),
    }
}

async fn give_finalizers(server: &Server, path: &str, live: &Identity, body: &[u8]) -> Result<Standing, BackError> {
    let finalizers = Shape::split(body).context(ParseSnafu { what: "its copy" })?.finalizers();
    if !finalizers.is_empty() {
        let Identity { uid, resource_version, .. } = live;
        let patch = json!({"metadata": {"finalizers": finalizers, "uid": uid, "resourceVersion": resource_version}});
        let patched = server.merge_patch(path, patch.to_string().into_bytes()).await;
        patched.context(RequestSnafu { step: "give it its finalizers back" })?;
    }
    Ok(Standing::There)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(live: Option<&Value>, expected: &str) {
        let live = live.map(|metadata| json!({ "metadata": metadata }).to_string());
        let shape = live.as_ref().map(|live| Shape::split(live.as_bytes()).unwrap());
        let step = format!("{:?}", decide(shape.as_ref(), "mine"));
        assert!(step.starts_with(expected), "{live:?}: {step}");
    }

    #[test]
    fn what_is_done_about_an_object_of_which_there_is_a_copy() {
        check(None, "Create");
        check(Some(&json!({"uid": "another"})), "Nothing");
        check(Some(&json!({"uid": "another", "deletionTimestamp": "now"})), "Nothing");
        check(Some(&json!({"uid": "mine", "deletionTimestamp": "now"})), "Wait");
        check(Some(&json!({"uid": "mine", "deletionTimestamp": "now", "finalizers": ["a"]})), "Wait");
        check(Some(&json!({"uid": "mine"})), "GiveFinalizers");
        check(Some(&json!({"uid": "mine", "finalizers": ["a"]})), "Nothing");
    }
}
