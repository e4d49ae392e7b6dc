use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Conditions, StorageLocation};
use crate::annotations::RESOLVED_ANNOTATION;

/// A restore that is wanted: from which archive, and how.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "resources.cattle.io",
    version = "v1",
    kind = "Restore",
    status = "RestoreStatus",
    derive = "PartialEq",
    doc = "A restore that is wanted: from which archive, and how.",
    printcolumn(json_path = ".status.backupSource", name = "Backup-Source", type_ = "string"),
    printcolumn(json_path = ".spec.backupFilename", name = "Backup-File", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].message"#, name = "Status", type_ = "string")
)]
#[serde(rename_all = "camelCase")]
pub struct RestoreSpec {
    /// File name of the archive, in a folder of the location where slashes are in it; `latest`: the newest verified one of
    /// the Backup that the annotation drover.dev/latest-of names.
    pub backup_filename: String,
    /// Where the archive lies; missing or empty: the default location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<StorageLocation>,
    /// Delete what the archive's ResourceSet selects and the archive lacks; true where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub prune: Option<bool>,
    /// How long a deletion may take before finalizers are removed, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10))]
    pub delete_timeout_seconds: Option<i64>,
    /// Name of the Secret with the encryption configuration, in drover's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_config_secret_name: Option<String>,
    /// End as Completed although objects failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_errors: Option<bool>,
}

/// What became of a Restore.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    /// Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Conditions>,
    /// When the restore ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_completion_ts: Option<String>,
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `S3` or `PV`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_source: Option<String>,
    /// Counts: created, updated, unchanged, kept, failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// What `backupFilename` of a Restore says for the newest verified archive.
pub const LATEST: &str = "latest";

impl Restore {
    /// Its conditions; none where its status was never written.
    #[must_use]
    pub fn conditions(&self) -> Option<&Conditions> {
        self.status.as_ref()?.conditions.as_ref()
    }

    /// The file name of its archive; none as long as the latest one is wanted and not chosen yet.
    #[must_use]
    pub fn archive(&self) -> Option<&str> {
        if self.spec.backup_filename == LATEST {
            let annotations = self.metadata.annotations.as_ref()?;
            return annotations.get(RESOLVED_ANNOTATION).map(String::as_str).filter(|name| !name.is_empty());
        }
        Some(self.split_filename().1)
    }

    /// The folder in its location where the archive lies; empty where that is the location itself.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.split_filename().0
    }

    /// Rancher's operator joins the folder of the location and what stands here, so this may hold a folder too.
    fn split_filename(&self) -> (&str, &str) {
        let filename = self.spec.backup_filename.as_str();
        filename.rsplit_once('/').unwrap_or(("", filename))
    }

    /// Whether prune is asked for; it is where nothing is said.
    #[must_use]
    pub fn prunes(&self) -> bool {
        self.spec.prune.unwrap_or(true)
    }

    /// The encryption Secret's name, where one is named.
    #[must_use]
    pub fn encryption_secret(&self) -> Option<&str> {
        self.spec.encryption_config_secret_name.as_deref().filter(|name| !name.is_empty())
    }

    /// Whether it has ended, well or not: then it never runs again.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.restore_completion_ts.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_may_lie_in_a_folder() {
        for (filename, folder, archive) in [
            ("a.tar.gz", "", Some("a.tar.gz")),
            ("old/a.tar.gz", "old", Some("a.tar.gz")),
            ("/old//b/a.tar.gz", "/old//b", Some("a.tar.gz")),
            ("/a.tar.gz", "", Some("a.tar.gz")),
            ("old/", "old", Some("")),
            (LATEST, "", None),
        ] {
            let spec = RestoreSpec { backup_filename: filename.to_owned(), ..RestoreSpec::default() };
            let restore = Restore::new("a", spec);
            assert_eq!((restore.folder(), restore.archive()), (folder, archive), "{filename:?}");
        }
    }
}
