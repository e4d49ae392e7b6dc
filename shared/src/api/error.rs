//! Why a request has no answer.

use std::time::Duration;

use snafu::Snafu;

use crate::cluster::api_server;
use crate::exit::{Exit, Fault};

/// Why a request did not do what it was to do.
#[derive(Debug, Snafu)]
#[snafu(module, visibility(pub(in crate::api)))]
pub enum RequestError {
    /// The server said no; its words.
    #[snafu(display("{message}"))]
    Refused {
        /// The HTTP status.
        code: u16,
        /// The server's word for it, such as `AlreadyExists`.
        reason: String,
        /// The server's sentence.
        message: String,
        /// The pause that it asks for.
        retry_after: Option<Duration>,
        /// Where a list whose token expired (410) goes on.
        continue_token: Option<String>,
    },
    /// No answer came.
    #[snafu(display("failed to ask for {path:?}"))]
    Send {
        /// Path of the request.
        path: String,
        /// The cause.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    /// The answer broke off.
    #[snafu(display("failed to read the answer for {path:?} to its end"))]
    Read {
        /// Path of the request.
        path: String,
        /// The cause.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    /// No answer came in time.
    #[snafu(display("{} did not answer for {path:?} within {seconds} s", api_server()))]
    Timeout {
        /// Path of the request.
        path: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The answer is larger than it may be.
    #[snafu(display("the answer for {path:?} is over {bytes} bytes"))]
    TooLarge {
        /// Path of the request.
        path: String,
        /// How large it may be.
        bytes: usize,
    },
    /// The request cannot be made of this path or body.
    #[snafu(display("failed to make a request of {path:?}"))]
    Build {
        /// Path of the request.
        path: String,
        /// The cause.
        source: kube::core::request::Error,
    },
}

impl RequestError {
    /// The HTTP status, where the server said no.
    #[must_use]
    pub const fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The pause that the server asks for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the server does not answer at all: then other requests would fare no better.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Send { .. } | Self::Read { .. } | Self::Timeout { .. })
    }

    /// Whether the object is not there.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Whether an object of that name is there already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Refused { code: 409, reason, .. } if reason == "AlreadyExists")
    }

    /// Whether somebody else changed the object in between.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, reason, .. } if reason != "AlreadyExists")
    }

    /// Whether this user may not ask that, or the server does not know who asks.
    #[must_use]
    pub const fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code: 401 | 403, .. })
    }

    /// Whether it asks for what the object does not allow: it may have to be made anew.
    #[must_use]
    pub const fn is_invalid(&self) -> bool {
        matches!(self, Self::Refused { code: 422, .. })
    }

    /// Whether the server answered that it failed: what a webhook or an aggregated API that is down comes to, of which every
    /// answer may take half a minute.
    pub(super) const fn is_failure_of_server(&self) -> bool {
        matches!(self, Self::Refused { code: 500..=599, .. })
    }

    /// Whether it says something of what was asked for, and nothing of the whole server or of who asks: the rest may be had.
    pub(crate) const fn is_of_question(&self) -> bool {
        match self {
            Self::Refused { code, .. } => !matches!(code, 401 | 429),
            Self::Timeout { .. } | Self::TooLarge { .. } => true,
            Self::Send { .. } | Self::Read { .. } | Self::Build { .. } => false,
        }
    }

    /// Whether another try may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { code, .. } => exit_of(*code) == Exit::Unavailable,
            Self::Send { source, .. } => !is_of_credentials(source),
            Self::Read { .. } | Self::Timeout { .. } => true,
            Self::TooLarge { .. } | Self::Build { .. } => false,
        }
    }
}

/// How a job ends that a refusal with this HTTP status ends.
pub(crate) const fn exit_of(code: u16) -> Exit {
    match code {
        401 | 403 => Exit::Usage,
        408 | 429 | 500..=599 => Exit::Unavailable,
        _ => Exit::Failure,
    }
}

/// Whether the kubeconfig's way to credentials failed, so that nothing was asked.
const fn is_of_credentials(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Auth(_))
}

impl Fault for RequestError {
    fn exit(&self) -> Exit {
        match self {
            Self::Refused { code, .. } => exit_of(*code),
            Self::Send { source, .. } if is_of_credentials(source) => Exit::Usage,
            error if error.is_transient() => Exit::Unavailable,
            _ => Exit::Failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(code: u16, reason: &str) -> RequestError {
        let (reason, message) = (reason.to_owned(), "no".to_owned());
        RequestError::Refused { code, reason, message, retry_after: None, continue_token: None }
    }

    #[test]
    fn refusals_are_told_apart() {
        assert!(refused(409, "AlreadyExists").is_already_exists());
        assert!(!refused(409, "AlreadyExists").is_conflict());
        assert!(refused(409, "Conflict").is_conflict());
        assert!(refused(404, "NotFound").is_not_found());
        assert!(refused(422, "Invalid").is_invalid());
        assert!(!refused(503, "ServiceUnavailable").is_unreachable());
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let transient: Vec<u16> = [400, 401, 403, 404, 408, 409, 410, 422, 429, 500, 502, 503, 504]
            .into_iter()
            .filter(|&code| refused(code, "").is_transient())
            .collect();
        assert_eq!(transient, [408, 429, 500, 502, 503, 504]);
    }

    #[test]
    fn a_right_that_lacks_needs_a_change_and_a_server_that_is_busy_or_away_another_try() {
        for (code, expected) in [
            (400, Exit::Failure),
            (401, Exit::Usage),
            (403, Exit::Usage),
            (422, Exit::Failure),
            (429, Exit::Unavailable),
            (503, Exit::Unavailable),
        ] {
            assert_eq!(refused(code, "").exit(), expected, "{code}");
        }
        let hangs = RequestError::Timeout { path: "/p".to_owned(), seconds: 60 };
        assert_eq!((hangs.exit(), hangs.is_unreachable()), (Exit::Unavailable, true));
        assert_eq!(RequestError::TooLarge { path: "/p".to_owned(), bytes: 1 }.exit(), Exit::Failure);
    }
}
