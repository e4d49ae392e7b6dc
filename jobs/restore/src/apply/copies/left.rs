//! Copies that a restore left: it was killed, or the server took nothing any more.

use std::collections::BTreeMap;

use drover::cluster::ApiError;
use drover::exit::{Exit, Failure, Fault};
use drover::labels::COPY_LABEL;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use snafu::{ResultExt, Snafu};
use tracing::{info, warn};

use super::back::{BackError, Standing, put_back};
use super::secrets::Pieces;
use crate::api::request::Server;
use crate::job::exclusive::Turn;

/// Why copies are left.
#[derive(Debug, Snafu)]
pub(crate) enum LeftError {
    #[snafu(display(
        "failed to look in the namespace {namespace:?} for copies of objects that a restore deleted to create them again"
    ))]
    List { namespace: String, source: ApiError },
    #[snafu(display(
        "failed to put back {path:?}, which a restore deleted to create it again and was ended before it did; {copy} holds \
         it, and the next restore job tries again. Mend what refuses it or, where nobody wants it any more, delete the \
         copy: {deleting}"
    ))]
    PutBack {
        path: String,
        copy: String,
        deleting: String,
        #[snafu(source(from(BackError, Box::new)))]
        source: Box<BackError>,
    },
}

impl Fault for LeftError {
    fn exit(&self) -> Exit {
        match self {
            Self::List { source, .. } => source.exit(),
            Self::PutBack { source, .. } if source.is_transient() => Exit::Unavailable,
            Self::PutBack { .. } => Exit::Failure,
        }
    }
}

/// When copies are looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum When {
    /// Before anything is planned. An object that did not go in time, and is gone by now, may then be created as it is
    /// wanted: otherwise it would be put back and deleted again each time.
    BeforePlans,
    /// When all is done.
    AtTheEnd,
}

/// A copy that was found.
struct Found {
    path: String,
    uid: String,
    pieces: Pieces,
    is_leaving: bool,
}

/// Whether there are copies that a restore left.
///
/// # Errors
///
/// When it cannot be looked for them.
pub(crate) async fn are_left(client: &Client, namespace: &str) -> Result<bool, LeftError> {
    Ok(!find(client, namespace).await?.is_empty())
}

/// Puts back what another restore deleted and did not come to creating again, and removes copies of what is there: while the
/// Lease is held, none is at work. What is still being deleted is left to whoever comes next. What fails is logged.
///
/// # Errors
///
/// When it cannot be looked for them, or an object is still missing; the others are back.
pub(crate) async fn put_back_left(server: &Server, namespace: &str, turn: &Turn, when: When) -> Result<(), Failure> {
    if !turn.is_alone() {
        return Ok(());
    }
    let mut failed = None;
    let found = find(server.client(), namespace).await?;
    for found in found.into_iter().filter(|found| when == When::AtTheEnd || !found.is_leaving) {
        if turn.lost().is_cancelled() {
            break;
        }
        if let Err(error) = settle(server, found).await {
            let failure = Failure::from(error);
            warn!("{failure}");
            failed.get_or_insert(failure);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn settle(server: &Server, found: Found) -> Result<(), LeftError> {
    let Found { path, uid, pieces, is_leaving: _ } = found;
    let standing = match pieces.read(server).await {
        Ok(body) => put_back(server, &path, &uid, body.as_deref()).await,
        Err(error) => Err(error),
    };
    let standing = standing.with_context(|_| PutBackSnafu {
        path: path.clone(),
        copy: pieces.to_string(),
        deleting: pieces.deleting(),
    })?;
    match standing {
        Standing::Leaving => {
            info!("{path:?} is being deleted to be created again; {pieces} holds it until then");
            return Ok(());
        }
        Standing::PutBack(_) => {
            info!("{path:?} was deleted by a restore that did not come to creating it again; it was put back");
        }
        Standing::There => info!("{path:?} is there, so {pieces}, which a restore left, is removed"),
    }
    if let Err(error) = pieces.delete(server).await {
        warn!("failed to remove {pieces}, which is of no use any more: {error}");
    }
    Ok(())
}

/// The copies, the newest first: of two of one object that is the one that counts. Where this user may not look, none.
async fn find(client: &Client, namespace: &str) -> Result<Vec<Found>, LeftError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match secrets.list_metadata(&ListParams::default().labels(COPY_LABEL)).await.map_err(ApiError::from) {
        Err(error) if error.code() == Some(403) => {
            warn!("failed to look for copies of objects that a restore left in the namespace {namespace:?}: {error}");
            Ok(Vec::new())
        }
        listed => Ok(found_in(namespace, &listed.context(ListSnafu { namespace })?.items)),
    }
}

fn found_in(namespace: &str, secrets: &[PartialObjectMeta<Secret>]) -> Vec<Found> {
    let found = secrets.iter().filter_map(|secret| {
        let (pieces, path, uid) = Pieces::of(namespace, secret)?;
        let id = pieces.id().to_owned();
        Some((id, Found { path, uid, pieces, is_leaving: Pieces::is_leaving(secret) }))
    });
    let copies: BTreeMap<String, Found> = found.collect();
    // Ids are formed of the time.
    copies.into_values().rev().collect()
}

#[cfg(test)]
mod tests {
    use drover::annotations::{OBJECT_ANNOTATION, OBJECT_UID_ANNOTATION, PIECES_ANNOTATION};
    use drover::labels;
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_of_one_copy_are_found_once_and_the_newest_copy_first() {
        let piece = |id: &str, path: &str| {
            let annotations = json!({OBJECT_ANNOTATION: path, OBJECT_UID_ANNOTATION: "u", PIECES_ANNOTATION: "2"});
            serde_json::from_value(
                json!({"metadata": {"labels": labels::ours(COPY_LABEL, id), "annotations": annotations}}),
            )
            .unwrap()
        };
        let found = found_in("home", &[piece("1", "/a"), piece("2", "/b"), piece("1", "/a")]);
        let found: Vec<_> = found.iter().map(|found| (found.pieces.id(), found.path.as_str())).collect();
        assert_eq!(found, [("2", "/b"), ("1", "/a")]);
    }
}
