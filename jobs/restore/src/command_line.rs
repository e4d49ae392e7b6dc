//! The command line: archives on this machine, a kubeconfig is all that it needs.

pub(crate) mod arguments;
pub(crate) mod list;
pub(crate) mod listing;
pub(crate) mod local;
pub(crate) mod output;
