use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Retention;

/// A line of the ledger: an archive that was stored here, read back and matched. It outlives its run and its Backup.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "drover.dev",
    version = "v1",
    kind = "BackupArchive",
    status = "BackupArchiveStatus",
    derive = "PartialEq",
    category = "drover",
    doc = "An archive that was stored here, read back and matched: a line of the ledger that retention goes by.",
    printcolumn(json_path = ".spec.backup", name = "Backup", type_ = "string"),
    printcolumn(json_path = ".spec.takenAt", name = "Taken", type_ = "string"),
    printcolumn(json_path = ".spec.objects", name = "Objects", type_ = "integer"),
    printcolumn(json_path = ".spec.bytes", name = "Bytes", type_ = "integer"),
    printcolumn(json_path = ".status.liesAt", name = "Places", type_ = "string"),
    printcolumn(json_path = ".status.state", name = "State", type_ = "string"),
    printcolumn(json_path = ".status.held.confirmation", name = "Held", type_ = "string"),
    printcolumn(json_path = ".spec.missingTypes", name = "Lacks", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = ".spec.number", name = "Run", type_ = "integer", priority = 1),
    printcolumn(json_path = ".spec.filename", name = "File", type_ = "string", priority = 1),
    printcolumn(json_path = ".spec.sha256", name = "SHA-256", type_ = "string", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct BackupArchiveSpec {
    /// Name of the Backup. One that was deleted and made again goes on with the same lines.
    pub backup: String,
    /// UID of the namespace kube-system in the cluster that the archive was made of.
    #[serde(rename = "clusterUID")]
    pub cluster_uid: String,
    /// File name of the archive.
    pub filename: String,
    /// SHA-256 of the whole archive, hex.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: i64,
    /// Objects in it.
    #[serde(default)]
    pub objects: i64,
    /// When its run was opened, RFC 3339.
    pub taken_at: String,
    /// When the API server stamped its run, RFC 3339; none where nobody has noted it. An archive whose name is of a later time
    /// fills no place of the retention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped_at: Option<String>,
    // As text, since one that is no id would keep all lines from being listed.
    /// The id of the run.
    pub run: String,
    /// The number of the run.
    #[serde(default)]
    pub number: i64,
    /// Types that it lacks and was to hold. Such an archive fills no place of the retention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_types: Vec<String>,
}

/// Where an archive of the ledger lies, and what became of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupArchiveStatus {
    /// Verified, Retained, Damaged, Missing or Deleted: the worst of the places that it lies at.
    #[serde(default)]
    pub state: ArchiveState,
    /// Names of the places that it lies at, for people.
    #[serde(default)]
    pub lies_at: String,
    /// Every place where it was verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["location", "name"]))]
    pub places: Vec<ArchivePlace>,
    /// Why it is kept until somebody confirms that it may go; none where nothing holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<ArchiveHold>,
    /// On the Backup's first line alone: the retention that its archives are kept by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionRecord>,
}

/// Why an archive is kept whatever the policy says, and what ends it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveHold {
    /// The word in the annotation `drover.dev/allow` of its Backup that confirms that it may go.
    pub confirmation: String,
    /// What it has that a later one lacks.
    pub reason: String,
}

/// How an archive of the ledger stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ArchiveState {
    /// It lies where it was verified, with the size of then.
    #[default]
    Verified,
    /// It has expired, and its place keeps it.
    Retained,
    /// Somewhere another file lies under its name, or it is missing where it was.
    Damaged,
    /// It is nowhere any more, and drover did not delete it.
    Missing,
    /// drover deleted it.
    Deleted,
}

/// One place of an archive. Two services may have a bucket and a folder of the same names, so its name tells it apart too.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivePlace {
    /// Where it lies, as a person writes it: `s3://bucket/folder/file` or a path.
    pub location: String,
    /// The place's name when it was verified there.
    pub name: String,
    /// What was seen there last.
    #[serde(default)]
    pub state: PlaceState,
    /// When it was verified there, RFC 3339.
    #[serde(default)]
    pub verified_at: String,
    /// Since when it is as it is, RFC 3339; empty until somebody has looked, where only its run tells of it.
    #[serde(default)]
    pub since: String,
    /// Why it expired, what keeps it, or what is wrong; empty where nothing is.
    #[serde(default)]
    pub reason: String,
}

/// What was seen of an archive at a place.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PlaceState {
    /// It was read back and matched, and has the size of then.
    #[default]
    Verified,
    /// Another file than was verified: of another size, or marked as bad.
    Damaged,
    /// It is not there, and drover did not delete it.
    Missing,
    /// It is about to be deleted.
    Expired,
    /// It has expired, and the place keeps it.
    Retained,
    /// drover deleted it.
    Deleted,
}

/// The retention that holds for the archives of a Backup, and a changed one that does not hold yet.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionRecord {
    /// What archives are kept by.
    pub in_force: RetentionRule,
    /// What was found instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<ChangedRetention>,
}

/// A retention that is another one than the recorded.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedRetention {
    /// What archives are to be kept by.
    pub to: RetentionRule,
    /// When that was found first, RFC 3339.
    pub since: String,
}

/// Which archives of a Backup are kept. With neither number nor tiers: all.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionRule {
    /// The newest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// By tiers of a BackupPolicy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Retention>,
    /// The time zone of the tiers' intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Earlier clusters whose archives count.
    #[serde(default, rename = "adoptClusterUIDs", skip_serializing_if = "Vec::is_empty")]
    pub adopt_cluster_uids: Vec<String>,
}

impl PlaceState {
    /// Whether a file of the archive's name lies there, as far as is known.
    #[must_use]
    pub const fn lies(self) -> bool {
        !matches!(self, Self::Missing | Self::Deleted)
    }
}

impl BackupArchiveStatus {
    /// The same with these places, and with what follows from them for people.
    #[must_use]
    pub fn with_places(self, places: Vec<ArchivePlace>) -> Self {
        let lying: Vec<_> = places.iter().filter(|place| place.state.lies()).collect();
        let has = |state| places.iter().any(|place| place.state == state);
        let state = if lying.is_empty() {
            if has(PlaceState::Missing) { ArchiveState::Missing } else { ArchiveState::Deleted }
        } else if has(PlaceState::Damaged) || has(PlaceState::Missing) {
            ArchiveState::Damaged
        } else if has(PlaceState::Retained) {
            ArchiveState::Retained
        } else {
            ArchiveState::Verified
        };
        let lies_at = lying.iter().map(|place| place.name.as_str()).collect::<Vec<_>>().join(", ");
        Self { state, lies_at, places, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_worst_of_the_places_that_it_lies_at() {
        use PlaceState::{Damaged, Deleted, Expired, Missing, Retained, Verified};
        for (states, expected, lies_at) in [
            (&[Verified, Verified][..], ArchiveState::Verified, "0, 1"),
            (&[Verified, Deleted], ArchiveState::Verified, "0"),
            (&[Expired, Retained], ArchiveState::Retained, "0, 1"),
            (&[Verified, Missing], ArchiveState::Damaged, "0"),
            (&[Damaged], ArchiveState::Damaged, "0"),
            (&[Missing, Deleted], ArchiveState::Missing, ""),
            (&[Deleted], ArchiveState::Deleted, ""),
        ] {
            let place = |(index, state): (usize, &PlaceState)| ArchivePlace {
                location: index.to_string(),
                name: index.to_string(),
                state: *state,
                ..ArchivePlace::default()
            };
            let places = states.iter().enumerate().map(place).collect();
            let status = BackupArchiveStatus::default().with_places(places);
            assert_eq!((status.state, status.lies_at.as_str()), (expected, lies_at), "{states:?}");
        }
    }
}
