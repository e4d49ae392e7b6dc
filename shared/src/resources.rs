//! The custom resources: Rancher's three as Rancher defines them, and drover's own.
//!
//! The shapes follow `resources.cattle.io/v1` of the Rancher backup operator, so that its users keep their manifests;
//! `manifests/crds` is made from these types by `cargo crds`.

mod backup;
mod backup_archive;
mod backup_policy;
mod backup_run;
mod condition;
mod location;
mod resource_set;
mod restore;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceSubresourceStatus, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde::Serialize;

pub use backup::{Backup, BackupSpec, BackupStatus, BackupType};
pub use backup_archive::{
    ArchiveHold, ArchivePlace, ArchiveState, BackupArchive, BackupArchiveSpec, BackupArchiveStatus, ChangedRetention,
    PlaceState, RetentionRecord, RetentionRule,
};
pub use backup_policy::{BackupPolicy, BackupPolicySpec, Retention};
pub use backup_run::{
    Artifact, BackupRun, BackupRunSpec, BackupRunStatus, LossReason, Losses, Place, RunState, SnapshotStage,
    StageState, Trigger, TriggerKind, TypeLoss, UploadStage,
};
pub use condition::{Condition, ConditionStatus, Conditions, Ready, rfc3339};
pub use location::{
    AwsConfig, BucketLookup, ClientConfig, FurtherLocation, LocalLocation, S3Location, ServerSideAlgorithm,
    ServerSideEncryption, StorageLocation,
};
pub use resource_set::{ControllerReference, ResourceSelector, ResourceSet};
pub use restore::{LATEST, Restore, RestoreSpec, RestoreStatus};

/// The namespace where Rancher's users keep the Secrets that Backups and Restores name, and where drover runs.
pub const DEFAULT_NAMESPACE: &str = "cattle-resources-system";

/// The objects that may be `null`, as Rancher defines them; every other optional field may only be missing.
const NULLABLE_OBJECTS: [&str; 5] = ["storageLocation", "s3", "clientConfig", "aws", "labelSelectors"];

/// All custom resource definitions, in the order in which they are installed.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![
        Backup::crd(),
        Restore::crd(),
        ResourceSet::crd(),
        BackupRun::crd(),
        BackupPolicy::crd(),
        BackupArchive::crd(),
    ];
    for version in definitions.iter_mut().flat_map(|definition| &mut definition.spec.versions) {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            refuse_null("", schema);
        }
        let subresources = version.subresources.get_or_insert_default();
        subresources.status.get_or_insert(CustomResourceSubresourceStatus(serde_json::json!({})));
    }
    definitions
}

/// schemars makes every `Option` nullable; here a field is, only where Rancher says so: [`NULLABLE_OBJECTS`] and `prune`.
fn refuse_null(field: &str, schema: &mut JSONSchemaProps) {
    let is_object = schema.type_.as_deref() == Some("object");
    if field != "prune" && !(is_object && NULLABLE_OBJECTS.contains(&field)) {
        schema.nullable = None;
    }
    for (field, schema) in schema.properties.iter_mut().flatten() {
        refuse_null(field, schema);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => refuse_null("", items),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(|items| refuse_null("", items)),
        None => {}
    }
}

/// The files of `manifests/crds`, name and YAML: one for each of [`definitions`], and the kustomization that lists them.
///
/// # Errors
/// When one of them cannot be written as YAML.
pub fn manifests() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let definitions = definitions();
    let mut files = definitions
        .iter()
        .map(|definition| {
            let name = format!("{}.yaml", definition.metadata.name.as_deref().unwrap_or_default());
            manifest(definition).map(|text| (name, text))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<&String> = files.iter().map(|(name, _)| name).collect();
    let kustomization = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names,
    });
    files.push(("kustomization.yaml".to_owned(), manifest(&kustomization)?));
    Ok(files)
}

fn manifest(content: &impl Serialize) -> Result<String, serde_saphyr::ser::Error> {
    Ok(format!("# Made from the Rust types by `cargo crds`.\n{}", serde_saphyr::to_string(content)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_in_manifests_are_current() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/crds");
        let files = manifests().unwrap();
        for (name, text) in &files {
            let committed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert_eq!(&committed, text, "manifests/crds/{name} is not what the Rust types say: run `cargo crds`");
        }
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), files.len(), "manifests/crds has a file of no type");
    }

    /// All descriptions of a definition, which `kubectl explain` shows.
    fn descriptions(value: &serde_json::Value) -> Vec<&str> {
        use serde_json::Value;
        match value {
            Value::Object(members) => {
                let own = members.get("description").and_then(Value::as_str);
                own.into_iter().chain(members.values().flat_map(descriptions)).collect()
            }
            Value::Array(items) => items.iter().flat_map(descriptions).collect(),
            _ => Vec::new(),
        }
    }

    /// What stands between backticks and is written as types are: `Restore`, and neither `S3` nor `default`.
    fn types_in(text: &str) -> Vec<&str> {
        let is_type = |word: &&str| {
            let is_plain = word.chars().all(char::is_alphanumeric);
            is_plain && word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase)
        };
        text.split('`').skip(1).step_by(2).filter(is_type).collect()
    }

    #[test]
    fn what_kubectl_explains_shows_no_rust() {
        let definitions = serde_json::to_value(definitions()).unwrap();
        let descriptions = descriptions(&definitions);
        assert!(descriptions.len() > 200, "{}", descriptions.len());
        for text in descriptions {
            let has_rust = ["[`", "`]", "](", "::", "Option<", "Vec<"].iter().any(|rust| text.contains(rust));
            assert!(!has_rust && types_in(text).is_empty(), "write the doc comment for users: {text}");
        }
        assert_eq!(types_in("`S3`, `Restore` and `default` of `Place`"), ["Restore", "Place"]);
    }

    #[test]
    fn columns_are_those_that_ranchers_users_know_and_what_an_archive_lacks() {
        let columns = |definition: &CustomResourceDefinition| -> Vec<String> {
            let columns = definition.spec.versions[0].additional_printer_columns.iter().flatten();
            columns.map(|column| column.name.clone()).collect()
        };
        let definitions = definitions();
        let of_backups = ["Location", "Type", "Latest-Backup", "ResourceSet", "Age", "Whole", "Status"];
        assert_eq!(columns(&definitions[0]), of_backups);
        assert_eq!(columns(&definitions[1]), ["Backup-Source", "Backup-File", "Age", "Status"]);
        let of_archives = columns(&BackupArchive::crd());
        assert!(["Held", "Lacks"].iter().all(|column| of_archives.iter().any(|found| found == column)));
    }
}
