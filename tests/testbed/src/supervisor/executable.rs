//! The binary that plays the supervisor.

use std::path::PathBuf;

use snafu::ResultExt;

use super::{BuildSupervisorSnafu, Error, OWN_EXECUTABLE, PLAYS_ROLES};
use crate::binaries;

/// This process's own executable where its `main` plays the role, else the `testbed` binary, built if need be.
pub(crate) async fn executable() -> Result<PathBuf, Error> {
    if PLAYS_ROLES.get().is_some() {
        return Ok(PathBuf::from(OWN_EXECUTABLE));
    }
    binaries::binary("testbed").await.context(BuildSupervisorSnafu)
}
