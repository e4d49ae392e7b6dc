//! What a testbed consists of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::images::Image;
use crate::part::Part;
use crate::programs::Program;

/// A service that a testbed can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Service {
    /// etcd and the API server: custom resources, RBAC, admission, watches.
    ControlPlane,
    /// The controllers and the scheduler, on top of the control plane: service accounts, garbage collection, Jobs.
    Controllers,
    /// A node that runs pods, on top of the controllers, in namespaces of its own; Linux and root only.
    ///
    /// With DNS, Services, volumes, and the images of [`Image`], which need no registry.
    Node,
    /// NATS with JetStream, its store in the temporary folder.
    Nats,
    /// MinIO over http.
    Minio,
    /// A second MinIO, over https with a certificate that only its own authority vouches for.
    MinioTls,
    /// An S3 server of another make, the Versity S3 Gateway over http, its objects files of the temporary folder.
    ///
    /// Only tests of storage need it, so it is no part of the default.
    Versitygw,
    /// Prometheus, which scrapes what a test tells it to; no part of the default either.
    Prometheus,
}

impl Service {
    fn parts(self) -> &'static [Part] {
        match self {
            Self::ControlPlane => &[Part::Etcd, Part::ApiServer],
            Self::Controllers => &[Part::Etcd, Part::ApiServer, Part::ControllerManager, Part::Scheduler],
            Self::Node => &[
                Part::Etcd,
                Part::ApiServer,
                Part::ControllerManager,
                Part::Scheduler,
                Part::Containerd,
                Part::Kubelet,
                Part::KubeProxy,
            ],
            Self::Nats => &[Part::Nats],
            Self::Minio => &[Part::Minio],
            Self::MinioTls => &[Part::MinioTls],
            Self::Versitygw => &[Part::Versitygw],
            Self::Prometheus => &[Part::Prometheus],
        }
    }
}

/// Which services a testbed starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    parts: BTreeSet<Part>,
    api_server: Vec<String>,
    audit_log: Option<PathBuf>,
    images: BTreeSet<Image>,
    is_oldest: bool,
}

impl Default for Options {
    /// Every service that drover's jobs need and that needs no root.
    fn default() -> Self {
        let left_out = [Service::Node, Service::Versitygw, Service::Prometheus];
        Self::only(Service::value_variants().iter().copied().filter(|service| !left_out.contains(service)))
    }
}

impl Options {
    /// Only the services named, and what they stand on.
    pub fn only(services: impl IntoIterator<Item = Service>) -> Self {
        Self {
            parts: services.into_iter().flat_map(Service::parts).copied().collect(),
            api_server: Vec::new(),
            audit_log: None,
            images: Image::ALL.into(),
            is_oldest: false,
        }
    }

    /// With these services too.
    #[must_use]
    pub fn and(mut self, services: impl IntoIterator<Item = Service>) -> Self {
        self.parts.extend(services.into_iter().flat_map(Service::parts).copied());
        self
    }

    /// With only these images on the node, instead of all.
    #[must_use]
    pub fn images(mut self, images: impl IntoIterator<Item = Image>) -> Self {
        self.images = images.into_iter().collect();
        self
    }

    /// Has the API server write down every request, one JSON object a line: who asked for what, and whether it was
    /// allowed.
    #[must_use]
    pub fn audit_log(mut self, path: impl Into<PathBuf>) -> Self {
        self.audit_log = Some(path.into());
        self
    }

    /// With these arguments for the API server, besides its own.
    #[must_use]
    pub fn api_server_arguments<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.api_server.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With the API server of the oldest Kubernetes that drover promises to run on, which is built for this alone.
    #[must_use]
    pub fn oldest_api_server(mut self) -> Self {
        self.is_oldest = true;
        self
    }

    /// The program of a part, where it is one that the testbed builds.
    pub(crate) fn program(&self, part: Part) -> Option<Program> {
        let is_other = self.is_oldest && part == Part::ApiServer;
        if is_other { Some(Program::OldestKubeApiserver) } else { part.program() }
    }

    pub(crate) fn audit_log_path(&self) -> Option<&Path> {
        self.audit_log.as_deref()
    }

    /// The images that the node has, none where there is no node.
    pub(crate) fn wanted_images(&self) -> impl Iterator<Item = Image> {
        self.images.iter().copied().filter(|_| self.has(Part::Kubelet))
    }

    /// Leaves the cluster out: another one serves.
    pub(crate) fn without_cluster(&self) -> Self {
        let mut options = self.clone();
        let of_the_cluster: BTreeSet<Part> = Service::Node.parts().iter().copied().collect();
        options.parts.retain(|part| !of_the_cluster.contains(part));
        options
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
    fn a_node_has_images_and_a_cluster_that_can_be_left_out() {
        let options = Options::only([Service::Node]).and([Service::Nats]);
        assert_eq!(options.parts().count(), 8);
        assert!(options.wanted_images().eq(Image::ALL));
        assert!(options.without_cluster().parts().eq([Part::Nats]));
        assert_eq!(options.without_cluster().wanted_images().count(), 0);
    }

    #[test]
    fn the_default_is_everything_that_needs_no_root() {
        assert_eq!(Options::default().parts().count(), 7);
    }
}
