//! The words of refusals, as Kubernetes' own library has them for fields.

use crate::webhook::Answer;

/// Refused with 400, as most that rancher-webhook refuses.
pub(super) fn bad(words: impl Into<String>) -> Answer {
    Answer::Refused(400, words.into())
}

pub(super) fn forbidden(field: &str, reason: &str) -> Answer {
    bad(format!("{field}: Forbidden: {reason}"))
}

pub(super) fn invalid(field: &str, value: &str, reason: &str) -> Answer {
    bad(format!("{field}: Invalid value: {value:?}: {reason}"))
}

pub(super) fn not_found(field: &str, value: &str) -> Answer {
    bad(format!("{field}: Not found: {value:?}"))
}

pub(super) fn required(field: &str, reason: &str) -> Answer {
    bad(format!("{field}: Required value: {reason}"))
}

pub(super) fn unsupported(field: &str, value: &str, known: &[&str]) -> Answer {
    let known: Vec<_> = known.iter().map(|known| format!("{known:?}")).collect();
    bad(format!("{field}: Unsupported value: {value:?}: supported values: {}", known.join(", ")))
}

pub(super) fn immutable(field: &str, value: &str) -> Answer {
    invalid(field, value, "field is immutable")
}
