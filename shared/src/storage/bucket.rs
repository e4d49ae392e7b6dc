//! Archives in a bucket of S3 or of a service that speaks its protocol.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::meta::region::RegionProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, ProvideCredentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::ServerSideEncryption as Algorithm;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use snafu::ResultExt;
use tokio_util::task::TaskTracker;

use super::endpoint::Endpoint;
use super::error::{BuildSnafu, FindCredentialsSnafu, GetCredentialsSnafu, OpenError, ReachSnafu, Reason};
use super::http::{BuildProblem, Client as HttpClient, IDLE_TIMEOUT};
use super::location::S3Settings;
use super::parts::UploadSizes;
use super::refusal::{Permission, Refusal, region_of};
use super::tls::Trust;
use crate::digest::Sha256;
use crate::resources::{ServerSideAlgorithm, ServerSideEncryption};

mod beside;
mod forgotten;
mod read;
mod remove;
mod upload;

/// The region where none is set and the service names none.
const DEFAULT_REGION: &str = "us-east-1";

/// How long one try of a request may take. 64 MiB fit into it at 75 kB/s; silence ends a try much earlier.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(15);

/// A folder in a bucket, and a client that reaches it.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    client: aws_sdk_s3::Client,
    name: String,
    /// What stands before an archive's name in its key.
    prefix: String,
    /// The place, for people.
    place: String,
    takes_digests: bool,
    sizes: UploadSizes,
    encryption: Option<ServerSideEncryption>,
    /// Removes what uploads that were cut off left.
    cleaning: TaskTracker,
}

impl Bucket {
    /// Makes a client; where the location names no region, the service is asked for it.
    pub(super) async fn open(settings: &S3Settings, sizes: UploadSizes) -> Result<Self, OpenError> {
        let place = settings.to_string();
        let http = HttpClient::new(&settings.trust).context(BuildSnafu { place: &place })?;
        let credentials = credentials(settings, &place).await?;
        let connect = |region: &str| {
            aws_sdk_s3::Client::from_conf(configuration(settings, http.clone(), credentials.clone(), region))
        };
        let mut client = connect(settings.region.as_deref().unwrap_or(DEFAULT_REGION));
        if settings.region.is_none()
            && let Some(region) = region_of_bucket(&client, settings).await.context(ReachSnafu { place: &place })?
        {
            client = connect(&region);
        }
        Ok(Self {
            client,
            name: settings.bucket.clone(),
            prefix: settings.prefix(),
            place,
            takes_digests: settings.endpoint.takes_amazon_digests(),
            sizes,
            encryption: settings.encryption.clone(),
            cleaning: TaskTracker::new(),
        })
    }

    /// The same bucket over connections of its own: those of before may lead to a server or proxy that gives wrong bytes.
    pub(super) fn anew(&self, trust: &Trust) -> Result<Self, BuildProblem> {
        let configuration = self.client.config().to_builder().http_client(HttpClient::new(trust)?).build();
        Ok(Self { client: aws_sdk_s3::Client::from_conf(configuration), ..self.clone() })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The digest of a body for the service to check, where it takes one.
    fn announced(&self, sha256: Sha256) -> Option<String> {
        self.takes_digests.then(|| sha256.to_s3())
    }

    /// What requests say about the encryption by the service: its algorithm, and a key.
    fn encryption(&self) -> (Option<Algorithm>, Option<String>) {
        let Some(ServerSideEncryption { algorithm, kms_key_id }) = &self.encryption else { return (None, None) };
        match algorithm {
            ServerSideAlgorithm::Aes256 => (Some(Algorithm::Aes256), None),
            ServerSideAlgorithm::Kms => (Some(Algorithm::AwsKms), kms_key_id.clone()),
        }
    }

    /// Waits until what uploads that were cut off left is removed.
    pub(super) async fn settle(&self) {
        self.cleaning.close();
        self.cleaning.wait().await;
        self.cleaning.reopen();
    }
}

/// The credentials of the location, or else the pod's own: environment, profile, web identity (IRSA), the container's
/// and the machine's role.
async fn credentials(settings: &S3Settings, place: &str) -> Result<SharedCredentialsProvider, OpenError> {
    if let Some(keys) = &settings.credentials {
        let keys = Credentials::new(keys.access_key(), keys.secret_key(), None, None, "Secret");
        return Ok(SharedCredentialsProvider::new(keys));
    }
    // These services are Amazon's, so what the location says about trust does not concern them.
    let http = HttpClient::new(&Trust::System).context(BuildSnafu { place })?;
    let region = RegionProviderChain::first_try(settings.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(DEFAULT_REGION);
    let provider = ProviderConfig::without_region().with_http_client(http);
    // Elsewhere than at Amazon nothing answers at the metadata service's address, so it is tried once.
    let metadata = imds::Client::builder().configure(&provider).max_attempts(1).build();
    let chain = DefaultCredentialsChain::builder().configure(provider).region(region).imds_client(metadata);
    let chain = chain.build().await;
    match chain.provide_credentials().await {
        Ok(_) => Ok(SharedCredentialsProvider::new(chain)),
        Err(source @ (CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_))) => {
            Err(source).context(FindCredentialsSnafu { place })
        }
        Err(source) => Err(source).context(GetCredentialsSnafu { place }),
    }
}

fn configuration(
    settings: &S3Settings,
    http: HttpClient,
    credentials: SharedCredentialsProvider,
    region: &str,
) -> aws_sdk_s3::Config {
    let timeouts = TimeoutConfig::builder().read_timeout(IDLE_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
    let builder = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .credentials_provider(credentials)
        .region(Region::new(region.to_owned()))
        .force_path_style(settings.path_style)
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts.build())
        // The client under the SDK measures silence itself, with a limit that a slow disk behind MinIO keeps.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // The digests that the SDK adds by itself are trailers of a chunked body, which many services refuse. drover
        // knows the SHA-256 beforehand and gives it as a header, and reads every archive back.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    match &settings.endpoint {
        Endpoint::Amazon { .. } => builder.use_dual_stack(settings.dual_stack),
        Endpoint::Url(url) => builder.endpoint_url(url.to_string()),
    }
    .build()
}

/// The region that the service names in its answers, whatever else it answers; an error when there is no answer.
async fn region_of_bucket(client: &aws_sdk_s3::Client, settings: &S3Settings) -> Result<Option<String>, Reason> {
    match client.head_bucket().bucket(&settings.bucket).send().await {
        Ok(answer) => Ok(answer.bucket_region().map(str::to_owned)),
        Err(error @ SdkError::ServiceError(_)) => Ok(region_of(&error)),
        Err(error) => Err(Refusal::of(&error, Permission::ListBucket).into()),
    }
}
