//! Which place a Backup or a Restore means.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use snafu::{OptionExt, ResultExt, Snafu, ensure};

use super::endpoint::{Endpoint, EndpointProblem};
use super::name::{FolderProblem, normalise_folder};
use super::tls::{CertificateProblem, Trust, parse_certificates};
use crate::exit::{Exit, Fault};
use crate::resources::{
    BucketLookup, FurtherLocation, LocalLocation, S3Location, ServerSideEncryption, StorageLocation,
};

/// Why a location cannot be used; all of them are for the user to correct.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum LocationError {
    #[snafu(display("failed to read `endpoint` of the storage location"))]
    ReadEndpoint { source: EndpointProblem },
    #[snafu(display(
        "failed to use {bucket:?} as `bucketName` of the storage location: a bucket's name has 3 to 63 letters, digits, \
         dots, hyphens and underscores"
    ))]
    UseBucket { bucket: String },
    #[snafu(display("failed to use {folder:?} as `folder` of the storage location"))]
    UseFolder { folder: String, source: FolderProblem },
    #[snafu(display("failed to use the folder {folder:?} of `backupFilename`"))]
    UseSubfolder { folder: String, source: FolderProblem },
    #[snafu(display("failed to use {region:?} as `region` of the storage location: write it as in \"eu-central-1\""))]
    UseRegion { region: String },
    #[snafu(display(
        "failed to read `endpointCA` of the storage location: it must be the base64 of a certificate in PEM"
    ))]
    ReadCertificate { source: CertificateProblem },
    #[snafu(display(
        "failed to find the Secret {secret:?} with the credentials of the storage location; create it with the keys \
         `accessKey` and `secretKey`, or correct `credentialSecretName` and `credentialSecretNamespace`"
    ))]
    FindSecret { secret: String },
    #[snafu(display("failed to find `{key}` in the Secret {secret:?}; it needs the keys `accessKey` and `secretKey`"))]
    FindSecretKey { secret: String, key: &'static str },
    #[snafu(display("failed to use the place {name:?}: it names {what}; name either `s3` or `local`"))]
    ChoosePlace {
        name: String,
        /// Both or neither.
        what: &'static str,
    },
    #[snafu(display(
        "failed to use {volume:?} as `local.volume` of the place {name:?}: a volume's name has 1 to 63 lower-case \
         letters, digits and hyphens, the hyphens inside"
    ))]
    UseVolume { name: String, volume: String },
    #[snafu(display(
        "failed to read `{key}` in the Secret {secret:?}: it is not plain text; was it encoded with base64 twice, or from \
         another file?"
    ))]
    ReadSecretKey { secret: String, key: &'static str },
}

impl Fault for LocationError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// The keys for a bucket. What it holds is never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    access_key: String,
    secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials")
    }
}

impl Credentials {
    /// Credentials from the two keys.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into() }
    }

    /// Reads `accessKey` and `secretKey` of a Secret's `data`; white space around them, as a line break that `echo`
    /// appended, does not count.
    ///
    /// # Errors
    /// Names the Secret and the key that is missing, empty or not printable ASCII; never its value.
    pub fn from_secret(secret: &str, data: &BTreeMap<String, ByteString>) -> Result<Self, LocationError> {
        let read = |key: &'static str| {
            let ByteString(bytes) = data.get(key).context(FindSecretKeySnafu { secret, key })?;
            let value = bytes.trim_ascii();
            ensure!(!value.is_empty(), FindSecretKeySnafu { secret, key });
            // The keys go into a header; a control character there would be refused later and less clearly.
            ensure!(value.iter().all(u8::is_ascii_graphic), ReadSecretKeySnafu { secret, key });
            Ok(String::from_utf8_lossy(value).into_owned())
        };
        Ok(Self { access_key: read("accessKey")?, secret_key: read("secretKey")? })
    }

    pub(super) fn access_key(&self) -> &str {
        &self.access_key
    }

    pub(super) fn secret_key(&self) -> &str {
        &self.secret_key
    }
}

/// A folder in a bucket, and all that is needed to reach it.
#[derive(Clone, Debug)]
pub struct S3Settings {
    pub(super) endpoint: Endpoint,
    pub(super) bucket: String,
    /// Without slashes at its ends; empty is the whole bucket.
    pub(super) folder: String,
    pub(super) region: Option<String>,
    pub(super) path_style: bool,
    pub(super) dual_stack: bool,
    pub(super) trust: Trust,
    /// `None`: the pod's own.
    pub(super) credentials: Option<Credentials>,
    /// `None`: as the bucket does by itself.
    pub(super) encryption: Option<ServerSideEncryption>,
}

impl S3Settings {
    /// Checks an S3 location; `secret` is the `data` of the Secret that it names, if it names one.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn resolve(
        location: &S3Location,
        secret: Option<&BTreeMap<String, ByteString>>,
    ) -> Result<Self, LocationError> {
        let endpoint = Endpoint::parse(location.endpoint.as_deref()).context(ReadEndpointSnafu)?;
        let bucket = checked_bucket(&location.bucket_name)?;
        let folder = location.folder.as_deref().unwrap_or_default();
        let client = location.client_config.clone().unwrap_or_default();
        Ok(Self {
            folder: normalise_folder(folder).context(UseFolderSnafu { folder })?,
            region: checked_region(location.region.as_deref())?.or_else(|| endpoint.region()),
            path_style: endpoint.path_style(&bucket, client.bucket_lookup.unwrap_or(BucketLookup::Auto)),
            // The operator's client uses both address families unless told not to.
            dual_stack: client.aws.is_none_or(|aws| aws.dual_stack),
            trust: trust(location, &endpoint)?,
            credentials: credentials(location, secret)?,
            encryption: None,
            endpoint,
            bucket,
        })
    }

    /// What stands before an archive's name in its key: the folder and a slash, or nothing.
    pub(super) fn prefix(&self) -> String {
        if self.folder.is_empty() { String::new() } else { format!("{}/", self.folder) }
    }
}

impl fmt::Display for S3Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.prefix())
    }
}

fn checked_bucket(bucket: &str) -> Result<String, LocationError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    // The name becomes part of a host name or of a path, where `..` would mean another place.
    let readable = (3..=63).contains(&bucket.len()) && bucket.bytes().all(allowed) && !bucket.contains("..");
    ensure!(readable, UseBucketSnafu { bucket });
    Ok(bucket.to_owned())
}

fn checked_region(region: Option<&str>) -> Result<Option<String>, LocationError> {
    let Some(region) = region.map(str::trim).filter(|region| !region.is_empty()) else { return Ok(None) };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    ensure!(region.len() <= 63 && region.bytes().all(allowed), UseRegionSnafu { region });
    Ok(Some(region.to_owned()))
}

/// A certificate that cannot be read is an error even where it is not needed, so that nobody finds out at the next edit.
fn trust(location: &S3Location, endpoint: &Endpoint) -> Result<Trust, LocationError> {
    let text = location.endpoint_ca.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let certificates = text.map(parse_certificates).transpose().context(ReadCertificateSnafu)?;
    let encrypted = match endpoint {
        Endpoint::Amazon { .. } => true,
        Endpoint::Url(url) => url.encrypted,
    };
    Ok(match certificates {
        _ if !encrypted => Trust::Nobody,
        _ if location.insecure_tls_skip_verify == Some(true) => Trust::Anyone,
        Some(certificates) => Trust::SystemAnd(certificates),
        None => Trust::System,
    })
}

fn credentials(
    location: &S3Location,
    secret: Option<&BTreeMap<String, ByteString>>,
) -> Result<Option<Credentials>, LocationError> {
    let Some(name) = location.credential_secret_name.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let data = secret.context(FindSecretSnafu { secret: name })?;
    Credentials::from_secret(name, data).map(Some)
}

/// Where archives lie.
#[derive(Clone, Debug)]
pub enum Location {
    /// A folder of this machine, where a volume is mounted.
    Folder(PathBuf),
    /// A folder in a bucket.
    S3(S3Settings),
}

impl Location {
    /// The place that `location` means: its bucket, or `default_folder` where it names none.
    ///
    /// `secret` is the `data` of the Secret that the location names, if it names one.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn resolve(
        location: Option<&StorageLocation>,
        default_folder: &Path,
        secret: Option<&BTreeMap<String, ByteString>>,
    ) -> Result<Self, LocationError> {
        match location.and_then(|location| location.s3.as_ref()) {
            Some(s3) => S3Settings::resolve(s3, secret).map(Self::S3),
            None => Ok(Self::Folder(default_folder.to_owned())),
        }
    }

    /// The place that a further location means: its bucket, the volume of that name under `volumes_folder`, or
    /// `default_folder` where it names no volume.
    ///
    /// `secret` is the `data` of the Secret that the location names, if it names one.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub(crate) fn resolve_further(
        location: &FurtherLocation,
        default_folder: &Path,
        volumes_folder: &Path,
        secret: Option<&BTreeMap<String, ByteString>>,
    ) -> Result<Self, LocationError> {
        let name = &location.name;
        match (&location.s3, &location.local) {
            (Some(s3), None) => S3Settings::resolve(s3, secret).map(Self::S3),
            (None, Some(LocalLocation { volume: None })) => Ok(Self::Folder(default_folder.to_owned())),
            (None, Some(LocalLocation { volume: Some(volume) })) => {
                ensure!(is_label(volume), UseVolumeSnafu { name, volume });
                Ok(Self::Folder(volumes_folder.join(volume)))
            }
            (Some(_), Some(_)) => ChoosePlaceSnafu { name, what: "both `s3` and `local`" }.fail(),
            (None, None) => ChoosePlaceSnafu { name, what: "neither `s3` nor `local`" }.fail(),
        }
    }

    /// This place, where the service of a bucket encrypts what it stores in this way; a folder has no service to do it.
    #[must_use]
    pub fn encrypted(mut self, encryption: Option<ServerSideEncryption>) -> Self {
        if let Self::S3(settings) = &mut self {
            settings.encryption = encryption;
        }
        self
    }

    /// A folder in this place; the place itself where the folder names none.
    ///
    /// # Errors
    /// When it leads out of the place.
    pub fn within(self, folder: &str) -> Result<Self, LocationError> {
        let inner = normalise_folder(folder).context(UseSubfolderSnafu { folder })?;
        if inner.is_empty() {
            return Ok(self);
        }
        Ok(match self {
            Self::Folder(path) => Self::Folder(path.join(inner)),
            Self::S3(settings) => {
                let both = format!("{}/{inner}", settings.folder);
                let both = normalise_folder(&both).context(UseSubfolderSnafu { folder })?;
                Self::S3(S3Settings { folder: both, ..settings })
            }
        })
    }

    /// The word for `status.storageLocation` of a Backup.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Folder(_) => "PV",
            Self::S3(_) => "S3",
        }
    }
}

/// Whether a location names a bucket by itself; one that does not may still mean the default bucket.
pub(crate) fn names_bucket(location: Option<&StorageLocation>) -> bool {
    location.is_some_and(|location| location.s3.is_some())
}

/// Whether it is a label of DNS, as the names of volumes are; it cannot lead out of a folder.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(formatter, "{}", path.display()),
            Self::S3(settings) => settings.fmt(formatter),
        }
    }
}

#[cfg(test)]
#[path = "location_tests.rs"]
mod tests;
