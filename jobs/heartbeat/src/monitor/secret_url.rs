//! URLs that are secrets: whoever knows one can say to the monitor that all is well.

use std::fmt;

use drover::digest::Sha256;
use reqwest::Url;
use snafu::{ResultExt, Snafu, ensure};

/// Characters of the digest that are shown: enough to tell a few hundred monitors apart, and nothing to find one by.
const SHOWN: usize = 8;

/// A URL that is shown as its host and a short hash of the whole: `hc-ping.com#5f2d1a90`.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct SecretUrl(Url);

/// Why a text is no URL to ping. It says nothing of the text.
#[derive(Debug, Snafu)]
pub(crate) enum UrlProblem {
    #[snafu(display("it is no URL; begin with https:// and leave no space in it"))]
    Parse { source: ParseProblem },
    #[snafu(display("its scheme is neither https nor http"))]
    Scheme,
    #[snafu(display("it names no host"))]
    Host,
}

/// What the parser says, which quotes nothing.
type ParseProblem = <Url as std::str::FromStr>::Err;

impl SecretUrl {
    /// Reads one. A fragment, which no server ever gets, is left out.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlProblem> {
        let mut url: Url = text.trim().parse().context(ParseSnafu)?;
        ensure!(["https", "http"].contains(&url.scheme()), SchemeSnafu);
        ensure!(url.has_host(), HostSnafu);
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// A URL made of one.
    pub(crate) const fn new(url: Url) -> Self {
        Self(url)
    }

    /// The URL itself, to ask for it and for nothing else.
    pub(crate) const fn expose(&self) -> &Url {
        &self.0
    }

    /// Its host.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The parts of its path that are not empty.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.0.path().split('/').filter(|segment| !segment.is_empty()).collect()
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{:.SHOWN$}", self.host(), Sha256::of(self.0.as_str()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use drover::exit::Chain;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_host_and_a_hash_are_shown() {
        let url = SecretUrl::parse("https://user:pass@hc-ping.com/ping-key/daily?create=1#x").unwrap();
        let shown = format!("{url} {url:?}");
        for secret in ["user", "pass", "ping-key", "daily", "create"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.starts_with("hc-ping.com#"), "{shown}");
        let other = SecretUrl::parse("https://hc-ping.com/ping-key/weekly").unwrap();
        assert_ne!(url.to_string(), other.to_string());
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["", "hc-ping.com/abc", "ftp://host/abc", "data:abc", "https://"] {
            SecretUrl::parse(text).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn no_refusal_quotes_the_text(secret in "[a-z0-9]{16}", prefix in "(https?:/?/?|ftp://|[a-z]{0,4} |)(\\[|%|)") {
            if let Err(problem) = SecretUrl::parse(&format!("{prefix}{secret}/{secret}")) {
                let told = format!("{} {problem:?}", Chain(&problem));
                prop_assert!(!told.contains(&secret), "{told}");
            }
        }
    }
}
