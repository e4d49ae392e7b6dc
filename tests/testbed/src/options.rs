//! What a testbed consists of.

use std::collections::BTreeSet;

use clap::ValueEnum;

use crate::part::Part;

/// A service that a testbed can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Service {
    /// etcd and the API server: custom resources, RBAC, admission, watches.
    ControlPlane,
    /// The controllers and the scheduler, on top of the control plane: service accounts, garbage collection, Jobs.
    Controllers,
    /// NATS with JetStream, its store in the temporary folder.
    Nats,
    /// MinIO over http.
    Minio,
    /// A second MinIO, over https with a certificate that only its own authority vouches for.
    MinioTls,
}

impl Service {
    fn parts(self) -> &'static [Part] {
        match self {
            Self::ControlPlane => &[Part::Etcd, Part::ApiServer],
            Self::Controllers => &[Part::Etcd, Part::ApiServer, Part::ControllerManager, Part::Scheduler],
            Self::Nats => &[Part::Nats],
            Self::Minio => &[Part::Minio],
            Self::MinioTls => &[Part::MinioTls],
        }
    }
}

/// Which services a testbed starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    parts: BTreeSet<Part>,
    api_server: Vec<String>,
}

impl Default for Options {
    /// Every service.
    fn default() -> Self {
        Self::only(Service::value_variants().iter().copied())
    }
}

impl Options {
    /// Only the services named, and what they stand on.
    pub fn only(services: impl IntoIterator<Item = Service>) -> Self {
        Self { parts: services.into_iter().flat_map(Service::parts).copied().collect(), api_server: Vec::new() }
    }

    /// With these arguments for the API server, besides its own.
    #[must_use]
    pub fn api_server_arguments<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.api_server.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub(crate) fn further_api_server_arguments(&self) -> &[String] {
        &self.api_server
    }

    /// The parts to run, in the order in which they start.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> {
        self.parts.iter().copied()
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_bring_their_control_plane() {
        let parts: Vec<Part> = Options::only([Service::Controllers]).parts().collect();
        assert_eq!(parts, [Part::Etcd, Part::ApiServer, Part::ControllerManager, Part::Scheduler]);
    }

    #[test]
    fn the_default_is_everything() {
        assert_eq!(Options::default().parts().count(), 7);
    }
}
