//! What the name of an archive says: `<backup>-<cluster UID>-<time>.tar.gz`, as Rancher's operator and drover name it.

use serde::Serialize;

/// Length of a UUID's text.
const UUID: usize = 36;
/// Length of `2026-11-22T13-05-22Z`.
const TIME: usize = 20;

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
        let stem = name.strip_suffix(".enc").unwrap_or(name).strip_suffix(".tar.gz")?;
        let (stem, time) = split_last(stem, TIME)?;
        let (backup, uid) = split_last(stem, UUID)?;
        let (date, clock) = time.split_once('T')?;
        let time = format!("{date}T{}", clock.replace('-', ":"));
        time.parse::<jiff::Timestamp>().ok()?;
        let groups: Vec<usize> = uid.split('-').map(str::len).collect();
        let is_uuid = groups == [8, 4, 4, 4, 12] && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        is_uuid.then(|| Self { backup: backup.to_owned(), cluster_uid: uid.to_owned(), time })
    }
}

/// Splits `text` into what is before and after the `-` in front of its last `length` bytes.
fn split_last(text: &str, length: usize) -> Option<(&str, &str)> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(length)?)?;
    head.strip_suffix('-').filter(|head| !head.is_empty()).map(|head| (head, tail))
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
