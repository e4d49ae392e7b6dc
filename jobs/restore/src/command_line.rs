//! The command line: archives on this machine, a kubeconfig is all that it needs.

pub(crate) mod list;
pub(crate) mod local;
