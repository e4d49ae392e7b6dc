//! Which hosts `NO_PROXY` names in ways that the HTTP client does not know.
//!
//! reqwest follows the variable for hosts, domains and networks, and passes over the rest. Programs in Go, Rancher's operator
//! among them, also take an entry for one port (`minio.example.com:9000`, `[fd00::1]:9000`) and one for subdomains alone
//! (`*.example.com`), and a cluster has one variable for all its programs.

use std::net::IpAddr;

/// The hosts that are reached past every proxy, beside those that reqwest knows of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Entry {
    host: Host,
    /// None: every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Host {
    Address(IpAddr),
    /// A domain with its subdomains, or these alone.
    Domain {
        name: String,
        subdomains_alone: bool,
    },
}

impl NoProxy {
    /// What the environment says. Of the two variables the first that is set counts, as for reqwest.
    #[must_use]
    pub fn of_environment() -> Self {
        let list = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy"));
        Self::parse(&list.unwrap_or_default())
    }

    fn parse(list: &str) -> Self {
        Self(list.split(',').filter_map(|entry| Entry::parse(&entry.trim().to_ascii_lowercase())).collect())
    }

    /// Whether it names no host.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it names this host of a URL with this port.
    #[must_use]
    pub fn names(&self, host: &str, port: u16) -> bool {
        let host = without_brackets(host).to_ascii_lowercase();
        let address = host.parse().ok();
        let is_port = |entry: &Entry| entry.port.is_none_or(|own| own == port);
        self.0.iter().any(|entry| is_port(entry) && entry.host.is(&host, address))
    }
}

impl Entry {
    fn parse(entry: &str) -> Option<Self> {
        let (host, port) = split_port(entry)?;
        let host = without_brackets(host);
        if let Ok(address) = host.parse() {
            return Some(Self { host: Host::Address(address), port });
        }
        let subdomains = host.strip_prefix('*').unwrap_or(host).strip_prefix('.');
        let name = subdomains.unwrap_or(host);
        let host = Host::Domain { name: name.to_owned(), subdomains_alone: subdomains.is_some() };
        (!name.is_empty()).then_some(Self { host, port })
    }
}

/// An entry's host and port; none where what stands behind the colon is no port.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    match entry.rsplit_once(':') {
        // An address of IPv6 without a port.
        _ if entry.parse::<IpAddr>().is_ok() || entry.ends_with(']') => Some((entry, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((entry, None)),
    }
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl Host {
    fn is(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::Address(own) => address == Some(*own),
            Self::Domain { .. } if address.is_some() => false,
            Self::Domain { name, subdomains_alone } => match host.strip_suffix(name.as_str()) {
                Some("") => !subdomains_alone,
                Some(rest) => rest.ends_with('.'),
                None => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_hosts_as_in_programs_of_go() {
        for (list, host, port, expected) in [
            ("minio.example.com:9000", "minio.example.com", 9000, true),
            ("minio.example.com:9000", "MinIO.Example.com", 9000, true),
            ("minio.example.com:9000", "minio.example.com", 9001, false),
            ("example.com:9000", "minio.example.com", 9000, true),
            ("example.com:9000", "notexample.com", 9000, false),
            (".example.com:9000", "minio.example.com", 9000, true),
            (".example.com:9000", "example.com", 9000, false),
            ("*.example.com", "a.minio.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("a, Minio.Example.Com:443 ,b", "minio.example.com", 443, true),
            ("10.0.0.1:9000", "10.0.0.1", 9000, true),
            ("10.0.0.1:9000", "10.0.0.1", 9001, false),
            ("0.0.1", "10.0.0.1", 443, false),
            ("[fd00::1]:9000", "[fd00::1]", 9000, true),
            ("[fd00::1]:9000", "[fd00::1]", 443, false),
            ("[fd00:0::1]", "[fd00::1]", 443, true),
            ("fd00::1", "[fd00::1]", 443, true),
            ("minio", "minio", 9000, true),
        ] {
            assert_eq!(NoProxy::parse(list).names(host, port), expected, "{list} {host}:{port}");
        }
    }

    #[test]
    fn what_is_no_host_names_none() {
        for list in ["", " , ", ":9000", "minio:port", "minio:99999", "."] {
            assert!(NoProxy::parse(list).is_empty(), "{list:?}");
        }
        // reqwest itself knows these.
        for list in ["*", "10.0.0.0/8"] {
            assert!(!NoProxy::parse(list).names("10.0.0.1", 443), "{list:?}");
            assert!(!NoProxy::parse(list).names("minio", 443), "{list:?}");
        }
    }
}
