//! Why a service of S3 did not do what was asked, told from what it or the connection said.
//!
//! The SDK prints "service error" for anything a service refuses, and its debug output holds requests and responses
//! whole; here only the kind, the service's code and its message are kept.

use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;

use aws_sdk_s3::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::http::{Stalled, Unreached, causes};
use crate::exit::Exit;

/// The longest message of a service that is passed on, in characters.
const LONGEST_MESSAGE: usize = 400;

/// What drover asks of a service, named by the permission that it needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// Reading an object.
    GetObject,
    /// Writing an object.
    PutObject,
    /// Deleting an object.
    DeleteObject,
    /// Listing the bucket; without it a service says "access denied" for an object that is not there.
    ListBucket,
    /// Listing uploads that were cut off.
    ListMultipartUploads,
    /// Removing what an upload that was cut off left.
    AbortMultipartUpload,
}

impl fmt::Display for Permission {
    /// The name in a policy; "Actions defined by Amazon S3".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::GetObject => "s3:GetObject",
            Self::PutObject => "s3:PutObject",
            Self::DeleteObject => "s3:DeleteObject",
            Self::ListBucket => "s3:ListBucket",
            Self::ListMultipartUploads => "s3:ListBucketMultipartUploads",
            Self::AbortMultipartUpload => "s3:AbortMultipartUpload",
        })
    }
}

/// The kinds of refusal that have an advice of their own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RefusalKind {
    /// The bucket does not exist.
    NoBucket,
    /// The object does not exist.
    NoObject,
    /// The upload does not exist, or no longer.
    NoUpload,
    /// The credentials may not do this.
    Denied(Permission),
    /// A lock or a retention of the service keeps the object.
    Locked,
    /// The access key is unknown.
    AccessKey,
    /// The secret key does not fit the access key.
    SecretKey,
    /// A token has expired.
    Expired,
    /// The bucket is in another region; which one, where the service tells.
    Region(Option<String>),
    /// This machine's clock or the service's is wrong.
    Clock,
    /// What arrived has another digest than was announced.
    Digest,
    /// The service or the bucket's quota has no room.
    Full,
    /// The service's certificate is not trusted.
    Untrusted,
    /// `http://` to a port that speaks TLS.
    PlainToTls,
    /// `https://` to a port that does not speak TLS.
    TlsToPlain,
    /// The proxy on the way wants a name and a password, or others.
    Proxy,
    /// The host name is unknown.
    UnknownHost,
    /// Nothing listens at the address.
    ConnectionRefused,
    /// No answer in time.
    Silent,
    /// The service or the connection broke off.
    Away,
    /// Something else answers there.
    NotS3,
    /// Anything else.
    Other,
}

/// Why a service did not do what was asked.
#[derive(Clone, Debug)]
pub struct Refusal {
    kind: RefusalKind,
    detail: String,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.advice(), self.detail)
    }
}

impl RefusalKind {
    /// The kind in words, and what to do about it.
    fn advice(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Denied(permission) => {
                return format!("the credentials may not do this; they need the permission {permission}").into();
            }
            Self::Region(Some(region)) => {
                return format!("the bucket is in the region {region:?}; write that into `region`").into();
            }
            Self::NoBucket => "the bucket does not exist; create it, or correct `bucketName` or `endpoint`",
            Self::NoObject => "there is no such archive; check its name, `folder` and `bucketName`",
            Self::NoUpload => "the upload is gone; another one may have removed it",
            Self::Locked => "a lock of the bucket keeps the archive",
            Self::AccessKey => "the service does not know the access key; check `accessKey` in the Secret",
            Self::SecretKey => "the secret key does not fit the access key; check `secretKey` in the Secret",
            Self::Expired => "the credentials have expired; renew them",
            Self::Region(None) => "the bucket is in another region; correct `region`",
            Self::Clock => "the clocks of this machine and of the service differ too much; set them right",
            Self::Digest => "what arrived is not what was sent",
            Self::Full => "the service has no room left; free some or raise the bucket's quota",
            Self::Untrusted => {
                "the service's certificate is not trusted; put the certificate of its authority into `endpointCA`, and \
                 use a host name that the certificate is for"
            }
            Self::PlainToTls => "the port speaks TLS; write `https://` in front of `endpoint`",
            Self::TlsToPlain => "the port does not speak TLS; if that is meant, write `http://` in front of `endpoint`",
            Self::Proxy => {
                "the proxy wants a name and a password; write them into `HTTPS_PROXY` as `http://name:password@host:port`, \
                 or the service into `NO_PROXY`"
            }
            Self::UnknownHost => "the host name is unknown; check `endpoint` and the cluster's DNS",
            Self::ConnectionRefused => "nothing listens there; check `endpoint`, proxies, and whether the service runs",
            Self::Silent => "the service did not answer in time; check `endpoint`, network policies and proxies",
            Self::Away => "the service is away or overloaded; it may answer later",
            Self::NotS3 => "what answers there does not speak S3; check `endpoint` and its port",
            Self::Other => "the service refused",
        })
    }
}

impl Refusal {
    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> &RefusalKind {
        &self.kind
    }

    /// How a job ends that this ends.
    pub(super) const fn exit(&self) -> Exit {
        match self.kind {
            RefusalKind::Full
            | RefusalKind::UnknownHost
            | RefusalKind::ConnectionRefused
            | RefusalKind::Silent
            | RefusalKind::Away => Exit::Unavailable,
            RefusalKind::Digest => Exit::DataRefused,
            RefusalKind::NoUpload | RefusalKind::Other => Exit::Failure,
            _ => Exit::Usage,
        }
    }

    /// Tells why a request that needs `permission` failed.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, permission: Permission) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(service) => Answer::read(service.err().meta(), service.raw()).refusal(permission),
            // What does not answer in XML: a proxy, or a server of another protocol.
            SdkError::ResponseError(response) => {
                Answer::read(&ErrorMetadata::builder().build(), response.raw()).refusal(permission)
            }
            SdkError::TimeoutError(_) => Self { kind: RefusalKind::Silent, detail: innermost(error) },
            SdkError::ConstructionFailure(_) => Self { kind: RefusalKind::Other, detail: innermost(error) },
            error => Self::of_connection(error),
        }
    }

    /// Tells why a connection failed.
    pub(super) fn of_connection(error: &(dyn std::error::Error + 'static)) -> Self {
        let kind = causes(error).find_map(kind_of_cause).unwrap_or(RefusalKind::Away);
        Self { kind, detail: innermost(error) }
    }

    /// Whether the place keeps what was to be removed: a lock, or a policy that denies it.
    pub(super) const fn retains(&self) -> bool {
        matches!(self.kind, RefusalKind::Locked | RefusalKind::Denied(_))
    }

    /// The service sent less than it said.
    pub(super) fn cut_off(got: u64, expected: u64) -> Self {
        Self { kind: RefusalKind::Away, detail: format!("the answer ended after {got} of {expected} bytes") }
    }

    /// The service's answer lacks what it must have.
    pub(super) fn incomplete(what: &str) -> Self {
        Self { kind: RefusalKind::NotS3, detail: format!("its answer has no {what}") }
    }
}

/// What a service answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    code: Option<String>,
    message: Option<String>,
    region: Option<String>,
    /// It says that it got plain HTTP where it speaks TLS, as servers in Go and nginx do.
    expects_tls: bool,
}

impl Answer {
    fn read(error: &ErrorMetadata, response: &HttpResponse) -> Self {
        let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
        let header = response.headers().get("x-amz-bucket-region").map(str::to_owned);
        Self {
            status: response.status().as_u16(),
            code: error.code().map(str::to_owned),
            message: error.message().map(str::to_owned),
            region: header.or_else(|| element(&body, "Region")).filter(|region| is_region(region)),
            expects_tls: ["HTTP request to an HTTPS server", "HTTP request was sent to HTTPS port"]
                .iter()
                .any(|text| body.contains(text)),
        }
    }

    fn refusal(self, permission: Permission) -> Refusal {
        let kind = self.kind(permission);
        let code = self.code.map(|code| format!(" {code}")).unwrap_or_default();
        let message = self.message.filter(|message| !message.is_empty()).map(|message| format!(": {message}"));
        let detail = format!("status {}{code}{}", self.status, message.unwrap_or_default());
        Refusal { kind, detail: detail.chars().take(LONGEST_MESSAGE).collect() }
    }

    /// Codes of "Error responses" of Amazon S3, and those that MinIO adds.
    fn kind(&self, permission: Permission) -> RefusalKind {
        match self.code.as_deref().unwrap_or_default() {
            "NoSuchBucket" => RefusalKind::NoBucket,
            "NoSuchKey" => RefusalKind::NoObject,
            "NoSuchUpload" => RefusalKind::NoUpload,
            "AccessDenied" | "AllAccessDisabled" => RefusalKind::Denied(permission),
            // Amazon answers "access denied"; these are what others say.
            "ObjectLocked" | "ObjectLockedByBucketPolicy" | "RetentionPolicyNotMet" => RefusalKind::Locked,
            "InvalidRequest" if self.message.as_deref().is_some_and(|message| message.contains("WORM")) => {
                RefusalKind::Locked
            }
            // The second is that of the Versity S3 Gateway.
            "InvalidAccessKeyId" | "XAdminUserNotFound" => RefusalKind::AccessKey,
            "SignatureDoesNotMatch" => RefusalKind::SecretKey,
            "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken" => RefusalKind::Expired,
            "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" | "InvalidRegion" => {
                RefusalKind::Region(self.region.clone())
            }
            "RequestTimeTooSkewed" => RefusalKind::Clock,
            "BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch" | "InvalidDigest" => {
                RefusalKind::Digest
            }
            "XMinioStorageFull" | "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded" | "StorageFull" => {
                RefusalKind::Full
            }
            "RequestTimeout" => RefusalKind::Silent,
            "SlowDown" | "InternalError" | "ServiceUnavailable" | "Throttling" | "SlowDownRead" | "SlowDownWrite" => {
                RefusalKind::Away
            }
            _ => self.kind_of_status(permission),
        }
    }

    fn kind_of_status(&self, permission: Permission) -> RefusalKind {
        match self.status {
            301 | 307 => RefusalKind::Region(self.region.clone()),
            400 if self.expects_tls => RefusalKind::PlainToTls,
            403 => RefusalKind::Denied(permission),
            407 => RefusalKind::Proxy,
            408 => RefusalKind::Silent,
            429 | 500 | 502..=504 => RefusalKind::Away,
            507 => RefusalKind::Full,
            // A service of S3 names its errors.
            _ if self.code.is_none() => RefusalKind::NotS3,
            _ => RefusalKind::Other,
        }
    }
}

/// The region that a service names in a header of any answer.
pub(super) fn region_of<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let region = error.raw_response()?.headers().get("x-amz-bucket-region")?;
    is_region(region).then(|| region.to_owned())
}

fn is_region(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The text of an element of a flat XML document.
fn element(body: &str, name: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(text, _)| text.to_owned())
}

fn kind_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<RefusalKind> {
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(kind_of_tls(error));
    }
    if cause.is::<Stalled>() {
        return Some(RefusalKind::Silent);
    }
    if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
        return error.is_dns().then_some(RefusalKind::UnknownHost);
    }
    if let Some(error) = cause.downcast_ref::<std::io::Error>() {
        return match error.kind() {
            ErrorKind::ConnectionRefused => Some(RefusalKind::ConnectionRefused),
            ErrorKind::TimedOut => Some(RefusalKind::Silent),
            _ => None,
        };
    }
    // The types of these are hyper's own and not ours to name.
    let text = cause.to_string();
    if text.ends_with("proxy authorization required") {
        return Some(RefusalKind::Proxy);
    }
    // An answer that is no HTTP: a TLS alert, for instance.
    (text == "invalid HTTP version parsed").then_some(RefusalKind::NotS3)
}

fn kind_of_tls(error: &rustls::Error) -> RefusalKind {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => RefusalKind::Untrusted,
        rustls::Error::InvalidMessage(_) => RefusalKind::TlsToPlain,
        _ => RefusalKind::NotS3,
    }
}

/// The text of the innermost cause, for the outer ones only say that a request failed; with the server that it was sent to.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let texts = causes(error).map(ToString::to_string).filter(|text| !text.is_empty());
    let text = texts.last().unwrap_or_default();
    let server = causes(error).find_map(|cause| cause.downcast_ref::<Unreached>());
    let text = server.map_or_else(|| text.clone(), |Unreached { host, .. }| format!("{host}: {text}"));
    text.chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
