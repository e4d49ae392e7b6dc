use std::fmt;

use crate::api::exit_of;
use crate::exit::{Chain, Exit, Fault};

/// Why the API server did not do what was asked. It displays the server's own words, once.
#[derive(Debug)]
pub struct ApiError(Box<kube::Error>);

impl ApiError {
    /// The HTTP status, where the server answered.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match &*self.0 {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether a field was applied that the definition in the cluster does not have: the server says so with 500.
    #[must_use]
    pub(crate) fn is_undeclared_field(&self) -> bool {
        matches!(&*self.0, kube::Error::Api(status) if status.message.contains("field not declared in schema"))
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain(self.0.as_ref()).fmt(formatter)
    }
}

impl std::error::Error for ApiError {}

impl Fault for ApiError {
    fn exit(&self) -> Exit {
        match &*self.0 {
            kube::Error::Api(_) if self.is_undeclared_field() => Exit::Usage,
            kube::Error::Api(status) => exit_of(status.code),
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => Exit::Unavailable,
            kube::Error::InferConfig(_) | kube::Error::Auth(_) | kube::Error::TlsRequired => Exit::Usage,
            _ => Exit::Failure,
        }
    }
}
