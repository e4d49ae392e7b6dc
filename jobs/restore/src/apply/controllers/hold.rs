//! Who holds controllers down.

use std::time::Duration;

use drover::cluster::Events;
use drover::resources::Restore;
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::apply::controllers::controller::Controller;
use crate::apply::controllers::state::COMMAND_LINE;

/// Who holds controllers down, and for how long they are waited for.
pub(crate) struct Hold {
    pub(crate) by: String,
    restore: Option<(Events, Restore)>,
    pub(crate) patience: Duration,
    pub(crate) lost: CancellationToken,
}

impl Hold {
    /// For a Restore; its Events tell of it.
    ///
    /// `patience` is how long pods may take to go. Once `lost` fires, another restore may be at work: then what is scaled
    /// down is left to it.
    pub(crate) fn of_restore(restore: &Restore, events: &Events, patience: Duration, lost: CancellationToken) -> Self {
        let by = restore.uid().unwrap_or_default();
        Self { by, restore: Some((events.clone(), restore.clone())), patience, lost }
    }

    /// For the command line.
    pub(crate) fn of_command_line(patience: Duration, lost: CancellationToken) -> Self {
        Self { by: COMMAND_LINE.to_owned(), restore: None, patience, lost }
    }

    /// Who it is: a Restore's UID, or [`COMMAND_LINE`].
    pub(crate) fn by(&self) -> &str {
        &self.by
    }

    /// Tells on the Restore, where there is one, what a person should look at.
    pub(crate) async fn warn(&self, reason: &str, note: &str) {
        if let Some((events, restore)) = &self.restore {
            events.warning(restore, reason, note).await;
        }
    }

    pub(crate) async fn tell(&self, reason: &str, what: &str, done: &[(&Controller, i64)]) {
        if done.is_empty() {
            return;
        }
        let each: Vec<_> = done.iter().map(|(controller, count)| format!("{controller} ({count})")).collect();
        let note = format!("{what}: {}", each.join(", "));
        info!("{note}");
        if let Some((events, restore)) = &self.restore {
            events.normal(restore, reason, note).await;
        }
    }
}
