//! Requests to the API server, as bytes: limited, each try with its time and its size, and tried again where that may help.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use snafu::{ResultExt, ensure};

use super::error::request_error::{BuildSnafu, ReadSnafu, SendSnafu, TimeoutSnafu, TooLargeSnafu};
use super::limiter::Limiter;
use super::{RequestError, refusal};

/// The pause before the second try; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause that the server did not ask for.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How much of a refusal's body is read, in bytes.
const MAX_REFUSAL_BYTES: usize = 4 << 20;

/// How long after the first try [`RestClient::get`] asks again where the server answers that it failed.
const FAILURE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time, tries and size of a request.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the request to the last byte of the answer, for each try.
    pub timeout: Duration,
    /// How often it is asked again. Seven times take about half a minute.
    pub retries: usize,
    /// How large the answer may be, in bytes.
    pub most_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(1), retries: 5, most_bytes: 16 << 20 }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: Method,
    /// Its path, with what follows it.
    pub path: Cow<'a, str>,
    /// Its body; that of a PATCH is a JSON merge patch (RFC 7386).
    pub body: Bytes,
    /// The form of the answer.
    pub accept: &'static str,
}

impl<'a> Request<'a> {
    /// A request whose answer is JSON.
    pub fn new(method: Method, path: impl Into<Cow<'a, str>>, body: Bytes) -> Self {
        Self { method, path: path.into(), body, accept: "application/json" }
    }

    /// One that reads.
    pub fn get(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::GET, path, Bytes::new())
    }

    fn build(&self) -> Result<http::Request<Body>, RequestError> {
        let content = if self.method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        http::Request::builder()
            .method(&self.method)
            .uri(&*self.path)
            .header(CONTENT_TYPE, content)
            .header(ACCEPT, self.accept)
            .body(Body::from(self.body.clone()))
            .map_err(kube::core::request::Error::BuildRequest)
            .context(BuildSnafu { path: &*self.path })
    }
}

/// The API server, asked for bytes. Clones share the limit of requests in flight.
#[derive(Clone)]
pub struct RestClient {
    client: Client,
    limiter: Arc<Limiter>,
}

impl RestClient {
    /// Asks through `client`, which must not try again by itself, with at most `in_flight` requests at a time: fewer while
    /// the server says 429.
    #[must_use]
    pub fn new(client: Client, in_flight: u32) -> Self {
        Self { client, limiter: Arc::new(Limiter::new(in_flight)) }
    }

    /// The client, for what has an interface of its own.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Reads what is at `path`, and says so where it asks again.
    ///
    /// # Errors
    /// When the last try failed.
    pub async fn get(&self, path: &str, limits: &Limits) -> Result<Bytes, RequestError> {
        let begun = Instant::now();
        let may_retry = |error: &RequestError| {
            error.is_transient() && !(error.is_failure_of_server() && begun.elapsed() > FAILURE_TIMEOUT)
        };
        let tell = |error: &RequestError, pause| tracing::warn!(path, ?pause, %error, "asking the API server again");
        self.retried(&Request::get(path), limits, may_retry, tell).await
    }

    /// Asks, and again as long as `may_retry` says; `tell` hears of each further try.
    ///
    /// # Errors
    /// When the last try failed.
    pub async fn retried(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        may_retry: impl FnMut(&RequestError) -> bool,
        tell: impl FnMut(&RequestError, Duration),
    ) -> Result<Bytes, RequestError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(MAX_PAUSE)
            .with_max_times(limits.retries)
            .with_jitter();
        (|| self.once(request, limits))
            .retry(pauses)
            .when(may_retry)
            // None ends the tries, so that a server that asks for a pause is asked no more often than the others.
            .adjust(|error, pause| pause.map(|pause| pause.max(error.retry_after().unwrap_or_default())))
            .notify(tell)
            .await
    }

    /// One try.
    ///
    /// # Errors
    /// When it failed.
    pub async fn once(&self, request: &Request<'_>, limits: &Limits) -> Result<Bytes, RequestError> {
        let (path, seconds) = (&*request.path, limits.timeout.as_secs());
        let built = request.build()?;
        let permit = self.limiter.acquire().await;
        let answer = tokio::time::timeout(limits.timeout, self.exchange(path, built, limits.most_bytes)).await;
        let (code, headers, body) = answer.map_err(|_| TimeoutSnafu { path, seconds }.build())??;
        if code.is_success() {
            permit.answered();
            return Ok(body);
        }
        let refused = refusal::read(code, &headers, &body);
        if code == StatusCode::TOO_MANY_REQUESTS {
            permit.throttled(refused.retry_after().unwrap_or(FIRST_PAUSE));
        } else {
            permit.answered();
        }
        Err(refused)
    }

    async fn exchange(
        &self,
        path: &str,
        request: http::Request<Body>,
        most_bytes: usize,
    ) -> Result<(StatusCode, HeaderMap, Bytes), RequestError> {
        let response = self.client.send(request).await.with_context(|_| SendSnafu { path })?;
        let (parts, body) = response.into_parts();
        let body = if parts.status.is_success() {
            read(path, body, most_bytes).await?
        } else {
            read(path, body, MAX_REFUSAL_BYTES).await.unwrap_or_default()
        };
        Ok((parts.status, parts.headers, body))
    }
}

async fn read(path: &str, mut body: Body, bytes: usize) -> Result<Bytes, RequestError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.with_context(|_| ReadSnafu { path })?.into_data() else { continue };
        ensure!(read.len() + data.len() <= bytes, TooLargeSnafu { path, bytes });
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}
