//! The MinIO servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use snafu::ResultExt;
use uuid::Uuid;

use crate::certificates::Authority;
use crate::part::Part;
use crate::ports;
use crate::s3::S3;
use crate::testbed::{Blueprint, Error, MakeCertificateSnafu, WriteFileSnafu};

/// The domain whose names in front are those of buckets. Nobody's DNS knows it: a test's proxy leads there.
pub const DOMAIN: &str = "minio.drover.invalid";

/// The name of the key that it encrypts with where it is asked to.
const KEY: &str = "testbed";

/// The files and the address of one MinIO server.
pub(crate) struct Minio {
    folder: PathBuf,
    /// Lets it encrypt what it stores: the name of a key, and the key.
    key: String,
    pub(crate) s3: S3,
}

impl Minio {
    /// Chooses a port and credentials, and writes the certificate of a server that has one.
    pub(crate) fn prepare(folder: &Path, part: Part) -> Result<Self, Error> {
        let [clients] = ports::choose();
        let folder = folder.join(part.name());
        let certificates = folder.join("certificates");
        std::fs::create_dir_all(&certificates).context(WriteFileSnafu { path: &certificates })?;
        let ca_pem = (part == Part::MinioTls).then(|| write_certificate(&certificates)).transpose()?;
        let endpoint = format!("127.0.0.1:{clients}");
        let scheme = if ca_pem.is_some() { "https" } else { "http" };
        let s3 = S3 {
            url: format!("{scheme}://{endpoint}"),
            endpoint,
            access_key: Uuid::new_v4().simple().to_string(),
            secret_key: Uuid::new_v4().simple().to_string(),
            ca_pem,
        };
        let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        let key = format!("{KEY}:{}", STANDARD.encode(key));
        Ok(Self { folder, key, s3 })
    }

    pub(crate) fn blueprint(&self) -> Blueprint {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let arguments =
            ["server", "--quiet", "--address", &self.s3.endpoint, "--certs-dir", &path("certificates"), &path("data")];
        let environment = [
            ("MINIO_ROOT_USER", self.s3.access_key.as_str()),
            ("MINIO_ROOT_PASSWORD", &self.s3.secret_key),
            ("MINIO_BROWSER", "off"),
            ("MINIO_UPDATE", "off"),
            ("MINIO_DOMAIN", DOMAIN),
            ("MINIO_KMS_SECRET_KEY", &self.key),
        ];
        Blueprint {
            arguments: arguments.map(str::to_owned).to_vec(),
            environment: BTreeMap::from(environment.map(|(name, value)| (name.to_owned(), value.to_owned()))),
            addresses: vec![format!("{}/minio/health/ready", self.s3.url)],
            isolated: false,
        }
    }
}

/// Writes the certificate under the names that MinIO looks for, and gives that of its authority.
fn write_certificate(folder: &Path) -> Result<String, Error> {
    let authority = Authority::new("drover-testbed-minio").context(MakeCertificateSnafu)?;
    let identity = authority.server(&["localhost", "127.0.0.1"]).context(MakeCertificateSnafu)?;
    for (name, text) in [("public.crt", &identity.certificate), ("private.key", &identity.key)] {
        let path = folder.join(name);
        std::fs::write(&path, text).context(WriteFileSnafu { path })?;
    }
    Ok(authority.certificate())
}
