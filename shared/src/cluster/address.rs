//! Where the API server is, in words.

use std::sync::OnceLock;

use kube::Config;

/// Where the API server is: a job talks to one, and errors that name it are made far from its configuration.
static ADDRESS: OnceLock<String> = OnceLock::new();

/// Notes where the API server is, for errors to name it.
pub(super) fn note_address(config: &Config) {
    ADDRESS.get_or_init(|| address(&config.cluster_url));
}

/// Scheme, host and port of a URL, and nothing that may be secret in it.
fn address(url: &http::Uri) -> String {
    let (scheme, host) = (url.scheme_str().unwrap_or("https"), url.host().unwrap_or_default());
    let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}")
}

/// The API server in words, with its address where that is known.
#[must_use]
pub fn api_server() -> String {
    ADDRESS.get().map_or_else(|| "the API server".to_owned(), |address| format!("the API server at {address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_what_may_be_secret() {
        for (url, expected) in [
            ("https://10.43.0.1:443/", "https://10.43.0.1:443"),
            ("https://user:secret@rancher.example.com/k8s/clusters/c-1?token=secret", "https://rancher.example.com"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(address(&url.parse().unwrap()), expected);
        }
    }
}
