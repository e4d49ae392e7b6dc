//! The words of the API server about another one that does not answer.

use drover::api::SERVICE_AWAY;

/// Before the words of a webhook that could not be called: `NewInternalError` puts it there.
pub(crate) const INTERNAL: &str = "Internal error occurred: ";
/// Before the name of an admission webhook that could not be called, or answered with no review.
pub(crate) const FAILED_CALLING: &str = "failed calling webhook \"";
/// Before the name of an admission webhook that answered, and said no. Its own code may be 500 too.
pub(crate) const DENIED: &str = "admission webhook \"";
/// Before the kind of objects that could not be converted.
pub(crate) const CONVERSION: &str = "conversion webhook for ";

pub(crate) fn is_told_by_another_server(code: u16, message: &str) -> bool {
    let words = message.strip_prefix(INTERNAL).unwrap_or(message);
    words.starts_with(DENIED)
        || words.starts_with(FAILED_CALLING)
        || (code == 500 && words.contains(CONVERSION))
        || (code == 503 && is_plain(message))
}

/// Whether a message is the body of an answer that is the aggregator's own.
pub(crate) fn is_plain(message: &str) -> bool {
    let body = message.rsplit_once("503 Service Unavailable: ").map_or(message, |(_, body)| body);
    SERVICE_AWAY.iter().any(|words| body.starts_with(words))
}
