//! Images for the node, made without Docker from programs of this machine.
//!
//! Each is an OCI layout in a tar archive: one layer, a configuration, an index that says its name. The node has them
//! before its first pod, so nothing is ever pulled.

mod import;
mod layer;
mod layout;
mod libraries;
mod recipe;

use clap::ValueEnum;

use crate::programs::Program;

pub(crate) use self::import::{Images, import};
pub use self::layout::Error;

/// What stands for the registry in a name that has none. Nothing is ever asked of it.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of every image.
pub const TAG: &str = "testbed";

/// An image that the node has. All run without being root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Image {
    /// What holds the namespaces of a pod; every node has it.
    #[value(skip)]
    Pause,
    /// The DNS server; every node has it.
    #[value(skip)]
    Coredns,
    /// The jobs of this workspace, built as the caller was: `/snapshot`, `/upload`, `/retention-prune`, `/restore`, `/heartbeat` and `/dispatch`.
    Drover,
    /// The NATS server.
    Nats,
    /// The Versity S3 Gateway.
    Versitygw,
    /// kubectl, for pods that act as somebody.
    Kubectl,
}

impl Image {
    /// Every image that a user of the node may want.
    pub const ALL: [Self; 4] = [Self::Drover, Self::Nats, Self::Versitygw, Self::Kubectl];
    /// The images that a node needs for itself.
    pub(crate) const OF_THE_NODE: [Self; 2] = [Self::Pause, Self::Coredns];

    /// The name that manifests have for it, without a tag.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Coredns => "coredns",
            Self::Drover => "drover",
            Self::Nats => "nats",
            Self::Versitygw => "versity/versitygw",
            Self::Kubectl => "kubectl",
        }
    }

    /// The full name of an image called by its name and [`TAG`].
    #[must_use]
    pub fn reference(self) -> String {
        let name = self.name();
        let folder = if name.contains('/') { "" } else { "library/" };
        format!("{DEFAULT_REGISTRY}/{folder}{name}:{TAG}")
    }

    /// The program of the testbed that it is made of, if it is.
    pub(crate) fn program(self) -> Option<Program> {
        match self {
            Self::Pause | Self::Drover => None,
            Self::Coredns => Some(Program::Coredns),
            Self::Nats => Some(Program::NatsServer),
            Self::Versitygw => Some(Program::Versitygw),
            Self::Kubectl => Some(Program::Kubectl),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_out_as_a_node_does_it() {
        assert_eq!(Image::Drover.reference(), "docker.io/library/drover:testbed");
        assert_eq!(Image::Versitygw.reference(), "docker.io/versity/versitygw:testbed");
    }
}
