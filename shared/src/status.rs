//! Status written by server-side apply, one field manager for each job.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use snafu::{ResultExt, Snafu};

use crate::cluster::ApiError;
use crate::exit::{Exit, Fault};

/// How often a status is written anew after somebody else wrote it in between.
const CONFLICT_TRIES: usize = 10;

/// Why a status was not written.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum Error {
    #[snafu(display("failed to read {kind} {name:?}"))]
    Read { kind: String, name: String, source: ApiError },
    #[snafu(display("failed to write the status of {kind} {name:?}"))]
    Write { kind: String, name: String, source: ApiError },
    #[snafu(display(
        "failed to write the status of {kind} {name:?}: the cluster's definition of {kind} is not of this version of \
         drover; apply the foundation again"
    ))]
    Undeclared { kind: String, name: String, source: ApiError },
}

impl Error {
    const fn answer(&self) -> &ApiError {
        let (Self::Read { source, .. } | Self::Write { source, .. } | Self::Undeclared { source, .. }) = self;
        source
    }

    /// Whether the object is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.answer().code() == Some(404)
    }
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        self.answer().exit()
    }
}

/// Changes a status: reads the object, asks `change` for the fields that this job sets, and applies them.
///
/// The object's resourceVersion goes along, so what `change` saw is what it changes: if somebody else wrote in between,
/// it is asked again. `None` leaves the status as it is. Gives the object as it then is.
///
/// A field without a value is not applied: that takes back what this job had applied, and leaves what others have.
///
/// # Errors
/// When the object cannot be read or written.
pub async fn update<K>(
    api: &Api<K>,
    name: &str,
    manager: &str,
    change: impl FnMut(&K) -> Option<K::Status>,
) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + HasStatus<Status: Serialize> + Clone + Debug + DeserializeOwned + Serialize,
{
    update_from(api, name, None, manager, change).await
}

/// As [`update`], for an object that was read or written a moment ago: it is read only where it is another by now, or where
/// `change` would leave that one as it is.
///
/// # Errors
/// When the object cannot be read or written.
pub(crate) async fn update_from<K>(
    api: &Api<K>,
    name: &str,
    mut known: Option<K>,
    manager: &str,
    mut change: impl FnMut(&K) -> Option<K::Status>,
) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + HasStatus<Status: Serialize> + Clone + Debug + DeserializeOwned + Serialize,
{
    let kind = K::kind(&()).into_owned();
    let mut tries = 0;
    loop {
        let (object, is_read) = match known.take() {
            Some(object) => (object, false),
            None => (api.get(name).await.map_err(ApiError::from).context(ReadSnafu { kind: &kind, name })?, true),
        };
        let status = match change(&object) {
            Some(status) => status,
            None if is_read => return Ok(object),
            None => continue,
        };
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": kind,
            "metadata": { "name": name, "uid": object.uid(), "resourceVersion": object.resource_version() },
            "status": status,
        });
        let written = api.patch_status(name, &PatchParams::apply(manager).force(), &Patch::Apply(&patch)).await;
        match written.map_err(ApiError::from) {
            Err(error) if error.code() == Some(409) && tries < CONFLICT_TRIES => tries += 1,
            Err(error) if error.is_undeclared_field() => return Err(error).context(UndeclaredSnafu { kind, name }),
            other => return other.context(WriteSnafu { kind, name }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{BackupArchiveStatus, BackupRunStatus, BackupStatus, RestoreStatus};

    #[test]
    fn a_field_without_a_value_is_not_applied() {
        // The server refuses a null.
        assert_eq!(json!(BackupStatus::default()), json!({}));
        assert_eq!(json!(RestoreStatus::default()), json!({}));
        assert_eq!(json!(BackupRunStatus::default()), json!({"state": "Pending"}));
        assert_eq!(json!(BackupArchiveStatus::default()), json!({"state": "Verified", "liesAt": ""}));
    }
}
