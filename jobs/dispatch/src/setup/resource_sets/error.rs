use std::path::PathBuf;

use drover::annotations::ADDED_TO_ANNOTATION;
use drover::cluster::ApiError;
use drover::exit::{Exit, Fault};
use snafu::Snafu;

/// Why a ResourceSet was not created.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(super) enum Error {
    #[snafu(display("failed to read {path:?}; see --resource-sets"))]
    ReadFile { path: PathBuf, source: std::io::Error },
    #[snafu(display("failed to read a ResourceSet of resources.cattle.io/v1 in the file {path:?}"))]
    Parse { path: PathBuf, source: Box<serde_saphyr::Error> },
    #[snafu(display("failed to find a ResourceSet in the file {path:?}: it holds a {kind:?} of {api_version:?}"))]
    OtherKind { path: PathBuf, kind: String, api_version: String },
    #[snafu(display(
        "failed to add the selectors of {part:?} to the ResourceSet {name:?}: no file of the folder has it; take the name \
         out of the annotation {ADDED_TO_ANNOTATION}, or add the file"
    ))]
    NoSuchSet { part: String, name: String },
    #[snafu(display("failed to {verb} the ResourceSet {name:?}"))]
    Ask { verb: &'static str, name: String, source: ApiError },
    #[snafu(display(
        "failed to create the ResourceSet {name:?}: the cluster has no such type yet; apply drover's definitions \
         (manifests/crds), and the next run creates it"
    ))]
    MissingDefinition { name: String },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::MissingDefinition { .. } => Exit::Unavailable,
            Self::Ask { source, .. } => source.exit(),
            Self::ReadFile { .. } | Self::Parse { .. } | Self::OtherKind { .. } | Self::NoSuchSet { .. } => Exit::Usage,
        }
    }
}
