//! What the tasks of the runner share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use drover::queue::Connection;
use tokio::sync::Notify;

use super::state::State;

/// What is known, and who waits for it to change.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    connection: Mutex<Option<Connection>>,
    /// Something was learnt: decide anew.
    pub(crate) changed: Notify,
    /// Ask the queue anew.
    pub(crate) ask_queue: Notify,
}

impl Shared {
    /// What is known. It is held for a moment only, and never while anything is waited for.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // What a panic left is only older than it might be.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to NATS, once there is one; it mends itself.
    pub(crate) fn connection(&self) -> Option<Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn connected(&self, connection: Connection) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Changes what is known, and has it decided upon.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let has_ended = {
            let mut state = self.state();
            let ends = state.ends;
            change(&mut state);
            state.ends != ends
        };
        if has_ended {
            self.ask_queue.notify_one();
        }
        self.changed.notify_one();
    }
}
