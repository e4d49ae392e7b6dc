//! The Versity S3 Gateway: the S3 server of the overlay `local`, and one of another make than MinIO.

use std::path::{Path, PathBuf};

use snafu::ResultExt;
use uuid::Uuid;

use crate::ports;
use crate::s3::S3;
use crate::testbed::{Blueprint, Error, WriteFileSnafu};

/// The path that answers once it serves; no bucket has a name like it.
const HEALTH: &str = "/.health";

/// The files and the address of the gateway.
pub(crate) struct Versitygw {
    folder: PathBuf,
    pub(crate) s3: S3,
}

impl Versitygw {
    /// Chooses a port and credentials, and makes the folders that it wants to find.
    pub(crate) fn prepare(folder: &Path) -> Result<Self, Error> {
        let [clients] = ports::choose();
        let folder = folder.join("versitygw");
        for name in ["data", "metadata", "versions"] {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).context(WriteFileSnafu { path })?;
        }
        let endpoint = format!("127.0.0.1:{clients}");
        let s3 = S3 {
            url: format!("http://{endpoint}"),
            endpoint,
            access_key: Uuid::new_v4().simple().to_string(),
            secret_key: Uuid::new_v4().simple().to_string(),
            ca_pem: None,
        };
        Ok(Self { folder, s3 })
    }

    pub(crate) fn blueprint(&self) -> Blueprint {
        let path = |name: &str| self.folder.join(name).display().to_string();
        // Metadata lies in files, because not every file system of a temporary folder has extended attributes.
        let arguments = ["--quiet", "--port", &self.s3.endpoint, "--health", HEALTH, "posix", "--sidecar"];
        let folders = [path("metadata"), "--versioning-dir".to_owned(), path("versions"), path("data")];
        let environment = [("ROOT_ACCESS_KEY", &self.s3.access_key), ("ROOT_SECRET_KEY", &self.s3.secret_key)];
        Blueprint {
            arguments: arguments.map(str::to_owned).into_iter().chain(folders).collect(),
            environment: environment.map(|(name, value)| (name.to_owned(), value.clone())).into(),
            addresses: vec![format!("{}{HEALTH}", self.s3.url)],
            isolated: false,
        }
    }
}
