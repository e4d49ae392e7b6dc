//! The Secrets that resources name.

use drover::resources::{Backup, BackupPolicy, Restore, S3Location, StorageLocation};

/// A Secret's namespace and name.
pub(super) type SecretName = (String, String);

pub(super) fn by_backups<'a>(backups: &'a [Backup], namespace: &'a str) -> impl Iterator<Item = SecretName> + use<'a> {
    backups.iter().flat_map(move |backup| {
        let encryption = backup.encryption_secret().map(|name| (namespace.to_owned(), name.to_owned()));
        let monitor = backup.heartbeat_secret().map(|name| (namespace.to_owned(), name.to_owned()));
        encryption.into_iter().chain(monitor).chain(by_location(backup.spec.storage_location.as_ref(), namespace))
    })
}

/// One that has ended needs nothing any more.
pub(super) fn by_restores<'a>(
    restores: &'a [Restore],
    namespace: &'a str,
) -> impl Iterator<Item = SecretName> + use<'a> {
    restores.iter().filter(|restore| !restore.has_ended()).flat_map(move |restore| {
        let encryption = restore.encryption_secret().map(|name| (namespace.to_owned(), name.to_owned()));
        encryption.into_iter().chain(by_location(restore.spec.storage_location.as_ref(), namespace))
    })
}

/// Whether one applies to a Backup is all one: tomorrow it may, and so may one whose pattern is mended.
pub(super) fn by_policies<'a>(
    policies: &'a [BackupPolicy],
    namespace: &'a str,
) -> impl Iterator<Item = SecretName> + use<'a> {
    let further = policies.iter().flat_map(|policy| policy.spec.additional_storage_locations.iter().flatten());
    further.filter_map(move |location| by_bucket(location.s3.as_ref()?, namespace))
}

fn by_location(location: Option<&StorageLocation>, namespace: &str) -> Option<SecretName> {
    by_bucket(location?.s3.as_ref()?, namespace)
}

fn by_bucket(s3: &S3Location, namespace: &str) -> Option<SecretName> {
    s3.credential_secret(namespace).map(|(of, name)| (of.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use drover::annotations::HEARTBEAT_ANNOTATION;
    use drover::resources::{BackupPolicySpec, BackupSpec, FurtherLocation, LocalLocation, RestoreSpec, RestoreStatus};

    use super::*;

    fn bucket(secret: &str, namespace: Option<&str>) -> S3Location {
        S3Location {
            credential_secret_name: Some(secret.to_owned()),
            credential_secret_namespace: namespace.map(str::to_owned),
            ..S3Location::default()
        }
    }

    fn at(secret: &str, namespace: Option<&str>) -> StorageLocation {
        StorageLocation { s3: Some(bucket(secret, namespace)) }
    }

    #[track_caller]
    fn check(named: impl Iterator<Item = SecretName>, expected: &[(&str, &str)]) {
        let named: Vec<_> = named.collect();
        let named: Vec<_> = named.iter().map(|(namespace, name)| (namespace.as_str(), name.as_str())).collect();
        assert_eq!(named, expected);
    }

    #[test]
    fn secrets_of_backups_are_needed() {
        let spec = BackupSpec {
            storage_location: Some(at("s3", Some("elsewhere"))),
            encryption_config_secret_name: Some("keys".to_owned()),
            ..BackupSpec::default()
        };
        let mut backup = Backup::new("b", spec);
        backup.metadata.annotations =
            Some([(HEARTBEAT_ANNOTATION.to_owned(), "monitor".to_owned())].into_iter().collect());
        check(by_backups(&[backup], "home"), &[("home", "keys"), ("home", "monitor"), ("elsewhere", "s3")]);
    }

    #[test]
    fn secrets_of_a_restore_are_needed_until_it_has_ended() {
        let spec = RestoreSpec { storage_location: Some(at("s3", None)), ..RestoreSpec::default() };
        let mut restore = Restore::new("r", spec);
        check(by_restores(std::slice::from_ref(&restore), "home"), &[("home", "s3")]);
        restore.status =
            Some(RestoreStatus { restore_completion_ts: Some("t".to_owned()), ..RestoreStatus::default() });
        check(by_restores(&[restore], "home"), &[]);
    }

    #[test]
    fn secrets_of_all_further_places_are_needed_also_of_a_policy_that_applies_to_nothing() {
        let bucket = |name: &str, s3| FurtherLocation { name: name.to_owned(), s3: Some(s3), local: None };
        let volume = FurtherLocation { name: "nas".to_owned(), s3: None, local: Some(LocalLocation { volume: None }) };
        let places =
            vec![bucket("far", self::bucket("keys", Some("vault"))), volume, bucket("near", self::bucket("s3", None))];
        let policy = |regexp: &str, places| {
            let spec = BackupPolicySpec {
                backup_name_regexp: regexp.to_owned(),
                additional_storage_locations: places,
                ..BackupPolicySpec::default()
            };
            BackupPolicy::new("p", spec)
        };
        let expected = [("vault", "keys"), ("home", "s3")];
        for regexp in ["", "^nobody$", "("] {
            check(by_policies(&[policy(regexp, Some(places.clone()))], "home"), &expected);
        }
        check(by_policies(&[policy("", None), policy("", Some(Vec::new()))], "home"), &[]);
    }

    #[test]
    fn locations_without_a_secret_need_none() {
        assert_eq!(by_location(None, "home"), None);
        assert_eq!(by_location(Some(&at("", None)), "home"), None);
        assert_eq!(by_location(Some(&StorageLocation { s3: None }), "home"), None);
    }
}
