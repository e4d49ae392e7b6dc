use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Conditions, StorageLocation};
use crate::annotations::HEARTBEAT_ANNOTATION;

/// A backup that is wanted: of what, how often, and where to.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "resources.cattle.io",
    version = "v1",
    kind = "Backup",
    status = "BackupStatus",
    derive = "PartialEq",
    doc = "A backup that is wanted: of what, how often, and where to.",
    printcolumn(json_path = ".status.storageLocation", name = "Location", type_ = "string"),
    printcolumn(json_path = ".status.backupType", name = "Type", type_ = "string"),
    printcolumn(json_path = ".status.filename", name = "Latest-Backup", type_ = "string"),
    printcolumn(json_path = ".spec.resourceSetName", name = "ResourceSet", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Whole")].status"#, name = "Whole", type_ = "string"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].message"#, name = "Status", type_ = "string")
)]
#[serde(rename_all = "camelCase")]
pub struct BackupSpec {
    /// Where the archives go; missing or empty: the default location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<StorageLocation>,
    /// Name of the ResourceSet that says what is backed up.
    pub resource_set_name: String,
    /// Name of the Secret with the encryption configuration, in drover's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_config_secret_name: Option<String>,
    /// Cron schedule: five fields, or @hourly, @daily and their kin, or "@every 90m". Without it the backup is made once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// How many archives of a scheduled backup are kept; 10 where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub retention_count: Option<i64>,
}

/// What became of a Backup.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// Ready, Uploaded, Reconciling, Stalled and drover's further ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Conditions>,
    /// When the last archive that is stored was begun, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_snapshot_ts: Option<String>,
    /// When the next one is due, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_snapshot_at: Option<String>,
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `S3` or `PV`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,
    /// One-time or Recurring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_type: Option<BackupType>,
    /// File name of the last archive that is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// A sentence about the last archive: objects, size, digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// Whether a Backup has a schedule.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum BackupType {
    /// Made once.
    #[serde(rename = "One-time")]
    OneTime,
    /// Made on a schedule.
    Recurring,
}

impl Backup {
    /// Its conditions; none where its status was never written.
    #[must_use]
    pub fn conditions(&self) -> Option<&Conditions> {
        self.status.as_ref()?.conditions.as_ref()
    }

    /// Its condition of this type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions()?.get(type_)
    }

    /// One-time or Recurring, by the spec.
    #[must_use]
    pub fn kind_of_backup(&self) -> BackupType {
        match self.spec.schedule.as_deref() {
            None | Some("") => BackupType::OneTime,
            Some(_) => BackupType::Recurring,
        }
    }

    /// The name of the Secret with the URL of its heartbeat monitor, where one is named.
    #[must_use]
    pub fn heartbeat_secret(&self) -> Option<&str> {
        let annotations = self.metadata.annotations.as_ref();
        annotations?.get(HEARTBEAT_ANNOTATION).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The encryption Secret's name, where one is named.
    #[must_use]
    pub fn encryption_secret(&self) -> Option<&str> {
        self.spec.encryption_config_secret_name.as_deref().filter(|name| !name.is_empty())
    }
}
