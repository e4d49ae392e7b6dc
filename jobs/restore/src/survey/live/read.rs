//! One live object, by its name.

use snafu::IntoError;

use crate::api::request::Server;
use crate::survey::live::error::{GetSnafu, LiveError};
use crate::survey::types::Type;

/// The object as the server has it; none where there is none.
pub(crate) async fn get(
    server: &Server,
    known: &Type,
    namespace: &str,
    name: &str,
) -> Result<Option<bytes::Bytes>, LiveError> {
    match server.get(&known.object(namespace, name)).await {
        Ok(live) => Ok(Some(live)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(source) => Err(GetSnafu { plural: known.plural.clone(), name }.into_error(source)),
    }
}
