//! What a user of the S3 servers needs.

mod connector;

use std::fmt;

use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::{Client, Config};

use self::connector::Connector;

/// An S3 server of a testbed.
#[derive(Clone)]
pub struct S3 {
    /// Address and port, without a scheme, as a Backup's `s3.endpoint` has it.
    pub endpoint: String,
    /// The same with its scheme.
    pub url: String,
    /// The access key, made for this testbed.
    pub access_key: String,
    /// The secret key, made for this testbed.
    pub secret_key: String,
    /// The certificate of the authority that vouches for an https server, in PEM.
    pub ca_pem: Option<String>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("S3").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Credentials that end by themselves and may do less than those that they were made with.
#[derive(Clone)]
pub struct Session {
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
    /// What has to go with them.
    pub token: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Session")
    }
}

impl S3 {
    /// Credentials that may do only what a policy, in JSON, lets them. MinIO alone makes these.
    ///
    /// # Errors
    /// What the server says.
    pub async fn session(&self, policy: &str) -> Result<Session, Box<dyn std::error::Error + Send + Sync>> {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .region(aws_sdk_sts::config::Region::from_static("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new(&self.access_key, &self.secret_key, None, None, "testbed"))
            .http_client(Connector::new(self.ca_pem.as_deref())?)
            .build();
        let request = aws_sdk_sts::Client::from_conf(config).assume_role().policy(policy);
        // MinIO reads neither, and the protocol wants both.
        let request = request.role_arn("arn:minio:iam:::role/testbed").role_session_name("testbed");
        let answer = request.send().await?;
        let keys = answer.credentials.ok_or("the answer holds no credentials")?;
        Ok(Session { access_key: keys.access_key_id, secret_key: keys.secret_access_key, token: keys.session_token })
    }

    /// A client of the server; it belongs to the async runtime that it is used in first.
    ///
    /// # Errors
    /// When the certificate of the authority is none.
    pub fn client(&self) -> Result<Client, reqwest::Error> {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(&self.url)
            .force_path_style(true)
            .credentials_provider(Credentials::new(&self.access_key, &self.secret_key, None, None, "testbed"))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(Connector::new(self.ca_pem.as_deref())?)
            .build();
        Ok(Client::from_conf(config))
    }
}
