//! Who holds leases.

use kube::Client;

use super::settings::Settings;

/// A process that holds leases, all in one namespace.
pub struct Holder {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) identity: String,
    pub(super) settings: Settings,
}

impl Holder {
    /// `identity` is who holds the leases, as a person should read it: the pod's name, say. Two processes of one identity do
    /// not share a lease: the second one waits for the first as for anybody.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: &str, settings: Settings) -> Self {
        Self { client, namespace: namespace.to_owned(), identity: identity.to_owned(), settings }
    }

    /// The name under which it holds them.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }
}
