//! From the CronJob of a stage to the Jobs and CronJobs that are made of it: the whole of its template, whatever it says.

use std::collections::BTreeMap;

use drover::annotations::{ATTEMPTED_ANNOTATION, BACKUP_ANNOTATION, POD_ANNOTATION, STARTED_BY_ANNOTATION};
use drover::job::name::DISPATCH;
use drover::labels::{self, BACKUP_UID_LABEL};
use drover::resources::Backup;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};

use super::facts::{CronJob, Template};
use super::marks::text_of;

/// Whose labels and annotations say that a tool applied this very object, and make that tool delete what it did not apply.
const TOOLS: [&str; 14] = [
    "argocd.argoproj.io",
    "config.k8s.io",
    "config.kubernetes.io",
    "fleet.cattle.io",
    "fluxcd.io",
    "helm.sh",
    "internal.config.kubernetes.io",
    "kapp.k14s.io",
    "kubectl.kubernetes.io",
    "kustomize.config.k8s.io",
    "meta.helm.sh",
    "objectset.rio.cattle.io",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
];

/// What the manifests of stages ask for. The argument of a Job that is started for less takes its place.
const WHOLE: [&str; 2] = ["--due", "--drain"];

/// When a CronJob runs that only holds the template of its Backup's Jobs; it is suspended, but must say something.
const NEVER: &str = "0 0 1 1 *";

/// When and how a Backup's CronJob runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Timing {
    pub(crate) schedule: String,
    pub(crate) time_zone: String,
    pub(crate) is_suspended: bool,
}

impl Timing {
    /// That of a Backup that no schedule runs.
    pub(crate) fn never() -> Self {
        Self { schedule: NEVER.to_owned(), time_zone: "Etc/UTC".to_owned(), is_suspended: true }
    }
}

/// The CronJob that a Backup is to have, but for its name and what others noted on it.
pub(crate) fn cron_job(template: &Template, backup: &Backup, timing: &Timing) -> (Value, BTreeMap<String, String>) {
    let uid = backup.uid().unwrap_or_default();
    let mut spec = template.spec.clone();
    spec["schedule"] = json!(timing.schedule);
    spec["timeZone"] = json!(timing.time_zone);
    spec["suspend"] = json!(timing.is_suspended);
    for metadata in ["/jobTemplate/metadata", "/jobTemplate/spec/template/metadata"] {
        spec.pointer_mut(metadata).map(strip);
    }
    set(&mut spec["jobTemplate"]["metadata"], "labels", BACKUP_UID_LABEL, &uid);
    add_argument(&mut spec["jobTemplate"]["spec"], &format!("--backup={}", backup.name_any()));
    let labels = template.labels.iter().filter(|(name, _)| !is_of_a_tool(name));
    let mut labels: BTreeMap<_, _> = labels.map(|(name, value)| (name.clone(), value.clone())).collect();
    labels.extend(labels::ours(BACKUP_UID_LABEL, &uid));
    (spec, labels)
}

/// The manifest of a CronJob that belongs to a Backup.
pub(crate) fn manifest(name: &str, backup: &Backup, spec: &Value, labels: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": { BACKUP_ANNOTATION: backup.name_any() },
            "ownerReferences": [owner(backup)],
        },
        "spec": spec,
    })
}

/// The Backup as the owner of its CronJob.
pub(crate) fn owner(backup: &Backup) -> OwnerReference {
    OwnerReference {
        api_version: Backup::api_version(&()).into_owned(),
        kind: Backup::kind(&()).into_owned(),
        name: backup.name_any(),
        uid: backup.uid().unwrap_or_default(),
        ..OwnerReference::default()
    }
}

/// A Job of a CronJob's spec, as `kubectl create job --from` makes it, with a further argument.
pub(crate) fn job(
    name: &str,
    cron_job: &CronJob,
    spec: &Value,
    argument: Option<&str>,
    marks: &std::collections::BTreeSet<String>,
) -> Value {
    let mut template = spec["jobTemplate"].clone();
    let mut metadata = template["metadata"].take();
    strip(&mut metadata);
    set(&mut metadata, "annotations", STARTED_BY_ANNOTATION, DISPATCH);
    set(&mut metadata, "annotations", POD_ANNOTATION, &cron_job.pod);
    if !marks.is_empty() {
        set(&mut metadata, "annotations", ATTEMPTED_ANNOTATION, &text_of(marks));
    }
    if let Some(argument) = argument {
        add_argument(&mut template["spec"], argument);
    }
    metadata["name"] = json!(name);
    metadata["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job.name, "uid": cron_job.uid, "controller": true,
    }]);
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"] })
}

fn add_argument(job: &mut Value, argument: &str) {
    let container = &mut job["template"]["spec"]["containers"][0];
    match container["args"].as_array_mut() {
        Some(arguments) => {
            arguments.retain(|asked| !WHOLE.iter().any(|whole| asked == whole));
            arguments.push(json!(argument));
        }
        None => container["args"] = json!([argument]),
    }
}

/// Takes away what a tool noted for itself.
fn strip(metadata: &mut Value) {
    for field in ["labels", "annotations"] {
        let Some(entries) = metadata.get_mut(field).and_then(Value::as_object_mut) else { continue };
        entries.retain(|name, _| !is_of_a_tool(name));
        // The API server leaves empty ones out, and what is compared with its answer must do so too.
        if entries.is_empty()
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.remove(field);
        }
    }
}

fn is_of_a_tool(name: &str) -> bool {
    let domain = name.split('/').next().unwrap_or_default();
    TOOLS.iter().any(|tool| *tool == name || domain == *tool || domain.ends_with(&format!(".{tool}")))
}

fn set(metadata: &mut Value, field: &str, name: &str, value: &str) {
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    if !metadata[field].is_object() {
        metadata[field] = Value::Object(Map::new());
    }
    metadata[field][name] = json!(value);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use drover::resources::BackupSpec;

    use super::*;

    fn template() -> Template {
        let labels = [("app.kubernetes.io/component", "snapshot"), ("helm.sh/chart", "drover-1"), ("team", "a")];
        Template {
            spec: json!({
                "schedule": "*/5 * * * *", "suspend": false, "concurrencyPolicy": "Forbid",
                "jobTemplate": {
                    "metadata": {"labels": {"team": "a", "argocd.argoproj.io/instance": "x"}},
                    "spec": {"backoffLimit": 3, "template": {
                        "metadata": {"annotations": {"meta.helm.sh/release-name": "x", "sidecar": "no"}},
                        "spec": {"containers": [{"name": "snapshot", "image": "drover:2", "command": ["/snapshot"]}]},
                    }},
                },
            }),
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    fn backup() -> Backup {
        let mut backup = Backup::new("daily", BackupSpec::default());
        backup.metadata.uid = Some("uid".to_owned());
        backup
    }

    #[test]
    fn a_backups_cron_job_is_the_template_with_its_own_timing_argument_and_labels() {
        let timing = Timing { schedule: "@daily".into(), time_zone: "Europe/Berlin".into(), is_suspended: false };
        let (spec, labels) = cron_job(&template(), &backup(), &timing);
        let mut expected = template().spec;
        expected["schedule"] = json!("@daily");
        expected["timeZone"] = json!("Europe/Berlin");
        expected["jobTemplate"]["metadata"]["labels"] = json!({"team": "a", BACKUP_UID_LABEL: "uid"});
        let pod = &mut expected["jobTemplate"]["spec"]["template"];
        pod["metadata"]["annotations"] = json!({"sidecar": "no"});
        pod["spec"]["containers"][0]["args"] = json!(["--backup=daily"]);
        assert_eq!(spec, expected);
        let expected = json!({
            "app.kubernetes.io/component": "snapshot", "app.kubernetes.io/part-of": "drover", "team": "a",
            BACKUP_UID_LABEL: "uid",
        });
        assert_eq!(json!(labels), expected);
    }

    #[test]
    fn a_job_is_what_the_cron_job_says_with_one_argument_more() {
        let mut spec = template().spec;
        spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--a"]);
        let cron_job = CronJob { name: "upload".into(), uid: "cron".into(), pod: "p".into(), ..CronJob::default() };
        let marks = BTreeSet::from(["7".to_owned()]);
        let job = job("upload-1", &cron_job, &spec, Some("--drain-only"), &marks);
        let metadata = &job["metadata"];
        assert_eq!(metadata["labels"], json!({"team": "a"}));
        let expected = json!({STARTED_BY_ANNOTATION: "dispatch", ATTEMPTED_ANNOTATION: "7", POD_ANNOTATION: "p"});
        assert_eq!(metadata["annotations"], expected);
        assert_eq!(metadata["ownerReferences"][0]["controller"], json!(true));
        assert_eq!(metadata["ownerReferences"][0]["uid"], "cron");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["args"], json!(["--a", "--drain-only"]));
        assert_eq!((&container["image"], &job["spec"]["backoffLimit"]), (&json!("drover:2"), &json!(3)));
    }

    #[test]
    fn a_job_that_is_started_for_less_is_not_asked_for_all() {
        for (asked, argument, expected) in [
            (json!(["--due"]), "--backup=daily", json!(["--backup=daily"])),
            (json!(["--wait=9", "--due"]), "--backup=daily", json!(["--wait=9", "--backup=daily"])),
            (json!(["--drain"]), "--drain-only", json!(["--drain-only"])),
            // As an earlier version's manifests have it.
            (json!(null), "--drain-only", json!(["--drain-only"])),
        ] {
            let mut job = json!({"template": {"spec": {"containers": [{"args": asked}]}}});
            add_argument(&mut job, argument);
            assert_eq!(job["template"]["spec"]["containers"][0]["args"], expected, "{asked}");
        }
    }

    #[test]
    fn marks_of_tools_are_known() {
        for (name, expected) in [
            ("argocd.argoproj.io/instance", true),
            ("kustomize.toolkit.fluxcd.io/name", true),
            ("kubectl.kubernetes.io/last-applied-configuration", true),
            ("app.kubernetes.io/instance", true),
            ("objectset.rio.cattle.io/hash", true),
            ("app.kubernetes.io/name", false),
            ("app.kubernetes.io/part-of", false),
            ("example.org/helm.sh", false),
            ("nothelm.sh/chart", false),
        ] {
            assert_eq!(is_of_a_tool(name), expected, "{name}");
        }
    }
}
