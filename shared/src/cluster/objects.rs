//! Objects of the kinds that lie in no namespace, which people write and of which there are few.

use std::fmt::Debug;

use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::api_error::ApiError;

/// All objects of a kind.
///
/// # Errors
/// When they cannot be listed, or one not be read.
pub async fn list<K>(client: &Client) -> Result<Vec<K>, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    Ok(Api::<K>::all(client.clone()).list(&ListParams::default()).await?.items)
}

/// The object of this name, if it is there.
///
/// # Errors
/// When it cannot be read.
pub async fn find<K>(client: &Client, name: &str) -> Result<Option<K>, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    Ok(Api::<K>::all(client.clone()).get_opt(name).await?)
}
