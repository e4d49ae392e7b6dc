//! What drover stands on while it restores: a restore that took it away could not go on, and nobody could start another.
//!
//! ```text
//! Deployments, CronJobs, StatefulSets, ServiceAccounts ──▶ Home: where drover runs, what pulls its pods ─┐
//! Backups, Restores, BackupPolicies, the default bucket ─▶ named: the Secrets that they name ────────────┴─▶ Ground
//! ```

mod asked;
mod error;
mod home;
mod named;

use std::collections::BTreeSet;

use drover::resources::{Backup, BackupPolicy, Restore};
use drover::storage::StorageOptions;
use snafu::OptionExt;

use self::error::{AnswerSnafu, ElsewhereSnafu, FindPoliciesSnafu, GroundError, ParseSnafu, ReadSnafu};
use self::home::Home;
use self::named::SecretName;
use crate::api::request::Server;

/// What drover stands on, apart from what shows it by its type or its label.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ground {
    namespace: String,
    secrets: BTreeSet<SecretName>,
    pull_secrets: BTreeSet<SecretName>,
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
        Self { namespace, secrets: BTreeSet::new(), pull_secrets: BTreeSet::new(), writes_secrets: false, scaled }
    }

    /// The same with a Secret that drover works with, and one that its pods are pulled with.
    #[cfg(test)]
    pub(crate) fn with_secrets(mut self, works_with: (&str, &str), pulled_with: (&str, &str)) -> Self {
        let owned = |(namespace, name): (&str, &str)| (namespace.to_owned(), name.to_owned());
        self.secrets.insert(owned(works_with));
        self.pull_secrets.insert(owned(pulled_with));
        self
    }

    /// Asks the cluster where drover runs, and which Secrets it works with. With `writes_secrets` these are restored all the
    /// same, but not those that its pods are pulled with; none is ever pruned. A job knows by its options which Secret names
    /// the default bucket; without a `job` drover's settings are asked, and drover need not be there at all.
    ///
    /// # Errors
    ///
    /// When any of it cannot be read: a Secret that is not known to be needed would be overwritten, or pruned. And when
    /// drover runs in another namespace alone.
    pub(crate) async fn survey(
        server: &Server,
        namespace: &str,
        writes_secrets: bool,
        job: Option<&StorageOptions>,
    ) -> Result<Self, GroundError> {
        let home = Home::find(server, namespace).await?;
        let backups = asked::all::<Backup>(server, "Backups").await?;
        let restores = asked::all::<Restore>(server, "Restores").await?;
        let policies = policies(server, job.is_some() || home.is_somewhere()).await?;
        let named = named::by_backups(&backups, namespace).chain(named::by_restores(&restores, namespace));
        let named = named.chain(named::by_policies(&policies, namespace));
        // An old URL would be told that all is well, and the monitor that somebody looks at nothing.
        let mut secrets: BTreeSet<SecretName> =
            named.chain([(namespace.to_owned(), MONITORS_SECRET.to_owned())]).collect();
        secrets.extend(asked::default_bucket(server, namespace, job).await?);
        let (namespace, pull_secrets) = (namespace.to_owned(), home.into_pull_secrets());
        Ok(Self { namespace, secrets, pull_secrets, writes_secrets, scaled: Scaled::default() })
    }

    /// The same while the controllers at these places are held down for `holder`: group, plural name, namespace and name.
    pub(crate) fn holding<'a>(&self, controllers: impl Iterator<Item = [&'a str; 4]>, holder: &str) -> Self {
        let controllers = controllers.map(|parts| parts.map(str::to_owned)).collect();
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

    /// Whether a restore leaves this Secret as it is, for drover works with it.
    pub(crate) fn keeps_secret(&self, namespace: &str, name: &str) -> bool {
        !self.writes_secrets && has(&self.secrets, namespace, name)
    }

    /// Whether drover's pods are pulled with this Secret: an old one would keep every further job from starting.
    pub(crate) fn pulls_with(&self, namespace: &str, name: &str) -> bool {
        has(&self.pull_secrets, namespace, name)
    }

    /// Whether drover works with this Secret in whatever way.
    pub(crate) fn needs_secret(&self, namespace: &str, name: &str) -> bool {
        has(&self.secrets, namespace, name) || self.pulls_with(namespace, name)
    }

    /// Whether a Secret that drover works with is to lie in this namespace.
    pub(crate) fn needs_namespace(&self, namespace: &str) -> bool {
        self.secrets.iter().chain(&self.pull_secrets).any(|(of, _)| of == namespace)
    }
}

/// The sets are small: one or two Secrets for each Backup.
fn has(secrets: &BTreeSet<SecretName>, namespace: &str, name: &str) -> bool {
    secrets.iter().any(|(of, called)| of == namespace && called == name)
}

/// Where drover is, and the definition of policies is not, it is unknown what they said: unknown is never none.
async fn policies(server: &Server, is_installed: bool) -> Result<Vec<BackupPolicy>, GroundError> {
    let listed = asked::listed::<BackupPolicy>(server, "BackupPolicies").await?;
    if is_installed { listed.context(FindPoliciesSnafu) } else { Ok(listed.unwrap_or_default()) }
}

/// The Secret with the configuration of heartbeat monitors, as the manifests name it.
const MONITORS_SECRET: &str = "heartbeat-monitors";

#[cfg(test)]
mod tests {
    use super::*;
    use drover::api::RequestError;
    use drover::exit::{Exit, Fault};

    #[test]
    fn credentials_are_written_when_that_is_asked_for_and_pull_secrets_never() {
        let ground = Ground::of_namespace("home".to_owned()).with_secrets(("vault", "keys"), ("home", "registry"));
        let asked_for = Ground { writes_secrets: true, ..ground.clone() };
        for (namespace, name, kept, kept_when_asked, pulls) in [
            ("vault", "keys", true, false, false),
            ("home", "registry", false, false, true),
            ("home", "keys", false, false, false),
        ] {
            assert_eq!(ground.keeps_secret(namespace, name), kept, "{namespace}/{name}");
            assert_eq!(asked_for.keeps_secret(namespace, name), kept_when_asked, "{namespace}/{name}");
            assert_eq!(asked_for.pulls_with(namespace, name), pulls, "{namespace}/{name}");
            assert_eq!(asked_for.needs_secret(namespace, name), kept || pulls, "{namespace}/{name}");
        }
        assert!(ground.needs_namespace("vault") && ground.needs_namespace("home") && !ground.needs_namespace("shop"));
    }

    #[test]
    fn what_may_help_is_told_by_the_exit_code() {
        let refused = |code| RequestError::Refused {
            code,
            reason: String::new(),
            message: String::new(),
            retry_after: None,
            continue_token: None,
        };
        for (code, expected) in [(503, Exit::Unavailable), (403, Exit::Usage), (400, Exit::Failure)] {
            let error = GroundError::Read { what: "BackupPolicies", source: refused(code) };
            assert_eq!(error.exit(), expected, "{code}");
        }
        assert_eq!(GroundError::FindPolicies.exit(), Exit::Usage);
        assert_eq!(GroundError::Answer { what: "BackupPolicies" }.exit(), Exit::Unavailable);
    }
}
