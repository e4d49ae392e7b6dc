use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What holds for Backups beyond what Rancher's own resource can say.
///
/// It applies to the Backups that it names or whose names its regexp finds, and to all where it says neither. Of several
/// policies for one Backup the first by name that sets a field counts for that field.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "drover.dev",
    version = "v1",
    kind = "BackupPolicy",
    plural = "backuppolicies",
    derive = "PartialEq",
    category = "drover",
    doc = "What holds for Backups beyond what Rancher's own resource can say: time zone, suspension.",
    printcolumn(json_path = ".spec.timeZone", name = "Time-Zone", type_ = "string"),
    printcolumn(json_path = ".spec.suspend", name = "Suspend", type_ = "boolean"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase")]
pub struct BackupPolicySpec {
    /// Names of Backups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub backup_names: Vec<String>,
    /// A regexp for names of Backups (Go's RE2, searched unanchored); "." is all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backup_name_regexp: String,
    /// The time zone that schedules go by, a name of the IANA database such as "Europe/Berlin". A schedule that begins with
    /// CRON_TZ= keeps its own; where neither is said it is UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// No run begins by itself, whether by schedule or because the Backup is new. `kubectl create job --from` still runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}
