//! Why a ResourceSet cannot be read.

use snafu::Snafu;

use crate::exit::{Exit, Fault};

/// Why a ResourceSet cannot be read. Selectors are counted as `kubectl explain` and JSON paths count them, from 0.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum PlanError {
    /// A regexp that Go would not read either.
    #[snafu(display(
        "failed to read {field} {value:?} of resourceSelectors[{selector}], at character {position}: {problem}; give a \
         regexp of Go's RE2"
    ))]
    ReadPattern {
        selector: usize,
        field: &'static str,
        /// The regexp, cut to 100 characters.
        value: String,
        /// The character at which it goes wrong, from 1.
        position: usize,
        problem: &'static str,
    },
    #[snafu(display(
        "failed to read apiVersion {value:?} of resourceSelectors[{selector}]; give a group and version such as \
         \"apps/v1\", or \"v1\""
    ))]
    ReadApiVersion { selector: usize, value: String },
    #[snafu(display("failed to read labelSelectors of resourceSelectors[{selector}]: {value:?} {problem}"))]
    ReadLabels {
        selector: usize,
        /// The key, value or operator.
        value: String,
        problem: &'static str,
    },
    #[snafu(display(
        "failed to read fieldSelectors of resourceSelectors[{selector}]: {value:?} is no path such as \"status.phase\""
    ))]
    ReadField { selector: usize, value: String },
    #[snafu(display(
        "failed to read {field} of resourceSelectors[{selector}]: no object can be named {value:?} (\"/\" and \"%\" are \
         not allowed)"
    ))]
    ReadName {
        selector: usize,
        /// `resourceNames` or `namespaces`.
        field: &'static str,
        value: String,
    },
}

impl Fault for PlanError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// What an error quotes of a text that may be as long as an object of Kubernetes.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(100).collect()
}
