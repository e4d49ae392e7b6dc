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
    /// In the host name at AWS, Google and Alibaba, in the path elsewhere.
    #[default]
    Auto,
    /// In the host name.
    Dns,
    /// In the path.
    Path,
}
