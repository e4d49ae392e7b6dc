//! What Kubernetes asks: whether the runner turns (`/healthz`), and whether it knows the cluster (`/readyz`); and what
//! Prometheus asks (`/metrics`).

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use drover::clock;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::metrics;
use super::shared::Shared;
use super::state::{Charge, Known, Queue, State};

/// A runner that has not turned for as long hangs: it turns at least every half minute, and every request ends before that.
const LONGEST_TURN: Duration = Duration::from_mins(5);

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// The content type of sentences.
const PLAIN: &str = "text/plain; charset=utf-8";

/// Clients that are answered at once; there are three, the kubelet's probes and Prometheus.
const CLIENTS: usize = 16;

/// How the runner is.
pub(crate) struct Health {
    turned: Mutex<Instant>,
    lease: Mutex<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self { turned: Mutex::new(Instant::now()), lease: Mutex::new("not asked for yet".to_owned()) }
    }
}

impl Health {
    /// It has turned.
    pub(crate) fn turn(&self) {
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How it is with the Lease.
    pub(crate) fn lease(&self, words: impl Into<String>) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = words.into();
    }

    fn answer(&self, path: &str, state: &State, now: Timestamp) -> Answer {
        let (status, text) = match path {
            "/healthz" => {
                let since = self.turned.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
                let status = if since <= LONGEST_TURN { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                (status, format!("turned {} s ago\n", since.as_secs()))
            }
            "/readyz" => {
                let lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let status = if state.is_synced() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                (status, readiness(state, &lease))
            }
            // No figures are better than some, which would say that all the rest is well.
            "/metrics" if !state.is_synced() || state.charge == Charge::Unknown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the cluster is not known yet; /readyz says what is missing\n".to_owned(),
            ),
            "/metrics" => match metrics::render(state, now) {
                Ok(text) => return Answer { status: StatusCode::OK, content_type: metrics::CONTENT_TYPE, text },
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to write the figures: {error}\n")),
            },
            _ => (StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n".to_owned()),
        };
        Answer { status, content_type: PLAIN, text }
    }
}

struct Answer {
    status: StatusCode,
    content_type: &'static str,
    text: String,
}

impl Answer {
    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.text)));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response
    }
}

fn readiness(state: &State, lease: &str) -> String {
    let watches = match state.not_synced().as_slice() {
        [] => "all synced".to_owned(),
        missing => format!("waiting for {}", missing.join(", ")),
    };
    let queue = match &state.queue {
        Queue::Unknown => "not asked yet".to_owned(),
        Queue::Away { reason, .. } => format!("away: {reason}"),
        Queue::Known(Known { survey, .. }) if survey.missing.is_empty() => "reached".to_owned(),
        Queue::Known(Known { survey, .. }) => {
            let missing: Vec<&str> = survey.missing.iter().map(String::as_str).collect();
            format!("reached; to be set up: {}", missing.join(", "))
        }
    };
    let charge = match &state.charge {
        Charge::Unknown => "not known yet".to_owned(),
        Charge::Ours => "drover".to_owned(),
        Charge::Theirs(operator) => operator.message(),
    };
    format!("watches: {watches}\nlease: {lease}\nqueue: {queue}\nin charge: {charge}\n")
}

/// Answers for ever.
pub(crate) async fn serve(listener: TcpListener, health: Arc<Health>, shared: Arc<Shared>) {
    let clients = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok(permit) = Arc::clone(&clients).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // The process has no file left to open: that passes, or the probes find out.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (health, shared) = (Arc::clone(&health), Arc::clone(&shared));
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let response = health.answer(request.uri().path(), &shared.state(), clock::now()).into_response();
                async move { Ok::<_, Infallible>(response) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
            // What ends early is the client's doing.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
            drop(permit);
        });
    }
}
