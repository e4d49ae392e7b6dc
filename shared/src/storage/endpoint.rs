//! Which service a location means: Amazon's own, or a URL; and how a bucket is addressed there.
//!
//! The rules follow minio-go 7 (`s3utils`), the client of the Rancher backup operator, so that its users' manifests
//! reach the same place.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use snafu::{ResultExt, Snafu, ensure};

use crate::resources::BucketLookup;

/// Why an endpoint cannot be used.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum EndpointProblem {
    #[snafu(display("{scheme:?} is not spoken: write `http://`, `https://`, or nothing for https"))]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// More than host and port; what else it holds may be a secret and is not printed.
    #[snafu(display("it holds {what}: write only host and port; {hint}"))]
    More { what: &'static str, hint: &'static str },
    #[snafu(display("it is not a host name with an optional port from 1 to 65535"))]
    Host { source: <Url as FromStr>::Err },
    /// White space or a control character, which a URL would lose, or port 0.
    #[snafu(display("it is not a host name with an optional port from 1 to 65535"))]
    Character,
}

/// Where a bucket's service answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Endpoint {
    /// Amazon S3 itself: the SDK makes the host name from the region.
    Amazon {
        /// The region that the host name names.
        region: Option<String>,
    },
    /// A service at a URL.
    Url(ServiceUrl),
}

/// Scheme, host and port of a service, spelled as the client under the SDK sends them: a request is signed for this host, and
/// fits no other spelling of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ServiceUrl {
    /// Whether the connection is encrypted.
    pub(super) encrypted: bool,
    host: String,
    /// None where it is that of the scheme.
    port: Option<u16>,
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", scheme(self.encrypted), self.host)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

const fn scheme(encrypted: bool) -> &'static str {
    if encrypted { "https" } else { "http" }
}

impl Endpoint {
    /// Reads an endpoint: host and port in any spelling that a URL allows, with an optional scheme; nothing is Amazon.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, EndpointProblem> {
        let text = text.unwrap_or_default().trim();
        if text.is_empty() {
            return Ok(Self::Amazon { region: None });
        }
        let (encrypted, rest) = split_scheme(text)?;
        let rest = rest.trim_end_matches('/');
        refuse_more_than_host(rest)?;
        ensure!(!rest.contains(|c: char| c.is_whitespace() || c.is_control()), CharacterSnafu);
        let url = Url::parse(&format!("{}://{rest}", scheme(encrypted))).context(HostSnafu)?;
        ensure!(url.port() != Some(0), CharacterSnafu);
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self::of(ServiceUrl { encrypted, host, port: url.port() }))
    }

    /// Amazon's standard hosts become [`Endpoint::Amazon`], so that region and dual stack choose the host, as in
    /// minio-go; its special ones (FIPS, PrivateLink, acceleration) stay what the user wrote.
    fn of(url: ServiceUrl) -> Self {
        match amazon_host(url.host()) {
            Some(host) if host.standard && url.encrypted && url.port.is_none() => Self::Amazon { region: host.region },
            _ => Self::Url(url),
        }
    }

    /// The region that the host name tells.
    pub(super) fn region(&self) -> Option<String> {
        match self {
            Self::Amazon { region } => region.clone(),
            Self::Url(url) => amazon_host(url.host()).and_then(|host| host.region),
        }
    }

    /// Whether the service is known to take what Amazon does: any but Google's and Alibaba's.
    ///
    /// Those two have digest headers of their own.
    pub(super) fn takes_amazon_digests(&self) -> bool {
        match self {
            Self::Amazon { .. } => true,
            Self::Url(url) => !url.is_google() && !url.is_alibaba(),
        }
    }

    /// Whether the bucket's name goes into the path of the URL and not into the host name.
    pub(super) fn path_style(&self, bucket: &str, lookup: BucketLookup) -> bool {
        match lookup {
            BucketLookup::Path => true,
            BucketLookup::Dns => false,
            BucketLookup::Auto => !self.virtual_host(bucket),
        }
    }

    fn virtual_host(&self, bucket: &str) -> bool {
        match self {
            // A dot in the bucket's name would be one level more than a wildcard certificate covers.
            Self::Amazon { .. } => !bucket.contains('.'),
            // The operator asks for the host name wherever the endpoint says "aliyun", dots or not.
            Self::Url(url) if url.host().contains("aliyun") => true,
            Self::Url(url) if url.encrypted && bucket.contains('.') => false,
            Self::Url(url) => url.is_google() || url.is_alibaba() || amazon_host(url.host()).is_some(),
        }
    }
}

impl ServiceUrl {
    fn host(&self) -> &str {
        &self.host
    }

    fn is_google(&self) -> bool {
        self.host() == "storage.googleapis.com"
    }

    fn is_alibaba(&self) -> bool {
        self.host().ends_with("aliyuncs.com")
    }
}

fn split_scheme(text: &str) -> Result<(bool, &str), EndpointProblem> {
    match text.split_once("://") {
        None => Ok((true, text)),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => Ok((true, rest)),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Ok((false, rest)),
        Some((scheme, _)) => SchemeSnafu { scheme }.fail(),
    }
}

/// Refuses what a URL may hold besides host and port, without printing it.
fn refuse_more_than_host(rest: &str) -> Result<(), EndpointProblem> {
    let table = [
        ('@', "a user name", "credentials belong into the Secret named by `credentialSecretName`"),
        ('?', "a query", "there is no setting for one"),
        ('#', "a fragment", "there is no setting for one"),
        ('/', "a path", "the bucket belongs into `bucketName`, a folder into `folder`"),
        ('\\', "a backslash", "there is no setting for one"),
    ];
    match table.into_iter().find(|(character, ..)| rest.contains(*character)) {
        Some((_, what, hint)) => MoreSnafu { what, hint }.fail(),
        None => Ok(()),
    }
}

struct AmazonHost {
    region: Option<String>,
    /// One that the SDK would make itself from the region.
    standard: bool,
}

/// What a host name of Amazon S3 tells, in lower case; `None` for any other host.
fn amazon_host(host: &str) -> Option<AmazonHost> {
    if host == "s3.amazonaws.com" {
        return Some(AmazonHost { region: None, standard: true });
    }
    if host == "s3-external-1.amazonaws.com" {
        return Some(AmazonHost { region: None, standard: false });
    }
    if let Some(name) = host.strip_suffix(".amazonaws.com.cn") {
        let region = name.strip_prefix("s3.dualstack.").or_else(|| name.strip_prefix("s3."))?;
        return region.starts_with("cn").then(|| AmazonHost { region: Some(region.to_owned()), standard: true });
    }
    let name = host.strip_suffix(".amazonaws.com")?;
    if let Some(link) = name.strip_suffix(".vpce") {
        let region = link.rsplit_once(".s3.").filter(|(name, _)| name.contains("vpce-")).map(|(_, region)| region)?;
        return Some(AmazonHost { region: Some(region.to_owned()), standard: false });
    }
    let special = ["s3-fips.dualstack.", "s3-fips."].iter().find_map(|prefix| name.strip_prefix(prefix));
    let standard = || ["s3.dualstack.", "s3-", "s3."].iter().find_map(|prefix| name.strip_prefix(prefix));
    let region = special.or_else(standard).filter(|region| !region.is_empty() && !region.contains('.'))?;
    // Acceleration has a host without a region.
    let accelerated = region.starts_with("accelerate");
    Some(AmazonHost { region: (!accelerated).then(|| region.to_owned()), standard: special.is_none() && !accelerated })
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
