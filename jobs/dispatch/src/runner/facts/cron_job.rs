use std::collections::BTreeMap;
use std::sync::Arc;

use drover::annotations::{BACKUP_ANNOTATION, CONSUMER_ANNOTATION, is_ours};
use drover::job::name::{RESTORE, SETUP, SNAPSHOT};
use drover::labels::BACKUP_UID_LABEL;
use drover::resources::Backup;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::DynamicObject;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use super::digests::{digest, pod_digest};

/// A CronJob: a stage's, a Backup's, or somebody else's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CronJob {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) created: Option<jiff::Timestamp>,
    pub(crate) is_deleted: bool,
    /// The Backup that it was made for, by its ownerReference and its label.
    pub(crate) owner: Option<Owner>,
    /// The Backup that it was made for, where nobody owns it any more: that Backup was deleted and what was made for it was
    /// left (`--cascade=orphan`).
    pub(crate) left_by: Option<Owner>,
    /// drover's own annotations.
    pub(crate) annotations: BTreeMap<String, String>,
    /// The digest of its spec and labels.
    pub(crate) digest: String,
    /// The digest of the pod that its Jobs are to have.
    pub(crate) pod: String,
    /// Spec and labels, of a stage's CronJob only.
    pub(crate) template: Option<Arc<Template>>,
}

/// The spec and the labels of a stage's CronJob.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    pub(crate) spec: Value,
    pub(crate) labels: BTreeMap<String, String>,
}

/// The Backup that a CronJob belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl CronJob {
    /// What is kept of a CronJob.
    pub(crate) fn of(object: &DynamicObject) -> Self {
        let owner = owner(object);
        let name = object.name_any();
        let annotations = object.annotations().iter().filter(|(name, _)| is_ours(name));
        let annotations: BTreeMap<_, _> = annotations.map(|(name, value)| (name.clone(), value.clone())).collect();
        let is_stage =
            [SNAPSHOT, RESTORE, SETUP].contains(&name.as_str()) || annotations.contains_key(CONSUMER_ANNOTATION);
        let spec = object.data.get("spec").unwrap_or(&Value::Null);
        let template = || Arc::new(Template { spec: spec.clone(), labels: object.labels().clone() });
        Self {
            name,
            uid: object.uid().unwrap_or_default(),
            created: object.creation_timestamp().map(|time| time.0),
            is_deleted: object.metadata.deletion_timestamp.is_some(),
            digest: digest(spec, object.labels()),
            pod: pod_digest(spec.pointer("/jobTemplate/spec/template/spec").unwrap_or(&Value::Null)),
            template: (is_stage && owner.is_none()).then(template),
            left_by: left_by(object),
            owner,
            annotations,
        }
    }

    /// The consumer that its Jobs drain.
    pub(crate) fn consumer(&self) -> Option<&str> {
        self.template.as_ref()?;
        self.annotations.get(CONSUMER_ANNOTATION).map(String::as_str)
    }
}

/// The Backup that owns it. The label says that drover made it; what somebody else hung on a Backup is theirs.
fn owner(object: &DynamicObject) -> Option<Owner> {
    let label = object.labels().get(BACKUP_UID_LABEL)?;
    let is_backup = |owner: &&OwnerReference| {
        owner.kind == Backup::kind(&()) && owner.api_version == Backup::api_version(&()) && &owner.uid == label
    };
    let owner = object.owner_references().iter().find(is_backup)?;
    Some(Owner { name: owner.name.clone(), uid: owner.uid.clone() })
}

/// The Backup that it was made for, where nobody owns it.
fn left_by(object: &DynamicObject) -> Option<Owner> {
    let uid = object.labels().get(BACKUP_UID_LABEL)?.clone();
    let name = object.annotations().get(BACKUP_ANNOTATION)?.clone();
    object.owner_references().is_empty().then_some(Owner { name, uid })
}
