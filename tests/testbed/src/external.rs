//! A cluster that somebody else has, in place of the testbed's node: `DROVER_TEST_KUBECONFIG` and `DROVER_TEST_IMAGE`.

use std::path::PathBuf;

/// The kubeconfig of a cluster that may be broken.
const KUBECONFIG: &str = "DROVER_TEST_KUBECONFIG";
/// An image of drover that the cluster can pull.
pub(crate) const IMAGE: &str = "DROVER_TEST_IMAGE";

pub(crate) fn kubeconfig() -> Option<PathBuf> {
    std::env::var_os(KUBECONFIG).filter(|path| !path.is_empty()).map(PathBuf::from)
}

pub(crate) fn image() -> Option<String> {
    std::env::var(IMAGE).ok().filter(|name| !name.is_empty())
}
