use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

/// Lets so many writes through, then none until it opens.
pub(super) struct Gate {
    wanted: usize,
    seen: AtomicUsize,
    reached: CancellationToken,
    opened: CancellationToken,
    drops: AtomicBool,
}

impl Gate {
    pub(super) fn after(writes: usize) -> Self {
        let gate = Self {
            wanted: writes,
            seen: AtomicUsize::new(0),
            reached: CancellationToken::new(),
            opened: CancellationToken::new(),
            drops: AtomicBool::new(false),
        };
        if writes == 0 {
            gate.reached.cancel();
        }
        gate
    }

    /// Waits until a write may be passed on. Gives whether it is: not where it was held and all that is held is dropped.
    pub(super) async fn may_begin(&self) -> bool {
        if !self.reached.is_cancelled() {
            return true;
        }
        self.opened.cancelled().await;
        !self.drops.load(Ordering::SeqCst)
    }

    /// A write was answered: waits until its answer may be handed on.
    pub(super) async fn written(&self) {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 >= self.wanted {
            self.reached.cancel();
            self.opened.cancelled().await;
        }
    }
}

/// Traffic that is held after a certain write. Dropped, everything that waits is dropped, too, as for a program that is
/// dead by now, and what comes later comes through.
pub struct Held(Arc<Gate>);

impl Held {
    pub(super) const fn new(gate: Arc<Gate>) -> Self {
        Self(gate)
    }

    /// Waits until that write was answered by the API server.
    pub async fn reached(&self) {
        self.0.reached.cancelled().await;
    }

    /// Lets everything go on.
    pub fn go_on(self) {
        self.0.opened.cancel();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.0.opened.is_cancelled() {
            self.0.drops.store(true, Ordering::SeqCst);
            self.0.opened.cancel();
        }
    }
}
