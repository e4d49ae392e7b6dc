//! The types of the configurations of admission webhooks.

/// Their group, as the table of special cases names it.
pub(crate) const GROUP: &str = "admissionregistration.k8s.io";
/// Their types. What changes objects comes first: it is asked first.
pub(crate) const PLURALS: [&str; 2] = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
