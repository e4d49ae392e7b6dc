//! Requests of a restore to the API server: what is its own beside [`RestClient`], the exemption from webhooks, writes on
//! trial, and whether it asks again what another server refuses.

mod trial;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use drover::api::{Limits, Request, RequestError, RestClient};
use futures::future::BoxFuture;
use http::Method;
use kube::Client;

use crate::apply::away::is_of_another_server;
use crate::objects::server_owned::may_be_assigned_later;

/// Each try may take as long as the API server gives itself. Eight of them give up after about half a minute.
const LIMITS: Limits = Limits { timeout: Duration::from_mins(1), retries: 7, most_bytes: 64 << 20 };

/// Whether another try may help, also where the server could not assign what it may have in a moment.
pub(crate) fn is_transient(error: &RequestError) -> bool {
    let of_assigning = match error {
        RequestError::Refused { message, .. } => may_be_assigned_later(message),
        _ => None,
    };
    of_assigning.unwrap_or_else(|| error.is_transient())
}

/// What keeps webhooks from being asked about writes. Its futures are boxed, for they are seldom under way and large.
pub(crate) trait Exempting: Send + Sync {
    /// Before a write: from the first one on it is in force.
    fn begin<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, ()>;

    /// Whether an answer is of a webhook that is not to be asked: then it is not retried as others are.
    fn concerns(&self, error: &RequestError) -> bool;

    /// After a refusal: whether another try may help.
    fn may_help<'a>(&'a self, server: &'a Server, error: &'a RequestError) -> BoxFuture<'a, bool>;

    /// How often it was found missing by now, and was put in again.
    fn lapses<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, u32>;
}

/// The API server as a restore uses it.
#[derive(Clone)]
pub(crate) struct Server {
    rest: RestClient,
    /// Whether it asks again where another server does not answer.
    is_patient: bool,
    /// Whether nothing that it asks for is kept.
    is_on_trial: bool,
    exemption: Arc<Mutex<Option<Arc<dyn Exempting>>>>,
    /// Whether anything may have been written.
    writes: Arc<AtomicBool>,
}

impl Server {
    /// Talks through `client`, which must not retry by itself, with at most `in_flight` requests at a time.
    pub(crate) fn new(client: Client, in_flight: u32) -> Self {
        let (exemption, writes) = (Arc::default(), Arc::default());
        Self { rest: RestClient::new(client, in_flight), is_patient: true, is_on_trial: false, exemption, writes }
    }

    /// The same, for who asks so much that one answer about a webhook or an aggregated API has to stand for many: it asks
    /// again only where the API server itself is the cause.
    pub(crate) fn impatient(&self) -> Self {
        Self { is_patient: false, ..self.clone() }
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
        Self { rest: RestClient::new(self.client().clone(), in_flight), is_patient: true, ..self.clone() }
    }

    /// From now on writes are exempt from webhooks by this exemption, or by none; so are those of all servers that were
    /// made of this one.
    pub(crate) fn exempt_by(&self, exemption: Option<Arc<dyn Exempting>>) {
        // A pointer is sound whatever happened to who held the lock.
        *self.exemption.lock().unwrap_or_else(PoisonError::into_inner) = exemption;
    }

    fn exemption(&self) -> Option<Arc<dyn Exempting>> {
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
        self.rest.client()
    }

    /// Reads an object.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, RequestError> {
        self.read(Request::get(path), LIMITS.most_bytes).await
    }

    /// Reads anything, as long as the answer is no larger.
    pub(crate) async fn read(&self, request: Request<'_>, most_bytes: usize) -> Result<Bytes, RequestError> {
        self.retried(&request, &Limits { most_bytes, ..LIMITS }, |error| self.asks_again(error)).await
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
        let Some(exemption) = self.exemption() else { return self.plain(method, path, body).await };
        exemption.begin(self).await;
        let request = self.request(method, path, body);
        loop {
            let may_retry = |error: &RequestError| self.asks_again(error) && !exemption.concerns(error);
            let answer = self.retried(&request, &LIMITS, may_retry).await;
            let may_help = match &answer {
                Ok(_) => false,
                Err(error) => exemption.may_help(self, error).await,
            };
            if !may_help {
                return answer;
            }
        }
    }

    /// Any request, whatever it is exempt from.
    pub(crate) async fn plain(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, RequestError> {
        self.retried(&self.request(method, path, body), &LIMITS, |error| self.asks_again(error)).await
    }

    fn asks_again(&self, error: &RequestError) -> bool {
        is_transient(error) && (self.is_patient || !is_of_another_server(error))
    }

    /// One try of a request, whatever it is exempt from.
    pub(crate) async fn once(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, RequestError> {
        let request = self.request(method, path, body);
        self.note_write(&request);
        self.rest.once(&request, &LIMITS).await
    }

    /// The request, on trial where this server is.
    fn request<'a>(&self, method: Method, path: &'a str, body: Bytes) -> Request<'a> {
        let is_trial = self.is_on_trial && method != Method::GET;
        Request::new(method, if is_trial { trial::path(path) } else { Cow::Borrowed(path) }, body)
    }

    async fn retried(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        may_retry: impl FnMut(&RequestError) -> bool,
    ) -> Result<Bytes, RequestError> {
        self.note_write(request);
        self.rest.retried(request, limits, may_retry, |_, _| {}).await
    }

    /// Notes that something may be written from now on.
    fn note_write(&self, request: &Request<'_>) {
        if request.method != Method::GET && !trial::is_path(&request.path) {
            self.writes.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_may_assign_in_a_moment_is_asked_for_again() {
        let is_transient = |code, message: &str| {
            let (reason, message) = (String::new(), message.to_owned());
            is_transient(&RequestError::Refused { code, reason, message, retry_after: None, continue_token: None })
        };
        let port = "failed to allocate requested HealthCheck NodePort 30900: ";
        assert!(is_transient(422, "failed to allocate IP 10.0.0.7: allocator not ready"));
        assert!(is_transient(500, &format!("{port}timed out")));
        assert!(!is_transient(500, &format!("{port}provided port is already allocated")));
        assert!(is_transient(503, "later") && !is_transient(422, "no"));
    }
}
