//! What an answer that is a refusal says, in the one reading of it.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use kube::core::Status;

use super::RequestError;
use super::error::request_error::RefusedSnafu;

/// The longest pause that the server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
/// How much of the server's words is kept, in bytes: a status that holds more is refused itself.
const MAX_MESSAGE_BYTES: usize = 16 << 10;
/// The longest body that is no `Status` and is repeated all the same, in characters.
const MAX_PLAIN: usize = 300;

/// Before the whole answer of a webhook that failed on an object, with the object in it, as Go quotes it.
const AN_ERROR: &str = "an error on the server (\"";
/// The kind of that answer.
const REVIEW: &str = "AdmissionReview";
/// What is said in its place.
pub const ANSWERED_WITH_ERROR: &str = "it answered with an error: ";
/// Before what a webhook makes of the request, in its answer.
const RESPONSE: &str = "\"response\":{";
/// Before the words of that.
const MESSAGE: &str = "\"message\":\"";
/// What kube-aggregator answers, in plain text, where the server of an aggregated API is away: the whole body, and what
/// others begin with (`handler_proxy.go`).
pub const SERVICE_AWAY: [&str; 2] = ["service unavailable", "error trying to reach service"];

/// The refusal that an answer is.
pub(super) fn read(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> RequestError {
    let status = serde_json::from_slice::<Status>(body).ok().filter(|status| !status.message.is_empty());
    let Status { reason, message, metadata, details, .. } = status.unwrap_or_else(|| without_status(code, body));
    let seconds = retry_after(headers).or(details.map(|details| details.retry_after_seconds.into()));
    let pause = seconds.filter(|&seconds| seconds > 0).map(Duration::from_secs);
    RefusedSnafu {
        code: code.as_u16(),
        reason,
        message: shorten(without_review(message)),
        retry_after: pause.map(|pause| pause.min(MAX_RETRY_AFTER)),
        continue_token: metadata.and_then(|list| list.continue_),
    }
    .build()
}

/// `Retry-After` in seconds, the only form that API servers use.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// What is said of an answer that is no `Status`: what stands in front of an API server answers with a page of its own, and
/// its aggregator in plain words.
fn without_status(code: StatusCode, body: &[u8]) -> Status {
    let words = plain_words(body).map(|words| format!(": {words}")).unwrap_or_default();
    Status { message: format!("the API server answered {code}{words}"), ..Status::default() }
}

/// The words of an answer in plain text. Pages of proxies are none.
fn plain_words(body: &[u8]) -> Option<&str> {
    let text = str::from_utf8(body).ok()?.trim();
    let is_short = text.chars().nth(MAX_PLAIN).is_none();
    (is_short && text.starts_with(char::is_alphanumeric)).then_some(text)
}

fn shorten(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
    message
}

/// What the API server says, with no more of a webhook's answer than its words. Of a webhook that fails on an object it
/// repeats the whole answer, which may hold the object, and cuts it off somewhere.
fn without_review(message: String) -> String {
    let found = message.split_once(AN_ERROR).filter(|(_, answer)| answer.contains(REVIEW));
    let Some((before, answer)) = found else { return message };
    let answer = unquoted(answer);
    let response = answer.rsplit_once(RESPONSE).and_then(|(_, response)| response.split_once(MESSAGE));
    let words = response.map(|(_, words)| unquoted(words)).filter(|words| !words.is_empty());
    let before = before.rsplit_once("failed to call webhook: ").map_or(before, |(before, _)| before);
    format!("{before}{ANSWERED_WITH_ERROR}{}", words.as_deref().unwrap_or("it did not say which"))
}

/// A text that Go or JSON quoted, up to its end or where it was cut off.
fn unquoted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Message, token and pause of a refusal.
    fn refusal_of(code: u16, retry_after: Option<&str>, body: &[u8]) -> (String, Option<String>, Option<Duration>) {
        let header = retry_after.map(|seconds| (RETRY_AFTER, seconds.parse().unwrap()));
        match read(StatusCode::from_u16(code).unwrap(), &HeaderMap::from_iter(header), body) {
            RequestError::Refused { message, continue_token, retry_after, .. } => {
                (message, continue_token, retry_after)
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_expired_list_tells_how_to_go_on() {
        let body = br#"{"kind":"Status","apiVersion":"v1","metadata":{"continue":"abc"},"status":"Failure",
            "message":"The provided continue parameter is too old","reason":"Expired","code":410}"#;
        let expected = ("The provided continue parameter is too old".to_owned(), Some("abc".to_owned()), None);
        assert_eq!(refusal_of(410, None, body), expected);
    }

    #[test]
    fn a_busy_server_tells_how_long_to_wait_and_is_heard_up_to_a_minute() {
        let body = br#"{"kind":"Status","status":"Failure","message":"too many requests","code":429,
            "details":{"retryAfterSeconds":3}}"#;
        assert_eq!(refusal_of(429, Some("7"), body).2, Some(Duration::from_secs(7)));
        assert_eq!(refusal_of(429, None, body).2, Some(Duration::from_secs(3)));
        assert_eq!(refusal_of(429, Some("soon"), body).2, Some(Duration::from_secs(3)));
        assert_eq!(refusal_of(429, Some("86400"), b"").2, Some(MAX_RETRY_AFTER));
        assert_eq!(refusal_of(503, None, b"").2, None);
    }

    #[test]
    fn an_answer_that_is_no_status_is_told_by_its_code_and_its_plain_words() {
        for (code, body, expected) in [
            (502, "<html>", "the API server answered 502 Bad Gateway"),
            (502, "{}", "the API server answered 502 Bad Gateway"),
            (503, "", "the API server answered 503 Service Unavailable"),
            (503, "service unavailable\n", "the API server answered 503 Service Unavailable: service unavailable"),
            (
                429,
                "Too many requests, please try again later.\n",
                "the API server answered 429 Too Many Requests: Too many requests, please try again later.",
            ),
        ] {
            assert_eq!(refusal_of(code, None, body.as_bytes()).0, expected);
        }
        assert_eq!(refusal_of(502, None, &[0xff, 0xfe]).0, "the API server answered 502 Bad Gateway");
        let long = "ä".repeat(10_000);
        assert_eq!(refusal_of(502, None, long.as_bytes()).0, "the API server answered 502 Bad Gateway");
        let status = json!({"message": long}).to_string();
        assert_eq!(refusal_of(500, None, status.as_bytes()).0.len(), MAX_MESSAGE_BYTES);
    }

    /// As rancher-webhook answers where it fails on an object, once whole and once cut off.
    #[test]
    fn of_a_webhook_that_failed_on_an_object_its_words_are_repeated_and_the_object_is_not() {
        let before = "Internal error occurred: failed calling webhook \"rancher.cattle.io.projects\": ";
        let review = r#"failed to call webhook: an error on the server ("{\"kind\":\"AdmissionReview\",\"request\":{\"object\":{\"data\":{\"key\":\"secret\"}}},\"response\":{\"allowed\":false,\"status\":{\"message\":\"namespace \\\"local-p-1\\\" already exists"#;
        let end = r#"\",\"code\":500}}}") has prevented the request from succeeding"#;
        let cut =
            r#"failed to call webhook: an error on the server ("{\"kind\":\"AdmissionReview\",\"request\":{\"uid\":"#;
        let other = "failed to call webhook: an error on the server (\"\") has prevented the request from succeeding";
        for (answer, expected) in [
            (format!("{review}{end}"), "it answered with an error: namespace \"local-p-1\" already exists"),
            (review.to_owned(), "it answered with an error: namespace \"local-p-1\" already exists"),
            (cut.to_owned(), "it answered with an error: it did not say which"),
            (other.to_owned(), other),
        ] {
            let status = json!({"message": format!("{before}{answer}")}).to_string();
            assert_eq!(refusal_of(500, None, status.as_bytes()).0, format!("{before}{expected}"));
        }
    }
}
