//! From options to a running testbed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::try_join;
use snafu::ResultExt;

use super::error::{GetProgramsSnafu, GiveImageSnafu, MakeReadinessClientSnafu, RunPodsSnafu, SuperviseSnafu};
use super::{Blueprint, Error, Testbed};
use crate::control_plane::ControlPlane;
use crate::images::{Image, Images};
use crate::minio::Minio;
use crate::nats::Nats;
use crate::network::Network;
use crate::node::Node;
use crate::options::Options;
use crate::part::Part;
use crate::programs::{self, Program};
use crate::prometheus::Prometheus;
use crate::readiness::Readiness;
use crate::supervisor::{self, Isolated, Launch, Supervisor};
use crate::versitygw::Versitygw;
use crate::{ability, external, packages};

/// A port may be taken between its choice and its use; that it happens this often is unlikely.
const ATTEMPTS: usize = 4;

pub(super) async fn start(options: &Options) -> Result<Testbed, Error> {
    // An error says that a provider is there already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let external = options.has(Part::Kubelet).then(external::kubeconfig).flatten();
    let options = &external.as_ref().map_or_else(|| options.clone(), |_| options.without_cluster());
    let materials = Materials::get(options).await?;
    for _ in 1..ATTEMPTS {
        match attempt(options, &materials).await {
            Err(error) if error.is_port_conflict() => {}
            result => return result.map(|testbed| Testbed { external, ..testbed }),
        }
    }
    attempt(options, &materials).await.map(|testbed| Testbed { external, ..testbed })
}

/// What is found or built before anything starts.
struct Materials {
    programs: BTreeMap<Program, PathBuf>,
    images: Images,
    supervisor: PathBuf,
}

impl Materials {
    async fn get(options: &Options) -> Result<Self, Error> {
        if options.has(Part::Kubelet) {
            ability::prepare().await.context(RunPodsSnafu)?;
        }
        let programs = programs::locate(wanted(options)).await.context(GetProgramsSnafu)?;
        let images: Vec<Image> = options.wanted_images().collect();
        let images = Images::prepare(&images, &programs).await.context(GiveImageSnafu)?;
        let supervisor = supervisor::executable().await.context(SuperviseSnafu)?;
        Ok(Self { programs, images, supervisor })
    }

    /// The program of a part; what the testbed does not build was found or installed.
    fn program(&self, options: &Options, part: Part) -> Option<PathBuf> {
        options
            .program(part)
            .map_or_else(|| packages::find(part.name()), |program| self.programs.get(&program).cloned())
    }
}

/// The programs of the parts, and those that images are made of. A node is filled with kubectl.
fn wanted(options: &Options) -> impl Iterator<Item = Program> {
    let parts = options.parts().filter_map(|part| options.program(part));
    let images = options.wanted_images().filter_map(Image::program);
    let of_the_node = options.has(Part::Kubelet).then_some([Program::Coredns, Program::Kubectl]);
    let all: BTreeSet<Program> = parts.chain(images).chain(of_the_node.into_iter().flatten()).collect();
    Program::ALL.into_iter().filter(move |program| all.contains(program))
}

async fn attempt(options: &Options, materials: &Materials) -> Result<Testbed, Error> {
    let supervisor = Supervisor::start(&materials.supervisor).await.context(SuperviseSnafu)?;
    let isolated =
        if options.has(Part::Kubelet) { Some(supervisor.isolate().await.context(SuperviseSnafu)?) } else { None };
    let plan = Plan::make(options, supervisor.folder(), isolated)?;
    let testbed = plan.testbed(options, materials, supervisor)?;
    // The controllers give up when the API server takes long, and the kubelet asks for images at once.
    let (second, first): (Vec<Part>, Vec<Part>) = options
        .parts()
        .partition(|part| matches!(part, Part::ControllerManager | Part::Scheduler | Part::Kubelet | Part::KubeProxy));
    let (runtime, first): (Vec<Part>, Vec<Part>) = first.into_iter().partition(|part| *part == Part::Containerd);
    let images: Vec<Image> = options.wanted_images().collect();
    let runtime = async {
        testbed.launch(runtime).await?;
        testbed.give_images(&materials.images, testbed.node_images()).await
    };
    try_join!(testbed.launch(first), runtime)?;
    let cluster = async {
        testbed.launch(second).await?;
        testbed.fill_node().await
    };
    try_join!(cluster, testbed.give_images(&materials.images, &images))?;
    Ok(testbed)
}

/// Everything that is decided before the first process starts.
struct Plan {
    control_plane: Option<ControlPlane>,
    nats: Option<Nats>,
    minio: Option<Minio>,
    minio_tls: Option<Minio>,
    versitygw: Option<Versitygw>,
    prometheus: Option<Prometheus>,
    node: Option<Node>,
}

impl Plan {
    fn make(options: &Options, folder: &Path, isolated: Option<Isolated>) -> Result<Self, Error> {
        let has = |part| options.has(part);
        let network = isolated.map(|isolated| Network::of(isolated.slot));
        let control_plane =
            has(Part::ApiServer).then(|| ControlPlane::prepare(folder, options, network)).transpose()?;
        let node = isolated.zip(control_plane.as_ref());
        Ok(Self {
            node: node.map(|(isolated, plane)| Node::prepare(folder, isolated, plane)).transpose()?,
            control_plane,
            nats: has(Part::Nats).then(|| Nats::prepare(folder)).transpose()?,
            minio: has(Part::Minio).then(|| Minio::prepare(folder, Part::Minio)).transpose()?,
            minio_tls: has(Part::MinioTls).then(|| Minio::prepare(folder, Part::MinioTls)).transpose()?,
            versitygw: has(Part::Versitygw).then(|| Versitygw::prepare(folder)).transpose()?,
            prometheus: has(Part::Prometheus).then(|| Prometheus::prepare(folder)).transpose()?,
        })
    }

    fn testbed(self, options: &Options, materials: &Materials, supervisor: Supervisor) -> Result<Testbed, Error> {
        Ok(Testbed {
            supervisor,
            external: None,
            parts: options.parts().filter_map(|part| self.part(part, options, materials)).collect(),
            readiness: self.readiness()?,
            kubeconfig: self.control_plane.map(|plane| plane.kubeconfig()),
            nats_url: self.nats.map(|nats| nats.url),
            s3: self.minio.map(|minio| minio.s3),
            s3_tls: self.minio_tls.map(|minio| minio.s3),
            s3_other: self.versitygw.map(|gateway| gateway.s3),
            prometheus: self.prometheus,
            node: self.node,
        })
    }

    fn part(&self, part: Part, options: &Options, materials: &Materials) -> Option<(Part, (Launch, Vec<String>))> {
        let Blueprint { arguments, environment, addresses, isolated } = self.blueprint(part)?;
        let (name, program) = (part.name().to_owned(), materials.program(options, part)?);
        // Nothing of a testbed outlives it, so no part is given time to end.
        let launch = Launch { name, program, arguments, environment, grace: Duration::ZERO, isolated };
        Some((part, (launch, addresses)))
    }

    fn blueprint(&self, part: Part) -> Option<Blueprint> {
        match part {
            Part::Etcd | Part::ApiServer | Part::ControllerManager | Part::Scheduler => {
                self.control_plane.as_ref().map(|plane| plane.blueprint(part))
            }
            Part::Containerd | Part::Kubelet | Part::KubeProxy => self.node.as_ref().map(|node| node.blueprint(part)),
            Part::Nats => self.nats.as_ref().map(Nats::blueprint),
            Part::Minio => self.minio.as_ref().map(Minio::blueprint),
            Part::MinioTls => self.minio_tls.as_ref().map(Minio::blueprint),
            Part::Versitygw => self.versitygw.as_ref().map(Versitygw::blueprint),
            Part::Prometheus => self.prometheus.as_ref().map(Prometheus::blueprint),
        }
    }

    /// The API server and MinIO have an authority each.
    fn readiness(&self) -> Result<Readiness, Error> {
        let of_minio = self.minio_tls.as_ref().and_then(|minio| minio.s3.ca_pem.clone());
        let of_kubernetes = self.control_plane.as_ref().map(ControlPlane::authority);
        let authorities: Vec<String> = of_minio.into_iter().chain(of_kubernetes).collect();
        let admin = self.control_plane.as_ref().map(ControlPlane::admin);
        Readiness::new(&authorities, admin.as_deref()).context(MakeReadinessClientSnafu)
    }
}
