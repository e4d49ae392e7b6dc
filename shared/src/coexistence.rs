//! The Rancher backup operator beside drover: while it runs, it is in charge of Backups and Restores, and drover starts
//! nothing.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use snafu::{ResultExt, Snafu};

use crate::cluster::ApiError;
use crate::conditions::{DROVER_ACTIVE, reason};
use crate::exit::{Exit, Fault};
use crate::resources::{ConditionStatus, Conditions, DEFAULT_NAMESPACE};

/// The end of the operator's image, whatever registry it comes from and whoever renamed its Deployment.
const OPERATOR_IMAGE: &str = "backup-restore-operator";

/// The operator at work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operator {
    /// The namespace of its Deployment.
    pub namespace: String,
    /// The name of its Deployment.
    pub name: String,
    /// How many replicas that is to have.
    pub replicas: i32,
}

impl Operator {
    /// Why drover does nothing, and what to do.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { namespace, name, replicas } = self;
        format!(
            "the Rancher backup operator is in charge: its Deployment {name:?} in {namespace:?} has {replicas} replicas; \
             scale it to 0, and drover takes over: kubectl -n {namespace} scale deployment {name} --replicas=0"
        )
    }
}

/// Why it is not known whether the operator is at work.
#[derive(Debug, Snafu)]
#[snafu(display("failed to look for the Rancher backup operator among the Deployments of {namespace:?}"))]
pub struct LookError {
    namespace: String,
    source: ApiError,
}

impl Fault for LookError {
    fn exit(&self) -> Exit {
        self.source.exit()
    }
}

/// Says in the conditions of a Backup or Restore who is in charge, where that is the operator or was.
pub fn note(conditions: &mut Conditions, operator: Option<&Operator>, now: Timestamp) {
    match operator {
        Some(operator) => {
            conditions.set(DROVER_ACTIVE, ConditionStatus::False, reason::OPERATOR_AT_WORK, &operator.message(), now);
        }
        None if conditions.get(DROVER_ACTIVE).is_some() => {
            conditions.set(
                DROVER_ACTIVE,
                ConditionStatus::True,
                reason::OPERATOR_AT_REST,
                "drover has taken over",
                now,
            );
        }
        None => {}
    }
}

/// Looks for the operator in the namespace of its chart and in drover's own.
///
/// # Errors
/// When the Deployments there cannot be listed.
pub async fn operator(client: &Client, namespace: &str) -> Result<Option<Operator>, LookError> {
    let namespaces = [DEFAULT_NAMESPACE, namespace];
    let distinct = if namespace == DEFAULT_NAMESPACE { &namespaces[..1] } else { &namespaces[..] };
    for namespace in distinct {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let listed = deployments.list(&ListParams::default()).await.map_err(ApiError::from);
        let listed = listed.context(LookSnafu { namespace: *namespace })?;
        if let Some(operator) = listed.items.iter().find_map(at_work) {
            return Ok(Some(operator));
        }
    }
    Ok(None)
}

/// The operator, if this Deployment is its and is to have replicas.
#[must_use]
pub fn at_work(deployment: &Deployment) -> Option<Operator> {
    let spec = deployment.spec.as_ref()?;
    // One that does not say has one.
    let replicas = spec.replicas.unwrap_or(1);
    let containers = spec.template.spec.as_ref().map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let is_operator = containers.iter().any(|container| is_operators_image(container.image.as_deref()));
    let at_work = is_operator && replicas > 0 && deployment.metadata.deletion_timestamp.is_none();
    at_work.then(|| Operator {
        namespace: deployment.namespace().unwrap_or_default(),
        name: deployment.name_any(),
        replicas,
    })
}

fn is_operators_image(image: Option<&str>) -> bool {
    let last = image.and_then(|image| image.rsplit('/').next()).unwrap_or_default();
    let name = last.split(['@', ':']).next().unwrap_or_default();
    name.ends_with(OPERATOR_IMAGE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(image: &str, replicas: Option<i32>) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "rancher-backup", "namespace": DEFAULT_NAMESPACE},
            "spec": {"replicas": replicas, "selector": {}, "template": {"spec": {"containers": [
                {"name": "other", "image": "proxy:1"}, {"name": "operator", "image": image}]}}},
        }))
        .unwrap()
    }

    #[test]
    fn the_operator_is_known_by_its_image_and_works_while_it_has_replicas() {
        for (image, replicas, expected) in [
            ("rancher/backup-restore-operator:v8.0.0", Some(1), Some(1)),
            ("registry.example:5000/mirror/rancher-backup-restore-operator@sha256:00", Some(2), Some(2)),
            ("rancher/backup-restore-operator", None, Some(1)),
            ("rancher/backup-restore-operator:v8.0.0", Some(0), None),
            ("rancher/rancher:v2.12", Some(3), None),
            ("backup-restore-operator/other:1", Some(1), None),
        ] {
            let found = at_work(&deployment(image, replicas)).map(|operator| operator.replicas);
            assert_eq!(found, expected, "{image} {replicas:?}");
        }
    }

    #[test]
    fn the_message_says_what_to_do() {
        let message = at_work(&deployment("rancher/backup-restore-operator", Some(1))).unwrap().message();
        let command = "kubectl -n cattle-resources-system scale deployment rancher-backup --replicas=0";
        assert!(message.ends_with(command), "{message}");
    }
}
