//! The services that take pings, and the shapes of their URLs.

use serde::{Deserialize, Serialize};

use super::secret_url::SecretUrl;
use super::template::Template;

/// The name of a kind of monitor, as a configuration writes it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    #[serde(rename = "oneuptime")]
    OneUptime,
    Healthchecks,
    UptimeKuma,
    Cronitor,
    BetterStack,
    DeadMansSnitch,
    Webhook,
}

/// A service, with what only a webhook needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Service {
    OneUptime,
    Healthchecks,
    UptimeKuma,
    Cronitor,
    BetterStack,
    DeadMansSnitch,
    Webhook(Webhook),
}

/// Any HTTP server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Webhook {
    pub(crate) method: http::Method,
    /// Their values do not show in Debug.
    pub(crate) headers: http::HeaderMap,
    /// What is sent where the method has a body; everything that is known where none is given.
    pub(crate) body: Option<Template>,
}

impl Kind {
    /// Every kind with its name and what its URLs look like.
    pub(crate) const ALL: [(Self, &str, &str); 7] = [
        (Self::OneUptime, "oneuptime", "https://<host>/heartbeat/<key>"),
        (Self::Healthchecks, "healthchecks", "https://hc-ping.com/<uuid> or https://<host>/ping/<uuid>"),
        (Self::UptimeKuma, "uptime-kuma", "https://<host>/api/push/<token>"),
        (Self::Cronitor, "cronitor", "https://cronitor.link/p/<API key>/<monitor key>"),
        (Self::BetterStack, "better-stack", "https://uptime.betterstack.com/api/v1/heartbeat/<token>"),
        (Self::DeadMansSnitch, "dead-mans-snitch", "https://nosnch.in/<token>"),
        (Self::Webhook, "webhook", "any"),
    ];

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, other, _)| *other == name).map(|(kind, _, _)| kind)
    }

    /// Whether its service can be told that a run begins.
    pub(crate) fn takes_start(self) -> bool {
        matches!(self, Self::Healthchecks | Self::Cronitor | Self::Webhook)
    }

    /// What a URL of this kind looks like.
    pub(crate) fn shape(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _, _)| *kind == self).map_or("", |(_, _, shape)| shape)
    }

    /// The kind that a URL's shape tells; none where it may be any.
    pub(crate) fn of(url: &SecretUrl) -> Option<Self> {
        let host = url.host();
        let segments = url.segments();
        let is_of = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        match segments[..] {
            [.., "api", "push", _] => Some(Self::UptimeKuma),
            [.., "api", "v1", "heartbeat", _] => Some(Self::BetterStack),
            [.., "p" | "ping", _, _] if is_of("cronitor.link") || is_of("cronitor.io") => Some(Self::Cronitor),
            [.., "heartbeat" | "incoming-request", _] => Some(Self::OneUptime),
            [_] if is_of("nosnch.in") => Some(Self::DeadMansSnitch),
            [_] | [_, _] if is_of("hc-ping.com") => Some(Self::Healthchecks),
            [.., "ping", check] if uuid::Uuid::parse_str(check).is_ok() => Some(Self::Healthchecks),
            _ => None,
        }
    }

    /// Whether a URL can be one of this kind. Hosts are not looked at: all but two of them can be hosted by oneself or
    /// reached through a relay.
    pub(crate) fn takes(self, url: &SecretUrl) -> bool {
        match (self, &url.segments()[..]) {
            (Self::Webhook, _)
            | (Self::OneUptime, [.., "heartbeat" | "incoming-request", _])
            | (Self::UptimeKuma, [.., "api", "push", _])
            | (Self::Cronitor, [.., "p" | "ping", _, _])
            | (Self::BetterStack, [.., "api", "v1", "heartbeat", _])
            | (Self::DeadMansSnitch, [_]) => true,
            // The signal is added here, and a slug may be any word but those that say one.
            (Self::Healthchecks, [.., check]) => {
                !["start", "fail", "log"].contains(check) && check.parse::<u8>().is_err()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<Kind>) {
        let url = SecretUrl::parse(url).unwrap();
        assert_eq!(Kind::of(&url), expected);
        if let Some(kind) = expected {
            assert!(kind.takes(&url));
        }
    }

    #[test]
    fn kind_is_known_from_the_shape() {
        check("https://oneuptime.com/heartbeat/YOUR_HEARTBEAT_ID", Some(Kind::OneUptime));
        check("https://status.example.com/incoming-request/abc", Some(Kind::OneUptime));
        check("https://hc-ping.com/019aaf00-0000-4000-8000-000000000001", Some(Kind::Healthchecks));
        check("https://hc-ping.com/ping-key/rancher-daily?create=1", Some(Kind::Healthchecks));
        check("https://hc.example.com/ping/019aaf00-0000-4000-8000-000000000001", Some(Kind::Healthchecks));
        check("https://kuma.example.com/api/push/tOkEn?status=up&msg=OK&ping=", Some(Kind::UptimeKuma));
        check("https://example.com/kuma/api/push/tOkEn", Some(Kind::UptimeKuma));
        check("https://cronitor.link/p/key/daily", Some(Kind::Cronitor));
        check("https://cronitor.io/ping/key/daily", Some(Kind::Cronitor));
        check("https://uptime.betterstack.com/api/v1/heartbeat/abc", Some(Kind::BetterStack));
        check("https://betteruptime.com/api/v1/heartbeat/abc", Some(Kind::BetterStack));
        check("https://nosnch.in/c2354d53d2", Some(Kind::DeadMansSnitch));
        check("https://hooks.example.com/services/T0/B0", None);
        check("https://hc.example.com/ping/slug", None);
        check("https://example.com/", None);
    }

    #[test]
    fn urls_that_a_kind_cannot_use_are_refused() {
        for (kind, url) in [
            (Kind::Healthchecks, "https://hc-ping.com/019aaf00-0000-4000-8000-000000000001/start"),
            (Kind::Healthchecks, "https://hc-ping.com/019aaf00-0000-4000-8000-000000000001/1"),
            (Kind::Healthchecks, "https://hc-ping.com/"),
            (Kind::OneUptime, "https://oneuptime.com/heartbeat/"),
            (Kind::BetterStack, "https://uptime.betterstack.com/api/v1/heartbeat/abc/fail"),
            (Kind::DeadMansSnitch, "https://nosnch.in/"),
            (Kind::Cronitor, "https://cronitor.link/p/key"),
            (Kind::UptimeKuma, "https://kuma.example.com/dashboard/1"),
        ] {
            assert!(!kind.takes(&SecretUrl::parse(url).unwrap()), "{kind:?} {url}");
        }
    }

    #[test]
    fn names_are_those_that_a_configuration_writes() {
        for (kind, name, _) in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
            assert_eq!(Kind::named(name), Some(kind));
        }
    }
}
