use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an archive lies; without `s3` it is the default location, a volume.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageLocation {
    /// A bucket of S3 or of a service that speaks its protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Location>,
}

/// A folder in a bucket, and how to reach it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Location {
    /// Name of the bucket, which must exist.
    pub bucket_name: String,
    /// Host and port, with `http://` or `https://` in front where it matters (https without); empty or missing: AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Base64 of a PEM certificate that is trusted besides the system's roots, for this location alone.
    #[serde(default, rename = "endpointCA", skip_serializing_if = "Option::is_none")]
    pub endpoint_ca: Option<String>,
    /// Accept any certificate, for this location alone.
    #[serde(default, rename = "insecureTLSSkipVerify", skip_serializing_if = "Option::is_none")]
    pub insecure_tls_skip_verify: Option<bool>,
    /// Name of the Secret with `accessKey` and `secretKey`; without it the credentials are the pod's own (IAM role).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_secret_name: Option<String>,
    /// Namespace of that Secret; drover's own where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_secret_namespace: Option<String>,
    /// Region of the bucket; `us-east-1` where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Folder within the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Further settings of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_config: Option<ClientConfig>,
}

impl S3Location {
    /// Namespace and name of the Secret with the credentials, where one is named; one without a namespace lies in drover's
    /// `own`.
    #[must_use]
    pub fn credential_secret<'a>(&'a self, own: &'a str) -> Option<(&'a str, &'a str)> {
        let given = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        let name = given(&self.credential_secret_name)?;
        Some((given(&self.credential_secret_namespace).unwrap_or(own), name))
    }
}

/// Settings that concern how a bucket is addressed.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientConfig {
    /// Settings for AWS alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsConfig>,
    /// How the bucket is addressed: "auto", "dns" (in the host name) or "path".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub bucket_lookup: Option<BucketLookup>,
}

/// Settings for AWS alone.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsConfig {
    /// Use the endpoints that answer over IPv6 too.
    #[serde(default = "dual_stack")]
    #[schemars(required)]
    pub dual_stack: bool,
}

const fn dual_stack() -> bool {
    true
}

/// How a bucket is addressed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BucketLookup {
    /// In the host name.
    Dns,
    /// In the path.
    Path,
    /// In the host name at AWS, Google and Alibaba, in the path elsewhere; so is any other word read, which the schema of
    /// Rancher's resources admits: one would keep all Backups from being listed.
    #[default]
    #[serde(other)]
    Auto,
}

/// A place for further copies of archives, besides that of the Backup.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.s3) != has(self.local)", "message": "name either s3 or local"}
]))]
pub struct FurtherLocation {
    /// What the copies are called by, in BackupRuns and events: lower-case letters, digits and hyphens; not `default`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self != 'default'", "message": "default is the place that the Backup itself names"}
    ]))]
    pub name: String,
    /// A bucket of S3 or of a service that speaks its protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Location>,
    /// A volume that is mounted into the pods of drover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalLocation>,
}

/// A volume that is mounted into the pods of drover.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalLocation {
    /// Name of the volume, as the component `further-volume` mounts it; without it the default volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub volume: Option<String>,
}

/// How the service of a bucket encrypts what it stores.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerSideEncryption {
    /// `AES256`: keys of the service; `aws:kms`: a key of its key management.
    pub algorithm: ServerSideAlgorithm,
    /// The key of the key management: its id or ARN; without it the service's default one.
    #[serde(default, rename = "kmsKeyID", skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// Algorithms of [`ServerSideEncryption`], by their names in the protocol of S3.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ServerSideAlgorithm {
    /// AES-256 with keys of the service.
    #[serde(rename = "AES256")]
    Aes256,
    /// With a key of the service's key management.
    #[serde(rename = "aws:kms")]
    Kms,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_without_a_namespace_lies_in_drovers_own() {
        let (some, empty) = (|text: &str| Some(text.to_owned()), || Some(String::new()));
        for (name, namespace, expected) in [
            (some("keys"), some("vault"), Some(("vault", "keys"))),
            (some("keys"), empty(), Some(("home", "keys"))),
            (some("keys"), None, Some(("home", "keys"))),
            (empty(), some("vault"), None),
            (None, some("vault"), None),
        ] {
            let (credential_secret_name, credential_secret_namespace) = (name, namespace);
            let s3 = S3Location { credential_secret_name, credential_secret_namespace, ..S3Location::default() };
            assert_eq!(s3.credential_secret("home"), expected, "{s3:?}");
        }
    }

    #[test]
    fn a_word_for_no_way_to_address_a_bucket_is_auto() {
        use BucketLookup::{Auto, Dns, Path};
        for (word, expected) in [("auto", Auto), ("dns", Dns), ("path", Path), ("Path", Auto), ("", Auto)] {
            let read: ClientConfig = serde_json::from_value(serde_json::json!({"bucketLookup": word})).unwrap();
            assert_eq!(read.bucket_lookup, Some(expected), "{word:?}");
        }
    }
}
