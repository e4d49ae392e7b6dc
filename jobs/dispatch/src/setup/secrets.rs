//! The keys, certificates and configuration of a NATS server, and of the jobs as its users.
//!
//! ```text
//! Secrets ──▶ plan (pure) ──▶ nats-ca ─▶ nats-server ─▶ nats-<job>, one after the other ──▶ the server's files
//! ```
//! Each write is refused where the Secret has changed since it was read, so that of two at once one begins anew.

mod certificates;
mod configuration;
mod fresh;
mod plan;
mod rotation;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use drover::clock;
use drover::cluster::{self, ApiError};
use drover::exit::{Chain, Exit, Failure, Fault};
use drover::job::name::SETUP;
use drover::resources::DEFAULT_NAMESPACE;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use snafu::{ResultExt, Snafu};

use self::fresh::Fresh;
use self::plan::{AUTHORITY, Found, Place, Plan, SERVER, Write, plan, secret_of, secrets};

/// The files are for the pod's user and its group: the server may run as another user than this process.
const FILE_MODE: u32 = 0o640;

/// How the Secrets are filled.
#[derive(clap::Args, Debug)]
pub(super) struct Options {
    /// The namespace that NATS and its Secrets are in.
    #[arg(long = "drover-namespace", env = "DROVER_NAMESPACE", default_value = DEFAULT_NAMESPACE, value_name = "NAME")]
    namespace: String,

    /// The folder that the server's files are written to: nats.conf, and what it names.
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,

    /// The folder in which the server keeps its data.
    #[arg(long, value_name = "FOLDER", default_value = "/data")]
    data: PathBuf,
}

pub(super) async fn run(options: Options) -> Result<(), Failure> {
    let Options { namespace, output, data } = options;
    let api: Api<Secret> = Api::namespaced(cluster::connect().await?, &namespace);
    let (found, versions) = read(&api, &namespace).await?;
    let place = Place { namespace: &namespace, folder: &output, data: &data };
    let Plan { writes, files } = plan(&found, clock::now(), &Fresh::new()?, &place)?;
    for write in writes.iter().filter(|write| found.contains_key(&write.secret)) {
        patch(&api, write, &versions).await?;
        let keys: Vec<&String> = write.data.keys().collect();
        tracing::info!(secret = write.secret, ?keys, "written");
    }
    for (name, content) in &files {
        write_file(&output, name, content).context(WriteFileSnafu { path: output.join(name) })?;
    }
    tracing::info!(folder = %output.display(), "the server's files are written");
    Ok(())
}

/// Reads every Secret, and which version of it was read.
async fn read(api: &Api<Secret>, namespace: &str) -> Result<(Found, BTreeMap<String, String>), Error> {
    let (mut found, mut versions) = (Found::new(), BTreeMap::new());
    for name in secrets() {
        let secret = api.get_opt(&name).await.map_err(ApiError::from).context(ReadSnafu { name: &name })?;
        let Some(secret) = secret else {
            if is_needed(&name) {
                return MissingSnafu { name, namespace }.fail();
            }
            // Of a job that is newer than what is installed: the others go on.
            tracing::warn!("{}", Chain(&MissingSnafu { name, namespace }.build()));
            continue;
        };
        versions.insert(name.clone(), secret.metadata.resource_version.unwrap_or_default());
        found.insert(name, secret.data.unwrap_or_default());
    }
    Ok((found, versions))
}

/// Whether NATS cannot start without this Secret.
fn is_needed(name: &str) -> bool {
    [AUTHORITY, SERVER].contains(&name) || name == secret_of(SETUP)
}

/// Writes keys of a Secret, unless somebody has changed it meanwhile.
async fn patch(api: &Api<Secret>, write: &Write, versions: &BTreeMap<String, String>) -> Result<(), Error> {
    let Write { secret, data } = write;
    let patch = json!({"metadata": {"resourceVersion": versions.get(secret)}, "data": data});
    let patched = api.patch_metadata(secret, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.map(drop).map_err(ApiError::from).context(WriteSnafu { name: secret })
}

/// Writes a file whole or not at all.
fn write_file(folder: &Path, name: &str, content: &[u8]) -> std::io::Result<()> {
    let unfinished = folder.join(format!(".{name}"));
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&unfinished)?;
    file.write_all(content)?;
    std::fs::rename(unfinished, folder.join(name))
}

/// Why the Secrets were not filled.
#[derive(Debug, Snafu)]
enum Error {
    #[snafu(display("failed to read the Secret {name:?}"))]
    Read { name: String, source: ApiError },
    #[snafu(display(
        "failed to find the Secret {name:?} in the namespace {namespace:?}; it comes, empty, with drover's manifests: \
         apply the folder `foundation` of the overlay again (`kubectl apply -k`), and restart NATS after it \
         (`kubectl rollout restart statefulset/nats`)"
    ))]
    Missing { name: String, namespace: String },
    #[snafu(display("failed to write the Secret {name:?}"))]
    Write { name: String, source: ApiError },
    #[snafu(display("failed to write the file {path:?}; see --output"))]
    WriteFile { path: PathBuf, source: std::io::Error },
}

impl Fault for Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } => Exit::Usage,
            // Somebody has changed it meanwhile; the next try reads what is there then.
            Self::Write { source, .. } if source.code() == Some(409) => Exit::Unavailable,
            Self::Read { source, .. } | Self::Write { source, .. } => source.exit(),
            Self::WriteFile { .. } => Exit::Failure,
        }
    }
}
