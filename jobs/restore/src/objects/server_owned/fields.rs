//! Parts of objects that the server or a controller of Kubernetes sets: one table, with the reason of each row.
//!
//! The facts are those of Kubernetes 1.30 to 1.34: what `PrepareForCreate` and `PrepareForUpdate` of a type's strategy set,
//! what its validation refuses, and what its controller writes.

use drover::labels::JOB_NAME_LABEL;
use serde_json::Value;

use self::Becomes::{Change, Dropped, Live, Server};
use super::path::{find, remove, take_over, text};
use super::pods::{OLD_UID_LABEL, UID_LABEL, same_token_volume};
use super::{CLAIMS, Object, SERVICES};

/// What becomes of a part of an object.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    /// A new object is sent without it, and a live one keeps its own.
    Server,
    /// A new object is sent with what the archive has, and a live one keeps its own.
    Live,
    /// It is never sent.
    Dropped,
    /// Another thing; the second argument is the live object.
    Change(fn(&mut Object, Option<&Object>)),
}

/// Whether a row is about an object; the second argument is the live one.
type Applies = fn(&Object, Option<&Object>) -> bool;

/// A row of the table.
#[derive(Debug)]
struct Field {
    /// Group and plural name.
    kind: (&'static str, &'static str),
    path: &'static [&'static str],
    becomes: Becomes,
    applies: Option<Applies>,
    reason: &'static str,
}

const fn field(
    kind: (&'static str, &'static str),
    path: &'static [&'static str],
    becomes: Becomes,
    reason: &'static str,
) -> Field {
    Field { kind, path, becomes, applies: None, reason }
}

impl Field {
    /// The row where that holds alone.
    const fn when(self, applies: Applies) -> Self {
        Self { applies: Some(applies), ..self }
    }

    /// Whether one of the objects may have it. Names in JSON may be escaped; such a part is then sent as it is, and the
    /// server judges it.
    fn may_be_in(&self, object: &str, live: &str) -> bool {
        let Some(name) = self.path.last() else { return false };
        object.contains(name) || live.contains(name)
    }

    /// Changes the object; gives whether the row is about it.
    fn apply(&self, object: &mut Object, live: Option<&Object>) -> bool {
        if self.applies.is_some_and(|applies| !applies(object, live)) {
            return false;
        }
        match (self.becomes, live) {
            (Change(change), _) => change(object, live),
            (Dropped, _) | (Server, None) => remove(object, self.path),
            (Live, None) => return false,
            (Server | Live, Some(live)) => take_over(object, live, self.path),
        }
        tracing::trace!(field = self.path.join("."), "left to the server: {}", self.reason);
        true
    }
}

/// The object without what the server owns where `live` is not there, and with what is live of it where it is; none where
/// nothing is to be changed. The type is given as group and plural name.
pub(crate) fn leave_to_server(kind: (&str, &str), object: &[u8], live: Option<&[u8]>) -> Option<Vec<u8>> {
    let texts = (std::str::from_utf8(object).ok()?, live.and_then(|live| std::str::from_utf8(live).ok()).unwrap_or(""));
    let of_type = FIELDS.iter().filter(|field| field.kind == kind);
    let rows: Vec<&Field> = of_type.filter(|field| field.may_be_in(texts.0, texts.1)).collect();
    if rows.is_empty() {
        return None;
    }
    let mut object: Object = serde_json::from_slice(object).ok()?;
    let live: Option<Object> = live.and_then(|live| serde_json::from_slice(live).ok());
    let mut is_changed = false;
    for row in rows {
        is_changed |= row.apply(&mut object, live.as_ref());
    }
    is_changed.then(|| serde_json::to_vec(&object).ok()).flatten()
}

const NAMESPACES: (&str, &str) = ("", "namespaces");
const PODS: (&str, &str) = ("", "pods");
const SECRETS: (&str, &str) = ("", "secrets");
const VOLUMES: (&str, &str) = ("", "persistentvolumes");
const JOBS: (&str, &str) = ("batch", "jobs");
const DEPLOYMENTS: (&str, &str) = ("apps", "deployments");
const DAEMON_SETS: (&str, &str) = ("apps", "daemonsets");
const AUTOSCALERS: (&str, &str) = ("autoscaling", "horizontalpodautoscalers");
const CLUSTER_ROLES: (&str, &str) = ("rbac.authorization.k8s.io", "clusterroles");

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

const GENERATED: &str = "the server makes it of the Job's UID, which is another one then, and lets nobody change it";
const NAMED_BY_JOB: &str = "the server makes it of the Job's name, and lets nobody change it";
const BINDING: &str = "it says that claim and volume found each other; a claim that is made anew would be lost with it";
const PROVISIONING: &str = "whoever makes volumes notes it for itself: driver and node may be others";
const LAST_USED: &str = "the server notes when the token was used, and the token is made anew";
const RENDERED: &str = "the server shows a part of the status in it";
const COMPUTED: &str = "the server works it out of the PriorityClass, and refuses another one";
const ADDRESS: &str = "no address that a Service has can be changed, and clients of the cluster know the live one";

/// The table. Rows of one type are applied in this order.
static FIELDS: &[Field] = &[
    field(NAMESPACES, &["spec", "finalizers"], Live, "only the subresource finalize changes it"),
    field(NAMESPACES, &["metadata", "labels", "kubernetes.io/metadata.name"], Server, "the server sets it"),
    field(JOBS, &["spec", "selector"], Server, GENERATED).when(is_generated),
    field(JOBS, &["spec", "template", "metadata", "labels", UID_LABEL], Server, GENERATED).when(is_generated),
    field(JOBS, &["spec", "template", "metadata", "labels", OLD_UID_LABEL], Server, GENERATED).when(is_generated),
    field(JOBS, &["spec", "template", "metadata", "labels", JOB_NAME_LABEL], Server, NAMED_BY_JOB).when(is_generated),
    field(JOBS, &["spec", "template", "metadata", "labels", "job-name"], Server, NAMED_BY_JOB).when(is_generated),
    field(JOBS, &["metadata", "labels", UID_LABEL], Server, GENERATED).when(is_generated),
    field(JOBS, &["metadata", "labels", OLD_UID_LABEL], Server, GENERATED).when(is_generated),
    field(JOBS, &["metadata", "annotations", "batch.kubernetes.io/job-tracking"], Server, "older servers set it"),
    field(PODS, &["metadata", "labels", UID_LABEL], Server, "it is the UID of the Job that has the pod").when(of_job),
    field(PODS, &["metadata", "labels", OLD_UID_LABEL], Server, "it is the UID of the Job that has the pod")
        .when(of_job),
    field(PODS, &["spec", "nodeName"], Server, "the scheduler chooses a node: the one of then may not be there"),
    field(PODS, &["spec", "priority"], Server, COMPUTED),
    field(PODS, &["spec", "preemptionPolicy"], Server, COMPUTED),
    field(PODS, &["spec", "overhead"], Server, "the server takes it from the RuntimeClass, and refuses another one")
        .when(has_runtime_class),
    field(PODS, &["spec", "ephemeralContainers"], Server, "they are added to a pod that runs, and to no new one"),
    field(PODS, &["spec", "volumes"], Change(same_token_volume), "the volume with the token has a name of chance"),
    field(SERVICES, &["spec", "clusterIP"], Live, ADDRESS).when(have_addresses),
    field(SERVICES, &["spec", "ipFamilies"], Live, ADDRESS).when(have_addresses),
    field(SERVICES, &["spec", "clusterIPs"], Live, ADDRESS).when(have_addresses),
    field(SERVICES, &["spec", "healthCheckNodePort"], Live, "it cannot be changed, and balancers know the live one")
        .when(have_health_ports),
    field(
        VOLUMES,
        &["spec", "claimRef", "uid"],
        Dropped,
        "with the UID of a claim that is gone, the volume is deleted",
    ),
    field(VOLUMES, &["spec", "claimRef", "resourceVersion"], Dropped, "it is of a claim that is made anew"),
    field(VOLUMES, &["spec", "claimRef"], Live, "the volume is the live claim's").when(is_claimed),
    field(VOLUMES, &["metadata", "annotations", "pv.kubernetes.io/bound-by-controller"], Server, BINDING),
    field(CLAIMS, &["metadata", "annotations", "pv.kubernetes.io/bind-completed"], Server, BINDING),
    field(CLAIMS, &["metadata", "annotations", "pv.kubernetes.io/bound-by-controller"], Server, BINDING),
    field(CLAIMS, &["metadata", "annotations", "volume.kubernetes.io/selected-node"], Server, PROVISIONING),
    field(CLAIMS, &["metadata", "annotations", "volume.kubernetes.io/storage-provisioner"], Server, PROVISIONING),
    field(CLAIMS, &["metadata", "annotations", "volume.beta.kubernetes.io/storage-provisioner"], Server, PROVISIONING),
    field(CLAIMS, &["spec", "volumeName"], Live, "a claim keeps its volume"),
    field(SECRETS, &["metadata", "labels", "kubernetes.io/legacy-token-last-used"], Server, LAST_USED),
    field(SECRETS, &["metadata", "labels", "kubernetes.io/legacy-token-invalid-since"], Server, LAST_USED),
    field(
        DEPLOYMENTS,
        &["metadata", "annotations", "deployment.kubernetes.io/revision"],
        Server,
        "its controller counts",
    ),
    field(
        DAEMON_SETS,
        &["metadata", "annotations", TEMPLATE_GENERATION],
        Server,
        "the server counts changes of the pods",
    ),
    field(AUTOSCALERS, &["metadata", "annotations", "autoscaling.alpha.kubernetes.io/conditions"], Server, RENDERED),
    field(
        AUTOSCALERS,
        &["metadata", "annotations", "autoscaling.alpha.kubernetes.io/current-metrics"],
        Server,
        RENDERED,
    ),
    field(CLUSTER_ROLES, &["rules"], Live, "its controller gathers them from other roles").when(is_aggregated),
];

/// A Job with a selector of its user has no generated one.
fn is_generated(wanted: &Object, live: Option<&Object>) -> bool {
    let is_manual = |job: &Object| find(job, &["spec", "manualSelector"]).and_then(Value::as_bool) == Some(true);
    !is_manual(wanted) && !live.is_some_and(is_manual)
}

fn of_job(wanted: &Object, _: Option<&Object>) -> bool {
    let owners = find(wanted, &["metadata", "ownerReferences"]).and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner["kind"] == "Job" && owner["controller"] == true)
}

fn has_runtime_class(wanted: &Object, _: Option<&Object>) -> bool {
    text(wanted, &["spec", "runtimeClassName"]).is_some()
}

/// A Service without an address (`None`) is of another kind, and that is no field that the server chooses.
fn have_addresses(wanted: &Object, live: Option<&Object>) -> bool {
    let has_one = |service: &Object| {
        text(service, &["spec", "clusterIP"]).is_some_and(|address| !["", "None"].contains(&address))
    };
    has_one(wanted) && live.is_some_and(has_one)
}

fn have_health_ports(wanted: &Object, live: Option<&Object>) -> bool {
    let has_one = |service: &Object| find(service, &["spec", "healthCheckNodePort"]).is_some_and(|port| *port != 0);
    has_one(wanted) && live.is_some_and(has_one)
}

/// A volume that was released by the very claim that the archive names waits for it again.
fn is_claimed(wanted: &Object, live: Option<&Object>) -> bool {
    let Some(live) = live else { return false };
    let claim = |volume: &Object| {
        ["namespace", "name"].map(|part| text(volume, &["spec", "claimRef", part]).map(str::to_owned))
    };
    let waits = text(live, &["status", "phase"]) == Some("Released") && claim(wanted) == claim(live);
    find(live, &["spec", "claimRef"]).is_some_and(Value::is_object) && !waits
}

fn is_aggregated(wanted: &Object, live: Option<&Object>) -> bool {
    let gathers = |role: &Object| find(role, &["aggregationRule"]).is_some_and(Value::is_object);
    gathers(wanted) && live.is_some_and(gathers)
}

#[cfg(test)]
mod tests;
