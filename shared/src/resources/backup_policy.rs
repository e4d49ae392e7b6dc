use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FurtherLocation, ServerSideEncryption};

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
    doc = "What holds for Backups beyond what Rancher's own resource can say: time zone, suspension, further places, retention.",
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
    /// Where every archive goes besides the place that the Backup names. A run is Completed when all of them have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub additional_storage_locations: Option<Vec<FurtherLocation>>,
    /// Which archives of a scheduled Backup are kept, instead of its retentionCount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// UIDs of earlier clusters (of their namespace kube-system) whose archives of these Backups expire like the cluster's
    /// own; others are never deleted.
    #[serde(default, rename = "adoptClusterUIDs", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub adopt_cluster_uids: Option<Vec<String>>,
    /// Restores refuse an archive of these Backups of which nothing proves who made it: neither its MAC nor what this cluster
    /// recorded of it. The annotation drover.dev/require: authentic asks the same of one Restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_authentic: Option<bool>,
    /// How the services of buckets are asked to encrypt archives, at every place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_encryption: Option<ServerSideEncryption>,
}

/// Which archives are kept: one for each of the last so many hours, days and so on that have one, the newest of each.
///
/// An archive that one of the numbers keeps stays. All of them missing or 0 keeps everything.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// The newest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_last: Option<i64>,
    /// One for each of so many hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_hourly: Option<i64>,
    /// One for each of so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_daily: Option<i64>,
    /// One for each of so many weeks, which begin on Monday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_weekly: Option<i64>,
    /// One for each of so many months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_monthly: Option<i64>,
    /// One for each of so many years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keep_yearly: Option<i64>,
}
