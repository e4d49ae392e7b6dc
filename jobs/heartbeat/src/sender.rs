//! Sending a ping: a few tries, each with its limit, and what the answer means.

pub(crate) mod requests;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use drover::exit::{Chain, Exit, Fault};
use drover::no_proxy::NoProxy;
use http::StatusCode;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use snafu::{IntoError, ResultExt, Snafu, ensure};
use tracing::info;

use requests::{BODY_LIMIT, HttpRequest, request};

use crate::monitor::{Monitor, SecretUrl};
use crate::ping::Ping;

/// How often a ping is tried in one go; after that it is the queue that tries again.
const TRIES: usize = 3;

/// The pause before the second try; it grows, and chance moves it, so that many clusters do not come back in one moment.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a host that did not answer is not asked again.
const AWAY: Duration = Duration::from_mins(1);

/// The most redirects of one request.
const REDIRECTS: usize = 5;

/// The header by which healthchecks says how many bytes of a body it keeps.
const BODY_LIMIT_HEADER: &str = "ping-body-limit";

/// Why a monitor was not told. Its URL shows as host and hash, also among the causes.
#[derive(Debug, Snafu)]
pub(crate) enum PingError {
    #[snafu(display(
        "failed to set up the HTTP client for {url}; check ca, and that the system has root certificates"
    ))]
    Build { url: SecretUrl, source: reqwest::Error },
    #[snafu(display("failed to ping {url}: it does not answer; it is tried again"))]
    Reach { url: SecretUrl, source: reqwest::Error },
    #[snafu(display("failed to ping {url}: it answered {status}; it is tried again"))]
    Trouble { url: SecretUrl, status: StatusCode },
    #[snafu(display(
        "failed to ping {url}: it answered {status}, so this is no monitor of its service, or a paused one; correct the url"
    ))]
    Refused { url: SecretUrl, status: StatusCode },
    #[snafu(display(
        "failed to ping {url}: it redirects to {host:?}, and the URL is told to no other host; write the url that it is to be"
    ))]
    Redirected { url: SecretUrl, host: String },
    #[snafu(display("failed to ping {url}: it redirects over and over; correct the url"))]
    RedirectedInCircles { url: SecretUrl },
    #[snafu(display(
        "failed to ping {url}: the proxy wants a name and a password; write them into HTTPS_PROXY and \
         HTTP_PROXY as http://name:password@host:port, or the monitor's host into NO_PROXY"
    ))]
    RefusedByProxy { url: SecretUrl },
    #[snafu(display("failed to ping {url}: its host did not answer a moment ago; it is tried again"))]
    Away { url: SecretUrl },
}

impl Fault for PingError {
    fn exit(&self) -> Exit {
        match self {
            Self::Reach { .. } | Self::Trouble { .. } | Self::Away { .. } => Exit::Unavailable,
            Self::Build { .. }
            | Self::Refused { .. }
            | Self::RefusedByProxy { .. }
            | Self::Redirected { .. }
            | Self::RedirectedInCircles { .. } => Exit::Usage,
        }
    }
}

impl PingError {
    /// Whether only a person can mend it.
    pub(crate) fn is_configuration(&self) -> bool {
        self.exit() == Exit::Usage
    }

    /// Whether another try in a moment may go well.
    const fn may_pass(&self) -> bool {
        matches!(self, Self::Reach { .. } | Self::Trouble { .. })
    }
}

/// Sends pings. It remembers, for as long as the job lives, which hosts do not answer and what each service keeps.
pub(crate) struct Sender {
    limit: Duration,
    /// The client of monitors that trust the system's authorities alone.
    plain: Client,
    no_proxy: NoProxy,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    away: Away,
    /// Bytes of a body that are kept, by the name of the monitor.
    body_limits: BTreeMap<String, usize>,
}

/// Hosts that did not answer, and when that was seen: each is waited for once in a while, not once for each message.
#[derive(Default)]
struct Away(BTreeMap<Place, Instant>);

/// What is away together: a host and its port; of a monitor with authorities of its own that one alone.
type Place = (String, Option<String>);

impl Away {
    fn mark(&mut self, place: Place, now: Instant) {
        self.0.insert(place, now);
    }

    fn holds(&self, place: &Place, now: Instant) -> bool {
        self.0.get(place).is_some_and(|seen| now.saturating_duration_since(*seen) < AWAY)
    }
}

impl Sender {
    /// One whose tries may take so long each, with all redirects.
    pub(crate) fn new(limit: Duration) -> Result<Self, SetUpError> {
        let plain = builder(limit).build().map_err(|source| SetUpError { source })?;
        Ok(Self { limit, plain, no_proxy: NoProxy::of_environment(), state: Mutex::default() })
    }

    /// How long it takes at most until it is known that a monitor does not answer.
    pub(crate) fn longest(&self) -> Duration {
        let tries = u32::try_from(TRIES).unwrap_or(u32::MAX);
        // A pause is doubled with each try, and up to as much again by chance.
        self.limit * tries + PAUSE * tries * tries
    }

    /// Tells a monitor. A service that has no way to be told this is told nothing.
    pub(crate) async fn send(&self, monitor: &Monitor, ping: &Ping) -> Result<(), PingError> {
        let Some(request) = request(monitor, ping, self.body_limit(monitor)) else { return Ok(()) };
        let place = place(monitor, request.url.expose());
        ensure!(!self.state().away.holds(&place, Instant::now()), AwaySnafu { url: monitor.url.clone() });
        let client = self.client(monitor, request.url.expose())?;
        let once = async || self.once(&client, monitor, &request).await;
        let retries = ExponentialBuilder::default().with_min_delay(PAUSE).with_max_times(TRIES - 1).with_jitter();
        let sent = once.retry(retries).when(PingError::may_pass).await;
        match &sent {
            Ok(()) => {
                info!(monitor = monitor.name, url = %monitor.url, signal = %ping.signal, "told: {}", ping.headline());
            }
            Err(PingError::Reach { source, .. }) if is_away(source) => self.state().away.mark(place, Instant::now()),
            Err(_) => {}
        }
        sent
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn body_limit(&self, monitor: &Monitor) -> usize {
        let told = self.state().body_limits.get(&monitor.name).copied();
        monitor.body_limit.or(told).unwrap_or(BODY_LIMIT)
    }

    fn client(&self, monitor: &Monitor, url: &Url) -> Result<Client, PingError> {
        let port = url.port_or_known_default().unwrap_or_default();
        let goes_past_proxies = self.no_proxy.names(url.host_str().unwrap_or_default(), port);
        if monitor.authorities.is_empty() && !goes_past_proxies {
            return Ok(self.plain.clone());
        }
        let builder = builder(self.limit).tls_certs_merge(monitor.authorities.clone());
        let builder = if goes_past_proxies { builder.no_proxy() } else { builder };
        builder.build().map_err(reqwest::Error::without_url).context(BuildSnafu { url: monitor.url.clone() })
    }

    async fn once(&self, client: &Client, monitor: &Monitor, request: &HttpRequest) -> Result<(), PingError> {
        let shown = || monitor.url.clone();
        let response = follow(client, request, &monitor.url, self.limit).await?;
        let limit = response.headers().get(BODY_LIMIT_HEADER).and_then(|limit| limit.to_str().ok()?.parse().ok());
        if let Some(limit) = limit {
            self.state().body_limits.insert(monitor.name.clone(), limit);
        }
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                TroubleSnafu { url: shown(), status: response.status() }.fail()
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => RefusedByProxySnafu { url: shown() }.fail(),
            status if status.is_server_error() => TroubleSnafu { url: shown(), status }.fail(),
            status => RefusedSnafu { url: shown(), status }.fail(),
        }
    }
}

/// Why no ping can be sent at all.
#[derive(Debug, Snafu)]
#[snafu(display("failed to set up the HTTP client; does the system have root certificates?"))]
pub(crate) struct SetUpError {
    source: reqwest::Error,
}

impl Fault for SetUpError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

fn builder(limit: Duration) -> reqwest::ClientBuilder {
    // Redirects are followed by hand: the client's own would turn a POST into a GET, and tell the path to another host.
    Client::builder()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(limit)
        .user_agent(concat!("drover/", env!("CARGO_PKG_VERSION")))
}

/// The answer to a request, once it redirects no further, within the limit of a try. Another host is told nothing, and nobody in clear what was said
/// encrypted.
async fn follow(
    client: &Client,
    request: &HttpRequest,
    shown: &SecretUrl,
    limit: Duration,
) -> Result<Response, PingError> {
    let begun = Instant::now();
    let mut url = request.url.expose().clone();
    for _ in 0..=REDIRECTS {
        let mut sending = client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if let Some(body) = &request.body {
            sending = sending.body(body.clone());
        }
        let response = sending
            .timeout(limit.saturating_sub(begun.elapsed()))
            .send()
            .await
            .map_err(|error| unreached(error.without_url(), shown))?;
        let Some(target) = redirection(&response, &url) else { return Ok(response) };
        let is_same_host = target.host_str() == url.host_str();
        let is_as_safe = target.scheme() == url.scheme() || target.scheme() == "https";
        ensure!(
            is_same_host && is_as_safe,
            RedirectedSnafu { url: shown.clone(), host: target.host_str().unwrap_or_default() }
        );
        url = target;
    }
    RedirectedInCirclesSnafu { url: shown.clone() }.fail()
}

/// Why there is no answer. That a tunnel needs a password the client tells in words alone.
fn unreached(error: reqwest::Error, shown: &SecretUrl) -> PingError {
    if Chain::of(&error).to_string().ends_with("proxy authorization required") {
        return RefusedByProxySnafu { url: shown.clone() }.build();
    }
    ReachSnafu { url: shown.clone() }.into_error(error)
}

fn redirection(response: &Response, from: &Url) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()
}

fn place(monitor: &Monitor, url: &Url) -> Place {
    let host = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    (host, (!monitor.authorities.is_empty()).then(|| monitor.name.clone()))
}

/// Whether the host does not answer: it takes its time, or no connection. A certificate that is not trusted and a name that
/// is not found are found at once, and may be another monitor's fault alone.
fn is_away(error: &reqwest::Error) -> bool {
    use ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
        TimedOut,
    };
    let first: &(dyn Error + 'static) = error;
    let mut causes = successors(Some(first), |error: &&(dyn Error + 'static)| (*error).source());
    error.is_timeout()
        || causes.any(|cause| {
            let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            matches!(
                kind,
                Some(
                    BrokenPipe
                        | ConnectionAborted
                        | ConnectionRefused
                        | ConnectionReset
                        | HostUnreachable
                        | NetworkUnreachable
                        | TimedOut
                )
            )
        })
}

#[cfg(test)]
mod tests;
