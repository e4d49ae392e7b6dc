//! Requests to the API server: limited, retried where that can help, answers as bytes.

mod trial;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use drover::cluster::api_server;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use snafu::{ResultExt, Snafu};

use crate::away;
use crate::exemption::Exemption;
use crate::limiter::Limiter;
use crate::server_owned::may_be_assigned_later;

/// How long one attempt may take: as long as the API server gives itself.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);
/// Attempts at most; with the pauses below they give up after about half a minute.
const ATTEMPTS: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause that the server may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Why a request did not do what it was to do.
#[derive(Debug, Snafu)]
pub(crate) enum RequestError {
    /// The server said no; its words.
    #[snafu(display("{message}"))]
    Refused {
        /// HTTP status.
        code: u16,
        /// The server's word for it, such as `AlreadyExists`.
        reason: String,
        /// The server's sentence.
        message: String,
        /// The pause that it asks for.
        retry_after: Option<Duration>,
        /// Where a list whose token expired (410) goes on.
        continue_token: Option<String>,
    },
    /// No answer came.
    #[snafu(display("failed to ask for {path:?}"))]
    Send {
        /// Path of the request.
        path: String,
        /// The cause.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    /// No answer came in time.
    #[snafu(display("{} did not answer for {path:?} within {} s", api_server(), ATTEMPT_TIMEOUT.as_secs()))]
    Timeout {
        /// Path of the request.
        path: String,
    },
    /// The request cannot be made of this path or body.
    #[snafu(display("failed to make a request of {path:?}"))]
    Build {
        /// Path of the request.
        path: String,
        /// The cause.
        source: http::Error,
    },
}

impl RequestError {
    /// Whether the server does not answer at all: then the other objects would fare no better.
    pub(crate) const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Send { .. } | Self::Timeout { .. })
    }

    /// Whether the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Whether an object of that name is there already.
    pub(crate) fn is_already_exists(&self) -> bool {
        matches!(self, Self::Refused { code: 409, reason, .. } if reason == "AlreadyExists")
    }

    /// Whether somebody else changed the object in between.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, reason, .. } if reason != "AlreadyExists")
    }

    /// Whether this user may not ask that, or the server does not know who asks.
    pub(crate) const fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code: 401 | 403, .. })
    }

    /// Whether it asks for what the object does not allow: it may have to be made anew.
    pub(crate) fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused { code: 422, .. })
    }

    /// Whether the API server only passes on that another server, a webhook or an aggregated API, does not answer or says
    /// no.
    pub(crate) fn is_of_another_server(&self) -> bool {
        matches!(self, Self::Refused { code, message, .. } if away::is_told_by_another_server(*code, message))
    }

    /// Whether another try may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Refused { code, message, .. } => {
                may_be_assigned_later(message).unwrap_or(matches!(code, 429 | 500 | 502 | 503 | 504))
            }
            Self::Send { .. } | Self::Timeout { .. } => true,
            Self::Build { .. } => false,
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The API server as a restore uses it.
pub(crate) struct Server {
    client: Client,
    limiter: Arc<Limiter>,
    /// Whether it asks again where another server does not answer.
    is_patient: bool,
    /// Whether nothing that it asks for is kept.
    is_on_trial: bool,
    exemption: Arc<Mutex<Option<Arc<Exemption>>>>,
    /// Whether anything may have been written.
    writes: Arc<AtomicBool>,
}

impl Server {
    /// Talks through `client`, which must not retry by itself, with at most `in_flight` requests at a time.
    pub(crate) fn new(client: Client, in_flight: u32) -> Self {
        let limiter = Arc::new(Limiter::new(in_flight));
        let (exemption, writes) = (Arc::default(), Arc::default());
        Self { client, limiter, is_patient: true, is_on_trial: false, exemption, writes }
    }

    /// The same, for who asks so much that one answer about a webhook or an aggregated API has to stand for many: it asks
    /// again only where the API server itself is the cause.
    pub(crate) fn impatient(&self) -> Self {
        let (client, limiter) = (self.client.clone(), Arc::clone(&self.limiter));
        let (exemption, writes) = (Arc::clone(&self.exemption), Arc::clone(&self.writes));
        Self { client, limiter, is_patient: false, is_on_trial: self.is_on_trial, exemption, writes }
    }

    /// The same, but that the API server keeps nothing of what is asked for: it judges it, and that is all.
    pub(crate) fn on_trial(&self) -> Self {
        Self { is_on_trial: true, ..self.impatient() }
    }

    /// Whether nothing that it asks for is kept.
    pub(crate) const fn is_on_trial(&self) -> bool {
        self.is_on_trial
    }

    /// Whether anything may have been written since this was asked last, by any of the servers that were made of this one.
    pub(crate) fn take_writes(&self) -> bool {
        self.writes.swap(false, Ordering::Relaxed)
    }

    /// The same with a limiter of its own: it does not wait behind the others' requests.
    pub(crate) fn beside(&self, in_flight: u32) -> Self {
        let (exemption, writes) = (Arc::clone(&self.exemption), Arc::clone(&self.writes));
        Self { exemption, writes, is_on_trial: self.is_on_trial, ..Self::new(self.client.clone(), in_flight) }
    }

    /// From now on writes are exempt from webhooks by this exemption, or by none; so are those of all servers that were
    /// made of this one.
    pub(crate) fn exempt_by(&self, exemption: Option<Arc<Exemption>>) {
        // A pointer is sound whatever happened to who held the lock.
        *self.exemption.lock().unwrap_or_else(PoisonError::into_inner) = exemption;
    }

    fn exemption(&self) -> Option<Arc<Exemption>> {
        self.exemption.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the exemption from webhooks was found missing by now, and was put in again.
    pub(crate) async fn lapses(&self) -> u32 {
        match self.exemption() {
            Some(exemption) => exemption.lapses(self).await,
            None => 0,
        }
    }

    /// The client, for what has an interface of its own.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Reads an object.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, RequestError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Creates an object in a collection.
    pub(crate) async fn create(&self, path: &str, body: Vec<u8>) -> Result<Bytes, RequestError> {
        self.send(Method::POST, path, body.into()).await
    }

    /// Replaces an object or its status.
    pub(crate) async fn replace(&self, path: &str, body: Vec<u8>) -> Result<Bytes, RequestError> {
        self.send(Method::PUT, path, body.into()).await
    }

    /// Deletes an object; `body` holds the options of the deletion.
    pub(crate) async fn delete(&self, path: &str, body: Vec<u8>) -> Result<Bytes, RequestError> {
        if self.is_on_trial {
            // The options in the body would count for more than those of the path.
            return Ok(Bytes::new());
        }
        self.send(Method::DELETE, path, body.into()).await
    }

    /// Changes an object by a JSON merge patch (RFC 7386).
    pub(crate) async fn merge_patch(&self, path: &str, body: Vec<u8>) -> Result<Bytes, RequestError> {
        self.send(Method::PATCH, path, body.into()).await
    }

    /// Before the first write the exemption from webhooks is in force, and what one of them refuses all the same is tried
    /// again for a while.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, RequestError> {
        let exemption = self.exemption().filter(|_| method != Method::GET);
        let Some(exemption) = exemption else { return self.plain(method, path, body).await };
        // Boxed, for they are seldom under way and large.
        Box::pin(exemption.begin(self)).await;
        loop {
            let may_retry = |error: &RequestError| self.asks_again(error) && !exemption.concerns(error);
            let answer = self.retried(&method, path, &body, may_retry).await;
            let may_help = match &answer {
                Ok(_) => false,
                Err(error) => Box::pin(exemption.may_help(self, error)).await,
            };
            if !may_help {
                return answer;
            }
        }
    }

    /// Any request, whatever it is exempt from.
    pub(crate) async fn plain(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, RequestError> {
        self.retried(&method, path, &body, |error| self.asks_again(error)).await
    }

    fn asks_again(&self, error: &RequestError) -> bool {
        error.is_transient() && (self.is_patient || !error.is_of_another_server())
    }

    /// One try of a request, whatever it is exempt from.
    pub(crate) async fn once(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, RequestError> {
        self.attempt(&method, path, body).await
    }

    async fn retried(
        &self,
        method: &Method,
        path: &str,
        body: &Bytes,
        may_retry: impl FnMut(&RequestError) -> bool,
    ) -> Result<Bytes, RequestError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(ATTEMPTS - 1)
            .with_jitter();
        (|| self.attempt(method, path, body.clone()))
            .retry(pauses)
            .when(may_retry)
            // None ends the retries, so that a server that asks for a pause is asked no more often than the others.
            .adjust(|error, pause| pause.map(|pause| error.retry_after().unwrap_or(pause)))
            .await
    }

    async fn attempt(&self, method: &Method, path: &str, body: Bytes) -> Result<Bytes, RequestError> {
        let is_write = method != Method::GET;
        let uri = if is_write && self.is_on_trial { trial::path(path) } else { Cow::Borrowed(path) };
        if is_write && !trial::is_path(&uri) {
            self.writes.store(true, Ordering::Relaxed);
        }
        let request = Request::builder()
            .method(method)
            .uri(&*uri)
            .header(header::CONTENT_TYPE, content_type(method))
            .header(header::ACCEPT, "application/json")
            .body(Body::from(body))
            .with_context(|_| BuildSnafu { path: path.to_owned() })?;
        let permit = self.limiter.acquire().await;
        let answer = tokio::time::timeout(ATTEMPT_TIMEOUT, exchange(&self.client, request)).await;
        let timeout = |_| TimeoutSnafu { path: path.to_owned() }.build();
        let (status, headers, bytes) =
            answer.map_err(timeout)?.with_context(|_| SendSnafu { path: path.to_owned() })?;
        if status == StatusCode::TOO_MANY_REQUESTS {
            permit.throttled(retry_after(&headers).unwrap_or(FIRST_PAUSE));
        } else {
            permit.answered();
        }
        if status.is_success() { Ok(bytes) } else { Err(refusal(status, &headers, &bytes)) }
    }
}

fn content_type(method: &Method) -> &'static str {
    if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" }
}

async fn exchange(client: &Client, request: Request<Body>) -> Result<(StatusCode, HeaderMap, Bytes), kube::Error> {
    let (parts, body) = Response::into_parts(client.send(request).await?);
    Ok((parts.status, parts.headers, body.collect_bytes().await?))
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> RequestError {
    let told = serde_json::from_slice::<Status>(body).ok().filter(|told| !told.message.is_empty());
    let (reason, message, list) = told.map_or_else(
        || (String::new(), without_status(status, body), None),
        |told| (told.reason, away::without_review(told.message), told.metadata),
    );
    let continue_token = list.and_then(|list| list.continue_);
    RefusedSnafu { code: status.as_u16(), reason, message, retry_after: retry_after(headers), continue_token }.build()
}

/// What is said of an answer that is no `Status`: what stands in front of an API server answers with a page of its own, and
/// its aggregator in plain words.
fn without_status(status: StatusCode, body: &[u8]) -> String {
    let words = away::plain_words(body).map(|words| format!(": {words}")).unwrap_or_default();
    format!("the API server answered {status}{words}")
}

/// `Retry-After` in seconds, the only form that API servers use.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(code: u16, reason: &str) -> RequestError {
        let body =
            format!(r#"{{"kind":"Status","status":"Failure","code":{code},"reason":"{reason}","message":"no"}}"#);
        refusal(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn refusals_are_told_apart() {
        assert!(refused(409, "AlreadyExists").is_already_exists());
        assert!(!refused(409, "AlreadyExists").is_conflict());
        assert!(refused(409, "Conflict").is_conflict());
        assert!(refused(404, "NotFound").is_not_found());
        assert!(refused(429, "TooManyRequests").is_transient());
        assert!(!refused(422, "Invalid").is_transient());
        assert!(!refused(503, "ServiceUnavailable").is_unreachable());
    }

    #[test]
    fn what_the_server_may_assign_in_a_moment_is_asked_for_again() {
        let answer = |code, message: &str| {
            let body = format!(r#"{{"kind":"Status","status":"Failure","code":{code},"message":"{message}"}}"#);
            refusal(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body.as_bytes())
        };
        let port = "failed to allocate requested HealthCheck NodePort 30900: ";
        assert!(answer(422, "failed to allocate IP 10.0.0.7: allocator not ready").is_transient());
        assert!(answer(500, &format!("{port}timed out")).is_transient());
        assert!(!answer(500, &format!("{port}provided port is already allocated")).is_transient());
    }

    #[test]
    fn an_answer_that_is_no_status_is_told_by_its_code() {
        let error = refusal(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>");
        assert_eq!(error.to_string(), "the API server answered 502 Bad Gateway");
    }

    #[test]
    fn what_another_server_says_is_told_apart() {
        let answer = |code, body: &[u8]| refusal(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body);
        let away = answer(503, b"service unavailable\n");
        assert_eq!(away.to_string(), "the API server answered 503 Service Unavailable: service unavailable");
        assert!(away.is_transient() && away.is_of_another_server());
        assert!(!answer(503, b"<html>").is_of_another_server());
        assert!(!refused(500, "InternalError").is_of_another_server());
    }

    #[test]
    fn the_pause_that_is_asked_for_is_bounded() {
        let asked = |text: &str| retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(asked("3"), Some(Duration::from_secs(3)));
        assert_eq!(asked("86400"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(asked("soon"), None);
    }
}
