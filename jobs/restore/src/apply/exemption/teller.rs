//! What is told of an exemption: in the log, in Events of the Restore, and in its report.

use std::sync::{Mutex, PoisonError};

use drover::cluster::Events;
use drover::exit::Chain;
use drover::resources::Restore;
use tracing::{info, warn};

use super::error::ExemptionError;

/// Tells of one exemption.
pub(super) struct Teller {
    restore: Option<(Events, Restore)>,
    /// The command that ends it by hand.
    ending: String,
    told: Mutex<Vec<String>>,
}

impl Teller {
    pub(super) fn of_restore(restore: &Restore, events: &Events) -> Self {
        let restore = Some((events.clone(), restore.clone()));
        Self { restore, ending: "restore unexempt".to_owned(), told: Mutex::default() }
    }

    pub(super) fn of_command_line(ending: String) -> Self {
        Self { restore: None, ending, told: Mutex::default() }
    }

    /// It begins. Whoever restores by hand is told how it ends, should the process be killed.
    pub(super) async fn begin(&self, user: &str, webhooks: usize, names: &str) {
        let note =
            format!("exempt while this restore writes: {user}, and nobody else, from {webhooks} webhooks of {names}");
        if self.restore.is_some() {
            return self.tell("WebhooksExempted", note).await;
        }
        warn!("{note}; should this process be killed, this ends it: {}", self.ending);
        self.keep(note);
    }

    /// It was put in again.
    pub(super) async fn again(&self, webhooks: usize, names: &str) {
        let note = format!("put in again, for {names} was written anew: the exemption from {webhooks} webhooks");
        // An Event of the same reason would be counted with the first one, whose note it would have.
        self.tell("WebhooksExemptedAgain", note).await;
    }

    /// It has ended.
    pub(super) async fn end(&self, note: &str) {
        self.tell("ExemptionEnded", note.to_owned()).await;
    }

    /// It could not be ended.
    pub(super) async fn left(&self, error: &ExemptionError) {
        let note =
            format!("still exempt from webhooks, until the next restore job or by {:?}: {}", self.ending, Chain(error));
        self.warn("ExemptionLeft", note).await;
    }

    /// Something is not as it was asked for.
    pub(super) async fn warn(&self, reason: &str, note: String) {
        warn!("{note}");
        if let Some((events, restore)) = &self.restore {
            events.warning(restore, reason, note.as_str()).await;
        }
        self.keep(note);
    }

    async fn tell(&self, reason: &str, note: String) {
        info!("{note}");
        if let Some((events, restore)) = &self.restore {
            events.normal(restore, reason, note.as_str()).await;
        }
        self.keep(note);
    }

    fn keep(&self, note: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// What was told so far, for the report.
    pub(super) fn take_told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
