//! From options to a running testbed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snafu::ResultExt;

use super::error::{GetProgramsSnafu, MakeReadinessClientSnafu, SuperviseSnafu};
use super::{Blueprint, Error, Testbed};
use crate::control_plane::ControlPlane;
use crate::minio::Minio;
use crate::nats::Nats;
use crate::options::Options;
use crate::part::Part;
use crate::programs::{self, Program};
use crate::readiness::Readiness;
use crate::supervisor::{self, Launch, Supervisor};

/// A port may be taken between its choice and its use; that it happens this often is unlikely.
const ATTEMPTS: usize = 4;

pub(super) async fn start(options: &Options) -> Result<Testbed, Error> {
    // An error says that a provider is there already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let programs = programs::locate(wanted(options)).await.context(GetProgramsSnafu)?;
    let supervisor = supervisor::executable().await.context(SuperviseSnafu)?;
    for _ in 1..ATTEMPTS {
        match attempt(options, &programs, &supervisor).await {
            Err(error) if error.is_port_conflict() => {}
            result => return result,
        }
    }
    attempt(options, &programs, &supervisor).await
}

fn wanted(options: &Options) -> impl Iterator<Item = Program> {
    Program::ALL.into_iter().filter(|program| options.parts().any(|part| part.program() == *program))
}

async fn attempt(
    options: &Options,
    programs: &BTreeMap<Program, PathBuf>,
    supervisor: &Path,
) -> Result<Testbed, Error> {
    let supervisor = Supervisor::start(supervisor).await.context(SuperviseSnafu)?;
    let plan = Plan::make(options, supervisor.folder())?;
    let testbed = plan.testbed(options, programs, supervisor)?;
    // The controllers give up when the API server takes long, so they come second.
    let (second, first): (Vec<Part>, Vec<Part>) =
        options.parts().partition(|part| matches!(part, Part::ControllerManager | Part::Scheduler));
    testbed.launch(first).await?;
    testbed.launch(second).await?;
    Ok(testbed)
}

/// Everything that is decided before the first process starts.
struct Plan {
    control_plane: Option<ControlPlane>,
    nats: Option<Nats>,
    minio: Option<Minio>,
    minio_tls: Option<Minio>,
}

impl Plan {
    fn make(options: &Options, folder: &Path) -> Result<Self, Error> {
        let has = |part| options.has(part);
        Ok(Self {
            control_plane: has(Part::ApiServer).then(|| ControlPlane::prepare(folder, options)).transpose()?,
            nats: has(Part::Nats).then(|| Nats::prepare(folder)).transpose()?,
            minio: has(Part::Minio).then(|| Minio::prepare(folder, Part::Minio)).transpose()?,
            minio_tls: has(Part::MinioTls).then(|| Minio::prepare(folder, Part::MinioTls)).transpose()?,
        })
    }

    fn testbed(
        self,
        options: &Options,
        programs: &BTreeMap<Program, PathBuf>,
        supervisor: Supervisor,
    ) -> Result<Testbed, Error> {
        Ok(Testbed {
            supervisor,
            parts: options.parts().filter_map(|part| self.part(part, programs)).collect(),
            readiness: self.readiness()?,
            kubeconfig: self.control_plane.map(|plane| plane.kubeconfig()),
            nats_url: self.nats.map(|nats| nats.url),
            s3: self.minio.map(|minio| minio.s3),
            s3_tls: self.minio_tls.map(|minio| minio.s3),
        })
    }

    fn part(&self, part: Part, programs: &BTreeMap<Program, PathBuf>) -> Option<(Part, (Launch, Vec<String>))> {
        let Blueprint { arguments, environment, addresses } = self.blueprint(part)?;
        let program = programs.get(&part.program())?.clone();
        // Nothing of a testbed outlives it, so no part is given time to end.
        let launch = Launch { name: part.name().to_owned(), program, arguments, environment, grace: Duration::ZERO };
        Some((part, (launch, addresses)))
    }

    fn blueprint(&self, part: Part) -> Option<Blueprint> {
        match part {
            Part::Etcd | Part::ApiServer | Part::ControllerManager | Part::Scheduler => {
                self.control_plane.as_ref().map(|plane| plane.blueprint(part))
            }
            Part::Nats => self.nats.as_ref().map(Nats::blueprint),
            Part::Minio => self.minio.as_ref().map(Minio::blueprint),
            Part::MinioTls => self.minio_tls.as_ref().map(Minio::blueprint),
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
