//! What the cluster is asked about drover's ground. It is asked as about every object: a server that has just begun to serve
//! a type says "later" (429) for a moment.

use std::collections::BTreeSet;

use bytes::Bytes;
use drover::storage::{CHARTS_SECRET, StorageOptions, credential_secret};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::ObjectList;
use serde::de::DeserializeOwned;
use serde_json::Value;
use snafu::{IntoError, OptionExt, ResultExt};

use super::named::SecretName;
use super::{AnswerSnafu, GroundError, ParseSnafu, ReadSnafu};
use crate::api::request::Server;
use crate::survey::types::segment;

/// drover's settings: the environment of its jobs, in its namespace.
const SETTINGS: &str = "drover";
/// The setting that names the Secret of the default bucket.
const DEFAULT_SECRET: &str = "DROVER_DEFAULT_S3_SECRET";

/// All objects of a type; none where it is not served.
pub(super) async fn all<K>(server: &Server, what: &'static str) -> Result<Vec<K>, GroundError>
where
    K: kube::Resource<DynamicType = ()> + DeserializeOwned,
{
    Ok(listed(server, what).await?.unwrap_or_default())
}

/// All objects of a type, if it is served.
pub(super) async fn listed<K>(server: &Server, what: &'static str) -> Result<Option<Vec<K>>, GroundError>
where
    K: kube::Resource<DynamicType = ()> + DeserializeOwned,
{
    at(server, &K::url_path(&(), None), what).await
}

/// The objects that this path leads to, if their type is served.
pub(super) async fn at<K>(server: &Server, path: &str, what: &'static str) -> Result<Option<Vec<K>>, GroundError>
where
    K: kube::Resource<DynamicType = ()> + DeserializeOwned,
{
    let answer = get(server, path, what).await?;
    answer.map(|answer| items(&answer, what)).transpose()
}

async fn get(server: &Server, path: &str, what: &'static str) -> Result<Option<Bytes>, GroundError> {
    match server.get(path).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(ReadSnafu { what }.into_error(error)),
    }
}

/// The items of a list, each for itself: one that cannot be read is named.
fn items<K>(answer: &[u8], what: &'static str) -> Result<Vec<K>, GroundError>
where
    K: kube::Resource<DynamicType = ()> + DeserializeOwned,
{
    let list: ObjectList<Value> = parsed(answer, what)?;
    let read = |item: Value| -> Result<K, GroundError> {
        let name = item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        serde_json::from_value(item).with_context(|_| ParseSnafu { kind: K::kind(&()), name })
    };
    list.items.into_iter().map(read).collect()
}

/// Without the cause: of a Secret it may quote what no log may have.
fn parsed<T: DeserializeOwned>(answer: &[u8], what: &'static str) -> Result<T, GroundError> {
    serde_json::from_slice(answer).ok().context(AnswerSnafu { what })
}

/// The Secrets that name the default bucket, and those with credentials that these name.
pub(super) async fn default_bucket(
    server: &Server,
    namespace: &str,
    job: Option<&StorageOptions>,
) -> Result<BTreeSet<SecretName>, GroundError> {
    let set = match job {
        Some(options) => options.default_secret().map(str::to_owned),
        None => setting(server, namespace, DEFAULT_SECRET).await?,
    };
    let mut needed = BTreeSet::new();
    for name in set.into_iter().chain([CHARTS_SECRET.to_owned()]) {
        let path = path_of::<Secret>(namespace, &name);
        let what = "Secrets of the default location";
        if let Some(answer) = get(server, &path, what).await? {
            let secret: Secret = parsed(&answer, what)?;
            needed.extend(credential_secret(&secret.data.unwrap_or_default(), namespace));
        }
        needed.insert((namespace.to_owned(), name));
    }
    Ok(needed)
}

/// A setting of drover's; none where it is not set, or drover is not there.
async fn setting(server: &Server, namespace: &str, name: &str) -> Result<Option<String>, GroundError> {
    let what = "settings of drover";
    let Some(answer) = get(server, &path_of::<ConfigMap>(namespace, SETTINGS), what).await? else { return Ok(None) };
    let settings: ConfigMap = parsed(&answer, what)?;
    Ok(settings.data.unwrap_or_default().remove(name).filter(|value| !value.is_empty()))
}

fn path_of<K: kube::Resource<DynamicType = ()>>(namespace: &str, name: &str) -> String {
    format!("{}/{}", K::url_path(&(), Some(namespace)), segment(name))
}

#[cfg(test)]
mod tests {
    use drover::exit::{Exit, Fault};
    use drover::resources::BackupPolicy;
    use serde_json::json;

    use super::*;

    fn policies(answer: &Value) -> Result<Vec<BackupPolicy>, GroundError> {
        items(answer.to_string().as_bytes(), "BackupPolicies")
    }

    #[test]
    fn one_policy_that_cannot_be_read_is_named_and_the_others_are_no_answer() {
        let policy = |name: &str, places: Value| {
            json!({"apiVersion": "drover.dev/v1", "kind": "BackupPolicy",
            "metadata": {"name": name}, "spec": {"additionalStorageLocations": places}})
        };
        let list = |items: &[Value]| {
            json!({"apiVersion": "drover.dev/v1", "kind": "BackupPolicyList",
            "metadata": {"resourceVersion": "7"}, "items": items})
        };
        let good = policy("good", json!([{"name": "far", "s3": {"bucketName": "b"}}]));
        assert_eq!(policies(&list(std::slice::from_ref(&good))).unwrap().len(), 1);
        let error = policies(&list(&[good, policy("bad", json!("far"))])).unwrap_err();
        assert!(error.to_string().contains("the BackupPolicy \"bad\""), "{error}");
        assert_eq!(error.exit(), Exit::Usage);
        let error = policies(&json!("hello")).unwrap_err();
        assert_eq!(error.exit(), Exit::Unavailable, "{error}");
    }
}
