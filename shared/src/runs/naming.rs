use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The longest name that an object of Kubernetes can have.
const NAME_BYTES: usize = 253;

/// The name of a run: `<backup>-<number>`. That two jobs cannot make a run of one number lies in the name.
///
/// A Backup's name that leaves no room for the number is shortened and made unique by a hash of the whole.
#[must_use]
pub fn run_name(backup: &str, number: i64) -> String {
    let suffix = format!("-{number}");
    if backup.len() + suffix.len() <= NAME_BYTES {
        return format!("{backup}{suffix}");
    }
    let hash = hex::encode(&Sha256::digest(backup.as_bytes())[..5]);
    let room = NAME_BYTES - suffix.len() - hash.len() - 1;
    let short = backup[..backup.floor_char_boundary(room)].trim_end_matches(['-', '.']);
    format!("{short}-{hash}{suffix}")
}

/// The file name of an archive, as the Rancher backup operator forms it:
/// `<backup>-<UID of kube-system>-<RFC 3339 UTC with : as ->.tar.gz`, and `.enc` behind it when it is encrypted.
#[must_use]
pub fn archive_name(backup: &str, cluster_uid: &str, started_at: Timestamp, is_encrypted: bool) -> String {
    let time = started_at.strftime("%Y-%m-%dT%H-%M-%SZ");
    let ending = if is_encrypted { ".tar.gz.enc" } else { ".tar.gz" };
    format!("{backup}-{cluster_uid}-{time}{ending}")
}

/// The artifact's name in the object store: never that of another run.
#[must_use]
pub fn artifact_name(backup: &str, id: Uuid) -> String {
    format!("{backup}/{id}.tar.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_is_named_as_the_operator_names_it() {
        let time: Timestamp = "2026-11-22T13:05:22.9Z".parse().unwrap();
        let name = archive_name("bro-plain", "8ea4e695-6c77-43ec-9323-d6191e5ef67b", time, false);
        assert_eq!(name, "bro-plain-8ea4e695-6c77-43ec-9323-d6191e5ef67b-2026-11-22T13-05-22Z.tar.gz");
        assert!(archive_name("b", "u", time, true).ends_with("Z.tar.gz.enc"));
    }

    #[test]
    fn long_backup_names_leave_room_and_stay_apart() {
        let (one, other) = (format!("{}a", "x".repeat(252)), format!("{}b", "x".repeat(252)));
        let names = [run_name(&one, 12), run_name(&other, 12)];
        assert!(names.iter().all(|name| name.len() <= NAME_BYTES && name.ends_with("-12")));
        assert_ne!(names[0], names[1]);
        assert_eq!(run_name("daily", 3), "daily-3");
    }
}
