//! What is known before anything is written: of the archive, and of the cluster.

pub(crate) mod archive;
pub(crate) mod ground;
pub(crate) mod live;
pub(crate) mod selected;
pub(crate) mod types;
