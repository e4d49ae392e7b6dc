//! A monitor: where it is, what it is told of, and what counts as fresh for it.

mod secret_url;
mod service;
mod template;

use std::collections::BTreeSet;

use drover::selection::Pattern;
use jiff::SignedDuration;
use reqwest::Certificate;

pub(crate) use secret_url::{SecretUrl, UrlProblem};
pub(crate) use service::{Kind, Service, Webhook};
pub(crate) use template::{Template, UnknownName};

use crate::ping::{Concern, Signal};

/// How long after its time an archive may be missing before its Backup is not fresh, unless a monitor says otherwise.
pub(crate) const DEFAULT_GRACE: SignedDuration = SignedDuration::from_hours(1);

/// One monitor.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    /// Its name in logs, and in the memory of what it was told.
    pub(crate) name: String,
    pub(crate) service: Service,
    pub(crate) url: SecretUrl,
    /// The Backups that it is told of; none where it is told of Restores alone.
    pub(crate) backups: Option<Scope>,
    /// The same of Restores.
    pub(crate) restores: Option<Scope>,
    pub(crate) signals: BTreeSet<Signal>,
    pub(crate) freshness: Freshness,
    /// Characters of a message in a URL, instead of what is usual for its service.
    pub(crate) message_limit: Option<usize>,
    /// Bytes of a body, instead of what is usual for its service.
    pub(crate) body_limit: Option<usize>,
    /// Authorities to trust besides the system's.
    pub(crate) authorities: Vec<Certificate>,
}

/// Some Backups or Restores, as a BackupPolicy names them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) names: Vec<String>,
    pub(crate) pattern: Option<Pattern>,
}

/// What counts as fresh.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Freshness {
    /// How long after the schedule's next time a new archive may be missing.
    pub(crate) grace: SignedDuration,
    /// The greatest age of the newest archive, whatever the schedule says.
    pub(crate) max_age: Option<SignedDuration>,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { grace: DEFAULT_GRACE, max_age: None }
    }
}

impl Scope {
    /// Whether it holds this name: one that it lists or that its pattern finds, and any where it says neither.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let is_listed = self.names.iter().any(|listed| listed == name);
        match &self.pattern {
            Some(pattern) => pattern.matches(name) || is_listed,
            None => self.names.is_empty() || is_listed,
        }
    }
}

impl Monitor {
    /// Whether it is told of this Backup or Restore.
    pub(crate) fn watches(&self, concern: Concern, name: &str) -> bool {
        let scope = match concern {
            Concern::Backup => &self.backups,
            Concern::Restore => &self.restores,
        };
        scope.as_ref().is_some_and(|scope| scope.holds(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_by_name_by_pattern_or_all() {
        for (names, regexp, name, expected) in [
            (&["daily"][..], "", "daily", true),
            (&["daily"], "", "rancher-daily", false),
            (&[], "^rancher-", "rancher-daily", true),
            (&[], "^rancher-", "daily", false),
            (&["daily"], "^rancher-", "daily", true),
            (&[], "", "daily", true),
        ] {
            let pattern = (!regexp.is_empty()).then(|| Pattern::new(regexp).unwrap());
            let scope = Scope { names: names.iter().map(|name| (*name).to_owned()).collect(), pattern };
            assert_eq!(scope.holds(name), expected, "{names:?} {regexp:?} {name}");
        }
    }
}
