//! One question to the API server, with its time, its tries and a limit for the answer.

use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::api::ListParams;
use kube::client::Body;
use kube::core::response::Status;
use snafu::{ResultExt, Snafu, ensure};

use crate::exit::{Exit, Fault};

/// How much of an error's body is read, in bytes.
const MOST_ERROR_BYTES: usize = 64 << 10;

/// How much of the server's words an error repeats, in bytes.
const MOST_MESSAGE_BYTES: usize = 1 << 10;

/// How long after the first question it is asked again where the server answers that it failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a pause that the server asks for is kept at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Time, tries and size of a question.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the question to the last byte of the answer, for each try.
    pub timeout: Duration,
    /// How often a question is asked again after the server was busy, failed or was not there.
    pub retries: usize,
    /// How large the answer may be, in bytes.
    pub most_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(1), retries: 5, most_bytes: 16 << 20 }
    }
}

/// Why a question has no answer.
#[derive(Debug, Snafu)]
#[snafu(module, visibility(pub(crate)))]
pub enum RequestError {
    /// The server said no.
    #[snafu(display("the API server answered {code}: {message}"))]
    Refuse {
        /// The HTTP status.
        code: u16,
        /// The server's words, at most 1 kB of them.
        message: String,
        /// The token with which an expired list goes on.
        token: Option<String>,
        /// How long the server wants to be left alone.
        pause: Option<Duration>,
    },
    /// The server cannot be reached.
    #[snafu(display("the API server cannot be reached"))]
    Reach {
        /// What happened.
        source: kube::Error,
    },
    /// The answer broke off.
    #[snafu(display("the API server's answer broke off"))]
    Read {
        /// What happened.
        source: kube::Error,
    },
    /// The answer took too long.
    #[snafu(display("{} did not answer within {seconds} s", crate::cluster::api_server()))]
    Wait {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The answer is larger than it may be.
    #[snafu(display("the API server's answer is over {bytes} bytes"))]
    Hold {
        /// How large it may be.
        bytes: usize,
    },
    /// The question cannot be written.
    #[snafu(display("the request cannot be written"))]
    Write {
        /// What is wrong with it.
        source: kube::core::request::Error,
    },
}

impl RequestError {
    /// The HTTP status, where the server answered with an error.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refuse { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether it says something of what was asked for, and nothing of the whole server or of who asks: the rest may be had.
    pub(crate) fn is_of_question(&self) -> bool {
        match self {
            Self::Refuse { code, .. } => !matches!(code, 401 | 429),
            Self::Wait { .. } | Self::Hold { .. } => true,
            Self::Reach { .. } | Self::Read { .. } | Self::Write { .. } => false,
        }
    }

    /// Whether the server answered that it failed: what a webhook or an aggregated API that is down comes to, of which every
    /// answer may take half a minute.
    fn is_failure_of_server(&self) -> bool {
        matches!(self, Self::Refuse { code: 500..=599, .. })
    }

    /// Whether asking again may help.
    fn is_transient(&self) -> bool {
        match self {
            Self::Refuse { code, .. } => matches!(code, 408 | 429 | 500..=599),
            Self::Reach { source } => !matches!(source, kube::Error::Auth(_)),
            Self::Read { .. } | Self::Wait { .. } => true,
            Self::Hold { .. } | Self::Write { .. } => false,
        }
    }

    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Refuse { pause, .. } => *pause,
            _ => None,
        }
    }
}

impl Fault for RequestError {
    fn exit(&self) -> Exit {
        match self {
            Self::Refuse { code: 400 | 401 | 403, .. } | Self::Reach { source: kube::Error::Auth(_) } => Exit::Usage,
            error if error.is_transient() => Exit::Unavailable,
            _ => Exit::Failure,
        }
    }
}

/// Asks for `path`, as a list where there are parameters of one, and again where that may help.
///
/// # Errors
/// When the last try failed.
pub(crate) async fn ask(
    client: &Client,
    path: &str,
    list: Option<&ListParams>,
    limits: &Limits,
) -> Result<Bytes, RequestError> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(8))
        .with_max_times(limits.retries)
        .with_jitter();
    let begun = Instant::now();
    (|| ask_once(client, path, list, limits))
        .retry(backoff)
        .when(|error| error.is_transient() && !(error.is_failure_of_server() && begun.elapsed() > PATIENCE))
        .adjust(|error, delay| {
            let wanted = error.pause().unwrap_or_default().min(LONGEST_PAUSE);
            delay.map(|delay| delay.max(wanted))
        })
        .notify(|error, delay| tracing::warn!(path, ?delay, %error, "asking the API server again"))
        .await
}

async fn ask_once(
    client: &Client,
    path: &str,
    list: Option<&ListParams>,
    limits: &Limits,
) -> Result<Bytes, RequestError> {
    let builder = kube::core::Request::new(path);
    let mut request = match list {
        Some(parameters) => builder.list(parameters),
        None => Request::get(path).body(Vec::new()).map_err(kube::core::request::Error::BuildRequest),
    }
    .context(request_error::WriteSnafu)?;
    request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static("application/json"));
    let answer = tokio::time::timeout(limits.timeout, answer(client, request, limits.most_bytes)).await;
    answer.unwrap_or_else(|_| request_error::WaitSnafu { seconds: limits.timeout.as_secs() }.fail())
}

async fn answer(client: &Client, request: Request<Vec<u8>>, most_bytes: usize) -> Result<Bytes, RequestError> {
    let response = client.send(request.map(Body::from)).await.context(request_error::ReachSnafu)?;
    if response.status().is_success() {
        return read(response.into_body(), most_bytes).await;
    }
    Err(refusal(response).await)
}

async fn read(mut body: Body, most_bytes: usize) -> Result<Bytes, RequestError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.context(request_error::ReadSnafu)?.into_data() else {
            continue;
        };
        ensure!(bytes.len() + data.len() <= most_bytes, request_error::HoldSnafu { bytes: most_bytes });
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

async fn refusal(response: Response<Body>) -> RequestError {
    let code = response.status();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = read(response.into_body(), MOST_ERROR_BYTES).await.unwrap_or_default();
    read_refusal(code, header, &body)
}

/// What an answer with an error says. A proxy's answer is no `Status`, and is repeated as it is.
fn read_refusal(code: StatusCode, retry_after: Option<u64>, body: &[u8]) -> RequestError {
    let status: Option<Status> = serde_json::from_slice(body).ok();
    let message = match &status {
        Some(status) if !status.message.is_empty() => status.message.clone(),
        Some(_) => code.canonical_reason().unwrap_or_default().to_owned(),
        None => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let details = status.as_ref().and_then(|status| status.details.as_ref());
    let seconds = retry_after.or(details.map(|details| details.retry_after_seconds.into())).filter(|&pause| pause > 0);
    RequestError::Refuse {
        code: code.as_u16(),
        message: shorten(message),
        token: status.and_then(|status| status.metadata?.continue_),
        pause: seconds.map(Duration::from_secs),
    }
}

fn shorten(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MOST_MESSAGE_BYTES));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal_of(code: u16, retry_after: Option<u64>, body: &str) -> (String, Option<String>, Option<Duration>) {
        let error = read_refusal(StatusCode::from_u16(code).unwrap(), retry_after, body.as_bytes());
        match error {
            RequestError::Refuse { message, token, pause, .. } => (message, token, pause),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_expired_list_tells_how_to_go_on() {
        let body = r#"{"kind":"Status","apiVersion":"v1","metadata":{"continue":"abc"},"status":"Failure",
            "message":"The provided continue parameter is too old","reason":"Expired","code":410}"#;
        let expected = ("The provided continue parameter is too old".to_owned(), Some("abc".to_owned()), None);
        assert_eq!(refusal_of(410, None, body), expected);
    }

    #[test]
    fn a_busy_server_tells_how_long_to_wait() {
        let body = r#"{"kind":"Status","status":"Failure","message":"too many requests","code":429,
            "details":{"retryAfterSeconds":3}}"#;
        assert_eq!(refusal_of(429, Some(7), body).2, Some(Duration::from_secs(7)));
        assert_eq!(refusal_of(429, None, body).2, Some(Duration::from_secs(3)));
        assert_eq!(refusal_of(503, None, "").2, None);
    }

    #[test]
    fn no_more_than_a_kilobyte_of_the_servers_words_is_repeated() {
        let (message, ..) = refusal_of(502, None, &"ä".repeat(10_000));
        assert_eq!(message.len(), 1_024);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let code = |code| read_refusal(StatusCode::from_u16(code).unwrap(), None, b"").is_transient();
        let transient: Vec<u16> =
            [400, 401, 403, 404, 408, 410, 422, 429, 500, 502, 503, 504].into_iter().filter(|&c| code(c)).collect();
        assert_eq!(transient, [408, 429, 500, 502, 503, 504]);
    }
}
