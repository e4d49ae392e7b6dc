//! The events of the queue, none of which holds up the others for long.

mod message;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover::events::Event;
use drover::exit::Exit;
use drover::queue::{Handler, Outcome};
use drover::task;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::context::Context;

/// How long the drain waits for one event: as long as all tries take at a monitor that answers at once, whatever it says.
const PATIENCE: Duration = Duration::from_secs(3);

/// The work of the drain.
pub(crate) struct Stage {
    context: Arc<Context>,
    /// What a monitor that does not answer kept from ending, by the event's id. The drain comes back to it.
    begun: Mutex<HashMap<String, AbortOnDropHandle<Outcome>>>,
}

impl Stage {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context, begun: Mutex::default() }
    }

    fn begin(&self, event: &Event) -> AbortOnDropHandle<Outcome> {
        let (context, event) = (Arc::clone(&self.context), event.clone());
        let work = async move { message::handle(&context, &event).await };
        AbortOnDropHandle::new(task::spawn(work))
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<String, AbortOnDropHandle<Outcome>>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Stage {
    /// What takes longer goes on while others are told. The turn that it has keeps what is about the same Backup behind it.
    async fn handle(&self, event: &Event, _: &HashSet<String>) -> Outcome {
        let begun = self.begun().remove(&event.id());
        let mut work = begun.unwrap_or_else(|| self.begin(event));
        match timeout(PATIENCE, &mut work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                Outcome::Failed { reason: format!("cut off: {error}"), exit: Exit::Failure, away: Vec::new() }
            }
            Err(_) => {
                self.begun().insert(event.id(), work);
                Outcome::Busy { holder: "this job, which waits for a monitor".to_owned() }
            }
        }
    }
}
