use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use kube::ResourceExt;
use snafu::Snafu;
use uuid::Uuid;

use crate::digest::Sha256;
use crate::exit::{Exit, Fault};
use crate::resources::Backup;
use crate::storage::LONGEST_NAME;

/// The longest name that an object of Kubernetes can have.
const NAME_BYTES: usize = 253;

/// How the name of an archive ends, and that of one for which an encryption configuration was named.
const PLAIN: &str = ".tar.gz";
const ENCRYPTED: &str = ".tar.gz.enc";

/// The time in the name of an archive: RFC 3339, UTC, with `-` for `:`.
const TIME_FORMAT: &str = "%Y-%m-%dT%H-%M-%SZ";
const TIME_BYTES: usize = "2026-11-22T13-05-22Z".len();

/// A UID as Kubernetes writes it: 8, 4, 4, 4 and 12 hex digits.
const UID_BYTES: usize = 36;

/// The name of a run: `<backup>-<number>`. That two jobs cannot make a run of one number lies in the name.
///
/// A Backup's name that leaves no room for the number is shortened and made unique by a hash of the whole.
#[must_use]
pub fn run_name(backup: &str, number: i64) -> String {
    let suffix = format!("-{number}");
    if backup.len() + suffix.len() <= NAME_BYTES {
        return format!("{backup}{suffix}");
    }
    let hash = format!("{:.10}", Sha256::of(backup));
    let room = NAME_BYTES - suffix.len() - hash.len() - 1;
    let short = backup[..backup.floor_char_boundary(room)].trim_end_matches(['-', '.']);
    format!("{short}-{hash}{suffix}")
}

/// The file name of an archive, as the Rancher backup operator forms it:
/// `<backup>-<UID of kube-system>-<RFC 3339 UTC with : as ->.tar.gz`, and `.enc` behind it when it is encrypted.
#[must_use]
pub fn archive_name(backup: &str, cluster_uid: &str, started_at: Timestamp, is_encrypted: bool) -> String {
    let ending = if is_encrypted { ENCRYPTED } else { PLAIN };
    format!("{backup}-{cluster_uid}-{}{ending}", time_text(started_at))
}

/// An archive that has no place anywhere, for its name is longer than one can be.
#[derive(Debug, Snafu)]
#[snafu(display(
    "failed to name the archive {name:?}: that is {surplus} bytes longer than the {LONGEST_NAME} that a file's name may \
     have; make the Backup again under a name that is so much shorter"
))]
pub struct NameTooLong {
    name: String,
    surplus: usize,
}

impl Fault for NameTooLong {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Refuses a name that no archive can have.
///
/// # Errors
/// When it is too long.
pub fn check_archive_name(name: &str) -> Result<(), NameTooLong> {
    match name.len().saturating_sub(LONGEST_NAME) {
        0 => Ok(()),
        surplus => NameTooLongSnafu { name, surplus }.fail(),
    }
}

/// Refuses a Backup whose archives no place could take, by their names: before the first of them is made.
///
/// # Errors
/// When its name is too long.
pub fn check_backup_name(backup: &Backup) -> Result<(), NameTooLong> {
    let uid = Uuid::nil().to_string();
    let is_encrypted = backup.encryption_secret().is_some();
    check_archive_name(&archive_name(&backup.name_any(), &uid, Timestamp::UNIX_EPOCH, is_encrypted))
}

/// What the file name of an archive says, behind the name of its Backup.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArchiveName {
    /// The UID of kube-system in the cluster that it was made of.
    pub cluster_uid: String,
    /// When its run was opened, in whole seconds.
    pub time: Timestamp,
    /// Whether an encryption configuration was named.
    pub is_encrypted: bool,
}

/// Reads the file name of an archive of this Backup, whoever made it; none where it is another Backup's, or no archive.
///
/// It is matched whole, so `rancher-daily-…` is never an archive of `daily`.
#[must_use]
pub fn parse_archive_name(file_name: &str, backup: &str) -> Option<ArchiveName> {
    split_archive_name(file_name).filter(|(of, _)| *of == backup).map(|(_, name)| name)
}

/// Reads the file name of an archive of any Backup: the Backup's name, and the rest.
///
/// All parts behind the Backup's name have one length each, so a name is split in one way only.
#[must_use]
pub fn split_archive_name(file_name: &str) -> Option<(&str, ArchiveName)> {
    let (rest, is_encrypted) = match file_name.strip_suffix(ENCRYPTED) {
        Some(rest) => (rest, true),
        None => (file_name.strip_suffix(PLAIN)?, false),
    };
    let (rest, time) = split_last(rest, TIME_BYTES)?;
    let (backup, cluster_uid) = split_last(rest, UID_BYTES)?;
    let name = ArchiveName { cluster_uid: cluster_uid.to_owned(), time: parse_time(time)?, is_encrypted };
    (!backup.is_empty() && is_uid(cluster_uid)).then_some((backup, name))
}

/// Splits off the last so many bytes and the dash in front of them.
fn split_last(text: &str, bytes: usize) -> Option<(&str, &str)> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(bytes)?)?;
    Some((head.strip_suffix('-')?, tail))
}

fn is_uid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// What another writer may put there too, such as a sign or a 60th second, is not read.
fn parse_time(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(TIME_FORMAT, text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (time_text(time) == text).then_some(time)
}

fn time_text(time: Timestamp) -> String {
    time.strftime(TIME_FORMAT).to_string()
}

/// The artifact's name in the object store: never that of another run.
#[must_use]
pub fn artifact_name(backup: &str, id: Uuid) -> String {
    format!("{backup}/{id}{PLAIN}")
}

/// Whether an object of the store has such a name.
#[must_use]
pub fn is_artifact_name(name: &str) -> bool {
    let parts = name.strip_suffix(PLAIN).and_then(|name| name.split_once('/'));
    parts.is_some_and(|(backup, id)| Uuid::parse_str(id).is_ok_and(|id| artifact_name(backup, id) == name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resources::BackupSpec;

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

    #[test]
    fn a_backups_name_is_refused_where_its_archives_would_have_none() {
        let check = |bytes: usize, is_encrypted: bool, fits: bool| {
            let mut backup = Backup::new(&"b".repeat(bytes), BackupSpec::default());
            backup.spec.encryption_config_secret_name = is_encrypted.then(|| "keys".to_owned());
            let checked = check_backup_name(&backup);
            assert_eq!(checked.is_ok(), fits, "{bytes} {is_encrypted}");
            let name = archive_name(&backup.name_any(), UID, Timestamp::UNIX_EPOCH, is_encrypted);
            assert_eq!(name.len() <= 255, fits, "{bytes} {is_encrypted}");
            checked.map_or_else(|error| error.to_string(), |()| String::new())
        };
        check(190, false, true);
        check(191, false, false);
        check(186, true, true);
        let words = check(187, true, false);
        assert!(words.contains("1 bytes longer than the 255") && words.contains("bbb-00000000-"), "{words}");
    }

    #[test]
    fn only_what_is_named_like_an_artifact_is_one() {
        assert!(is_artifact_name(&artifact_name("daily", Uuid::now_v7())));
        for name in ["notes.txt", "daily/notes.tar.gz", "a/b/8ea4e695-6c77-43ec-9323-d6191e5ef67b.tar.gz"] {
            assert!(!is_artifact_name(name), "{name}");
        }
    }

    const UID: &str = "8ea4e695-6c77-43ec-9323-d6191e5ef67b";

    #[track_caller]
    fn check(file_name: &str, backup: &str, is_one: bool) {
        assert_eq!(parse_archive_name(file_name, backup).is_some(), is_one, "{file_name:?} of {backup:?}");
    }

    #[test]
    fn a_name_is_matched_whole() {
        let daily = format!("daily-{UID}-2026-11-22T13-05-22Z.tar.gz");
        check(&daily, "daily", true);
        check(&format!("{daily}.enc"), "daily", true);
        check(&format!("rancher-{daily}"), "daily", false);
        check(&format!("rancher-{daily}"), "rancher-daily", true);
        check(&daily, "rancher-daily", false);
        check(&daily, "dail", false);
        check(&daily, "", false);
        check(&daily[5..], "", false);
        for broken in [
            format!("{daily}.enc.enc"),
            format!("{daily}.sha256"),
            format!("{daily} "),
            format!(" {daily}"),
            format!("foo/{daily}"),
            daily.replace(".tar.gz", ".tgz"),
            daily.replace(UID, &UID[1..]),
            daily.replace(UID, &UID.replace('-', "0")),
            daily.replace(UID, &UID.replace('8', "g")),
            daily.replace("11-22T", "11-31T"),
            daily.replace("11-22T", "13-22T"),
            daily.replace("05-22Z", "05-60Z"),
            daily.replace("05-22Z", "05-22"),
            daily.replace("05-22Z", "05:22Z"),
            daily.replace("2026-11", "+026-11"),
            daily.replace("13-05", "3-05"),
        ] {
            check(&broken, "daily", false);
        }
    }

    #[test]
    fn a_backup_that_is_called_like_an_archive_keeps_its_own() {
        let backup = format!("daily-{UID}-2026-11-22t13-05-22z");
        let name = archive_name(&backup, UID, Timestamp::UNIX_EPOCH, false);
        assert_eq!(split_archive_name(&name).unwrap().0, backup);
        check(&name, "daily", false);
    }

    proptest! {
        #[test]
        fn every_name_of_an_archive_comes_back(
            backup in "[a-z0-9][-.a-z0-9]{0,60}",
            uid in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            second in 0_i64..4_000_000_000,
            is_encrypted: bool,
        ) {
            let time = Timestamp::from_second(second).unwrap();
            let name = archive_name(&backup, &uid, time, is_encrypted);
            let expected = ArchiveName { cluster_uid: uid, time, is_encrypted };
            prop_assert_eq!(split_archive_name(&name), Some((backup.as_str(), expected)));
        }

        #[test]
        fn whatever_is_read_is_written_the_same(file_name in "[a-z]{0,3}-?([0-9a-f-]{36})-2026-[01][0-9]-[0-3][0-9]T[0-2][0-9]-[0-6][0-9]-[0-6][0-9]Z\\.tar\\.gz(\\.enc)?") {
            if let Some((backup, name)) = split_archive_name(&file_name) {
                prop_assert_eq!(archive_name(backup, &name.cluster_uid, name.time, name.is_encrypted), file_name);
            }
        }
    }
}
