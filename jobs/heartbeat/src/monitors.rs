//! Which monitors a Backup or Restore has: those of the file, and the one that its annotation names.

use drover::annotations::HEARTBEAT_ANNOTATION as ANNOTATION;
use drover::cluster;
use drover::exit::{Exit, Fault};
use drover::resources::Backup;
use kube::{Client, ResourceExt};
use snafu::{OptionExt, ResultExt, Snafu};

use crate::configuration::{self, Problem};
use crate::monitor::{Kind, Monitor};
use crate::ping::Concern;

/// The member of that Secret with the URL.
const URL: &str = "url";

/// The member with the kind, where the URL's shape does not tell.
const KIND: &str = "kind";

/// Why the monitor of an annotation cannot be used.
#[derive(Debug, Snafu)]
pub(crate) enum AnnotationError {
    #[snafu(display("failed to read the monitor that the annotation {ANNOTATION} names"))]
    ReadSecret {
        #[snafu(source(from(cluster::Error, Box::new)))]
        source: Box<cluster::Error>,
    },
    #[snafu(display(
        "failed to find {URL:?} in the data of the Secret {secret:?} in the namespace {namespace:?}, which the annotation \
         {ANNOTATION} names"
    ))]
    FindUrl { secret: String, namespace: String },
    #[snafu(display(
        "failed to use {KIND:?} of the Secret {secret:?} in the namespace {namespace:?}; allowed: {}",
        names()
    ))]
    UseKind { secret: String, namespace: String },
    #[snafu(display(
        "failed to use the Secret {secret:?} in the namespace {namespace:?}, which the annotation {ANNOTATION} names"
    ))]
    Use { secret: String, namespace: String, source: Problem },
}

impl Fault for AnnotationError {
    fn exit(&self) -> Exit {
        match self {
            Self::ReadSecret { source } => source.exit(),
            Self::FindUrl { .. } | Self::UseKind { .. } | Self::Use { .. } => Exit::Usage,
        }
    }
}

/// The Secret that a Backup's annotation names.
fn secret_of(backup: &Backup) -> Option<&String> {
    backup.annotations().get(ANNOTATION).filter(|name| !name.is_empty())
}

/// The name of the monitor that a Secret holds.
fn name_of(secret: &str) -> String {
    format!("{}{secret}", configuration::ANNOTATED)
}

/// The name of the monitor that a Backup's annotation names, whether it can be used or not.
pub(crate) fn annotated_name(backup: &Backup) -> Option<String> {
    secret_of(backup).map(|secret| name_of(secret))
}

fn names() -> String {
    Kind::ALL.map(|(_, name, _)| name).join(", ")
}

/// The monitors of a job.
pub(crate) struct Monitors {
    configured: Vec<Monitor>,
    client: Client,
    namespace: String,
}

/// The monitors of one Backup. One that cannot be used does not keep the others from being told.
pub(crate) struct OfBackup {
    pub(crate) monitors: Vec<Monitor>,
    pub(crate) refused: Option<AnnotationError>,
}

impl OfBackup {
    /// Whether nobody wants to be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.monitors.is_empty() && self.refused.is_none()
    }
}

impl Monitors {
    pub(crate) fn new(configured: Vec<Monitor>, client: Client, namespace: &str) -> Self {
        Self { configured, client, namespace: namespace.to_owned() }
    }

    /// Those of a Backup.
    pub(crate) async fn of_backup(&self, backup: &Backup) -> OfBackup {
        let mut monitors = self.configured(Concern::Backup, &backup.name_any());
        let secret = secret_of(backup);
        let mut refused = None;
        if let Some(secret) = secret {
            match self.annotated(secret).await {
                Ok(monitor) => monitors.push(monitor),
                Err(error) => refused = Some(error),
            }
        }
        OfBackup { monitors, refused }
    }

    /// Those of a Restore.
    pub(crate) fn of_restore(&self, name: &str) -> Vec<Monitor> {
        self.configured(Concern::Restore, name)
    }

    fn configured(&self, concern: Concern, name: &str) -> Vec<Monitor> {
        self.configured.iter().filter(|monitor| monitor.watches(concern, name)).cloned().collect()
    }

    async fn annotated(&self, secret: &str) -> Result<Monitor, AnnotationError> {
        let namespace = &self.namespace;
        let data = cluster::secret(&self.client, namespace, namespace, secret).await.context(ReadSecretSnafu)?;
        let text = |member: &str| data.get(member).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
        let url = text(URL).context(FindUrlSnafu { secret, namespace })?;
        let kind = match text(KIND) {
            Some(name) => Some(Kind::named(name.trim()).context(UseKindSnafu { secret, namespace })?),
            None => None,
        };
        configuration::short(&name_of(secret), &url, kind).context(UseSnafu { secret, namespace })
    }
}
