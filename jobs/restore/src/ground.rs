//! What drover stands on while it restores: a restore that took it away could not go on, and nobody could start another.

use std::collections::BTreeSet;

use drover::exit::{Exit, Fault};
use drover::resources::{Backup, Restore, StorageLocation};
use kube::core::ObjectList;
use snafu::{ResultExt, Snafu};

use crate::controllers::Controllers;
use crate::request::{RequestError, Server};

/// Why it is not known what drover stands on.
#[derive(Debug, Snafu)]
pub(crate) enum GroundError {
    /// The Backups or Restores cannot be read.
    #[snafu(display("failed to read which Secrets the {what} of this cluster name; may this user list them?"))]
    Read {
        /// Which of them.
        what: &'static str,
        /// What the server said.
        source: RequestError,
    },
    /// The server sent something else than a list of them.
    #[snafu(display("failed to read the server's list of the {what}"))]
    Parse {
        /// Which of them.
        what: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
}

impl Fault for GroundError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.is_transient() => Exit::Unavailable,
            Self::Read { source, .. } if source.is_forbidden() => Exit::Usage,
            Self::Read { .. } | Self::Parse { .. } => Exit::Failure,
        }
    }
}

/// What drover stands on, apart from what shows it by its type or its label.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ground {
    namespace: String,
    secrets: BTreeSet<SecretName>,
    writes_secrets: bool,
    scaled: Scaled,
}

/// The controllers that a restore holds down while it writes, and for whom.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Scaled {
    /// Group, plural name, namespace and name of each.
    controllers: BTreeSet<[String; 4]>,
    holder: String,
}

impl Ground {
    /// drover's namespace, and no Secret that anything names.
    #[cfg(test)]
    pub(crate) const fn of_namespace(namespace: String) -> Self {
        let scaled = Scaled { controllers: BTreeSet::new(), holder: String::new() };
        Self { namespace, secrets: BTreeSet::new(), writes_secrets: false, scaled }
    }

    /// Asks the cluster which Secrets its Backups and Restores name. Where their types are not served, none does.
    /// With `writes_secrets` these are restored all the same; they are never pruned.
    ///
    /// # Errors
    ///
    /// When they cannot be read: a Secret that is not known to be needed would be overwritten.
    pub(crate) async fn survey(server: &Server, namespace: &str, writes_secrets: bool) -> Result<Self, GroundError> {
        let backups = all::<Backup>(server, "Backups").await?;
        let restores = all::<Restore>(server, "Restores").await?;
        let named = named_by_backups(&backups, namespace).chain(named_by_restores(&restores, namespace));
        // An old URL would be told that all is well, and the monitor that somebody looks at nothing.
        let secrets = named.chain([(namespace.to_owned(), MONITORS_SECRET.to_owned())]).collect();
        Ok(Self { namespace: namespace.to_owned(), secrets, writes_secrets, scaled: Scaled::default() })
    }

    /// The same while these controllers are held down for `holder`.
    pub(crate) fn holding(&self, controllers: &Controllers, holder: &str) -> Self {
        let controllers = controllers.places().map(|parts| parts.map(str::to_owned)).collect();
        Self { scaled: Scaled { controllers, holder: holder.to_owned() }, ..self.clone() }
    }

    /// Whether a controller is held down while the restore writes.
    pub(crate) fn holds_down(&self, group: &str, plural: &str, namespace: &str, name: &str) -> bool {
        let place = [group, plural, namespace, name];
        self.scaled.controllers.iter().any(|controller| controller.iter().map(String::as_str).eq(place))
    }

    /// For whom controllers are held down.
    pub(crate) fn holder(&self) -> &str {
        &self.scaled.holder
    }

    /// drover's namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether a restore leaves this Secret as it is, for a live Backup or Restore names it.
    pub(crate) fn keeps_secret(&self, namespace: &str, name: &str) -> bool {
        !self.writes_secrets && self.names_secret(namespace, name)
    }

    /// Whether a live Backup or Restore names this Secret.
    pub(crate) fn names_secret(&self, namespace: &str, name: &str) -> bool {
        // The set is small: one or two Secrets for each Backup.
        self.secrets.iter().any(|(of, called)| of == namespace && called == name)
    }
}

/// Asked like every object: a server that has just begun to serve a type says "later" (429) for a moment.
async fn all<K>(server: &Server, what: &'static str) -> Result<Vec<K>, GroundError>
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned,
{
    let listed = match server.get(&K::url_path(&(), None)).await {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        listed => listed.context(ReadSnafu { what })?,
    };
    let list: ObjectList<K> = serde_json::from_slice(&listed).context(ParseSnafu { what })?;
    Ok(list.items)
}

/// The Secret with the configuration of heartbeat monitors, as the manifests name it.
const MONITORS_SECRET: &str = "heartbeat-monitors";

/// A Secret's namespace and name.
type SecretName = (String, String);

fn named_by_backups<'a>(backups: &'a [Backup], namespace: &'a str) -> impl Iterator<Item = SecretName> + use<'a> {
    backups.iter().flat_map(move |backup| {
        let encryption = backup.encryption_secret().map(|name| (namespace.to_owned(), name.to_owned()));
        let monitor = backup.heartbeat_secret().map(|name| (namespace.to_owned(), name.to_owned()));
        let credentials = credentials(backup.spec.storage_location.as_ref(), namespace);
        encryption.into_iter().chain(monitor).chain(credentials)
    })
}

/// One that has ended needs nothing any more.
fn named_by_restores<'a>(restores: &'a [Restore], namespace: &'a str) -> impl Iterator<Item = SecretName> + use<'a> {
    restores.iter().filter(|restore| !restore.has_ended()).flat_map(move |restore| {
        let encryption = restore.encryption_secret().map(|name| (namespace.to_owned(), name.to_owned()));
        encryption.into_iter().chain(credentials(restore.spec.storage_location.as_ref(), namespace))
    })
}

fn credentials(location: Option<&StorageLocation>, namespace: &str) -> Option<SecretName> {
    let s3 = location?.s3.as_ref()?;
    let name = s3.credential_secret_name.as_deref().filter(|name| !name.is_empty())?;
    let of = s3.credential_secret_namespace.as_deref().filter(|of| !of.is_empty()).unwrap_or(namespace);
    Some((of.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use drover::resources::{BackupSpec, HEARTBEAT_ANNOTATION, RestoreSpec, RestoreStatus, S3Location};

    use super::*;

    fn at(secret: &str, namespace: Option<&str>) -> StorageLocation {
        let s3 = S3Location {
            credential_secret_name: Some(secret.to_owned()),
            credential_secret_namespace: namespace.map(str::to_owned),
            ..S3Location::default()
        };
        StorageLocation { s3: Some(s3) }
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
        let named: Vec<_> = named_by_backups(&[backup], "home").collect();
        let expected = [("home", "keys"), ("home", "monitor"), ("elsewhere", "s3")];
        assert_eq!(named, expected.map(|(namespace, name)| (namespace.to_owned(), name.to_owned())));
    }

    #[test]
    fn secrets_of_a_restore_are_needed_until_it_has_ended() {
        let spec = RestoreSpec { storage_location: Some(at("s3", None)), ..RestoreSpec::default() };
        let mut restore = Restore::new("r", spec);
        let count = |restore: &Restore| named_by_restores(std::slice::from_ref(restore), "home").count();
        assert_eq!(count(&restore), 1);
        restore.status =
            Some(RestoreStatus { restore_completion_ts: Some("t".to_owned()), ..RestoreStatus::default() });
        assert_eq!(count(&restore), 0);
    }

    #[test]
    fn locations_without_a_secret_need_none() {
        assert_eq!(credentials(None, "home"), None);
        assert_eq!(credentials(Some(&at("", None)), "home"), None);
        assert_eq!(credentials(Some(&StorageLocation { s3: None }), "home"), None);
    }
}
