//! What each service is sent, to the letter of its documentation. Nothing here talks to anybody.
//!
//! | kind | start | success | failure |
//! | --- | --- | --- | --- |
//! | `healthchecks` | `POST …/start?rid=` | `POST …?rid=` | `POST …/fail?rid=` |
//! | `uptime-kuma` | – | `GET …?status=up&msg=&ping=` | `GET …?status=down&msg=&ping=` |
//! | `oneuptime` | – | `POST` JSON | `POST` JSON |
//! | `cronitor` | `GET …?state=run&series=` | `…state=complete` | `…state=fail` |
//! | `better-stack` | – | `POST …` | `POST …/fail` |
//! | `dead-mans-snitch` | – | `GET …?m=` | `GET …?m=&s=1` |
//! | `webhook` | as configured | as configured | as configured |
//!
//! The success of an audit has a `rid` of its own, see [`healthchecks`].
//!
//! A service without a start is not told of one: to OneUptime, say, any request is a sign of life, and a Backup that
//! begins and never ends would look healthy.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use reqwest::Url;
use uuid::Uuid;

use crate::monitor::{Monitor, SecretUrl, Service, Webhook};
use crate::ping::{Origin, Ping, Signal};

/// Bytes of a body that a service keeps of healthchecks' kind: what a server of one's own keeps unless it is told otherwise.
pub(crate) const BODY_LIMIT: usize = 10_000;

/// Characters of a message in a URL: Uptime Kuma sets no limit, but proxies do, to the line it stands in.
const UPTIME_KUMA_MESSAGE: usize = 250;

/// Characters of a message that Cronitor keeps.
const CRONITOR_MESSAGE: usize = 2_000;

/// Characters of a message that Dead Man's Snitch keeps.
const SNITCH_MESSAGE: usize = 250;

/// The longest time that Uptime Kuma takes, in milliseconds.
const UPTIME_KUMA_PING: u128 = 100_000_000_000;

/// A request, ready to be sent.
#[derive(Clone, PartialEq)]
pub(crate) struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) url: SecretUrl,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<String>,
}

impl std::fmt::Debug for HttpRequest {
    /// A body of a webhook may hold a token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.url)
    }
}

/// The request that tells a monitor this; none where its service has no way to. `body_limit` is how many bytes of a body
/// it keeps.
pub(crate) fn request(monitor: &Monitor, ping: &Ping, body_limit: usize) -> Option<HttpRequest> {
    let url = monitor.url.expose();
    let message = |limit: usize| cut(&ping.headline(), monitor.message_limit.unwrap_or(limit));
    match (&monitor.service, ping.signal) {
        (Service::Healthchecks, _) => Some(healthchecks(url, ping, body_limit)),
        (Service::Cronitor, _) => Some(get(cronitor(url, ping, &message(CRONITOR_MESSAGE)))),
        (Service::Webhook(webhook), _) => Some(of_webhook(webhook, url, ping)),
        (_, Signal::Start) => None,
        (Service::UptimeKuma, _) => Some(get(uptime_kuma(url, ping, message(UPTIME_KUMA_MESSAGE)))),
        (Service::OneUptime, _) => Some(json(Method::POST, url.clone(), HeaderMap::new(), &ping.json())),
        (Service::BetterStack, _) => Some(better_stack(url, ping, body_limit)),
        (Service::DeadMansSnitch, _) => Some(get(dead_mans_snitch(url, ping, message(SNITCH_MESSAGE)))),
    }
}

fn healthchecks(url: &Url, ping: &Ping, body_limit: usize) -> HttpRequest {
    let url = match ping.signal {
        Signal::Start => with_segment(url, "start"),
        Signal::Success => url.clone(),
        Signal::Failure => with_segment(url, "fail"),
    };
    // An audit belongs to no run. Without an id its success would end the run that is at work just then, to healthchecks,
    // which takes any UUID; a failure ends it in any case.
    let of_audit = (ping.origin == Origin::Audit && ping.signal == Signal::Success).then(|| unique(ping.time));
    let run = ping.run.or(of_audit).map(|run| ("rid", run.hyphenated().to_string()));
    text(with_query(&url, &["rid"], run), &ping.text(), body_limit)
}

/// A UUID that no run has, for a moment.
fn unique(time: Timestamp) -> Uuid {
    Uuid::from_u128(time.as_nanosecond().unsigned_abs())
}

fn better_stack(url: &Url, ping: &Ping, body_limit: usize) -> HttpRequest {
    match ping.signal {
        Signal::Failure => text(with_segment(url, "fail"), &ping.text(), body_limit),
        Signal::Start | Signal::Success => bare(Method::POST, url.clone()),
    }
}

fn uptime_kuma(url: &Url, ping: &Ping, message: String) -> Url {
    let status = if ping.signal == Signal::Failure { "down" } else { "up" };
    let milliseconds = ping.duration.map(|duration| duration.as_millis().min(UPTIME_KUMA_PING).to_string());
    let pairs = [("status", status.to_owned()), ("msg", message)];
    with_query(url, &["status", "msg", "ping"], pairs.into_iter().chain(milliseconds.map(|time| ("ping", time))))
}

fn cronitor(url: &Url, ping: &Ping, message: &str) -> Url {
    let state = match (ping.signal, ping.origin) {
        (Signal::Start, _) => "run",
        (Signal::Success, Origin::Event) => "complete",
        // An audit is no run: "ok" says that all is well and counts as none.
        (Signal::Success, Origin::Audit) => "ok",
        (Signal::Failure, _) => "fail",
    };
    let series = ping.run.map(|run| ("series", run.hyphenated().to_string()));
    let count = ping.objects.map(|objects| ("metric", format!("count:{objects}")));
    let duration = ping.duration.map(|duration| ("metric", format!("duration:{}", duration.as_secs())));
    let first = [("state", state.to_owned()), ("message", message.to_owned())];
    let own = ["state", "message", "series", "metric"];
    with_query(url, &own, first.into_iter().chain(series).chain(count).chain(duration))
}

fn dead_mans_snitch(url: &Url, ping: &Ping, message: String) -> Url {
    let failed = (ping.signal == Signal::Failure).then(|| ("s", "1".to_owned()));
    with_query(url, &["m", "s"], std::iter::once(("m", message)).chain(failed))
}

fn of_webhook(webhook: &Webhook, url: &Url, ping: &Ping) -> HttpRequest {
    let Webhook { method, headers, body } = webhook;
    if !has_body(method) {
        return HttpRequest { headers: headers.clone(), ..bare(method.clone(), url.clone()) };
    }
    let body = body.as_ref().map_or_else(|| ping.json(), |template| template.fill(ping));
    json(method.clone(), url.clone(), headers.clone(), &body)
}

/// Whether a request of this method has a body.
pub(crate) fn has_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

fn bare(method: Method, url: Url) -> HttpRequest {
    HttpRequest { method, url: SecretUrl::new(url), headers: HeaderMap::new(), body: None }
}

fn get(url: Url) -> HttpRequest {
    bare(Method::GET, url)
}

fn text(url: Url, text: &str, limit: usize) -> HttpRequest {
    // The first bytes are what a service keeps; no more are sent.
    let body = text[..text.floor_char_boundary(limit)].to_owned();
    let headers = typed(HeaderMap::new(), "text/plain; charset=utf-8");
    HttpRequest { headers, body: Some(body), ..bare(Method::POST, url) }
}

fn json(method: Method, url: Url, headers: HeaderMap, body: &serde_json::Value) -> HttpRequest {
    let headers = typed(headers, "application/json");
    HttpRequest { headers, body: Some(body.to_string()), ..bare(method, url) }
}

/// The headers with a content type, where there is none yet.
fn typed(mut headers: HeaderMap, content_type: &'static str) -> HeaderMap {
    headers.entry::<HeaderName>(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
    headers
}

/// The URL with a further part of its path; the query stays.
fn with_segment(url: &Url, segment: &str) -> Url {
    let mut url = url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(segment);
    }
    url
}

/// The URL with these pairs in its query, after those of its own that are no business of ours.
fn with_query(url: &Url, ours: &[&str], pairs: impl IntoIterator<Item = (&'static str, String)>) -> Url {
    let kept = url.query_pairs().filter(|(name, _)| !ours.contains(&name.as_ref()));
    let kept = kept.map(|(name, value)| (name.into_owned(), value.into_owned()));
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
    let all: Vec<(String, String)> = kept.chain(pairs).collect();
    let mut url = url.clone();
    url.set_query(None);
    if !all.is_empty() {
        url.query_pairs_mut().extend_pairs(all);
    }
    url
}

/// The first characters of a text; that something is missing shows.
fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars().take(characters.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
