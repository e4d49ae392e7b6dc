//! Who does not answer, from the words of the API server. Its sources have them: `webhook/error.go` of apiserver,
//! `webhook_converter.go` of apiextensions-apiserver and `handler_proxy.go` of kube-aggregator, of Kubernetes 1.30 to 1.34.

use drover::api::{ANSWERED_WITH_ERROR, RequestError};

use crate::api::words::{CONVERSION, DENIED, FAILED_CALLING, INTERNAL, is_plain, is_told_by_another_server};
use crate::survey::types::Type;

/// A server that does not answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Away {
    /// An admission webhook.
    Admission {
        /// The name of the webhook in its configuration.
        webhook: String,
    },
    /// The conversion webhook of a definition.
    Conversion {
        /// The definition's name.
        definition: String,
    },
    /// The server of an aggregated API.
    Api {
        /// The API version, such as `metrics.k8s.io/v1beta1`.
        api_version: String,
    },
}

impl Away {
    /// Who did not answer when something was asked of objects of that type; none where it is nobody that is known.
    pub(crate) fn of(error: &RequestError, known: &Type) -> Option<Self> {
        match error {
            RequestError::Refused { code, message, .. } => Self::told(*code, message, known),
            _ => None,
        }
    }

    fn told(code: u16, message: &str, known: &Type) -> Option<Self> {
        let words = message.strip_prefix(INTERNAL).unwrap_or(message);
        if words.starts_with(DENIED) {
            return None;
        }
        if let Some((webhook, said)) = words.strip_prefix(FAILED_CALLING).and_then(|rest| rest.split_once('"')) {
            let has_answered = said.contains(ANSWERED_WITH_ERROR);
            return (!has_answered).then(|| Self::Admission { webhook: webhook.to_owned() });
        }
        if code == 500 && words.contains(CONVERSION) {
            return Some(Self::Conversion { definition: format!("{}.{}", known.plural, known.group) });
        }
        let is_aggregated = code == 503 && !known.group.is_empty() && is_plain(message);
        is_aggregated.then(|| Self::Api { api_version: known.api_version() })
    }
}

/// Whether another server is the cause: it was called and did not answer, or it said no with a code of its own. To ask
/// the API server again at once is then to ask that one again.
pub(crate) fn is_of_another_server(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused { code, message, .. } if is_told_by_another_server(*code, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(group: &str, plural: &str) -> Type {
        let mut known = Type::for_tests(group, plural, "", true);
        known.resource.version = "v1beta1".to_owned();
        known
    }

    #[track_caller]
    fn check(code: u16, message: &str, expected: Option<&Away>) {
        let is_told = expected.is_some() || message.starts_with(DENIED);
        assert_eq!(Away::told(code, message, &known("things.io", "things")).as_ref(), expected, "{message}");
        assert_eq!(is_told_by_another_server(code, message), is_told, "{message}");
    }

    #[test]
    fn a_webhook_that_answered_with_an_error_is_not_away() {
        let name = "rancher.cattle.io.projects.management.cattle.io";
        let before = format!("Internal error occurred: failed calling webhook \"{name}\": ");
        let message = format!("{before}it answered with an error: namespace \"local-p-1\" already exists");
        assert_eq!(Away::told(500, &message, &known("things.io", "things")), None);
        assert!(is_told_by_another_server(500, &message));
    }

    #[test]
    fn admission_webhooks_that_could_not_be_called() {
        for words in [
            "failed to call webhook: Post \"https://127.0.0.1:1/x?timeout=10s\": dial tcp 127.0.0.1:1: connect: \
             connection refused",
            "failed to call webhook: Post \"https://w.a.svc:443/x?timeout=10s\": service \"w\" not found",
            "failed to call webhook: Post \"https://w.a.svc:443/x?timeout=10s\": no endpoints available for service \
             \"w\"",
            "failed to call webhook: Post \"https://w.a.svc:443/x?timeout=10s\": context deadline exceeded",
            "failed to call webhook: Post \"https://w.a.svc:443/x?timeout=10s\": tls: failed to verify certificate: \
             x509: certificate signed by unknown authority",
            "failed to call webhook: the server is currently unable to handle the request",
            "received invalid webhook response: expected response.uid=\"a\", got \"\"",
        ] {
            let message = format!("Internal error occurred: failed calling webhook \"w.a.io\": {words}");
            check(500, &message, Some(&Away::Admission { webhook: "w.a.io".to_owned() }));
        }
        let bare = "Internal error occurred: failed calling webhook \"w.a.io\"; no further details available";
        check(500, bare, Some(&Away::Admission { webhook: "w.a.io".to_owned() }));
    }

    #[test]
    fn one_that_answers_is_not_away_whatever_its_words() {
        check(403, "admission webhook \"w.a.io\" denied the request: no", None);
        let nested = "admission webhook \"w.a.io\" denied the request: Internal error occurred: failed calling webhook \
                      \"other.a.io\": failed to call webhook: Post \"https://x\": EOF";
        check(500, nested, None);
    }

    #[test]
    fn conversion_webhooks_that_could_not_be_called() {
        for message in [
            "conversion webhook for things.io/v1, Kind=ThingList failed: Post \"https://c.a.svc:443/convert?timeout=30s\": \
             service \"c\" not found",
            "conversion webhook for things.io/v1, Kind=Thing failed: Post \"https://127.0.0.1:1/convert?timeout=30s\": \
             dial tcp 127.0.0.1:1: connect: connection refused",
            "Internal error occurred: conversion webhook for things.io/v1, Kind=Thing failed: no response provided",
        ] {
            check(500, message, Some(&Away::Conversion { definition: "things.things.io".to_owned() }));
        }
    }

    #[test]
    fn aggregated_apis_whose_server_is_away() {
        for words in ["service unavailable", "error trying to reach service: dial tcp 10.0.0.1:443: i/o timeout"] {
            let message = format!("the API server answered 503 Service Unavailable: {words}");
            check(503, &message, Some(&Away::Api { api_version: "things.io/v1beta1".to_owned() }));
            assert_eq!(Away::told(503, &message, &known("", "pods")), None);
        }
    }

    #[test]
    fn nobody_else_is_away() {
        check(503, "the API server answered 503 Service Unavailable", None);
        check(503, "apiserver is shutting down", None);
        check(500, "etcdserver: request timed out", None);
        check(500, "Internal error occurred: resource quota evaluation timed out", None);
        check(503, "the API server answered 503 Service Unavailable: upstream connect error", None);
    }
}
