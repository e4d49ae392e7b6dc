//! The monitors, from a YAML file.
//!
//! ```yaml
//! monitors:
//! - name: team                      # in logs; also the key of what is remembered of it
//!   kind: healthchecks              # may be left out where the URL's shape tells
//!   url: https://hc-ping.com/<uuid>
//!   backups: {nameRegexp: ^rancher-}
//! ```
//!
//! A URL, a header and a body are secrets, so of what is wrong it is said where, and never what stands there: serde's own
//! words, which quote values, are not used.

mod document;
mod error;
mod name;

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;

use drover::selection::Pattern;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Certificate;
use snafu::{ResultExt, ensure};

use self::document::{Document, FreshnessDocument, MonitorDocument, ScopeDocument};
use self::error::{
    AuthoritiesSnafu, BodySnafu, BodyWithoutMethodSnafu, HeaderNameSnafu, HeaderSnafu, MethodSnafu, NameSnafu,
    NegativeSnafu, NeverToldSnafu, NoKindSnafu, NoScopeSnafu, NoSignalSnafu, NotOfKindSnafu, PatternSnafu,
    PlaceholderSnafu, ReadSnafu, SameForAllSnafu, ShapeSnafu, TwiceSnafu, UrlSnafu, UseSnafu, WithoutBackupsSnafu,
};
pub(crate) use self::error::{ConfigurationError, Problem};
pub(crate) use self::name::ANNOTATED;
use self::name::NAME_BYTES;
use crate::monitor::{DEFAULT_GRACE, Freshness, Kind, Monitor, Scope, SecretUrl, Service, Template, Webhook};
use crate::ping::Signal;
use crate::sender::requests::has_body;

/// Methods of a webhook.
const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PUT, Method::PATCH];

/// What documentation writes where a key belongs. OneUptime answers 200 to it, as to any key.
const PLACEHOLDERS: [&str; 4] = ["YOUR_", "<", ">", "…"];

/// Reads the monitors of a file. One that is not there names none: the Secret that it is mounted from may be optional.
///
/// # Errors
/// When the file cannot be read or says something that is not understood.
pub(crate) async fn load(path: &Path) -> Result<Vec<Monitor>, ConfigurationError> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => parse(&text, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), "there is no such file: only monitors that Backups name are told");
            Ok(Vec::new())
        }
        Err(error) => Err(error).context(ReadSnafu { path }),
    }
}

/// Reads the monitors of a text; `path` is what errors name.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Vec<Monitor>, ConfigurationError> {
    let document = Document::parse(text).map_err(|wrong| wrong.at(path))?;
    let mut names = HashSet::new();
    let mut monitors = Vec::with_capacity(document.monitors.len());
    for spanned in document.monitors {
        let line = spanned.referenced.line();
        let name = spanned.value.name.clone();
        let is_new = names.insert(name.clone());
        let is_short = name.len() <= NAME_BYTES && !name.starts_with(ANNOTATED);
        let read = match (is_new, is_short) {
            (true, true) => monitor(spanned.value),
            (true, false) => NameSnafu.fail(),
            (false, _) => TwiceSnafu.fail(),
        };
        monitors.push(read.context(UseSnafu { path, line, name })?);
    }
    Ok(monitors)
}

/// A monitor by its URL alone: its kind is known from the URL's shape unless it is named.
pub(crate) fn short(name: &str, url: &str, kind: Option<Kind>) -> Result<Monitor, Problem> {
    monitor(MonitorDocument {
        name: name.to_owned(),
        kind,
        url: url.to_owned(),
        backups: Some(ScopeDocument::default()),
        ..MonitorDocument::default()
    })
}

fn monitor(document: MonitorDocument) -> Result<Monitor, Problem> {
    ensure!(!PLACEHOLDERS.iter().any(|placeholder| document.url.contains(placeholder)), PlaceholderSnafu);
    let url = SecretUrl::parse(&document.url).context(UrlSnafu)?;
    let Some(kind) = document.kind.or_else(|| Kind::of(&url)) else { return NoKindSnafu.fail() };
    ensure!(kind.takes(&url), ShapeSnafu { kind });
    check_fields(&document, kind)?;
    let MonitorDocument {
        name,
        kind: _,
        url: _,
        backups,
        restores,
        signals,
        freshness,
        message_limit,
        body_limit,
        ca,
        method,
        headers,
        body,
    } = document;
    let signals = chosen(signals)?;
    let service = service(kind, method.as_deref(), headers.unwrap_or_default(), body)?;
    ensure!(signals.iter().any(|signal| *signal != Signal::Start || kind.takes_start()), NeverToldSnafu { kind });
    ensure!(signals.len() == 1 || tells_apart(&service), SameForAllSnafu);
    Ok(Monitor {
        service,
        backups: backups.map(scope).transpose()?,
        restores: restores.map(scope).transpose()?,
        signals,
        freshness: fresh(&freshness.unwrap_or_default())?,
        authorities: ca.map_or(Ok(Vec::new()), |pem| authorities(&pem))?,
        name,
        url,
        message_limit,
        body_limit,
    })
}

/// Whether each field does something for the service that has it.
fn check_fields(document: &MonitorDocument, kind: Kind) -> Result<(), Problem> {
    let MonitorDocument { backups, restores, freshness, message_limit, body_limit, method, headers, body, .. } =
        document;
    ensure!(backups.is_some() || restores.is_some(), NoScopeSnafu);
    ensure!(freshness.is_none() || backups.is_some(), WithoutBackupsSnafu);
    let has_message = matches!(kind, Kind::UptimeKuma | Kind::Cronitor | Kind::DeadMansSnitch);
    let has_text = matches!(kind, Kind::Healthchecks | Kind::BetterStack);
    let is_webhook = kind == Kind::Webhook;
    for (field, is_given, is_right) in [
        ("messageLimit", message_limit.is_some(), has_message),
        ("bodyLimit", body_limit.is_some(), has_text),
        ("method", method.is_some(), is_webhook),
        ("headers", headers.is_some(), is_webhook),
        ("body", body.is_some(), is_webhook),
    ] {
        ensure!(!is_given || is_right, NotOfKindSnafu { field, kind });
    }
    Ok(())
}

fn service(
    kind: Kind,
    method: Option<&str>,
    headers: std::collections::BTreeMap<String, String>,
    body: Option<serde_json::Value>,
) -> Result<Service, Problem> {
    Ok(match kind {
        Kind::OneUptime => Service::OneUptime,
        Kind::Healthchecks => Service::Healthchecks,
        Kind::UptimeKuma => Service::UptimeKuma,
        Kind::Cronitor => Service::Cronitor,
        Kind::BetterStack => Service::BetterStack,
        Kind::DeadMansSnitch => Service::DeadMansSnitch,
        Kind::Webhook => {
            let method = method.map_or(Ok(Method::POST), named_method)?;
            ensure!(body.is_none() || has_body(&method), BodyWithoutMethodSnafu);
            let body = body.map(Template::new).transpose().context(BodySnafu)?;
            Service::Webhook(Webhook { method, headers: secret_headers(headers)?, body })
        }
    })
}

/// Whether what a service is sent differs from signal to signal. Of the body of a webhook that is up to who wrote it.
fn tells_apart(service: &Service) -> bool {
    match service {
        Service::Webhook(Webhook { method, body, .. }) => {
            has_body(method)
                && body.as_ref().is_none_or(|body| body.names_any(&["signal", "status", "message", "reason"]))
        }
        _ => true,
    }
}

fn named_method(name: &str) -> Result<Method, Problem> {
    METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| MethodSnafu.build())
}

fn secret_headers(headers: std::collections::BTreeMap<String, String>) -> Result<HeaderMap, Problem> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let Ok(key) = HeaderName::try_from(&name) else { return HeaderNameSnafu.fail() };
        let Ok(mut value) = HeaderValue::try_from(value) else { return HeaderSnafu { name }.fail() };
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn scope(document: ScopeDocument) -> Result<Scope, Problem> {
    let ScopeDocument { names, name_regexp } = document;
    let pattern = match &name_regexp {
        Some(regexp) if !regexp.is_empty() => match Pattern::new(regexp) {
            Ok(pattern) => Some(pattern),
            Err(wrong) => {
                return PatternSnafu { regexp, position: wrong.position, problem: wrong.problem }.fail();
            }
        },
        _ => None,
    };
    Ok(Scope { names, pattern })
}

fn chosen(signals: Option<Vec<Signal>>) -> Result<BTreeSet<Signal>, Problem> {
    let signals: BTreeSet<_> = signals.map_or_else(|| Signal::ALL.into(), |signals| signals.into_iter().collect());
    ensure!(!signals.is_empty(), NoSignalSnafu);
    Ok(signals)
}

fn fresh(document: &FreshnessDocument) -> Result<Freshness, Problem> {
    let FreshnessDocument { grace, max_age } = *document;
    for (field, duration) in [("grace", grace), ("maxAge", max_age)] {
        ensure!(duration.is_none_or(|duration| !duration.is_negative()), NegativeSnafu { field });
    }
    Ok(Freshness { grace: grace.unwrap_or(DEFAULT_GRACE), max_age })
}

fn authorities(pem: &str) -> Result<Vec<Certificate>, Problem> {
    let found = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
    ensure!(!found.is_empty(), AuthoritiesSnafu);
    Ok(found)
}

#[cfg(test)]
mod tests;
