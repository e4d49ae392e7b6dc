//! Whether a part answers.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity};
use tokio::net::UnixStream;

/// How often an answer is asked for. A local server is never slow to refuse, so this is short.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// How long a part may take until it is taken for stuck. Two cores with twenty compilers on them need two minutes.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the parts of a testbed whether they are ready.
pub(crate) struct Readiness {
    client: Client,
}

impl Readiness {
    /// Trusts these authorities only, and shows this certificate (both in PEM) where one is asked for.
    pub(crate) fn new(authorities: &[String], identity: Option<&str>) -> reqwest::Result<Self> {
        let authorities = authorities.iter().map(|pem| Certificate::from_pem(pem.as_bytes()));
        let mut builder = Client::builder()
            .no_proxy()
            .timeout(REQUEST_TIMEOUT)
            // A connection belongs to the runtime that made it, and each test has a runtime of its own.
            .pool_max_idle_per_host(0)
            .tls_certs_only(authorities.collect::<reqwest::Result<Vec<_>>>()?);
        if let Some(identity) = identity {
            builder = builder.identity(Identity::from_pem(identity.as_bytes())?);
        }
        Ok(Self { client: builder.build()? })
    }

    /// Whether every address answers with success, or, where it is that of a socket, takes a connection.
    pub(crate) async fn all_answer(&self, addresses: &[String]) -> bool {
        for address in addresses {
            let answers = match address.strip_prefix("unix:") {
                Some(path) => UnixStream::connect(path).await.is_ok(),
                None => self.client.get(address).send().await.is_ok_and(|response| response.status().is_success()),
            };
            if !answers {
                return false;
            }
        }
        true
    }
}
