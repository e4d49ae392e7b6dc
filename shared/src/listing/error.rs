//! Why a type cannot be read.

use snafu::Snafu;

use super::Account;
use super::permission::{how_to_permit, right};
use crate::api::{PageError, RequestError};
use crate::exit::{Exit, Fault};
use crate::selection::ResourceType;

/// Why a type cannot be read. Each names the type, as `<plural>.<group>`.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub enum ListError {
    /// The job lacks the right.
    #[snafu(display("failed to {verb} {resource:?}; {help}"))]
    Permit {
        /// The type.
        resource: String,
        /// `list` or `get`.
        verb: &'static str,
        /// What gives it.
        help: String,
        /// The right that a role of the cluster gives, as `get <plural>.<group>`.
        right: Option<String>,
        /// What the server said.
        #[snafu(source(from(RequestError, Box::new)))]
        source: Box<RequestError>,
    },
    /// The type was there when the cluster was asked for its types.
    #[snafu(display(
        "failed to list {resource:?}: it is no longer served; its definition was deleted meanwhile, so run again"
    ))]
    Serve {
        /// The type.
        resource: String,
        /// What the server said.
        #[snafu(source(from(RequestError, Box::new)))]
        source: Box<RequestError>,
    },
    /// The server does not take the request's selectors.
    #[snafu(display(
        "failed to list {resource:?}: the server does not take the request; correct labelSelectors or fieldSelectors of \
         the ResourceSet"
    ))]
    Select {
        /// The type.
        resource: String,
        /// What the server said.
        #[snafu(source(from(RequestError, Box::new)))]
        source: Box<RequestError>,
    },
    /// The list is expired and the server gave no way on.
    #[snafu(display(
        "failed to list {resource:?}: it changed while it was read, and the server gave no way on; run again"
    ))]
    Continue {
        /// The type.
        resource: String,
        /// What the server said.
        #[snafu(source(from(RequestError, Box::new)))]
        source: Box<RequestError>,
    },
    /// The server repeats a page for ever.
    #[snafu(display(
        "failed to list {resource:?}: the server repeats one page for ever; leave the type out of the ResourceSet"
    ))]
    Advance {
        /// The type.
        resource: String,
    },
    /// The server did not answer, or with an error.
    #[snafu(display(
        "failed to {verb} {resource:?}; see whether what serves it is well, an aggregated API (kubectl get apiservices) or the \
         conversion webhook of its definition, then run again"
    ))]
    Ask {
        /// The type.
        resource: String,
        /// `list` or `get`.
        verb: &'static str,
        /// What happened.
        #[snafu(source(from(RequestError, Box::new)))]
        source: Box<RequestError>,
    },
    /// The answer is no list of Kubernetes.
    #[snafu(display("failed to read the list of {resource:?}; a proxy may stand in front of the API server"))]
    Read {
        /// The type.
        resource: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The process is ending.
    #[snafu(display("failed to list {resource:?}: the process is ending"))]
    Finish {
        /// The type.
        resource: String,
        /// Why.
        source: tokio::task::JoinError,
    },
}

impl ListError {
    /// Whether it is about this one type: the others may be read all the same.
    #[must_use]
    pub fn is_of_one_type(&self) -> bool {
        match self {
            Self::Permit { source, .. } | Self::Ask { source, .. } => source.is_of_question(),
            Self::Finish { .. } => false,
            _ => true,
        }
    }

    /// The right whose lack it is, as `get <plural>.<group>`, where a role gives it to the job's ServiceAccount.
    #[must_use]
    pub fn missing_right(&self) -> Option<&str> {
        if let Self::Permit { right, .. } = self { right.as_deref() } else { None }
    }

    /// What the server said, where it refused, or that it did not answer.
    #[must_use]
    pub fn request(&self) -> Option<&RequestError> {
        match self {
            Self::Permit { source, .. }
            | Self::Serve { source, .. }
            | Self::Select { source, .. }
            | Self::Continue { source, .. }
            | Self::Ask { source, .. } => Some(source),
            Self::Advance { .. } | Self::Read { .. } | Self::Finish { .. } => None,
        }
    }

    /// The error for a list that does not go on, of whoever `account` is.
    #[must_use]
    pub fn of_list(resource: &ResourceType, account: Option<&Account>, error: PageError) -> Self {
        match error {
            PageError::Ask { source } => Self::new(resource, "list", account, source),
            PageError::Read { source } => Self::Read { resource: resource.type_name(), source },
            PageError::Repeat => Self::Advance { resource: resource.type_name() },
        }
    }

    /// The error for a request that failed, of whoever `account` is.
    pub(super) fn new(
        resource: &ResourceType,
        verb: &'static str,
        account: Option<&Account>,
        source: RequestError,
    ) -> Self {
        let (name, code) = (resource.type_name(), source.code());
        let source = Box::new(source);
        match code {
            Some(401 | 403) => {
                // Whom the server does not know a role does not help.
                let account = account.filter(|_| code == Some(403));
                let (help, right) = (how_to_permit(resource, verb, account), account.and(right(resource, verb)));
                Self::Permit { resource: name, verb, help, right, source }
            }
            Some(400) if verb == "list" => Self::Select { resource: name, source },
            Some(404) => Self::Serve { resource: name, source },
            Some(410) => Self::Continue { resource: name, source },
            _ => Self::Ask { resource: name, verb, source },
        }
    }
}

impl Fault for ListError {
    fn exit(&self) -> Exit {
        match self {
            Self::Permit { .. } | Self::Select { .. } => Exit::Usage,
            Self::Serve { .. } | Self::Continue { .. } | Self::Finish { .. } => Exit::Unavailable,
            Self::Ask { source, .. } => source.exit(),
            Self::Advance { .. } | Self::Read { .. } => Exit::Failure,
        }
    }
}
