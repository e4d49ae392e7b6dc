//! The controllers that must not run while a restore writes: the archive's ResourceSet names them.

use drover::exit::{Exit, Fault};
use drover::resources::{ControllerReference, ResourceSet};
use serde::Deserialize;
use snafu::{ResultExt, Snafu};

use crate::request::{RequestError, Server};
use crate::types::Types;

/// Why a restore does not begin.
#[derive(Debug, Snafu)]
pub(crate) enum ControllersError {
    /// They run.
    #[snafu(display(
        "these controllers run and would undo what is restored: {}; scale them down first: {}",
        names(running),
        commands(running)
    ))]
    Running {
        /// Those that run.
        running: Vec<ControllerReference>,
    },
    /// The archive's ResourceSet cannot be read.
    #[snafu(display("failed to read the ResourceSet of the archive"))]
    Parse {
        /// The cause.
        source: serde_json::Error,
    },
    /// The server does not say whether one runs.
    #[snafu(display("failed to see whether the controller {name:?} runs"))]
    Get {
        /// Its name.
        name: String,
        /// The cause.
        source: RequestError,
    },
}

impl Fault for ControllersError {
    fn exit(&self) -> Exit {
        match self {
            Self::Running { .. } => Exit::Usage,
            Self::Parse { .. } => Exit::DataRefused,
            Self::Get { source, .. } if source.is_unreachable() => Exit::Unavailable,
            Self::Get { .. } => Exit::Failure,
        }
    }
}

#[derive(Deserialize)]
struct Scaled {
    #[serde(default)]
    spec: ScaledSpec,
}

#[derive(Default, Deserialize)]
struct ScaledSpec {
    replicas: Option<i64>,
}

/// The ResourceSet that an archive was made by, if the archive holds it.
pub(crate) fn resource_set(bytes: Option<&[u8]>) -> Result<Option<ResourceSet>, ControllersError> {
    bytes.map(serde_json::from_slice).transpose().context(ParseSnafu)
}

/// Refuses where one of the controllers has replicas.
///
/// # Errors
///
/// [`ControllersError::Running`] names those that run and the commands that stop them.
pub(crate) async fn refuse_running(
    server: &Server,
    types: &Types,
    set: Option<&ResourceSet>,
) -> Result<(), ControllersError> {
    let mut running = Vec::new();
    for reference in set.map_or(&[][..], |set| &set.spec.controller_references) {
        if runs(server, types, reference).await? {
            running.push(reference.clone());
        }
    }
    if running.is_empty() { Ok(()) } else { RunningSnafu { running }.fail() }
}

async fn runs(server: &Server, types: &Types, reference: &ControllerReference) -> Result<bool, ControllersError> {
    let (group, version) = reference.api_version.split_once('/').unwrap_or(("", &reference.api_version));
    let Some(known) = types.by_plural(&reference.resource, group, version).filter(|known| known.served) else {
        return Ok(false);
    };
    match server.get(&known.object(&reference.namespace, &reference.name)).await {
        Ok(bytes) => Ok(has_replicas(&bytes)),
        Err(error) if error.is_not_found() => Ok(false),
        other => other.map(|_| false).with_context(|_| GetSnafu { name: reference.name.clone() }),
    }
}

/// A controller that does not say how many replicas it wants has one.
fn has_replicas(object: &[u8]) -> bool {
    serde_json::from_slice::<Scaled>(object).ok().and_then(|scaled| scaled.spec.replicas).unwrap_or(1) > 0
}

fn names(running: &[ControllerReference]) -> String {
    let name = |reference: &ControllerReference| format!("{:?} in {:?}", reference.name, reference.namespace);
    running.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn commands(running: &[ControllerReference]) -> String {
    let command = |reference: &ControllerReference| {
        let ControllerReference { resource, namespace, name, .. } = reference;
        format!("kubectl --namespace {namespace} scale {resource}/{name} --replicas=0")
    };
    running.iter().map(command).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_read_and_a_missing_count_is_one() {
        for (object, expected) in [
            (r#"{"spec":{"replicas":3}}"#, true),
            (r#"{"spec":{"replicas":0}}"#, false),
            (r#"{"spec":{}}"#, true),
            ("{}", true),
            ("no object", true),
        ] {
            assert_eq!(has_replicas(object.as_bytes()), expected, "{object}");
        }
    }

    #[test]
    fn the_error_names_the_controller_and_the_command() {
        let reference = ControllerReference {
            api_version: "apps/v1".to_owned(),
            resource: "deployments".to_owned(),
            namespace: "cattle-system".to_owned(),
            name: "rancher".to_owned(),
            replicas: None,
        };
        let error = ControllersError::Running { running: vec![reference] };
        assert_eq!(
            error.to_string(),
            "these controllers run and would undo what is restored: \"rancher\" in \"cattle-system\"; scale them down \
             first: kubectl --namespace cattle-system scale deployments/rancher --replicas=0"
        );
        assert_eq!(error.exit(), Exit::Usage);
    }
}
