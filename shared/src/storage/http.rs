//! The HTTP client under the SDK of S3: reqwest.
//!
//! The SDK's own client (`aws-smithy-http-client`) has no way to accept any certificate (aws-sdk-rust#1175) and knows no
//! proxies unless told, so the SDK's two traits are implemented here over the client that drover has anyway: one code
//! path for added certificates, skipped verification and the system's proxies.
//!
//! Bodies are passed on frame by frame in both directions, so memory does not grow with the archive.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use snafu::Snafu;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::tls::{Trust, install_tls_provider, with_certificates};
use crate::no_proxy::NoProxy;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be silent while something is due; a request of the SDK may say less.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// Why no client could be built.
#[derive(Debug, Snafu)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum BuildProblem {
    #[snafu(context(false), display("failed to set up TLS"))]
    Tls { source: rustls::Error },
    #[snafu(context(false), display("failed to set up the HTTP client; does the system have root certificates?"))]
    Client { source: reqwest::Error },
}

/// No byte went either way for too long.
#[derive(Debug, Snafu)]
#[snafu(display("nothing was sent or received for {} s", limit.as_secs_f32()))]
pub(super) struct Stalled {
    limit: Duration,
}

/// The server that did not answer, or broke off: the connection's own errors do not say which it was, or with a whole URL.
#[derive(Debug, Snafu)]
#[snafu(display("failed to reach {host}"))]
pub(super) struct Unreached {
    /// Its host and port.
    pub(super) host: String,
    source: Problem,
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

fn unreached(host: &str, problem: impl Into<Problem>) -> Problem {
    Box::new(Unreached { host: host.to_owned(), source: problem.into() })
}

/// Host and port of a URL.
fn host_of(url: &http::Uri) -> String {
    let host = url.host().unwrap_or_default();
    url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An HTTP client for one location; clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    outside: reqwest::Client,
    /// Goes past every proxy, for what `no_proxy` names.
    direct: reqwest::Client,
    /// Goes past every proxy, for the metadata services of a cloud, which only this machine can reach.
    link_local: reqwest::Client,
    no_proxy: Arc<NoProxy>,
}

impl fmt::Debug for Client {
    /// Says nothing more: reqwest would print its proxies, whose URLs may hold passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("storage::http::Client")
    }
}

impl Client {
    pub(super) fn new(trust: &Trust) -> Result<Self, BuildProblem> {
        install_tls_provider();
        let link_local = builder().tls_certs_only([]).no_proxy().build()?;
        let outside = with_trust(builder(), trust)?.build()?;
        let no_proxy = Arc::new(NoProxy::of_environment());
        let direct =
            if no_proxy.is_empty() { outside.clone() } else { with_trust(builder().no_proxy(), trust)?.build()? };
        Ok(Self { outside, direct, link_local, no_proxy })
    }

    /// The client that reaches a URL.
    fn toward(self, uri: &http::Uri) -> reqwest::Client {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        if is_link_local(uri) {
            self.link_local
        } else if self.no_proxy.names(uri.host().unwrap_or_default(), port) {
            self.direct
        } else {
            self.outside
        }
    }
}

fn builder() -> reqwest::ClientBuilder {
    // Redirects and retries are decided by the SDK: a followed redirect would carry a wrong signature. The client's own
    // read timeout counts from the begin of a request, which a slow upload outlasts, so silence is measured below.
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
}

fn with_trust(builder: reqwest::ClientBuilder, trust: &Trust) -> Result<reqwest::ClientBuilder, BuildProblem> {
    Ok(match trust {
        Trust::System => builder,
        Trust::SystemAnd(certificates) => builder.tls_backend_preconfigured(with_certificates(certificates)?),
        Trust::Anyone => builder.tls_danger_accept_invalid_certs(true),
        Trust::Nobody => builder.tls_certs_only([]),
    })
}

impl HttpClient for Client {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let idle = settings.read_timeout().unwrap_or(IDLE_TIMEOUT);
        SharedHttpConnector::new(Connector { client: self.clone(), idle })
    }
}

#[derive(Debug)]
struct Connector {
    client: Client,
    idle: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let idle = self.idle + time_to_drain(request.body().content_length().unwrap_or_default());
        HttpConnectorFuture::new(send(self.client.clone(), request, idle))
    }
}

/// How much longer than usual silence may last while `bytes` are sent: what the system has taken into its buffers is
/// not on the other side yet, and nothing is heard of it.
///
/// Linux takes up to 4 MiB (`net.ipv4.tcp_wmem`); a line of 32 KiB/s is as slow as a backup is worth waiting for.
fn time_to_drain(bytes: u64) -> Duration {
    const MOST_BUFFERED: u64 = 4 << 20;
    const SLOWEST: u64 = 32 << 10;
    Duration::from_secs(bytes.min(MOST_BUFFERED) / SLOWEST)
}

async fn send(client: Client, request: HttpRequest, idle: Duration) -> Result<HttpResponse, ConnectorError> {
    let activity = Activity::begin();
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (host, client) = (host_of(request.uri()), client.toward(request.uri()));
    let request = request.map(|body| reqwest::Body::wrap(Sending { body: Box::pin(body), activity: activity.clone() }));
    let request = reqwest::Request::try_from(request).map_err(|error| ConnectorError::user(without_url(error)))?;
    let response = tokio::select! {
        response = client.execute(request) => response.map_err(|error| connector_error(error, &host))?,
        () = activity.stalled(idle) => {
            return Err(ConnectorError::timeout(unreached(&host, Stalled { limit: idle })));
        }
    };
    let response = http::Response::<reqwest::Body>::from(response);
    let refused = !response.status().is_success();
    let response = response.map(|body| SdkBody::from_body_1_x(Receiving::new(body, idle, refused, host)));
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// Whether an address is one that no router passes on: 169.254.0.0/16, and `fd00:ec2::/32` as Amazon uses it.
fn is_link_local(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    host.starts_with("169.254.") || host.to_ascii_lowercase().starts_with("[fd00:ec2::")
}

/// Says which failures of a connection are worth another try: all but those of a certificate or of the request itself.
fn connector_error(error: reqwest::Error, host: &str) -> ConnectorError {
    let refused = causes(&error).any(<dyn std::error::Error>::is::<rustls::Error>);
    let (is_timeout, is_builder) = (error.is_timeout(), error.is_builder());
    let problem = unreached(host, without_url(error));
    if is_timeout {
        ConnectorError::timeout(problem)
    } else if refused || is_builder {
        ConnectorError::user(problem)
    } else {
        ConnectorError::io(problem)
    }
}

fn without_url(error: reqwest::Error) -> Problem {
    error.without_url().into()
}

/// An error and all its causes, also those inside an `io::Error`, which hides what it wraps from `source`.
pub(super) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as _).or_else(|| error.source())
    })
}

/// When a request last made progress.
#[derive(Debug)]
struct Activity(Mutex<Instant>);

impl Activity {
    fn begin() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Instant::now())))
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happened(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Ends once nothing has happened for `limit`.
    async fn stalled(&self, limit: Duration) {
        loop {
            let due = self.last() + limit;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// A request's body, which tells when the connection takes more of it.
struct Sending {
    body: Pin<Box<SdkBody>>,
    activity: Arc<Activity>,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.activity.happened();
        self.body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        Body::is_end_stream(&*self.body)
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&*self.body)
    }
}

/// A response's body, which fails when nothing comes for too long.
struct Receiving {
    body: Pin<Box<reqwest::Body>>,
    limit: Duration,
    /// Runs while the reader waits; a reader that takes its time must not count as a silent server.
    silence: Pin<Box<Sleep>>,
    waiting: bool,
    /// Whose answer it is.
    host: String,
    /// It is the answer to a request that was refused. What came of it counts even if it breaks off: a server that does
    /// not read the whole request resets the connection behind its answer.
    refused: bool,
}

impl Receiving {
    fn new(body: reqwest::Body, limit: Duration, refused: bool, host: String) -> Self {
        Self { body: Box::pin(body), limit, silence: Box::pin(sleep(limit)), waiting: false, host, refused }
    }
}

impl Body for Receiving {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let limit = self.limit;
        if let Poll::Ready(frame) = self.body.as_mut().poll_frame(context) {
            self.waiting = false;
            let frame = frame.filter(|frame| frame.is_ok() || !self.refused);
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| unreached(&self.host, without_url(error)))));
        }
        if !self.waiting {
            self.waiting = true;
            self.silence.as_mut().reset(Instant::now() + limit);
        }
        if self.silence.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(unreached(&self.host, Stalled { limit }))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
