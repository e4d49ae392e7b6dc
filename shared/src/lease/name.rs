//! The names of Leases, each of which stands here alone. All lie in drover's namespace.
//!
//! | Lease | held by | looked at by |
//! | --- | --- | --- |
//! | [`RESTORES`] | restore, and the Rancher backup operator | snapshot, before its first object and after its last |
//! | [`DISPATCH`] | the replica of dispatch that is at work | |
//! | [`of_backup`] | snapshot, upload and retention-prune, for what they do to a Backup or its archives | |
//! | [`of_monitors`] | heartbeat, while it tells monitors about a Backup or Restore | |

use crate::digest::Sha256;

use crate::job::name::HEARTBEAT;

/// The Lease that whoever restores a cluster holds, under the Rancher backup operator's own name for it.
pub const RESTORES: &str = "restore-controller";

/// The Lease of the dispatch that is at work.
pub const DISPATCH: &str = "drover-dispatch";

/// How long names of Leases may be: a DNS subdomain.
const NAME_LIMIT: usize = 253;

/// Characters of the digest that tells two shortened names apart.
const DIGEST_LENGTH: usize = 10;

/// The name of the Lease of the Backup that is called `backup`.
#[must_use]
pub fn of_backup(backup: &str) -> String {
    name_for("backup", backup)
}

/// The name of the Lease of what monitors are told about `member`, a Backup or Restore as heartbeat notes it.
#[must_use]
pub fn of_monitors(member: &str) -> String {
    name_for(HEARTBEAT, member)
}

/// The name of the Lease for what is called `name`, after a `prefix` that says what kind of thing it is.
///
/// Names that a Lease can have stay as they are; any other one is made fit, and ends in a digest of the whole, so that
/// two different names do not become one.
fn name_for(prefix: &str, name: &str) -> String {
    let whole = format!("{prefix}-{name}");
    if is_subdomain(&whole) {
        return whole;
    }
    let fit: String = whole
        .chars()
        .map(|character| character.to_ascii_lowercase())
        .map(|character| if character.is_ascii_lowercase() || character.is_ascii_digit() { character } else { '-' })
        .take(NAME_LIMIT - DIGEST_LENGTH - 1)
        .collect();
    let digest = Sha256::of(&whole);
    format!("{}-{digest:.DIGEST_LENGTH$}", fit.trim_matches('-')).trim_start_matches('-').to_owned()
}

/// RFC 1123 as Kubernetes reads it: labels of lower-case letters, digits and inner dashes, joined by dots.
fn is_subdomain(name: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= NAME_LIMIT && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(prefix: &str, name: &str, expected: &str) {
        let got = name_for(prefix, name);
        assert_eq!(got, expected);
        assert!(is_subdomain(&got), "{got:?} is no name of a Lease");
    }

    #[test]
    fn leases_have_the_names_that_earlier_versions_know() {
        assert_eq!(of_backup("daily"), "backup-daily");
        assert_eq!(of_monitors("backup.1-2"), "heartbeat-backup.1-2");
        assert_eq!([RESTORES, DISPATCH], ["restore-controller", "drover-dispatch"]);
    }

    #[test]
    fn names_that_fit_stay_as_they_are() {
        check_name("drover-backup", "daily", "drover-backup-daily");
        check_name("drover-backup", "a.b-c.d9", "drover-backup-a.b-c.d9");
    }

    #[test]
    fn names_that_do_not_fit_end_in_a_digest_of_the_whole() {
        check_name("drover-backup", "A b", "drover-backup-a-b-548c897779");
        check_name("drover-backup", "a..b", "drover-backup-a--b-d37d993969");
        check_name("", "", "3973e022e9");
        assert_ne!(name_for("drover-backup", "a_b"), name_for("drover-backup", "a-b"));
    }

    #[test]
    fn long_names_are_cut_and_told_apart() {
        let (one, other) = (format!("{}1", "x".repeat(250)), format!("{}2", "x".repeat(250)));
        assert_eq!(name_for("drover-backup", &one).len(), NAME_LIMIT);
        assert_ne!(name_for("drover-backup", &one), name_for("drover-backup", &other));
        assert!(is_subdomain(&name_for("drover-backup", &one)));
    }
}
