//! What the name of an archive says: `<backup>-<cluster UID>-<time>.tar.gz`, as Rancher's operator and drover name it.

use drover::resources::rfc3339;
use drover::runs::{ArchiveName, split_archive_name};
use serde::Serialize;

/// What a file name says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileName {
    /// Name of the Backup.
    pub(crate) backup: String,
    /// UID of the Namespace kube-system, which stands for the cluster.
    pub(crate) cluster_uid: String,
    /// When the backup was begun, RFC 3339.
    pub(crate) time: String,
}

impl FileName {
    /// Reads a file name without its folder; none where it is of another form.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (backup, ArchiveName { cluster_uid, time, is_encrypted: _ }) = split_archive_name(name)?;
        Some(Self { backup: backup.to_owned(), cluster_uid, time: rfc3339(time) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";

    #[test]
    fn names_of_the_operator_are_read() {
        for (backup, suffix) in [("bro-plain", "tar.gz"), ("a", "tar.gz.enc"), ("s3-2026-01-01", "tar.gz")] {
            let name = format!("{backup}-{UID}-2026-11-22T13-05-22Z.{suffix}");
            let expected = FileName {
                backup: backup.to_owned(),
                cluster_uid: UID.to_owned(),
                time: "2026-11-22T13:05:22Z".to_owned(),
            };
            assert_eq!(FileName::parse(&name), Some(expected), "{name}");
        }
    }

    #[test]
    fn other_names_say_nothing() {
        for name in [
            "backup.tar.gz".to_owned(),
            String::new(),
            format!("a-{UID}-2026-11-22T13-05-22Z.tgz"),
            format!("a-{UID}-2026-13-22T13-05-22Z.tar.gz"),
            format!("a-{}-2026-11-22T13-05-22Z.tar.gz", UID.replace('8', "x")),
            format!("-{UID}-2026-11-22T13-05-22Z.tar.gz"),
            "ä".repeat(60) + ".tar.gz",
        ] {
            assert_eq!(FileName::parse(&name), None, "{name}");
        }
    }
}
