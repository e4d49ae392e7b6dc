//! Why it is not known what drover stands on.

use drover::api::RequestError;
use drover::exit::{Exit, Fault};
use snafu::Snafu;

/// Why it is not known what drover stands on.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum GroundError {
    #[snafu(display(
        "failed to read the {what}, and so which Secrets drover works with; nothing was changed. May this user read them?"
    ))]
    Read { what: &'static str, source: RequestError },
    #[snafu(display("failed to read the server's answer about the {what}; nothing was changed. Try again"))]
    Answer { what: &'static str },
    #[snafu(display(
        "failed to read the {kind} {name:?}, and so which Secrets it names; nothing was changed. Correct it, or delete it"
    ))]
    Parse { kind: String, name: String, source: serde_json::Error },
    #[snafu(display(
        "failed to find the definition of BackupPolicy, so it is not known which Secrets policies name; nothing was \
         changed. Apply your overlay's foundation again"
    ))]
    FindPolicies,
    #[snafu(display(
        "failed to find drover in the namespace {namespace:?}: it runs in {runs_in:?}, and what it stands on is to be kept \
         there; nothing was changed. Use --drover-namespace {runs_in}"
    ))]
    Elsewhere { namespace: String, runs_in: String },
}

impl Fault for GroundError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } => source.exit(),
            Self::Answer { .. } => Exit::Unavailable,
            Self::Parse { .. } | Self::FindPolicies | Self::Elsewhere { .. } => Exit::Usage,
        }
    }
}
